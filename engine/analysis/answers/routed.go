package answers

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"

	"jouletop/engine/analysis/curve"
	"jouletop/engine/event"
	"jouletop/workloads/difficulty"
)

// Unrouted leaves out points of routed queries, whose means must not be compared
// with those of whole datasets.
func Unrouted(points []event.PointDone) []event.PointDone {
	return slices.DeleteFunc(slices.Clone(points), func(p event.PointDone) bool { return p.Routed })
}

// routedAnswer is what a routed query came to, over repeats.
type routedAnswer struct {
	class string
	cost
	quality sum
}

// RoutedRow is a class of routed queries, or all of them, against the largest
// model at the highest clock on the same queries. Energies are totals over the
// resolved queries, latencies and qualities means.
type RoutedRow struct {
	Class   string
	Queries int
	// Resolved are the queries whose energy is known, under the baseline as well
	// where one was run.
	Resolved int
	Models   []string // by growing size
	EnergyJ  float64
	LatencyS float64
	Quality  float64
	// The baseline's, over the same queries; NaN where it was not run over all
	// of them.
	BaselineJ, BaselineS, BaselineQuality float64
}

// Saving is 1 − energy / baseline's energy.
func (r RoutedRow) Saving() float64 { return 1 - r.EnergyJ/r.BaselineJ }

// Routed are the routed queries by class, the whole last, and the baseline's
// model and clock, empty where none was run. There is no row where nothing was
// routed. Energies that mean nothing are NaN.
func (a *Answers) Routed() (rows []RoutedRow, baseline string, clock string) {
	// Of several places the one with most queries is shown.
	var at costPlace
	for p, of := range a.routed {
		if n, most := len(of), len(a.routed[at]); n > most || n == most && fmt.Sprint(p) < fmt.Sprint(at) {
			at = p
		}
	}
	routed := a.routed[at]
	if len(routed) == 0 {
		return nil, "", ""
	}
	base, place, ok := a.baseline(at, routed)
	byClass := map[string]*routedSum{}
	var all routedSum
	// In order, so that the sums come out the same every time.
	keys := slices.SortedFunc(maps.Keys(routed), func(x, y answerKey) int {
		return cmp.Or(cmp.Compare(x.dataset, y.dataset), cmp.Compare(x.query, y.query), cmp.Compare(x.model, y.model))
	})
	for _, k := range keys {
		r := routed[k]
		var b *cost
		quality := math.NaN()
		if ok {
			key := answerKey{base, k.dataset, k.query}
			b, quality = a.costs[place][key], a.quality[key].mean()
		}
		if byClass[r.class] == nil {
			byClass[r.class] = &routedSum{}
		}
		byClass[r.class].add(k.model, r, b, quality)
		all.add(k.model, r, b, quality)
	}
	for _, class := range slices.Sorted(maps.Keys(byClass)) {
		rows = append(rows, byClass[class].row(class, a.Meaningless != ""))
	}
	rows = append(rows, all.row("all", a.Meaningless != ""))
	if ok {
		baseline, clock = base, place.clock
	}
	return rows, baseline, clock
}

// baseline is the largest model and its highest clock on the routed run's GPU
// and batch size that covers all routed queries.
func (a *Answers) baseline(at costPlace, routed map[answerKey]*routedAnswer) (model string, place costPlace, ok bool) {
	var places []costPlace
	for p := range a.costs {
		if p.gpu == at.gpu && p.batch == at.batch {
			places = append(places, p)
		}
	}
	slices.SortFunc(places, func(x, y costPlace) int {
		return cmp.Or(highRank(y.clock)-highRank(x.clock), cmp.Compare(x.clock, y.clock))
	})
	largest, some := difficulty.Largest(a.Models)
	if !some {
		return "", place, false
	}
	for _, p := range places {
		covered := true
		for k := range routed {
			covered = covered && a.costs[p][answerKey{largest.Name, k.dataset, k.query}] != nil
		}
		if covered {
			return largest.Name, p, true
		}
	}
	return "", place, false
}

// routedSum adds up queries.
type routedSum struct {
	n                         int
	models                    map[string]bool
	energy, latency, quality  sum
	baseE, baseL, baseQuality sum
}

func (s *routedSum) add(model string, r *routedAnswer, base *cost, baseQuality float64) {
	if s.models == nil {
		s.models = map[string]bool{}
	}
	s.n++
	s.models[model] = true
	s.latency.add(r.latency.mean())
	s.quality.add(r.quality.mean())
	joules := r.energy.mean()
	if base != nil {
		s.baseL.add(base.latency.mean())
		s.baseQuality.add(baseQuality)
		baseJoules := base.energy.mean()
		if math.IsNaN(joules) || math.IsNaN(baseJoules) {
			return // totals over different queries do not compare
		}
		s.baseE.add(baseJoules)
	}
	s.energy.add(joules)
}

func (s *routedSum) row(class string, meaningless bool) RoutedRow {
	total := func(e sum) float64 {
		if e.n == 0 || meaningless {
			return math.NaN()
		}
		return e.total
	}
	return RoutedRow{
		Class: class, Queries: s.n, Resolved: int(s.energy.n), Models: curve.SortedBySize(s.models),
		EnergyJ: total(s.energy), LatencyS: s.latency.mean(), Quality: s.quality.mean(),
		BaselineJ: total(s.baseE), BaselineS: s.baseL.mean(), BaselineQuality: s.baseQuality.mean(),
	}
}
