package energy

import (
	"math"
	"slices"

	"jouletop/gpu"
)

// Cost is what a unit of each load costs in phases of one kind, as was learned.
type Cost struct {
	// PerUnit is in J: by the power that goes with it and by the time it takes. It is
	// never negative.
	PerUnit Loads
	// Seconds is by how many s a unit lengthens a phase; it is never negative.
	Seconds Loads
	// Base and BaseS are what a phase costs beside its loads, in J, and how long it takes,
	// in s; what loads do not explain of either.
	Base, BaseS float64
	// IdleW is what pauses draw, in W; 0 where none was seen.
	IdleW float64
	// Cov is the covariance of PerUnit and, last, of Base in J², as far as the readings do
	// not tell them.
	Cov [sorts + 1][sorts + 1]float64
	// Unexplained is which part of what phases of the kind differ in length, 0 to 1 as a
	// standard deviation, goes with none of their loads: so far what a unit costs is not
	// proportional to it, or not the same each time.
	Unexplained float64
}

// Cost returns what loads cost in phases of p's kind; false where nothing is known of
// them yet.
func (m *Meter) Cost(p Phase) (Cost, bool) {
	for _, tr := range m.tracks {
		k, ok := tr.model.keys[p.key()]
		if !ok {
			continue
		}
		s := &tr.model.stats[k]
		var c Cost
		fit := m.tl.lengths(p.key())
		base, length := fit.base, fit.perUnit
		c.Unexplained = fit.unexplained
		c.Base, c.BaseS = s.level0()*base, base
		if i, ok := tr.model.keys[Key{Kind: KindIdle, SMMHz: p.SMMHz}]; ok {
			c.IdleW = max(tr.model.stats[i].theta, 0)
		}
		for i, g := range s.loads {
			if g >= 0 && s.rates[i] > 0 {
				c.PerUnit[i] = tr.model.stats[g].theta/s.rates[i] + s.level0()*length[i]
			}
		}
		// A unit's joules are made of its load's parameter and of the kind's, by the time
		// that it takes; a base of the kind's alone.
		cov := tr.model.covariance
		of := append(slices.Clone(s.loads[:]), k)
		byLoad, byTime := [sorts + 1]float64{}, [sorts + 1]float64{sorts: base}
		for i, r := range s.rates {
			if s.loads[i] >= 0 && r > 0 {
				byLoad[i], byTime[i] = 1/r, length[i]
			} else {
				of[i] = -1
			}
		}
		for i, g := range of {
			for j, h := range of {
				if g >= 0 && h >= 0 {
					c.Cov[i][j] = cov(g, h)*byLoad[i]*byLoad[j] + cov(k, g)*byLoad[i]*byTime[j] + cov(k, h)*byLoad[j]*byTime[i] + cov(k, k)*byTime[i]*byTime[j]
				}
			}
		}
		for i := range c.PerUnit {
			c.PerUnit[i], c.Seconds[i] = max(c.PerUnit[i], 0), max(length[i], 0)
		}
		return c, true
	}
	return Cost{}, false
}

// level0 is the power in W of a kind without its loads.
func (s *keyStat) level0() float64 { return max(s.theta, 0) }

// terms is one more than there are loads: what belongs to none of them comes first.
const terms = sorts + 1

// lengthFit explains how long phases of one kind last by their loads.
type lengthFit struct {
	usual Loads // the mean of each load
	beta  [terms]float64
}

func (f *lengthFit) row(p *placed) (x [terms]float64) {
	x[0] = 1
	for j, l := range p.Loads {
		if f.usual[j] > 0 {
			x[j+1] = l / f.usual[j]
		}
	}
	return x
}

// off is by how many s a phase lasted longer than its loads explain.
func (f *lengthFit) off(p *placed) float64 {
	x := f.row(p)
	return p.Seconds() - dot(x[:], f.beta[:])
}

