package engine_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"jouletop/engine"
	"jouletop/engine/event"
	"jouletop/engine/policy"
	"jouletop/gpu"
	"jouletop/gpu/clockguard"
	"jouletop/gpu/simgpu"
	"jouletop/gpu/timebase"
	"jouletop/workloads"
)

// fakeGuard is a clock control that fails as told.
type fakeGuard struct {
	*clockguard.Client
	gpu    *simgpu.GPU
	clk    timebase.Clock
	onLoss func(clockguard.Loss)
	lost   bool
	armErr error
	sets   int
	refuse func(mhz, nth int) error // what the nth set says
	silent int64                    // since when it says nothing; 0: it does
}

func (g *fakeGuard) HeldUntil() int64 {
	if g.silent != 0 {
		return g.silent
	}
	return g.Client.HeldUntil()
}

func (g *fakeGuard) OnLoss(f func(clockguard.Loss)) { g.onLoss = f }

func (g *fakeGuard) Arm(on bool) error {
	if g.armErr == nil {
		g.lost = !on
	}
	return g.armErr
}

func (g *fakeGuard) SetTimed(mhz int) (clockguard.Timing, error) {
	g.sets++
	if g.lost {
		return clockguard.Timing{}, fmt.Errorf("%w: killed", clockguard.ErrGuardLost)
	}
	if g.refuse != nil {
		if err := g.refuse(mhz, g.sets); err != nil {
			now := g.clk.Now()
			return clockguard.Timing{CallNS: now, ReturnNS: now}, err
		}
	}
	return g.Client.SetTimed(mhz)
}

// lose ends the guard: the clock goes back, and is told to have some time ago.
func (g *fakeGuard) lose(ago time.Duration) {
	g.lost = true
	_ = g.gpu.ResetSMClock() // a simulated GPU's cannot fail
	g.onLoss(clockguard.Loss{HeldNS: g.clk.Now() - int64(ago), Err: fmt.Errorf("%w: killed", clockguard.ErrGuardLost)})
}

// once calls f as the nth query's batch begins.
func (b *bench) once(nth int, f func()) func(workloads.Query) string {
	calls := 0
	return func(workloads.Query) string {
		if calls++; calls == nth {
			b.do(f)
		}
		return ""
	}
}

// do runs f as a goroutine of the simulated clock's would.
func (b *bench) do(f func()) { b.guard.clk.Go(f) }

func fixedPoints(b *bench, at func(i int) func(workloads.Query) string, clocks ...int) []engine.PointPlan {
	var out []engine.PointPlan
	for i, mhz := range clocks {
		pt := point("llama-3.2-1b", 4, 1, policy.Fixed{MHz: mhz})
		pt.PointID, pt.RequestedSMMHz, pt.Point.Policy = fmt.Sprintf("p%d", i), mhz, fmt.Sprintf("fixed:%d", mhz)
		if at != nil {
			pt.Class = at(i)
		}
		out = append(out, pt)
	}
	return out
}

// honest checks that no row claims a clock that was not in force for its time:
// by the achieved clock of the samples within.
func honest(t *testing.T, b *bench) (flagged int) {
	t.Helper()
	samples := of[event.Sample](b)
	off := func(mhz int, from, to int64) bool {
		n, far := 0, 0
		for _, s := range samples {
			if s.TimeNS > from+30e6 && s.TimeNS < to { // 30 ms: settling
				if n++; mhz > 0 && (s.SMMHz-mhz > 15 || mhz-s.SMMHz > 15) {
					far++
				}
			}
		}
		return n > 0 && far > 0
	}
	for _, r := range of[event.RequestEnergy](b) {
		if r.Flags.ClockFailed() {
			flagged++
		} else if !r.MixedClock && off(r.RequestedSMMHz, r.StartNS, r.EndNS) {
			t.Errorf("%s claims %d MHz, unflagged", r.RequestID, r.RequestedSMMHz)
		}
	}
	for _, p := range of[event.PhaseEnergy](b) {
		if !p.Flags.ClockFailed() && !p.MixedClock && p.Phase != event.Idle && off(p.RequestedSMMHz, p.StartNS, p.EndNS) {
			t.Errorf("%s %s claims %d MHz, unflagged", p.BatchID, p.Phase, p.RequestedSMMHz)
		}
	}
	return flagged
}

