package energy

import (
	"math"
	"slices"
	"sort"
)

// A deviation is how far a bin lies from what all the others say of it.
type deviation struct {
	key   int     // the kind that most of it is of, as the model numbers them
	kinds []int   // all those that are a good part of it
	watts float64 // read less predicted
	sd    float64 // W, of that by the model
}

// leaveOneOut predicts each of the readings from from on, that lie in known phases,
// from the readings around it and the model.
//
// With A the covariance of the bins and r what they differ from their means, the
// bin i differs from its prediction by the others by (A⁻¹r)ᵢ/(A⁻¹)ᵢᵢ, whose variance
// is 1/(A⁻¹)ᵢᵢ (Rasmussen and Williams, "Gaussian Processes for Machine Learning",
// 2006, section 5.4.2).
func (m *Meter) leaveOneOut(tr *track, from int) []deviation {
	if len(m.tl.phases) == 0 {
		return nil
	}
	const run, edge = 24, 4 // bins solved for together; those at its ends only help
	p := predictor{tr: tr, tl: &m.tl, m: &tr.model, lag: tr.lag}
	stalled := m.tl.stalled()
	lo, hi := m.tl.phases[0].Start, m.tl.end()
	var out []deviation
	for i := from; i+run < len(tr.reads); i += run - 2*edge {
		a, b := tr.bin(i, tr.lag), tr.bin(i+run, tr.lag)
		if !a.ok || !b.ok || a.a < lo || b.b > hi {
			continue
		}
		l := layout{p: &p, start: a.b, end: b.a}
		l.gather()
		n := len(l.obs)
		if n < 2*edge+1 {
			continue
		}
		A := make([]float64, n*n)
		l.covariance(A, make([]float64, n))
		factor, ok := factorize(A, n)
		if !ok {
			continue
		}
		upper, ok := factor.inverse()
		if !ok {
			continue
		}
		inv := func(i, j int) float64 { return upper[min(i, j)*n+max(i, j)] }
		for k := edge; k < n-edge; k++ {
			x := l.obs[k]
			key, kinds := m.kindsIn(&p, x, stalled)
			if key < 0 {
				continue
			}
			var e float64
			for j := range n {
				e += inv(k, j) * (l.obs[j].p*l.obs[j].seconds() - l.mean[j])
			}
			v := inv(k, k)
			out = append(out, deviation{key, kinds, e / v / x.seconds(), 1 / math.Sqrt(v) / x.seconds()})
		}
	}
	return out
}

// kindsIn returns the kind that most of a bin is of, and all those that are a
// quarter of it; -1 where something in it is not known.
func (m *Meter) kindsIn(p *predictor, x bin, stalled map[int64]bool) (key int, kinds []int) {
	var most int64
	m.tl.walk(m.tl.from(x.a), x.a, x.b, func(s segment) {
		_, k := p.stat(s)
		if k < 0 || stalled[s.inst] {
			most = math.MaxInt64
			key = -1
			return
		}
		d := s.b - s.a
		if d > most {
			key, most = k, d
		}
		if 4*d >= x.b-x.a && !slices.Contains(kinds, k) {
			kinds = append(kinds, k)
		}
	})
	return key, kinds
}

// calibrateBins is how many bins of a kind calibration believes.
const calibrateBins = 60

// calibrate scales the noise of each kind so that 95 % of its bins lie where the
// others say they do: the model's own variances suppose a bell curve, and that
// neighbours differ by chance. Scales are kept from fit to fit, and found anew when
// a quarter more has been read.
func (m *Meter) calibrate(tr *track, prev *model) {
	stats := tr.model.stats
	for i := range stats {
		stats[i].scale = 1
		if k, ok := prev.keys[stats[i].Key]; ok && prev.stats[k].scale > 0 {
			// What the bounds leave of it: else it would wait for a fit whose own noise is
			// greater, and multiply that.
			if s := &stats[i]; s.noise > 0 {
				to := s.bounded(s.noise * prev.stats[k].scale)
				s.scale, s.noise = to/s.noise, to
			}
		}
	}
	if tr.added < tr.calibrated+tr.calibrated/4 {
		return
	}
	tr.calibrated = tr.added
	const passes, near = 12, 1.02
	for range passes {
		z := map[int][]float64{}
		for _, d := range m.leaveOneOut(tr, max(len(tr.reads)-maxRows, 1)) {
			for _, k := range d.kinds {
				z[k] = append(z[k], math.Abs(d.watts)/d.sd)
			}
		}
		done := true
		for k, zs := range z {
			s := &stats[k]
			if len(zs) < calibrateBins || !(s.noise > 0) {
				continue
			}
			sort.Float64s(zs)
			f := zs[int(0.95*float64(len(zs)))] / z95
			if !s.hidden || len(zs) < 3*calibrateBins {
				// Neighbours that resemble each other are predicted better than the
				// mean of a phase is known, and few bins say little for less.
				f = max(f, 1/math.Sqrt(s.scale))
			}
			to := s.bounded(s.noise * sq(max(0.5, min(f, 3))))
			done = done && to < sq(near)*s.noise && to > s.noise/sq(near)
			s.scale *= to / s.noise
			s.noise = to
		}
		if done {
			return
		}
	}
}

// bounded returns noise within what it can be: not less than other kinds show (or the
// phases' own variance would do for all), and not more than twice what bins with
// this kind in them are off, for what a few of them are off beyond that is not its.
func (s *keyStat) bounded(noise float64) float64 {
	return max(min(noise, max(4*sq(s.rms), s.steps)), s.least)
}

// KindCheck says how well a kind of phase is understood.
type KindCheck struct {
	Key
	Bins   int     // readings that lie for the most part in phases of this kind
	Inside float64 // share of them inside the 95 % interval that the other readings give
}

// Check predicts every reading from the others, and returns for each kind of phase
// how many lie inside their 95 % interval: about 0.95 where the model holds.
func (m *Meter) Check() []KindCheck {
	for _, tr := range m.tracks {
		if len(tr.reads) < 10 || tr.cum {
			continue
		}
		m.refit(tr)
		inside := map[int]*KindCheck{}
		for _, d := range m.leaveOneOut(tr, 1) {
			c := inside[d.key]
			if c == nil {
				c = &KindCheck{Key: tr.model.stats[d.key].Key}
				inside[d.key] = c
			}
			c.Bins++
			if math.Abs(d.watts) <= z95*d.sd {
				c.Inside++
			}
		}
		var out []KindCheck
		for i := range tr.model.stats {
			if c := inside[i]; c != nil {
				c.Inside /= float64(c.Bins)
				out = append(out, *c)
			}
		}
		return out
	}
	return nil
}
