package state

import (
	"math"
	"slices"

	"jouletop/engine/analysis/curve"
	"jouletop/engine/event"
)

// Curve is one model at one batch size over the clocks, with the clocks worth
// marking on it, MHz; 0 where the points do not (yet) say.
type Curve struct {
	curve.Curve
	CliffMHz float64 // frequency cliff
	EDPMHz   float64 // EDP optimum
}

// Least returns the clock of the least energy per token; a clock whose energy is
// unknown is it only where all are.
func (c Curve) Least() curve.Clock {
	best := c.Clocks[0]
	for _, k := range c.Clocks {
		if v := k.JoulesPerToken.Mean; v < best.JoulesPerToken.Mean || math.IsNaN(best.JoulesPerToken.Mean) && !math.IsNaN(v) {
			best = k
		}
	}
	return best
}

// Highest returns the highest clock, which the others are measured against.
func (c Curve) Highest() curve.Clock { return c.Clocks[len(c.Clocks)-1] }

// CurveFilter says which points the curves are of.
type CurveFilter struct {
	Batch   int    // 0: every batch size, a curve each
	Dataset string // "": all datasets together
}

// Points are finished points, and the curves through them.
type Points struct {
	Done    []event.PointDone
	version uint64 // counts changes
	curves  map[CurveFilter][]Curve
	of      uint64 // the version that the curves are of
}

// PointsOf are points that stay as they are.
func PointsOf(done []event.PointDone) *Points { return &Points{Done: done} }

// add keeps a point; of very many only the newest.
func (p *Points) add(e event.PointDone) {
	if len(p.Done) == keepPoints {
		p.Done = append(p.Done[:0], p.Done[keepPoints/2:]...)
	}
	p.Done = append(p.Done, e)
	p.version++
}

// Curves returns the curves through the points, as package curve makes them. They
// are not to be changed.
func (p *Points) Curves(f CurveFilter) []Curve {
	if p.of != p.version || p.curves == nil {
		p.curves, p.of = map[CurveFilter][]Curve{}, p.version
	}
	out, known := p.curves[f]
	if !known {
		out = curvesOf(p.Done, f)
		p.curves[f] = out
	}
	return out
}

func curvesOf(done []event.PointDone, f CurveFilter) []Curve {
	var points []event.PointDone
	for _, p := range done {
		if (f.Batch == 0 || p.BatchSize == f.Batch) && (f.Dataset == "" || p.Dataset == f.Dataset) {
			points = append(points, p)
		}
	}
	if f.Dataset == "" {
		points = curve.Pool(points)
	}
	var out []Curve
	for _, c := range curve.Of(points) {
		if len(c.Clocks) == 0 { // run by policies alone
			continue
		}
		k := Curve{Curve: c}
		if cliff, ok := c.FrequencyCliff(); ok {
			k.CliffMHz = cliff.MHz
		}
		if best, ok := c.EDPOptimal(1); ok && len(c.Clocks) >= 3 {
			k.EDPMHz = best.MHz
		}
		out = append(out, k)
	}
	return out
}

// Batches lists the batch sizes that the points were run with, and Datasets their
// datasets.
func (p *Points) Batches() []int {
	return distinct(p.Done, func(d *event.PointDone) int { return d.BatchSize })
}

// Datasets are those of the points, each once.
func (p *Points) Datasets() []string {
	return distinct(p.Done, func(d *event.PointDone) string { return d.Dataset })
}

// distinct lists the values of f, in order.
func distinct[T int | string](done []event.PointDone, f func(*event.PointDone) T) []T {
	var out []T
	for i := range done {
		if v := f(&done[i]); !slices.Contains(out, v) {
			out = append(out, v)
		}
	}
	slices.Sort(out)
	return out
}
