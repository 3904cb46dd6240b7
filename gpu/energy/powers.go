package energy

import (
	"math"
	"sort"
)

// otherPrompts is how much, as a standard deviation, the mean power of a kind of
// phase differs between one set of prompts and another beyond what the lengths of
// its phases explain.
const otherPrompts = 0.02

// powers returns the mean power of each kind in tr's model.
func (tr *track) powers(tl *timeline) []PhasePower {
	if tr.model.stats == nil {
		return nil
	}
	from := max(len(tr.reads)-maxRows, 0)
	spread := tr.byLength(tl, from, tr.lag)
	var out []PhasePower
	for i, s := range tr.model.stats {
		v := tr.model.cov.At(i, i) + s.apart + sq(s.late) + sq(otherPrompts*s.theta)
		power := s.theta
		if l := spread[s.Key]; l.median < 2*tr.period {
			power += l.watts / 2 // the typical phase is none that was integrated
		}
		out = append(out, PhasePower{Key: s.Key, PowerW: power, ErrW: math.Hypot(z95*math.Sqrt(v), spread[s.Key].watts), Requests: s.requests, Source: tr.name})
	}
	return out
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
	for _, p := range tl.phases {
		k := p.key()
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
	rows := rowsOf(tr, tl, from, lag, keys, nil)
	nk := len(keys)
	byIndex := make([]Key, nk)
	for k, i := range keys {
		byIndex[i] = k
	}
	pi := 0
	for i := range rows {
		r := &rows[i]
		total := float64(r.b - r.a)
		pi = tl.walk(pi, r.a, r.b, func(s segment) {
			k, ok := keys[s.key]
			m := mean[s.key]
			if !ok || m == 0 || s.key.Kind == KindIdle {
				return
			}
			d := float64(s.whole) / 1e9
			r.shares = append(r.shares, share{key: nk + k, s: float64(s.b-s.a) / total * (m/d - 1)})
		})
	}
	theta, _, _, _, ok := solve(rows, 2*nk)
	if len(rows) == 0 || !ok {
		return nil
	}
	out := map[Key]lengthEffect{}
	for i, k := range byIndex {
		if m := mean[k]; m > 0 && len(lengths[k]) >= 4 {
			out[k] = lengthEffect{median[k], theta[nk+i] * (m/median[k] - 1)}
		}
	}
	return out
}
