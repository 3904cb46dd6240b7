package engine_test

import (
	"context"
	"math"
	"testing"

	"jouletop/engine"
	"jouletop/engine/event"
	"jouletop/engine/policy"
	"jouletop/gpu"
)

// TestSeveralGPUs: the same clock is set on each GPU, each has its samples, and
// the energy of a request is what all of them used.
func TestSeveralGPUs(t *testing.T) {
	var together gpu.Info
	mhz := 0
	b := simulateOn(t, []string{"h100", "rtx-pro-6000"}, func(b *bench) {
		together = gpu.Together(b.gpus[0].Info(), b.gpus[1].Info())
		mhz = together.SMClocks[len(together.SMClocks)/2]
		pt := point("llama-3.1-8b", 12, 4, policy.Fixed{MHz: mhz})
		if err := b.engine.Run(context.Background(), engine.Plan{Name: "run", Points: []engine.PointPlan{pt}}); err != nil {
			t.Error(err)
		}
	})
	id := together.ID()
	joules, start, end := 0.0, int64(math.MaxInt64), int64(0)
	for _, r := range of[event.RequestEnergy](b) {
		if r.GPU != id || r.RequestedSMMHz != mhz || r.MixedClock {
			t.Fatalf("%s on %s at %d MHz, mixed %v; want %s at %d", r.RequestID, r.GPU, r.RequestedSMMHz, r.MixedClock, id, mhz)
		}
		joules += r.EnergyJ
		start, end = min(start, r.StartNS), max(end, r.EndNS)
	}
	truth := 0.0
	for _, g := range b.gpus {
		truth += g.TrueEnergyJ(start, end)
	}
	if math.Abs(joules-truth) > 0.03*truth {
		t.Errorf("%.1f J of requests, %.1f J by the simulators", joules, truth)
	}
	sampled, set, back := map[string]bool{}, map[string]bool{}, map[string]bool{}
	for _, s := range of[event.Sample](b) {
		sampled[s.GPU] = true
	}
	for _, c := range of[event.ClockChange](b) {
		set[c.GPU] = set[c.GPU] || c.RequestedSMMHz == mhz && c.Err == ""
		back[c.GPU] = c.RequestedSMMHz == 0 && c.Err == ""
	}
	for _, g := range b.gpus {
		if id := g.Info().ID(); !sampled[id] || !set[id] || !back[id] {
			t.Errorf("%s: sampled %v, set %v, given back %v", id, sampled[id], set[id], back[id])
		}
	}
}