func changes(b *bench) string {
	var out []string
	for _, c := range of[event.ClockChange](b) {
		text := fmt.Sprintf("%d %s", c.RequestedSMMHz, c.Cause)
		if c.Err != "" {
			text += "!"
		}
		out = append(out, text)
	}
	return strings.Join(out, ", ")
}

func TestLostGuardEndsTheRun(t *testing.T) {
	b := simulateIn(t, &bench{guard: &fakeGuard{}}, []string{"h100"}, func(b *bench) {
		plan := engine.Plan{Name: "sweep", NeedsClocks: true}
		plan.Points = fixedPoints(b, func(i int) func(workloads.Query) string {
			if i == 1 {
				return b.once(3, func() {
					_ = b.guard.clk.Sleep(context.Background(), 100*time.Millisecond)
					b.guard.lose(50 * time.Millisecond)
				})
			}
			return nil
		}, 1005, 1500, 1980)
		if err := b.engine.Run(context.Background(), plan); !errors.Is(err, engine.ErrClock) || !strings.Contains(err.Error(), "killed") {
			t.Errorf("ended with %v", err)
		}
		// The same wish again really sets it.
		if err := b.guard.Arm(true); err != nil {
			t.Error(err)
		}
		b.engine.SetPolicy(policy.Fixed{MHz: 1500}, event.ByOperator, true)
		_ = b.guard.clk.Sleep(context.Background(), time.Second)
		if mhz := b.guard.gpu.TrueSMMHz(b.guard.clk.Now()); mhz != 1500 {
			t.Errorf("armed again and asked for 1500 MHz, the GPU has %g", mhz)
		}
	})
	if n := honest(t, b); n == 0 || n > 2 {
		t.Errorf("%d requests flagged", n)
	}
	if got := changes(b); !strings.HasPrefix(got, "1005 policy, 1500 policy, 0 guard lost!, 1500 operator") {
		t.Errorf("changes: %s", got)
	}
	if pts := of[event.PointDone](b); len(pts) != 1 || pts[0].Flags.ClockFailed() {
		t.Errorf("points done: %+v", pts)
	}
	if e := of[event.RunEnd](b); len(e) != 1 || e[0].How != "failed" {
		t.Errorf("ends: %+v", e)
	}
	if e := of[event.Error](b); len(e) != 1 || !strings.Contains(e[0].Text, "1500 MHz asked for") {
		t.Errorf("errors: %+v", e)
	}
}

func TestLostGuardIsArmedAgain(t *testing.T) {
	b := simulateIn(t, &bench{guard: &fakeGuard{}, rearm: true}, []string{"h100"}, func(b *bench) {
		plan := engine.Plan{Name: "sweep", NeedsClocks: true}
		plan.Points = fixedPoints(b, func(i int) func(workloads.Query) string {
			if i == 1 {
				return b.once(2, func() { b.guard.lose(50 * time.Millisecond) })
			}
			return nil
		}, 1005, 1500, 1980)
		if err := b.engine.Run(context.Background(), plan); err != nil {
			t.Error(err)
		}
	})
	if n := honest(t, b); n == 0 || n > 2 {
		t.Errorf("%d requests flagged", n)
	}
	if got := changes(b); got != "1005 policy, 1500 policy, 0 guard lost!, 1500 re-armed, 1980 policy, 0 exit" {
		t.Errorf("changes: %s", got)
	}
	for i, p := range of[event.PointDone](b) {
		if p.Flags.Has(event.FlagClockLost) != (i == 1) {
			t.Errorf("%s: %q", p.PointID, p.Flags)
		}
	}
}

