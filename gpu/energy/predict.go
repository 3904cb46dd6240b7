package energy

import "math"

// maxSolve is the most bins that one prediction solves for exactly; longer
// windows are integrated between two predicted edges.
const maxSolve = 36

// part is an energy with its variance, and the share of the standard deviation
// that comes from the thetas.
type part struct {
	j, v, common float64
	seen         float64 // s of it observed by bins
	mu           float64 // J, expected without its own bins
	ok           bool
}

func (p *part) add(q part) {
	p.j += q.j
	p.v += q.v + 2*p.common*q.common // what they share adds up
	p.common += q.common
	p.seen += q.seen
	p.mu += q.mu
	p.ok = p.ok && q.ok
}

// chunk is a part of one phase within one bin (or within none), inside or
// outside of the window asked for.
type chunk struct {
	inst   int64
	d      float64 // s
	obs    int     // -1: not observed
	inside bool
	tau2   float64 // W², variance it shares with its phase
	own    float64 // W², variance of its own
}

// predictor answers for one source at one lag.
type predictor struct {
	tr  *track
	tl  *timeline
	m   *model
	lag float64

	late  float64   // standard deviations that lag is off the estimate
	off   []float64 // W, by which the thetas are others than the model's; nil: they are not
	vague bool      // the source's times are vague: see timing
	apart bool      // of a time that the drift was not found in: it is taken for none
	only  string    // what is asked for is the energy of such phases alone; "": of all
}

// timing returns the variance in J² of a bin's energy that comes from not
// knowing just when it began and ended.
func (p *predictor) timing(x bin) float64 {
	edge := func(t int64, jit float64) float64 {
		if jit == 0 {
			return 0
		}
		reach := int64(1.7 * jit * 1e9)
		lo, hi := math.Inf(1), math.Inf(-1)
		p.tl.walk(p.tl.from(t-reach), t-reach, t+reach, func(s segment) {
			st, _ := p.stat(s)
			w := st.level + p.late*st.late
			lo, hi = min(lo, w), max(hi, w)
		})
		if p.tr.cum {
			return sq(hi * jit)
		}
		return sq((hi - lo) * jit)
	}
	return edge(x.a, x.ja) + edge(x.b, x.jb)
}

// stat returns what is known of a kind, and its place in the model: its power is theta
// and as often late as the predictor is. Kinds never seen (-1) take after others of
// the same kind, or the mean of everything, widely.
func (p *predictor) stat(of segment) (*keyStat, int) {
	if i := p.m.number(of); i >= 0 {
		return &p.m.stats[i], i
	}
	k := of.key
	s := &keyStat{Key: k, theta: p.m.mean, requests: 1, slope: -1, start: -1, loads: noLoads}
	wide := 0.4
	switch k.Kind {
	case kindOther:
		s.level = s.theta
		s.tau2, s.v = p.m.level2+p.m.step2, p.m.level2+2*p.m.step2
		s.noise = p.m.step2
		return s, -1
	case kindGap:
		// Between idle and work.
		s.theta = gapPower(idleShare*p.m.mean, p.m.mean)
	}
	for i := range p.m.stats {
		o := &p.m.stats[i]
		if o.Kind == k.Kind && o.of == power && (s.rows == 0 || o.SMMHz == k.SMMHz) {
			s.theta, s.rows, wide = o.level, 1, 0.2
		}
	}
	if k.work() {
		// Of another model, batch size or clock: a hint and no more.
		wide = 0.4
	}
	s.level = s.theta
	dev := wide*s.theta + 1
	s.v, s.tau2, s.noise = dev*dev, dev*dev, 0.0009*s.theta*s.theta
	return s, -1
}

// number returns the place of a segment's kind among the model's, -1 where it has none.
func (m *model) number(s segment) int {
	if s.id >= len(m.byID) {
		m.byID = append(m.byID, make([]int, s.id+1-len(m.byID))...)
	}
	if m.byID[s.id] == 0 {
		i, ok := m.keys[s.key]
		if !ok {
			i = -1
		}
		m.byID[s.id] = i + 2
	}
	return m.byID[s.id] - 2
}

// param is the i-th parameter of the model, at the predictor's lag.
func (p *predictor) param(i int) float64 {
	w := p.m.stats[i].theta + p.late*p.m.stats[i].late
	if i < len(p.off) {
		w += p.off[i]
	}
	return w
}

// inflation widens an interval where variances were learned from few requests:
// the 97.5 % quantile of Student's distribution over the normal one, by the first
// terms of its expansion in 1/dof (Abramowitz and Stegun, 26.7.5).
func (p *predictor) inflation(start, end int64) float64 {
	wider := 0.0
	p.tl.walk(p.tl.from(start), start, end, func(s segment) {
		if !s.key.work() {
			return
		}
		st, _ := p.stat(s)
		// Variances start from guesses worth two observations.
		dof := max(st.requests-1, 0) + 2
		const z2 = z95 * z95
		wider += float64(s.b-s.a) / float64(end-start) * ((z2+1)/(4*dof) + (5*z2*z2+16*z2+3)/(96*dof*dof))
	})
	return 1 + wider
}

// window predicts the energy of start to end.
func (p *predictor) window(start, end int64) part {
	shift := int64(p.lag * 1e9)
	i0 := p.tr.first(start + shift)
	i1 := p.tr.first(end + shift)
	if i1-i0 <= maxSolve {
		return p.local(start, end)
	}
	// Integrate from the end of one bin to the end of another, predict the rest.
	a, b := i0+2, i1-3
	from, to := p.tr.bin(a, p.lag).b, p.tr.bin(b, p.lag).b
	sum := p.integrate(a+1, b, from)
	sum.add(p.local(start, from))
	sum.add(p.local(to, end))
	return sum
}

// integrate sums bins a to b from the time from on, filling gaps.
func (p *predictor) integrate(a, b int, from int64) part {
	sum := part{ok: true}
	at := from
	pi := p.tl.from(at)
	var first, last bin
	for i := a; i <= b; i++ {
		x := p.tr.bin(i, p.lag)
		if !x.ok {
			continue
		}
		if gap := x.a - at; gap > 0 {
			sum.add(p.local(at, x.a))
		}
		sum.j += x.p * float64(x.b-max(x.a, at)) / 1e9
		sum.mu += x.p * float64(x.b-max(x.a, at)) / 1e9
		sum.seen += x.seconds()
		at = x.b
		if first.b == 0 {
			first = x
		}
		last = x
		if !p.tr.cum {
			var noise float64
			pi = p.tl.walk(pi, x.a, x.b, func(s segment) {
				st, _ := p.stat(s)
				noise += st.noise * float64(s.b-s.a) / float64(x.b-x.a)
			})
			sum.v += noise * x.seconds() * x.seconds()
		}
	}
	if p.tr.cum {
		sum.v += sq(first.p*first.ja) + sq(last.p*last.jb)
	}
	return sum
}

func sq(x float64) float64 { return x * x }

// local predicts start to end from the bins in it and up to three on either side.
func (p *predictor) local(start, end int64) part {
	if end <= start {
		return part{ok: true}
	}
	l := layout{p: p, start: start, end: end}
	l.gather()
	return l.predict()
}
