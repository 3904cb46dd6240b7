package engine

import (
	"fmt"
	"time"

	"jouletop/engine/event"
	"jouletop/workloads"
)

// Plan is what a run does, point by point.
type Plan struct {
	Name   string // run, sweep, comparison, prompt
	Points []PointPlan
	// Idle is how long idle power is measured before the first and after the last
	// point; 0 not at all.
	Idle time.Duration
	// MinPoint repeats a point's queries until it has lasted so long.
	MinPoint time.Duration
	// Cooldown waits before each point until the GPU is no warmer than before the
	// first, within CoolMargin °C, or for so long.
	Cooldown   time.Duration
	CoolMargin float64
	// NeedsClocks: a point whose clock is refused is not run, and the plan ends
	// where the next one's would be refused too. Otherwise it runs, flagged.
	NeedsClocks bool
	// Blocks is how long each phase is repeated back to back after a point's
	// queries, for a precise figure of its power; 0 not at all.
	Blocks time.Duration
	// More, if not nil, is asked once all points are done for others that their results
	// call for, until it has none: then it may have something to say. done has those of
	// the plan so far.
	More func(done []event.PointDone) (more []PointPlan, notes []string)
}

// Goes tells whether the results of points call for others.
func (p Plan) Goes(done []event.PointDone) bool {
	if p.More == nil {
		return false
	}
	more, _ := p.More(done)
	return len(more) > 0
}

// Requests returns how many requests the plan holds, before MinPoint.
func (p Plan) Requests() int {
	n := 0
	for _, pt := range p.Points {
		n += len(pt.Queries)
	}
	return n
}

// PointPlan is one point to run.
type PointPlan struct {
	event.Point
	Spec      ModelSpec
	Queries   []workloads.Query
	MaxTokens int
	Chat      bool
	// RandomTokens is every request's (see Request).
	RandomTokens int
	// Serving, if not nil, has the queries served as they come; BatchSize is its slots.
	Serving *Serving
	// Settle repeats the first batch for so long before the point begins, once at
	// least; 0 not at all. A backend may allocate and compile for a shape that it
	// sees first, and a GPU's clock takes some 100 ms to rise from idle.
	Settle time.Duration
	// Policy sets the clock; nil keeps the operator's.
	Policy Policy
	// Class, if not nil, tells a query's difficulty class. It is called while
	// another batch runs.
	Class func(q workloads.Query) string
}

// identity is the model's, with how deep is drafted: a pass over more tokens draws other
// power.
func (pt PointPlan) identity() string {
	id := pt.Spec.Identity()
	if pt.Drafts() {
		id += fmt.Sprintf(":%d", pt.DraftDepth)
	}
	return id
}