// A clock that somebody else gave back is seen by the clock that is achieved.
func TestClockTakenAway(t *testing.T) {
	for _, rearm := range []bool{false, true} {
		b := simulateIn(t, &bench{guard: &fakeGuard{}, rearm: rearm}, []string{"h100"}, func(b *bench) {
			plan := engine.Plan{Name: "run"}
			plan.Points = fixedPoints(b, func(i int) func(workloads.Query) string {
				if i == 0 {
					return b.once(3, func() { _ = b.guard.gpu.ResetSMClock() })
				}
				return nil
			}, 1005, 1500)
			err := b.engine.Run(context.Background(), plan)
			if stopped := errors.Is(err, engine.ErrClock); stopped == rearm {
				t.Errorf("rearm %v: ended with %v", rearm, err)
			}
		})
		if n := honest(t, b); n == 0 {
			t.Error("no request flagged")
		}
		want := "1005 policy, 0 other's hand!, 0 exit"
		if rearm {
			want = "1005 policy, 0 other's hand!, 1005 re-armed, 1500 policy, 0 exit"
		}
		if got := changes(b); !strings.HasPrefix(want, strings.TrimSuffix(got, ", 0 exit")) {
			t.Errorf("changes: %s, want %s", got, want)
		}
	}
}

// What a guard gave back whose word of it is late was nobody else's doing.
func TestLateWordOfALoss(t *testing.T) {
	b := simulateIn(t, &bench{guard: &fakeGuard{}}, []string{"h100"}, func(b *bench) {
		plan := engine.Plan{Name: "run"}
		plan.Points = fixedPoints(b, func(int) func(workloads.Query) string {
			return b.once(2, func() {
				b.guard.silent = b.guard.clk.Now()
				_ = b.guard.gpu.ResetSMClock()
				_ = b.guard.clk.Sleep(context.Background(), 700*time.Millisecond)
				b.guard.lose(700 * time.Millisecond)
			})
		}, 1005)
		if err := b.engine.Run(context.Background(), plan); !errors.Is(err, engine.ErrClock) || !strings.Contains(err.Error(), "killed") {
			t.Errorf("ended with %v", err)
		}
	})
	if n := honest(t, b); n == 0 {
		t.Error("no request flagged")
	}
	if got := changes(b); !strings.HasPrefix(got, "1005 policy, 0 guard lost!") {
		t.Errorf("changes: %s", got)
	}
}

func TestRefusedClocks(t *testing.T) {
	forGood := func(int, int) error { return gpu.ErrNotSupported }
	once := func(_, n int) error {
		if n == 1 {
			return errors.New("driver: unknown error")
		}
		return nil
	}
	for _, tt := range []struct {
		name        string
		refuse      func(mhz, nth int) error
		sweep       bool
		err         bool
		points      []bool // flagged
		flagged     int
		setsAtMost  int
		errorsAtAll int
	}{
		{"run, for good", forGood, false, false, []bool{true, true}, 8, 2, 2},
		{"sweep, for good", forGood, true, true, nil, 0, 1, 1},
		{"run, once", once, false, false, []bool{true, false}, 2, 4, 1},
		{"sweep, once", once, true, false, []bool{true, false}, 0, 4, 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := simulateIn(t, &bench{guard: &fakeGuard{refuse: tt.refuse}}, []string{"h100"}, func(b *bench) {
				plan := engine.Plan{Name: "run", NeedsClocks: tt.sweep, Points: fixedPoints(b, nil, 1005, 1500)}
				err := b.engine.Run(context.Background(), plan)
				if errors.Is(err, engine.ErrClock) != tt.err {
					t.Errorf("ended with %v", err)
				}
			})
			if n := honest(t, b); n != tt.flagged {
				t.Errorf("%d requests flagged, want %d", n, tt.flagged)
			}
			var flagged []bool
			for _, p := range of[event.PointDone](b) {
				flagged = append(flagged, p.Flags.Has(event.FlagClockRefused))
			}
			if !slices.Equal(flagged, tt.points) {
				t.Errorf("points flagged: %v, want %v", flagged, tt.points)
			}
			if b.guard.sets > tt.setsAtMost {
				t.Errorf("%d calls", b.guard.sets)
			}
			if n := len(of[event.Error](b)); n != tt.errorsAtAll {
				t.Errorf("errors: %+v", of[event.Error](b))
			}
		})
	}
}
