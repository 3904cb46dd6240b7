package energy

import (
	"math"
	"sort"
)

// otherPrompts is how much, as a standard deviation, the mean power of a kind of
// phase differs between one set of prompts and another beyond what the lengths of
// its phases explain.
const otherPrompts = 0.01

// powers returns the mean power of each kind in tr's model: by a fit of the kinds
// alone, whose interval takes in what the model says of a typical phase with its
// start and its context, so that it covers a phase after a pause as well as one in
// a steady block.
func (tr *track) powers(tl *timeline) []PhasePower {
	if tr.model.stats == nil {
		return nil
	}
	from := max(len(tr.reads)-maxRows, 0)
	keys := map[Key]int{}
	plain, ok := fitModel(rowsOf(tr, tl, from, tr.lag, nil, keys, nil), nil, keys, nil)
	if !ok {
		return nil
	}
	plain.setLate(tr.thetas(tl, from, tr.lag+tr.lagSD, nil), tr.thetas(tl, from, tr.lag-tr.lagSD, nil))
	spread := tr.byLength(tl, from, tr.lag)
	var out []PhasePower
	for i, s := range plain.stats {
		if !s.work() && s.Kind != KindIdle {
			continue
		}
		v := plain.cov.At(i, i) + s.apart + sq(s.late) + sq(otherPrompts*s.theta)
		power, l := s.theta, spread[s.Key]
		if l.median < 2*tr.period {
			power += l.watts / 2 // the typical phase is none that was integrated
		}
		half := math.Hypot(z95*math.Sqrt(v), l.watts)
		if k, ok := tr.model.keys[s.Key]; ok {
			apart := (tr.model.typical(k, l.median) - power) / 2
			power, half = power+apart, math.Hypot(half, apart)
		}
		out = append(out, PhasePower{Key: s.Key, PowerW: power, ErrW: half, Requests: s.requests, Source: tr.name})
	}
	return out
}

// typical is the mean power in W of a phase of the k-th kind of so many seconds, at
// the mean of the contexts.
func (m *model) typical(k int, seconds float64) float64 {
	s := m.stats[k]
	if s.start < 0 || !(seconds > 0) {
		return s.level
	}
	return s.level + min(float64(startTime)/1e9/seconds, 1)*m.stats[s.start].theta
}

// lengthEffect is what a kind's power has to do with its phases' lengths.
type lengthEffect struct {
	median float64 // s
	// watts is how far the power at the median length lies from the mean over time,
	// which the long phases dominate.
	watts float64
}

// byLength finds the kinds' length effects by a fit of phase energies that are
// affine in the phase's length instead of proportional to it.
func (tr *track) byLength(tl *timeline, from int, lag float64) map[Key]lengthEffect {
	lengths := map[Key][]float64{}
	for i := range tl.phases {
		p := &tl.phases[i]
		k := p.kind.key
		lengths[k] = append(lengths[k], p.Seconds())
	}
	mean, median := map[Key]float64{}, map[Key]float64{}
	for k, l := range lengths {
		sort.Float64s(l)
		var sum float64
		for _, d := range l {
			sum += d
		}
		mean[k], median[k] = sum/float64(len(l)), l[len(l)/2]
	}
	keys := map[Key]int{}
	rows := rowsOf(tr, tl, from, lag, nil, keys, nil)
	kinds := make([]Key, len(keys))
	for k, i := range keys {
		kinds[i] = k
	}
	for _, k := range kinds { // its effect, where rows have a slope of the context
		keys[k.with(slope)] = len(keys)
	}
	pi := 0
	for i := range rows {
		r := &rows[i]
		total := float64(r.b - r.a)
		pi = tl.walk(pi, r.a, r.b, func(s segment) {
			m := mean[s.key]
			if m == 0 || !s.key.work() {
				return
			}
			d := float64(s.whole) / 1e9
			r.terms = append(r.terms, share{key: keys[s.key.with(slope)], s: float64(s.b-s.a) / total * (m/d - 1)})
		})
	}
	sol, ok := solve(rows, nil, keys)
	if len(rows) == 0 || !ok {
		return nil
	}
	out := map[Key]lengthEffect{}
	for _, k := range kinds {
		if m := mean[k]; m > 0 && len(lengths[k]) >= 4 {
			out[k] = lengthEffect{median[k], sol.theta[keys[k.with(slope)]] * (m/median[k] - 1)}
		}
	}
	return out
}
