package engine_test

import (
	"context"
	"fmt"
	"math"
	"testing"

	"jouletop/engine"
	"jouletop/engine/event"
	"jouletop/gpu"
)

// What is said to have held the clock is what did, by the simulation's truth, in at least
// 98 % of points: three models, three batch sizes, six limits, three clocks.
func TestBindingIsRight(t *testing.T) {
	var truth []map[event.Phase]float64
	b := simulate(t, func(b *bench) {
		plan := engine.Plan{Name: "sweep"}
		for _, model := range []string{"llama-3.2-1b", "llama-3.2-3b", "llama-3.1-8b"} {
			for _, batch := range []int{1, 4, 8} {
				for _, w := range []int{200, 300, 400, 500, 600, 700} {
					for _, mhz := range []int{0, 1005, 1500} {
						pt := knobPoints(nil, gpu.Setting{SMMHz: mhz, PowerW: w})[0]
						queries := point(model, 12*batch, batch, nil)
						pt.PointID = fmt.Sprintf("%s.b%d.w%d.c%d", model, batch, w, mhz)
						pt.Spec, pt.Model, pt.Queries, pt.BatchSize, pt.MaxTokens = queries.Spec, model, queries.Queries, batch, 60
						plan.Points = append(plan.Points, pt)
					}
				}
			}
		}
		if err := b.engine.Run(context.Background(), plan); err != nil {
			t.Error(err)
		}
		// While the GPU is still there to be asked.
		spans := map[string]map[event.Phase][2]float64{}
		for _, p := range of[event.PhaseEnd](b) {
			if spans[p.PointID] == nil {
				spans[p.PointID] = map[event.Phase][2]float64{}
			}
			s := spans[p.PointID][p.Phase]
			s[0] += b.gpus[0].TrueCappedS(p.StartNS, p.EndNS)
			s[1] += float64(p.EndNS-p.StartNS) / 1e9
			spans[p.PointID][p.Phase] = s
		}
		for _, d := range of[event.PointDone](b) {
			shares := map[event.Phase]float64{}
			for p, s := range spans[d.PointID] {
				shares[p] = 100 * s[0] / s[1]
			}
			truth = append(truth, shares)
		}
	})
	points, right, bound := of[event.PointDone](b), 0, 0
	for i, d := range points {
		good := true
		for _, p := range []event.Phase{event.Prefill, event.Decode} {
			h, want := *d.Held.Of(p), truth[i][p]
			if want >= event.HeldAtTimes {
				bound++
			}
			if !h.Known() || h.Limited() != (want >= event.HeldAtTimes) && math.Abs(h.Pct-want) > 3 {
				good = false
				t.Logf("%s %s: %s, and in truth %.0f %%", d.PointID, p, h, want)
			}
		}
		if good {
			right++
		}
	}
	t.Logf("%d of %d points right; a limit held in %d of %d phases", right, len(points), bound, 2*len(points))
	if len(points) != 162 || bound < 60 || right*100 < 98*len(points) {
		t.Errorf("%d of %d points right", right, len(points))
	}
}