// solve fits the phases that are off by no more than most s.
func (f *lengthFit) solve(of []*placed, most float64) bool {
	A, b, n := make([]float64, terms*terms), make([]float64, terms), 0.0
	for _, p := range of {
		if math.Abs(f.off(p)) > most {
			continue
		}
		n++
		x := f.row(p)
		for i := range terms {
			b[i] += x[i] * p.Seconds()
			for j := i; j < terms; j++ {
				A[i*terms+j] += x[i] * x[j]
			}
		}
	}
	for i := range terms { // loads that go with each other share what they explain
		A[i*terms+i] += 1e-6*n + 1e-9
	}
	factor, ok := factorize(A, terms)
	if ok {
		factor.solve(b)
		copy(f.beta[:], b)
	}
	return ok
}

// rms is the root mean square of off over those within most.
func (f *lengthFit) rms(of []*placed, most float64) float64 {
	var sum, n float64
	for _, p := range of {
		if e := f.off(p); math.Abs(e) <= most {
			sum, n = sum+e*e, n+1
		}
	}
	return math.Sqrt(sum / max(n, 1))
}

// lengths is how long phases of a kind last.
type lengths struct {
	base        float64 // s, without their loads
	perUnit     Loads   // s, by which a unit of each lengthens them
	unexplained float64 // which part of what they differ by goes with none of the loads
}

// lengths explains how long phases of a kind last by their loads. A phase that is off by
// more than four standard deviations was held up by something else.
func (tl *timeline) lengths(k Key) (l lengths) {
	var f lengthFit
	var own []*placed
	for i := range tl.phases {
		if p := &tl.phases[i]; p.kind.key == k {
			own = append(own, p)
			l.base += p.Seconds()
			for j, x := range p.Loads {
				f.usual[j] += x
			}
		}
	}
	n := float64(len(own))
	l.base /= max(n, 1)
	for j := range f.usual {
		f.usual[j] /= max(n, 1)
	}
	l.unexplained = 1
	if n < 2*terms {
		return l
	}
	mean := l.base
	most := math.Inf(1)
	for range 2 {
		if !f.solve(own, most) {
			return l
		}
		most = 4*f.rms(own, most) + 1e-9
	}
	var spread, within float64
	for _, p := range own {
		if math.Abs(f.off(p)) <= most {
			spread, within = spread+sq(p.Seconds()-mean), within+1
		}
	}
	for j, u := range f.usual {
		if u > 0 {
			l.perUnit[j] = f.beta[j+1] / u
		}
	}
	l.base, spread = f.beta[0], math.Sqrt(spread/max(within, 1))
	l.unexplained = min(1, f.rms(own, most)/(spread+1e-9))
	return l
}

// Unlike is by which part, as a standard deviation, what is learned of some loads is off
// for others, however well it is learned: each run of a recorded server (an H100, 8B)
// lies so far from what the others say of it.
const Unlike = 0.012

// Expect returns what start to end (ns) are expected to draw by the phases and pauses in
// them and by what was learned elsewhere, whatever was read in them.
func (m *Meter) Expect(start, end int64) Estimate {
	for _, tr := range m.tracks {
		if len(tr.reads) < 2 || tr.name == gpu.SourceAverage {
			continue
		}
		m.refit(tr)
		if tr.model.stats == nil {
			continue
		}
		l := layout{p: &predictor{tr: tr, tl: &m.tl, m: &tr.model, lag: tr.lag, apart: true}, start: start, end: end, pi: m.tl.from(start)}
		l.span(start, end, -1)
		common := max(l.shared(l.inTarget, l.inTarget, make([]float64, len(l.keys))), 0)
		// By how much power moves along a run beyond what the phases explain, it may be
		// off here too, all along: a card is warmer, or loads do not explain it quite.
		common += sq(tr.model.drift.sd*float64(end-start)/1e9) + sq(Unlike*l.mu)
		v := l.deviations(nil, nil) + common
		return raw(l.mu, z95*math.Sqrt(v), l.mu, z95*math.Sqrt(common), MethodRegression)
	}
	return unresolved(math.Inf(1))
}
