package energy

import "math"

// layout is a window laid out on bins and phases, ready to be solved.
type layout struct {
	p          *predictor
	start, end int64
	pi         int // where to look for phases next
	chunks     []chunk
	obs        []bin
	mean       []float64 // J, of the bins by the thetas alone
	noise      []float64 // J², of the bins
	keys       []int     // kinds of which something is known, as the model numbers them
	inBin      [][]float64
	inTarget   []float64 // s of each of keys (of a slope, times the logarithm of the context; of a load, times its rate)
	mu         float64   // J, of the target by the thetas alone
	seen       float64   // s of the target within bins
	after      float64   // W², variance of a reading once the last known phase is over
}

// gather lays out the bins in the window, a few on either side, and the gaps.
func (l *layout) gather() {
	tr := l.p.tr
	pad := l.pad()
	shift := int64(l.p.lag * 1e9)
	i := max(tr.first(l.start+shift)-3, 0)
	for i < len(tr.reads) && tr.reads[i].t-shift < l.start-pad {
		i++
	}
	l.after = l.following(i)
	l.pi = l.p.tl.from(l.start)
	if i < len(tr.reads) {
		l.pi = l.p.tl.from(min(l.start, tr.bin(i, l.p.lag).a))
	}
	at := l.start
	for ; i < len(tr.reads) && len(l.obs) < maxSolve+8; i++ {
		x := tr.bin(i, l.p.lag)
		if !x.ok || x.b <= x.a {
			continue
		}
		if x.a >= l.end+pad {
			break
		}
		if x.a > at && at < l.end {
			l.span(at, min(x.a, l.end), -1)
		}
		at = max(at, x.b)
		l.inBin = append(l.inBin, make([]float64, len(l.keys), len(l.keys)+4))
		mean, noise := l.span(x.a, x.b, len(l.obs))
		T := x.seconds()
		noise *= T
		if tr.cum {
			noise = 0
		}
		noise += l.p.timing(x)
		l.obs, l.mean, l.noise = append(l.obs, x), append(l.mean, mean), append(l.noise, noise+1e-9)
		if x.b >= l.end+pad {
			break
		}
	}
	if at < l.end {
		l.span(at, l.end, -1)
	}
}

// following returns how much readings vary, in W², once the last known phase is over,
// as far as those from the i-th on to the layout's end show it: what follows work is
// one thing, mostly idle, and no mixture of all that a run has seen. Power falls for a
// while once work is over: where no two that touch show how, it may be anything.
func (l *layout) following(i int) float64 {
	const guessed = 2 // steps that the guess is worth
	over := l.p.tl.end()
	if l.end+l.pad() <= over {
		return 0 // none of it
	}
	var sum, n float64
	var last bin
	for ; i < len(l.p.tr.reads); i++ {
		x := l.p.tr.bin(i, l.p.lag)
		if !x.ok || x.a < over {
			continue
		}
		if last.ok && float64(x.a-last.b)/1e9 < 0.1*l.p.tr.period {
			sum += sq(x.p-last.p) / 2
			n++
		}
		if last = x; x.b >= l.end+l.pad() {
			break
		}
	}
	if n == 0 {
		return l.p.m.step2
	}
	return (sum + guessed*sq(0.01*l.p.m.mean+1)) / (n + guessed)
}

// pad is how far around the window, in ns, bins tell something of it.
func (l *layout) pad() int64 { return int64(3 * max(l.p.tr.period, l.p.tr.width) * 1e9) }

// key returns the place of the model's k-th kind in l.keys.
func (l *layout) key(k int) int {
	for i, g := range l.keys {
		if g == k {
			return i
		}
	}
	l.keys = append(l.keys, k)
	l.inTarget = append(l.inTarget, 0)
	return len(l.keys) - 1
}

