package engine_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"jouletop/engine"
	"jouletop/engine/event"
	"jouletop/gpu"
)

// A limit that the driver takes, while another limiter holds power lower, is not claimed:
// the plan ends before its point, what is told to be in force is what is, and the limit is
// given back.
func TestPowerLimitHeldLowerByAnother(t *testing.T) {
	b := simulateIn(t, &bench{guard: &fakeGuard{}}, []string{"h100"}, func(b *bench) {
		b.gpus[0].SetLimiter(350)
		plan := engine.Plan{Name: "sweep", NeedsClocks: true, Points: knobPoints(nil, gpu.Setting{SMMHz: 1005, PowerW: 300}, gpu.Setting{SMMHz: 1005, PowerW: 400})}
		err := b.engine.Run(context.Background(), plan)
		if !errors.Is(err, engine.ErrClock) || !strings.Contains(err.Error(), "could not be set to 400 W") || !strings.Contains(err.Error(), "another limiter holds it at 350 W") {
			t.Errorf("ended with %v", err)
		}
	})
	if got := knobChanges(b); got != "power 300000 policy, power 400000 policy!, power 0 exit" {
		t.Errorf("changes: %s", got)
	}
	for _, c := range of[event.KnobChange](b) {
		if c.Requested == 400_000 && c.Achieved != 350_000 {
			t.Errorf("%d mW asked for, %d mW told to be in force", c.Requested, c.Achieved)
		}
	}
	for _, p := range of[event.PointDone](b) {
		if p.Knobs.PowerW == 300 && (p.AchievedLimitW != 300 || p.Flags != "") {
			t.Errorf("%s: limit %g W, flags %q", p.PointID, p.AchievedLimitW, p.Flags)
		}
		if p.Knobs.PowerW == 400 && p.PointResult.Err == "" && !p.Flags.ClockFailed() {
			t.Errorf("%s: limit %g W, flags %q", p.PointID, p.AchievedLimitW, p.Flags)
		}
	}
	if mw, _ := b.guard.gpu.State(gpu.KnobPower); mw != 700_000 {
		t.Errorf("limit left at %d mW", mw)
	}
}
