package main

import (
	"strings"
	"testing"

	"jouletop/engine/event"
	"jouletop/gpu/nvml/fakenvml"
)

// A limit of which the driver takes another ends a sweep: no row claims what was asked for,
// nor one that a limit was in force after somebody else has set another, or after the memory
// clock was unlocked; and all knobs are given back.
func TestKnobsNotInForceInASweep(t *testing.T) {
	t.Parallel()
	const queries, before = 12, 650_500
	server := newServer(t)
	for _, tt := range []struct {
		name, sweep string
		conf        fakenvml.Config
		hit         func(g *fakeGPU) // while the first point runs; nil: nothing happens
		says        string
		left        int64 // mW, the limit afterwards
	}{
		{"clamped", "power=300,310", fakenvml.H100().With(fakenvml.PowerFloorMW, 450_000), nil, "450 W", before},
		{"held lower by another limiter", "power=400", fakenvml.H100().With(fakenvml.LimiterMW, 350_000), nil, "another limiter holds it at 350 W", before},
		{"lowered meanwhile by another limiter", "power=400", fakenvml.H100(), func(g *fakeGPU) { g.Set(fakenvml.LimiterMW, 350_000) }, "another limiter holds it at 350 W", before},
		{"limit set by somebody else", "power=400,500", fakenvml.H100(), func(g *fakeGPU) { g.Set(fakenvml.PowerLimitMW, 333_000) }, "333 W now, set by somebody else", 333_000},
		{"memory unlocked by somebody else", "mem=1593", fakenvml.H100(), func(g *fakeGPU) { g.resetByOthers() }, "2619 MHz", before},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			g := newFakeGPU(t, tt.conf.With(fakenvml.PowerLimitMW, before))
			c, out := g.start(t, work(server, queries, "sweep", "--sweep", tt.sweep, "--batch", "1", "--repeats", "2", "--cool-down", "0")...)
			if tt.hit != nil {
				g.begun(t, 3)
				tt.hit(g)
			}
			_ = c.Wait() // the status is looked at
			if code := c.ProcessState.ExitCode(); code != exitFailure || !strings.Contains(out.String(), tt.says) {
				t.Errorf("exit status %d: %s", code, out)
			}
			rec := g.recorded(t)
			for _, p := range rec.points {
				if tt.hit == nil || !p.Flags.Has(event.FlagClockLost, event.FlagClockOff) {
					t.Errorf("point of %s, achieved %g W, %g MHz of memory, flags %q", p.Knobs, p.AchievedLimitW, p.AchievedMemMHz, p.Flags)
				}
			}
			flagged := 0
			for _, r := range rec.requests {
				if r.Flags.Has(event.FlagClockLost) {
					flagged++
				}
			}
			if (flagged > 0) != (tt.hit != nil) || tt.hit == nil && len(rec.requests) > 0 {
				t.Errorf("%d of %d requests are flagged", flagged, len(rec.requests))
			}
			if _, mem := g.MemLocked(); mem || g.Get(fakenvml.PowerLimitMW) != tt.left {
				t.Errorf("left at %d mW, memory locked %v", g.Get(fakenvml.PowerLimitMW), mem)
			}
		})
	}
}