// span lays a to b, bin o (-1: none), on the phases, cut at the window's edges. It
// returns the mean energy and noise (W² s).
func (l *layout) span(a, b int64, o int) (mean, noise float64) {
	over := l.p.tl.end()
	l.pi = l.p.tl.walk(l.pi, a, b, func(s segment) {
		st, k := l.p.stat(s)
		if s.key.Kind == kindOther && s.a >= over {
			st.noise, st.v = l.after, st.tau2+l.after
		}
		theta := st.theta + l.p.late*st.late
		if k >= 0 {
			theta = l.p.param(k)
		}
		if !l.p.apart {
			theta += l.p.m.drift.at((s.a + s.b) / 2)
		}
		slopeAt, x := -1, 0.0
		if k >= 0 && st.slope >= 0 && s.context > 0 {
			x = logContext(s.context, st.x0)
			theta += x * l.p.param(st.slope)
			slopeAt = l.key(st.slope)
		}
		var loadAt [sorts]int
		var rates Loads
		loads := 0
		if k >= 0 {
			for j, g := range st.loads {
				if r := s.rate(j); g >= 0 && r > 0 && st.rates[j] > 0 {
					loadAt[loads], rates[loads] = l.key(g), r/st.rates[j]
					theta += rates[loads] * l.p.param(g)
					loads++
				}
			}
		}
		startAt, startW := -1, 0.0
		if k >= 0 && st.start >= 0 && s.startOverlap(s.a, s.b) > 0 {
			startAt, startW = l.key(st.start), l.p.param(st.start)
		}
		if k >= 0 {
			k = l.key(k)
		}
		if o >= 0 {
			for len(l.inBin[o]) < len(l.keys) {
				l.inBin[o] = append(l.inBin[o], 0)
			}
		}
		cuts := [4]int64{s.a, clamp(l.start, s.a, s.b), clamp(l.end, s.a, s.b), s.b}
		for c := range 3 {
			d := float64(cuts[c+1]-cuts[c]) / 1e9
			if d <= 0 {
				continue
			}
			own := max(st.v-st.tau2, 0)
			if whole := st.part * l.p.tr.period; d < whole {
				own *= min(whole/d, 20) // what varies, varies more over less time
			}
			if o < 0 { // unseen: it may differ from its neighbours as they do
				own = (own + st.noise) * min(1, l.p.tr.period/d)
			}
			tau2 := st.tau2
			if float64(s.whole)/1e9 > longPhase*l.p.tr.period {
				// Its own bins tell what it drew, whatever others did.
				tau2 = max(tau2, sq(0.03*theta))
			}
			ch := chunk{inst: s.inst, d: d, obs: o, inside: c == 1 && (l.p.only == "" || s.key.Kind == l.p.only), tau2: tau2, own: own}
			l.chunks = append(l.chunks, ch)
			joules, begun := d*theta, 0.0
			if startAt >= 0 {
				begun = s.startOverlap(cuts[c], cuts[c+1])
				joules += begun * startW
			}
			mean += joules
			noise += d * st.noise
			if k >= 0 && o >= 0 {
				l.inBin[o][k] += d
			}
			if slopeAt >= 0 && o >= 0 {
				l.inBin[o][slopeAt] += d * x
			}
			if startAt >= 0 && o >= 0 {
				l.inBin[o][startAt] += begun
			}
			for j := range loads {
				if o >= 0 {
					l.inBin[o][loadAt[j]] += d * rates[j]
				}
				if ch.inside {
					l.inTarget[loadAt[j]] += d * rates[j]
				}
			}
			if ch.inside {
				l.mu += joules
				if k >= 0 {
					l.inTarget[k] += d
				}
				if slopeAt >= 0 {
					l.inTarget[slopeAt] += d * x
				}
				if startAt >= 0 {
					l.inTarget[startAt] += begun
				}
				if o >= 0 {
					l.seen += d
				}
			}
		}
	})
	return mean, noise
}

