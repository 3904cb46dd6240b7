package curve_test

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"

	"jouletop/engine"
	"jouletop/engine/analysis/curve"
	"jouletop/engine/enginetest"
	"jouletop/engine/event"
	"jouletop/engine/policy"
	"jouletop/engine/simllm"
	"jouletop/gpu/simgpu"
	"jouletop/gpu/timebase"
	"jouletop/workloads"
)

// keep records a simulated run in memory.
type keep struct {
	points []event.PointDone
	spans  map[string][]event.PhaseSpan // by point
}

func (k *keep) heard(e event.Event) {
	switch e := e.(type) {
	case event.PointDone:
		k.points = append(k.points, e)
	case event.PhaseEnd:
		point, _, _ := strings.Cut(e.BatchID, "/")
		k.spans[point] = append(k.spans[point], e.PhaseSpan)
	}
}

var sweepClocks = []int{345, 465, 585, 690, 810, 930, 1005, 1050, 1170, 1290, 1395, 1515, 1635, 1755, 1980}

// sweep runs 15 clocks on a simulated H100 in an order of the seed's.
func sweep(t *testing.T, seed int64, repeats int, gpuOpts []simgpu.Option, llmOpts ...simllm.Option) (*keep, *simgpu.GPU) {
	t.Helper()
	k := &keep{spans: map[string][]event.PhaseSpan{}}
	var pts []engine.PointPlan
	for _, mhz := range sweepClocks {
		for r := range repeats {
			p := engine.PointPlan{
				Point: event.Point{PointID: fmt.Sprintf("c%d.r%d", mhz, r), GPU: "sim:h100", Model: "llama-3.1-8b", Dataset: "d", BatchSize: 1, RequestedSMMHz: mhz, Repeat: r + 1, Queries: 2},
				Spec:  engine.ModelSpec{Name: "llama-3.1-8b"}, MaxTokens: 60, Policy: policy.Fixed{MHz: mhz},
			}
			for q := range p.Point.Queries {
				text := strings.Repeat("what the river carries the sea keeps ", 30)
				p.Queries = append(p.Queries, workloads.Query{ID: strconv.Itoa(q), Dataset: "d", Style: workloads.NarrativeQA, Prompt: text, Text: text, Answer: -1})
			}
			pts = append(pts, p)
		}
	}
	rand.New(rand.NewPCG(uint64(seed), 1)).Shuffle(len(pts), func(i, j int) { pts[i], pts[j] = pts[j], pts[i] })
	world := enginetest.World{Seed: seed, GPU: gpuOpts, Model: llmOpts, Heard: k.heard}
	return k, world.Run(t, func(_ timebase.Clock, e *engine.Engine) error {
		return e.Run(context.Background(), engine.Plan{Name: "sweep", Points: pts})
	})
}

// TestEDPOptimalClockIsTheTrueOne: the clock that analysis calls EDP-optimal has
// a true EDP within 1 % of the best. JOULETOP_SEEDS sets how many seeds are
// tried (the bench tries 100).
func TestEDPOptimalClockIsTheTrueOne(t *testing.T) {
	seeds := 20
	if n, err := strconv.Atoi(os.Getenv("JOULETOP_SEEDS")); err == nil {
		seeds = n
	}
	k, g := sweep(t, 1, 1, []simgpu.Option{simgpu.WithTruth(), simgpu.WithGain(0), simgpu.WithNoise(0)}, simllm.WithJitter(0))
	truth := map[int]float64{}
	best := math.Inf(1)
	for _, mhz := range sweepClocks {
		joules, seconds := 0.0, 0.0
		for _, s := range k.spans[fmt.Sprintf("c%d.r0", mhz)] {
			joules += g.TrueEnergyJ(s.StartNS, s.EndNS)
			seconds += float64(s.EndNS-s.StartNS) / 1e9
		}
		truth[mhz] = joules * seconds
		best = min(best, truth[mhz])
	}
	good := 0
	for seed := range seeds {
		k, _ := sweep(t, int64(seed)+100, 3, nil)
		curves := curve.Of(k.points)
		if len(curves) != 1 || len(curves[0].Clocks) != len(sweepClocks) {
			t.Fatalf("seed %d: %d curves", seed, len(curves))
		}
		c, ok := curves[0].EDPOptimal(1)
		if !ok {
			t.Fatalf("seed %d: no optimum", seed)
		}
		excess := truth[c.RequestedMHz]/best - 1
		if excess <= 0.01 {
			good++
		} else {
			t.Logf("seed %d: %d MHz has %.1f %% more EDP than the best", seed, c.RequestedMHz, 100*excess)
		}
	}
	t.Logf("EDP-optimal clock within 1 %% of the true best in %d of %d seeds", good, seeds)
	if float64(good) < 0.95*float64(seeds) {
		t.Errorf("only %d of %d", good, seeds)
	}
}
