package energy

import (
	"math"
	"slices"

	"gonum.org/v1/gonum/mat"
)

// keyStat is what the fit knows of one kind of phase.
type keyStat struct {
	Key
	theta    float64 // W, mean power
	late     float64 // W, change of theta for a lag one standard deviation longer
	requests float64 // behind it, counted by their weight
	rows     float64 // bins' worth of evidence
	rms      float64 // W, of the residuals of bins with this kind in them
	noise    float64 // W², variance of a reading
	steps    float64 // W², variance from one bin to the next within a phase
	tau2     float64 // W², variance between phases
	apart    float64 // W², the same as far as the phases themselves show it
	part     float64 // of a bin, the usual length of a part of a phase within one
	v        float64 // W², variance of a part of a phase within a bin; includes tau2
}

// model is the outcome of a fit: power of each kind of phase, and how it varies.
type model struct {
	keys  map[Key]int
	stats []keyStat
	cov   *mat.SymDense // W², covariance of the thetas
	// Of all bins, for what is in no known phase: mean in W, variance in W² and
	// variance from one bin to the next.
	mean, level2, step2 float64
	rms                 float64 // W, of the residuals
	rows                int
}

// share is a kind's part of a bin.
type share struct {
	key  int
	s    float64
	inst int64 // the phase, if it is one alone
	n    int   // phases of this kind in the bin
}

// row is a bin as the fit sees it.
type row struct {
	t       int64 // the reading's own time
	a, b    int64
	y, w    float64
	shares  []share
	cluster int
}

// Limits of a fit.
const (
	maxRows = 4096
	maxKeys = 256
)

// rowsOf lays the bins of tr that lie within known phases onto tl, for a lag.
func rowsOf(tr *track, tl *timeline, from int, lag float64, keys map[Key]int, cache []row) []row {
	p := predictor{tr: tr, tl: tl, m: &tr.model, lag: lag, vague: tr.vague()}
	rows := cache[:0]
	if len(tl.phases) == 0 {
		return rows
	}
	lo, hi := tl.phases[0].Start, tl.end()
	stalled := tl.stalled()
	pi, cluster := 0, 0
	seen := map[int]int64{}
	for i := from; i < len(tr.reads); i++ {
		b := tr.bin(i, lag)
		if !b.ok || b.a < lo || b.b <= b.a {
			continue
		}
		if b.b > hi {
			break
		}
		rows = slices.Grow(rows, 1)[:len(rows)+1]
		r := &rows[len(rows)-1]
		*r = row{t: tr.reads[i].t, a: b.a, b: b.b, y: b.p, w: min(b.seconds()/tr.period, 2), shares: r.shares[:0]}
		if p.vague {
			// A bin is worth less the more its energy depends on when it began.
			v := p.timing(b) / sq(b.seconds())
			r.w /= 1 + v/sq(0.05*p.m.mean+1)
		}
		known, total := true, float64(b.b-b.a)
		pi = tl.walk(pi, b.a, b.b, func(s segment) {
			if s.key.Kind == kindOther || stalled[s.inst] {
				known = false
				return
			}
			k, ok := keys[s.key]
			if !ok {
				if len(keys) >= maxKeys {
					known = false
					return
				}
				k = len(keys)
				keys[s.key] = k
			}
			part := float64(s.b-s.a) / total
			for j := range r.shares {
				if r.shares[j].key == k {
					r.shares[j].s += part
					r.shares[j].n++
					return
				}
			}
			r.shares = append(r.shares, share{k, part, s.inst, 1})
		})
		if !known {
			rows = rows[:len(rows)-1]
			continue
		}
		// A request is one cluster: it ends where a kind of phase comes again.
		if top := slices.MaxFunc(r.shares, func(x, y share) int { return cmpFloat(x.s, y.s) }); true {
			if inst, ok := seen[top.key]; ok && inst != top.inst {
				cluster++
				clear(seen)
			}
			seen[top.key] = top.inst
		}
		r.cluster = cluster
	}
	return rows
}