// predict solves for the window's energy.
func (l *layout) predict() part {
	n := len(l.obs)
	A, c := make([]float64, n*n), make([]float64, n)
	covT := make([]float64, len(l.keys))
	prior := l.covariance(A, c)
	if n == 0 {
		return part{j: l.mu, mu: l.mu, v: prior, common: math.Sqrt(l.shared(l.inTarget, l.inTarget, covT)), ok: len(l.p.m.stats) > 0}
	}
	factor, ok := factorize(A, n)
	if !ok {
		return part{}
	}
	w := append([]float64(nil), c...)
	factor.solve(w)
	e := l.mu
	left := append([]float64(nil), l.inTarget...)
	for i := range n {
		e += w[i] * (l.obs[i].p*l.obs[i].seconds() - l.mean[i])
		for k, d := range l.inBin[i] {
			left[k] -= w[i] * d
		}
	}
	v := max(prior-dot(w, c), 0)
	return part{j: e, mu: l.mu, v: v, common: math.Sqrt(max(l.shared(left, left, covT), 0)), seen: l.seen, ok: true}
}

// covariance adds the bins' covariance to the upper triangle of A, row by row, and
// theirs with the target to c, in J², and returns the target's variance.
func (l *layout) covariance(A, c []float64) (prior float64) {
	prior = l.deviations(A, c)
	// What the thetas may be off by, which all bins of a kind share.
	covs := make([]float64, len(l.keys))
	prior += l.shared(l.inTarget, l.inTarget, covs)
	n := len(l.obs)
	for i := range n {
		l.through(l.inBin[i], covs)
		c[i] += dot(l.inTarget, covs)
		for j := i; j < n; j++ {
			A[i*n+j] += dot(l.inBin[j], covs)
		}
		A[i*n+i] += l.noise[i]
	}
	return prior
}

// deviations adds the covariances of phases' and chunks' own deviations: among
// bins to A, between bins and the target to c. It returns the target's variance.
func (l *layout) deviations(A, c []float64) (prior float64) {
	n := len(l.obs)
	for i := range l.chunks {
		x := &l.chunks[i]
		for j := i; j < len(l.chunks); j++ {
			y := &l.chunks[j]
			if x.inst != y.inst {
				break // chunks are in the order of time
			}
			// By what both share: along a drift the parts of a phase have each their own.
			cov, times := math.Sqrt(x.tau2*y.tau2)*x.d*y.d, 2.0
			if i == j {
				cov, times = (x.tau2+x.own)*x.d*x.d, 1
			}
			switch {
			case x.obs >= 0 && x.obs == y.obs:
				A[x.obs*n+x.obs] += times * cov
			case x.obs >= 0 && y.obs >= 0:
				A[min(x.obs, y.obs)*n+max(x.obs, y.obs)] += cov
			}
			if x.inside && y.inside {
				prior += times * cov
			}
			if x.inside && y.obs >= 0 {
				c[y.obs] += cov
			}
			if i != j && y.inside && x.obs >= 0 {
				c[x.obs] += cov
			}
		}
	}
	return prior
}

// through sets out to the covariance of the thetas times x (s of each kind).
func (l *layout) through(x, out []float64) {
	for a, ka := range l.keys {
		out[a] = 0
		for b, v := range x {
			out[a] += v * l.p.m.covariance(ka, l.keys[b])
		}
	}
}

// shared returns the covariance in J² of x and y (s of each kind) that comes from
// the thetas; scratch is as long as l.keys.
func (l *layout) shared(x, y, scratch []float64) float64 {
	l.through(x, scratch)
	return dot(y, scratch)
}

// dot is the scalar product over the shorter of the two.
func dot(x, y []float64) (s float64) {
	for i := range min(len(x), len(y)) {
		s += x[i] * y[i]
	}
	return s
}

// longPhase is how many periods a phase lasts that is told by its own bins.
const longPhase = 3

func clamp(x, lo, hi int64) int64 { return max(lo, min(x, hi)) }
