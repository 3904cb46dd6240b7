package plan

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"jouletop/engine"
	"jouletop/engine/analysis/curve"
	"jouletop/engine/event"
	"jouletop/engine/usage"
)

// Until goes on repeating what is not known well enough: each model, dataset, batch size
// and setting until the 95 % interval of its energy a query, over its repeats, is at most
// Share of it either way.
type Until struct {
	Share float64
	// Points lists the combinations with so many repeats each.
	Points func(repeats int) ([]engine.PointPlan, error)
}

// Limits of repeating.
const (
	mostRepeats  = 50 // of a combination, whatever is not known then
	mostFailures = 3  // repeats that may fail
	mostSpoilt   = 5  // repeats without one that is of use
)

// NewUntil reads --until; nil where text is "".
func NewUntil(text string, points func(repeats int) ([]engine.PointPlan, error)) (*Until, error) {
	if text == "" {
		return nil, nil
	}
	share, err := Share("--until", text)
	if err == nil && share == 0 {
		err = usage.Errorf("--until %s: no number of repeats makes an interval so narrow", text)
	}
	if err != nil {
		return nil, err
	}
	return &Until{share, points}, nil
}

// combination is what is repeated.
type combination struct {
	gpu, model, dataset, policy string
	batch, mhz                  int
	event.Drafting
}

func combinationOf(p event.Point) combination {
	return combination{p.GPU, p.Model, p.Dataset, p.Policy, p.BatchSize, p.RequestedSMMHz, p.Drafting}
}

// progress is how far a combination has come.
type progress struct {
	point   event.Point
	repeats int // the last
	failed  int
	energy  curve.Stat // J a query
	flags   event.Flags
}

// progresses sums up what is done, in the order of the first repeats.
func progresses(done []event.PointDone) []*progress {
	var out []*progress
	by := map[combination]*progress{}
	points := map[combination][]event.PointDone{}
	for _, d := range done {
		k := combinationOf(d.Point)
		p := by[k]
		if p == nil {
			p = &progress{point: d.Point, energy: curve.Stat{Mean: math.NaN(), Half: math.NaN()}}
			by[k] = p
			out = append(out, p)
		}
		p.repeats = max(p.repeats, d.Repeat)
		if d.PointResult.Err != "" {
			p.failed++
		}
		points[k] = append(points[k], d)
	}
	for k, ps := range points {
		for _, c := range curve.Of(ps) {
			for _, at := range slices.Concat(c.Clocks, c.Policies) {
				by[k].flags = at.Flags
				if at.Clean() {
					by[k].energy = at.Energy
				}
			}
		}
	}
	return out
}

// spoilt tells whether repeating it leads nowhere.
func (p *progress) spoilt() bool { return p.energy.N == 0 && p.repeats >= mostSpoilt }

// enough tells whether the interval is narrow enough.
func (u *Until) enough(p *progress) bool {
	return p.energy.Half <= u.Share*p.energy.Mean // false where either is unknown
}

// wanted is how many repeats more a combination gets next: what its scatter says it
// takes, but no more than there are, since few say little of it.
func (u *Until) wanted(p *progress) int {
	switch left := mostRepeats - p.repeats; {
	case u.enough(p) || p.failed >= mostFailures || p.spoilt() || left <= 0:
		return 0
	case p.energy.N < 2 || !(p.energy.Half > 0):
		return 1
	default:
		n := float64(p.energy.N)
		more := int(math.Ceil(n*(p.energy.Half/(u.Share*p.energy.Mean))*(p.energy.Half/(u.Share*p.energy.Mean)) - n))
		return min(max(more, 1), p.energy.N, left)
	}
}

// More lists the points that those done call for; none where all is known well enough,
// or cannot be: then it says why. It is an engine.Plan's More.
func (u *Until) More(done []event.PointDone) (more []engine.PointPlan, short []string) {
	want := map[combination][2]int{} // repeats, from and to
	last := 0
	for _, p := range progresses(done) {
		if n := u.wanted(p); n > 0 {
			want[combinationOf(p.point)] = [2]int{p.repeats + 1, p.repeats + n}
			last = max(last, p.repeats+n)
		}
	}
	if last == 0 {
		return nil, u.short(done)
	}
	all, err := u.Points(last)
	if err != nil {
		return nil, []string{err.Error()} // it was none before
	}
	// In turns, so that neither heat nor time goes along with a clock.
	// They come by model, so that each is loaded once.
	for _, p := range all {
		if w, ok := want[combinationOf(p.Point)]; ok && p.Repeat >= w[0] && p.Repeat <= w[1] {
			more = append(more, p)
		}
	}
	slices.SortStableFunc(more, func(a, b engine.PointPlan) int {
		return cmp.Or(cmp.Compare(a.Spec.Name, b.Spec.Name), a.Repeat-b.Repeat)
	})
	return more, nil
}

// short says of each combination that did not come so far why; none where all did.
func (u *Until) short(done []event.PointDone) []string {
	var out []string
	for _, p := range progresses(done) {
		if u.enough(p) {
			continue
		}
		name := p.point
		name.Repeat = 0
		how := "its energy is not known"
		if p.energy.N >= 2 {
			how = fmt.Sprintf("its energy is known to ± %.2g %%", 100*p.energy.Half/p.energy.Mean)
		}
		why := fmt.Sprintf("the run ended after %d", p.repeats)
		switch {
		case p.failed >= mostFailures:
			why = fmt.Sprintf("%d repeats failed", p.failed)
		case p.spoilt():
			why = fmt.Sprintf("of %d repeats none is of use (%s)", p.repeats, cmp.Or(p.flags, "energy unresolved"))
		case p.repeats >= mostRepeats:
			why = fmt.Sprintf("%d repeats are the most", p.repeats)
		}
		out = append(out, fmt.Sprintf("--until %.3g%%: %s: %s: %s", 100*u.Share, PointID(name), how, why))
	}
	return out
}