func cmpFloat(a, b float64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// solve finds the thetas by least squares, with a faint pull towards the mean
// that only matters where there is no evidence. It returns the inverse of the
// normal matrix too.
func solve(rows []row, nk int) (theta []float64, inv *mat.SymDense, rss, mean float64, ok bool) {
	A := mat.NewSymDense(nk, nil)
	rhs := mat.NewVecDense(nk, nil)
	var sw, sy float64
	for i := range rows {
		r := &rows[i]
		sw += r.w
		sy += r.w * r.y
		for _, p := range r.shares {
			rhs.SetVec(p.key, rhs.AtVec(p.key)+r.w*p.s*r.y)
			for _, q := range r.shares {
				if p.key <= q.key {
					A.SetSym(p.key, q.key, A.At(p.key, q.key)+r.w*p.s*q.s)
				}
			}
		}
	}
	mean = sy / sw
	const ridge = 0.02 // of one bin
	for k := range nk {
		A.SetSym(k, k, A.At(k, k)+ridge)
		rhs.SetVec(k, rhs.AtVec(k)+ridge*mean)
	}
	var ch mat.Cholesky
	if !ch.Factorize(A) {
		return nil, nil, 0, mean, false
	}
	var th mat.VecDense
	if ch.SolveVecTo(&th, rhs) != nil {
		return nil, nil, 0, mean, false
	}
	inv = mat.NewSymDense(nk, nil)
	if ch.InverseTo(inv) != nil {
		return nil, nil, 0, mean, false
	}
	theta = th.RawVector().Data
	for i := range rows {
		e := residual(&rows[i], theta)
		rss += rows[i].w * e * e
	}
	return theta, inv, rss, mean, true
}

func residual(r *row, theta []float64) float64 {
	e := r.y
	for _, p := range r.shares {
		e -= p.s * theta[p.key]
	}
	return e
}

// fitModel fits rows; prev gives what is known of kinds that rows lack.
func fitModel(rows []row, keys map[Key]int, prev *model) (model, bool) {
	theta, inv, _, mean, ok := solve(rows, len(keys))
	if !ok || len(rows) < 3 {
		return model{}, false
	}
	nk := len(keys)
	m := model{keys: keys, stats: make([]keyStat, nk), mean: mean, rows: len(rows)}
	for k, i := range keys {
		m.stats[i] = keyStat{Key: k, theta: theta[i]}
	}
	m.residuals(rows, theta)
	m.sandwich(rows, theta, inv)
	m.variances(rows, theta)
	m.keep(prev)
	return m, true
}

// residuals sets each kind's rms. With hardly any bins the residuals say little,
// and a tenth of the power is supposed instead.
func (m *model) residuals(rows []row, theta []float64) {
	sum, n := make([]float64, len(theta)), make([]float64, len(theta))
	var all float64
	for i := range rows {
		e := residual(&rows[i], theta)
		all += e * e
		for _, p := range rows[i].shares {
			sum[p.key] += p.s * e * e
			n[p.key] += p.s
			m.stats[p.key].part += p.s * p.s
		}
	}
	for k := range theta {
		m.stats[k].part /= n[k]
		dof := max(n[k]-1, 0)
		w := 1 / (1 + dof*dof/4)
		m.stats[k].rms = math.Sqrt((1-w)*sum[k]/max(dof, 1) + w*sq(0.1*theta[k]))
	}
	m.rms = math.Sqrt(all / float64(len(rows)))
}

// bandwidth is over how many neighbouring bins residuals may be correlated.
const bandwidth = 8

// sandwich sets the thetas' covariance so that neither unequal scatter nor
// neighbours that resemble each other make it too small.
func (m *model) sandwich(rows []row, theta []float64, inv *mat.SymDense) {
	nk := len(m.stats)
	meat := mat.NewSymDense(nk, nil)
	h1, h2, lev := make([]float64, nk), make([]float64, nk), make([]float64, nk)
	resid := make([]float64, len(rows))
	for i := range rows {
		// What a bin pulls the fit towards itself makes its residual too small.
		r := &rows[i]
		var pull float64
		for _, x := range r.shares {
			for _, y := range r.shares {
				pull += r.w * x.s * y.s * inv.At(x.key, y.key)
			}
		}
		resid[i] = r.w * residual(r, theta) / max(1-pull, 0.1)
	}
	for i := range rows {
		r := &rows[i]
		for l := 0; l <= min(bandwidth, i); l++ {
			q := &rows[i-l]
			f := resid[i] * resid[i-l] * (1 - float64(l)/(bandwidth+1))
			for _, x := range r.shares {
				for _, y := range q.shares {
					// Both orders of a pair of neighbours count, a bin with itself once.
					switch {
					case x.key == y.key && l > 0:
						meat.SetSym(x.key, x.key, meat.At(x.key, x.key)+2*f*x.s*y.s)
					case l > 0 || x.key <= y.key:
						meat.SetSym(x.key, y.key, meat.At(x.key, y.key)+f*x.s*y.s)
					}
				}
			}
		}
		for _, x := range r.shares {
			lev[x.key] += r.w * x.s * x.s
		}
		if i+1 == len(rows) || rows[i+1].cluster != r.cluster {
			for k, h := range lev {
				h1[k] += h
				h2[k] += h * h
			}
			clear(lev)
		}
	}
	var half, full mat.Dense
	half.Mul(inv, meat)
	full.Mul(&half, inv)
	for k := range nk {
		g := 1.0
		if h2[k] > 0 {
			g = h1[k] * h1[k] / h2[k]
		}
		m.stats[k].requests = g
		m.stats[k].rows = h1[k]
	}
	m.cov = mat.NewSymDense(nk, nil)
	for i := range nk {
		for j := i; j < nk; j++ {
			m.cov.SetSym(i, j, full.At(i, j))
		}
	}
	// Never narrower than the textbook's interval, which few requests may be.
	for i := range nk {
		v, least := m.cov.At(i, i), sq(m.stats[i].rms)*inv.At(i, i)
		if v >= least {
			continue
		}
		grow := math.Sqrt(least / max(v, 1e-3*least))
		for j := range nk {
			if j != i {
				m.cov.SetSym(i, j, m.cov.At(i, j)*grow)
			}
		}
		m.cov.SetSym(i, i, least)
	}
}

// keep carries over from prev the kinds that m lacks.
func (m *model) keep(prev *model) {
	if prev == nil || prev.cov == nil {
		return
	}
	var add []int
	for k, i := range prev.keys {
		if _, ok := m.keys[k]; !ok {
			add = append(add, i)
		}
	}
	slices.Sort(add)
	n := len(m.stats)
	if n+len(add) > 2*maxKeys {
		add = add[:max(2*maxKeys-n, 0)]
	}
	if len(add) == 0 {
		return
	}
	cov := mat.NewSymDense(n+len(add), nil)
	for i := range n {
		for j := i; j < n; j++ {
			cov.SetSym(i, j, m.cov.At(i, j))
		}
	}
	for j, i := range add {
		m.keys[prev.stats[i].Key] = n + j
		m.stats = append(m.stats, prev.stats[i])
		cov.SetSym(n+j, n+j, prev.cov.At(i, i))
	}
	m.cov = cov
}
