package engine_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"jouletop/engine"
	"jouletop/engine/event"
	"jouletop/engine/policy"
	"jouletop/gpu"
	"jouletop/workloads"
)

func knobPoints(at func(i int) func(workloads.Query) string, settings ...gpu.Setting) []engine.PointPlan {
	var out []engine.PointPlan
	for i, s := range settings {
		p := policy.Fixed{MHz: s.SMMHz, Others: s.Others()}
		pt := point("llama-3.2-1b", 4, 1, p)
		pt.PointID, pt.RequestedSMMHz, pt.Knobs, pt.Point.Policy = fmt.Sprintf("p%d", i), s.SMMHz, s.Others(), p.Name()
		if at != nil {
			pt.Class = at(i)
		}
		out = append(out, pt)
	}
	return out
}

func knobChanges(b *bench) string {
	var out []string
	for _, c := range of[event.KnobChange](b) {
		text := fmt.Sprintf("%s %d %s", c.Knob, c.Requested, c.Cause)
		if c.Err != "" {
			text += "!"
		}
		out = append(out, text)
	}
	return strings.Join(out, ", ")
}

// Each point has its knobs, those that stay are left alone, and all are given back.
func TestKnobsOfPoints(t *testing.T) {
	b := simulateIn(t, &bench{guard: &fakeGuard{}}, []string{"h100"}, func(b *bench) {
		plan := engine.Plan{Name: "sweep", NeedsClocks: true, Points: knobPoints(nil,
			gpu.Setting{SMMHz: 1005, PowerW: 400}, gpu.Setting{SMMHz: 1500, PowerW: 400, MemMHz: 1593}, gpu.Setting{PowerW: 300})}
		if err := b.engine.Run(context.Background(), plan); err != nil {
			t.Error(err)
		}
	})
	if got := knobChanges(b); got != "power 400000 policy, mem 1593 policy, mem 0 policy, power 300000 policy, power 0 exit" {
		t.Errorf("changes: %s", got)
	}
	if got := changes(b); got != "1005 policy, 1500 policy, 0 policy" {
		t.Errorf("clocks: %s", got)
	}
	for i, p := range of[event.PointDone](b) {
		mem, limit := []float64{2619, 1593, 2619}[i], []float64{400, 400, 300}[i]
		if p.AchievedMemMHz != mem || p.AchievedLimitW != limit || p.Flags != "" {
			t.Errorf("%s: memory %g MHz, limit %g W, %q", p.PointID, p.AchievedMemMHz, p.AchievedLimitW, p.Flags)
		}
	}
	if mw, _ := b.guard.gpu.State(gpu.KnobPower); mw != 700_000 {
		t.Errorf("limit left at %d mW", mw)
	}
	for _, p := range of[event.PhaseEnergy](b) {
		if p.Phase != event.Idle && !strings.Contains(p.Model, "power=") {
			t.Errorf("a phase under a limit is of %q, as any other", p.Model)
		}
	}
}

// A limit that another hand changes while a point runs ends the run and flags what it
// touched. One that somebody else has set stays; where another limiter holds power lower,
// the limit that was set is given back all the same.
func TestPowerLimitTakenAway(t *testing.T) {
	for name, c := range map[string]struct {
		disturb func(*bench)
		says    string
		left    int // mW
	}{
		"set":     {func(b *bench) { _ = b.guard.gpu.Set(gpu.KnobPower, 333_000) }, "333 W now, set by somebody else", 333_000},
		"lowered": {func(b *bench) { b.guard.gpu.SetLimiter(250) }, "another limiter holds it at 250 W", 700_000},
	} {
		b := simulateIn(t, &bench{guard: &fakeGuard{}}, []string{"h100"}, func(b *bench) {
			plan := engine.Plan{Name: "sweep", NeedsClocks: true}
			plan.Points = knobPoints(func(i int) func(workloads.Query) string {
				if i == 1 {
					return b.once(2, func() { c.disturb(b) })
				}
				return nil
			}, gpu.Setting{SMMHz: 1005, PowerW: 500}, gpu.Setting{SMMHz: 1005, PowerW: 400}, gpu.Setting{SMMHz: 1005, PowerW: 300})
			for i := range plan.Points {
				plan.Points[i].Queries = append(plan.Points[i].Queries, plan.Points[i].Queries...)
			}
			plan.MinPoint = 3 * time.Second
			if err := b.engine.Run(context.Background(), plan); !errors.Is(err, engine.ErrClock) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%s: ended with %v", name, err)
			}
		})
		if got := knobChanges(b); !strings.HasPrefix(got, "power 500000 policy, power 400000 policy, power 0 other's hand!") {
			t.Errorf("%s: changes: %s", name, got)
		}
		flagged := 0
		for _, r := range of[event.RequestEnergy](b) {
			if r.Flags.Has(event.FlagClockLost) {
				flagged++
			}
		}
		if flagged == 0 {
			t.Errorf("%s: nothing is flagged", name)
		}
		if mw, _ := b.guard.gpu.State(gpu.KnobPower); mw != c.left {
			t.Errorf("%s: the limit is left at %d mW", name, mw)
		}
	}
}

