package engine_test

import (
	"context"
	"math"
	"testing"

	"jouletop/engine"
	"jouletop/engine/event"
	"jouletop/engine/policy"
	"jouletop/engine/simllm"
	"jouletop/gpu"
	"jouletop/gpu/clockguard"
	"jouletop/gpu/simgpu"
	"jouletop/gpu/timebase"
)

// TestSeveralGPUs: the same clock is set on each GPU, each has its samples, and
// the energy of a request is what all of them used.
func TestSeveralGPUs(t *testing.T) {
	b := &bench{}
	clk := timebase.NewSim(0)
	var gpus []*simgpu.GPU
	var together gpu.Info
	done := make(chan error, 1)
	clk.Go(func() {
		done <- func() error {
			var parts []engine.GPU
			for i, profile := range []string{"h100", "rtx-pro-6000"} {
				g, err := simgpu.New(profile, clk, int64(i), simgpu.WithTruth(), simgpu.WithGain(0))
				if err != nil {
					return err
				}
				control, err := clockguard.InProcess(g, clk, clockguard.Options{})
				if err != nil {
					return err
				}
				gpus, parts = append(gpus, g), append(parts, engine.GPU{Device: g, Sources: g.PowerSources(), Control: control})
			}
			e, err := engine.New(engine.Config{Clock: clk, GPUs: parts, Backend: simllm.New(gpus[0], clk, 7), Stream: engine.NewStream(b), Simulated: true})
			if err != nil {
				return err
			}
			e.Start()
			together = gpu.Together(gpus[0].Info(), gpus[1].Info())
			pt := point("llama-3.1-8b", 12, 4, policy.Fixed{MHz: together.SMClocks[len(together.SMClocks)/2]})
			if err := e.Run(context.Background(), engine.Plan{Name: "run", Points: []engine.PointPlan{pt}}); err != nil {
				return err
			}
			return e.Close()
		}()
	})
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	id, mhz := together.ID(), together.SMClocks[len(together.SMClocks)/2]
	joules, start, end := 0.0, int64(math.MaxInt64), int64(0)
	for _, r := range of[event.RequestEnergy](b) {
		if r.GPU != id || r.RequestedSMMHz != mhz || r.MixedClock {
			t.Fatalf("%s on %s at %d MHz, mixed %v; want %s at %d", r.RequestID, r.GPU, r.RequestedSMMHz, r.MixedClock, id, mhz)
		}
		joules += r.EnergyJ
		start, end = min(start, r.StartNS), max(end, r.EndNS)
	}
	truth := 0.0
	for _, g := range gpus {
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
	for _, g := range gpus {
		if id := g.Info().ID(); !sampled[id] || !set[id] || !back[id] {
			t.Errorf("%s: sampled %v, set %v, given back %v", id, sampled[id], set[id], back[id])
		}
	}
}
