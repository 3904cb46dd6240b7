package plan

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"time"

	"jouletop/engine"
	"jouletop/engine/event"
)

// Sweep shuffles the points within each model, so that neither heat nor time
// goes along with a clock, and a model is loaded once.
func Sweep(points []engine.PointPlan, seed uint64) engine.Plan {
	r := rand.New(rand.NewPCG(seed, 0x5357454550))
	for from := 0; from < len(points); {
		to := from
		for to < len(points) && points[to].Spec.Name == points[from].Spec.Name {
			to++
		}
		turn := points[from:to]
		r.Shuffle(len(turn), func(i, j int) { turn[i], turn[j] = turn[j], turn[i] })
		from = to
	}
	return engine.Plan{Name: "sweep", Points: points, Idle: IdleTime, NeedsClocks: true}
}

// Comparison lays out points of few settings to be compared: in turns, A B A B, so that
// what drifts along a run (heat, a busy host) comes to all of them alike. Each model is
// loaded once.
func Comparison(points []engine.PointPlan) engine.Plan {
	model := map[string]int{} // in the order given
	for _, p := range points {
		if _, seen := model[p.Spec.Name]; !seen {
			model[p.Spec.Name] = len(model)
		}
	}
	slices.SortStableFunc(points, func(a, b engine.PointPlan) int {
		return cmp.Or(model[a.Spec.Name]-model[b.Spec.Name], a.Repeat-b.Repeat)
	})
	return engine.Plan{Name: "comparison", Points: points, Idle: IdleTime, NeedsClocks: true}
}

// Unfinished leaves out the points that have a row.
func Unfinished(points []engine.PointPlan, done []event.PointDone) []engine.PointPlan {
	have := map[string]bool{}
	for _, d := range done {
		have[d.PointID] = true
	}
	var left []engine.PointPlan
	for _, p := range points {
		if !have[p.PointID] {
			left = append(left, p)
		}
	}
	return left
}

// Job wraps points for the dashboard: a short look at idle power, no
// cool-down.
func Job(points []engine.PointPlan) engine.Plan {
	return engine.Plan{Name: "run", Points: points, Idle: IdleTime}
}

// IdleTime is how long idle power is measured before and after the jobs.
const IdleTime = time.Second

// BlockTime is how long --phase-blocks repeats each phase.
const BlockTime = 4 * time.Second