// A memory clock that somebody else has unlocked is seen by the clock: what it touched is
// flagged, and the run ends, or locks it again.
func TestMemoryClockTakenAway(t *testing.T) {
	for _, rearm := range []bool{false, true} {
		b := simulateIn(t, &bench{guard: &fakeGuard{}, rearm: rearm}, []string{"h100"}, func(b *bench) {
			plan := engine.Plan{Name: "sweep", NeedsClocks: true}
			plan.Points = knobPoints(func(i int) func(workloads.Query) string {
				if i == 1 {
					return b.once(2, func() { _ = b.guard.gpu.Reset(gpu.KnobMem) })
				}
				return nil
			}, gpu.Setting{MemMHz: 2619}, gpu.Setting{MemMHz: 1593}, gpu.Setting{MemMHz: 1593, SMMHz: 1005})
			plan.MinPoint = 3 * time.Second
			err := b.engine.Run(context.Background(), plan)
			if !rearm && (!errors.Is(err, engine.ErrClock) || !strings.Contains(err.Error(), "it runs at 2619 MHz")) || rearm && err != nil {
				t.Errorf("ended with %v", err)
			}
		})
		want := "mem 2619 policy, mem 1593 policy, mem 0 other's hand!"
		if rearm {
			want += ", mem 1593 re-armed, mem 0 exit"
		}
		if got := knobChanges(b); !strings.HasPrefix(got, want) {
			t.Errorf("changes: %s, want %s", got, want)
		}
		flagged := 0
		for _, r := range of[event.RequestEnergy](b) {
			if r.Flags.Has(event.FlagClockLost) {
				flagged++
			}
		}
		if flagged == 0 {
			t.Error("no request is flagged")
		}
		for _, p := range of[event.PointDone](b) {
			if lost := p.PointID == "p1"; p.Flags.Has(event.FlagClockLost) != lost {
				t.Errorf("%s: %q", p.PointID, p.Flags)
			}
		}
	}
}

// One that runs below what was asked for, whoever lowered it, is no row of what was asked for.
func TestMemoryClockBelow(t *testing.T) {
	b := simulateIn(t, &bench{guard: &fakeGuard{}}, []string{"h100"}, func(b *bench) {
		plan := engine.Plan{Name: "sweep", NeedsClocks: true, MinPoint: time.Second}
		plan.Points = knobPoints(func(int) func(workloads.Query) string {
			return b.once(1, func() { _ = b.guard.gpu.Set(gpu.KnobMem, 1593) })
		}, gpu.Setting{MemMHz: 2619})
		if err := b.engine.Run(context.Background(), plan); err != nil {
			t.Error(err)
		}
	})
	for _, p := range of[event.PointDone](b) {
		if p.AchievedMemMHz > 2400 || !p.Flags.Has(event.FlagClockOff) {
			t.Errorf("%s: memory %g MHz, %q", p.PointID, p.AchievedMemMHz, p.Flags)
		}
	}
}

// What the driver counts stands beside the verdict of a point, and agrees with it.
func TestCountedLimits(t *testing.T) {
	b := simulateIn(t, &bench{guard: &fakeGuard{}}, []string{"h100"}, func(b *bench) {
		plan := engine.Plan{Name: "sweep", NeedsClocks: true, MinPoint: 8 * time.Second, Points: knobPoints(nil, gpu.Setting{PowerW: 200}, gpu.Setting{PowerW: 700})}
		if err := b.engine.Run(context.Background(), plan); err != nil {
			t.Error(err)
		}
	})
	if n := len(of[event.LimitTimes](b)); n < 7 {
		t.Errorf("%d readings", n)
	}
	for i, p := range of[event.PointDone](b) {
		c := p.Held.Counted
		if c.ForS < 5 || c.Doubt != "" || (c.PowerPct > 5) != (i == 0) || c.HeatPct != 0 {
			t.Errorf("%s: %+v beside %s", p.PointID, c, p.Held.Short())
		}
	}
}

// A knob that is refused for good ends a sweep; a run goes on, flagged.
func TestKnobRefused(t *testing.T) {
	for _, needs := range []bool{true, false} {
		b := simulateIn(t, &bench{guard: &fakeGuard{}}, []string{"h100"}, func(b *bench) {
			plan := engine.Plan{Name: "sweep", NeedsClocks: needs, Points: knobPoints(nil, gpu.Setting{SMMHz: 1005, PowerW: 100})}
			err := b.engine.Run(context.Background(), plan)
			if needs != errors.Is(err, engine.ErrClock) || needs && !strings.Contains(err.Error(), "power limit of GPU sim:h100 could not be set to 100 W") {
				t.Errorf("ended with %v", err)
			}
		})
		for _, p := range of[event.PointDone](b) {
			if needs || !p.Flags.Has(event.FlagClockRefused) {
				t.Errorf("%s: %q", p.PointID, p.Flags)
			}
		}
	}
}

// A guard that is lost takes every knob with it, and arming again sets every one.
func TestLostGuardOfKnobs(t *testing.T) {
	b := simulateIn(t, &bench{guard: &fakeGuard{}, rearm: true}, []string{"h100"}, func(b *bench) {
		plan := engine.Plan{Name: "sweep", NeedsClocks: true}
		plan.Points = knobPoints(func(int) func(workloads.Query) string {
			return b.once(2, func() {
				_ = b.guard.gpu.Reset(gpu.KnobPower)
				_ = b.guard.Client.Close()
				b.guard.lose(50 * time.Millisecond)
				_ = b.guard.Client.Arm(true)
			})
		}, gpu.Setting{PowerW: 400})
		if err := b.engine.Run(context.Background(), plan); err != nil {
			t.Error(err)
		}
	})
	if got := knobChanges(b); got != "power 400000 policy, power 0 guard lost!, power 400000 re-armed, power 0 exit" {
		t.Errorf("changes: %s", got)
	}
	for _, p := range of[event.PointDone](b) {
		if !p.Flags.Has(event.FlagClockLost) {
			t.Errorf("%s: %q", p.PointID, p.Flags)
		}
	}
}
