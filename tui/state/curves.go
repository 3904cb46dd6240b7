package state

import (
	"slices"

	"jouletop/engine/analysis/curve"
	"jouletop/engine/event"
)

// Curve is one model at one batch size over the clocks, with what is worth marking on
// it, as far as the points (yet) say.
type Curve struct {
	curve.Curve
	Cliff curve.Cliff   // frequency cliff; its MHz is 0 for none
	RunAt curve.Optimum // least energy within the latency bound; no clocks Alike for none
	EDP   curve.Optimum // least energy-delay product; the same
}

// Highest returns the highest clock, which the others are measured against.
func (c Curve) Highest() curve.Clock { return c.Clocks[len(c.Clocks)-1] }

// CurveFilter says which points the curves are of.
type CurveFilter struct {
	Batch   int    // 0: every batch size, a curve each
	Dataset string // "": all datasets together
	// Slowdown is by how much, as a share, the clock to run at may be slower than the
	// highest.
	Slowdown float64
}

// Points are finished points, and the curves through them.
type Points struct {
	Done    []event.PointDone
	version uint64 // counts changes
	curves  map[CurveFilter][]Curve
	of      uint64 // the version that the curves are of
	caps    []string
	capsOf  uint64 // one more than the version that they are of
}

// PointsOf are points that stay as they are.
func PointsOf(done []event.PointDone) *Points { return &Points{Done: done} }

// Version changes with the points.
func (p *Points) Version() uint64 { return p.version }

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
			k.Cliff = cliff
		}
		if len(c.Clocks) >= 2 {
			k.RunAt, _ = c.RunAt(f.Slowdown)
		}
		if len(c.Clocks) >= 3 {
			k.EDP, _ = c.EDPOptimum()
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
