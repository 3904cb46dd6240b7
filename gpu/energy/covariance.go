package energy

import (
	"math"
	"slices"

	"gonum.org/v1/gonum/mat"
)

// bandwidth is over how many neighbouring bins residuals may be correlated.
const bandwidth = 8

// sandwich sets the thetas' covariance so that neither unequal scatter nor
// neighbours that resemble each other make it too small.
func (m *model) sandwich(rows []row, theta []float64, traits map[Key]trait, inv *mat.SymDense) {
	nk := len(m.stats)
	meat := mat.NewSymDense(nk, nil)
	h1, h2, lev := make([]float64, nk), make([]float64, nk), make([]float64, nk)
	resid := make([]float64, len(rows))
	for i := range rows {
		// What a bin pulls the fit towards itself makes its residual too small.
		r := &rows[i]
		var pull float64
		for _, x := range r.terms {
			for _, y := range r.terms {
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
			for _, x := range r.terms {
				for _, y := range q.terms {
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
		for _, x := range r.terms {
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
	m.doubtGaps(rows, inv)
	m.doubtKin(traits, inv)
	m.doubtLoads(inv)
}

// loadDoubt is the standard deviation, as a share of the mean power, of what a load adds
// that no phase showed.
const loadDoubt = 0.2

// doubtLoads adds to the covariance what the pull of loads towards none does to it: next
// to nothing, but where there is little evidence of a load.
func (m *model) doubtLoads(inv *mat.SymDense) {
	nk := len(m.stats)
	for k, g := range m.keys {
		if k.of < load0 {
			continue
		}
		sd := loadDoubt * m.mean * pullLoad
		for i := range nk {
			for j := i; j < nk; j++ {
				m.cov.SetSym(i, j, m.cov.At(i, j)+sq(sd)*inv.At(i, g)*inv.At(j, g))
			}
		}
	}
}

// kinDoubt is the standard deviation, as a share, of what a load costs that no phase
// showed, by what the one costs that it takes after: one sequence decodes alone at 3.6 J
// an evaluation of an 8B model where several together take 3.1 J (an H100).
const kinDoubt = 0.3

// doubtKin adds to the covariance what not knowing a load but by its kin does to it.
func (m *model) doubtKin(traits map[Key]trait, inv *mat.SymDense) {
	nk := len(m.stats)
	for k, first := range m.keys {
		for way := 1; way < ways; way++ {
			other, ratio, ok := kin(k, way, traits, m.keys)
			if !ok {
				continue
			}
			sd := kinDoubt * max(ratio*m.stats[first].theta, m.stats[other].theta)
			by := func(i int) float64 { return pullKin * sd * (inv.At(i, other) - ratio*inv.At(i, first)) }
			for i := range nk {
				for j := i; j < nk; j++ {
					m.cov.SetSym(i, j, m.cov.At(i, j)+by(i)*by(j))
				}
			}
		}
	}
}

// gapDoubt is the standard deviation of gapPower, over what work draws above idle.
const gapDoubt = 0.2

// doubtGaps adds to the covariance what not knowing the gaps' power does to it, and
// to the powers of the phases beside them.
func (m *model) doubtGaps(rows []row, inv *mat.SymDense) {
	sd := gapDoubt * max(m.mean-idleGuess(rows, m.keys, m.mean), 0)
	nk := len(m.stats)
	for k, g := range m.keys {
		if k.Kind != kindGap {
			continue
		}
		for i := range nk {
			for j := i; j < nk; j++ {
				m.cov.SetSym(i, j, m.cov.At(i, j)+sq(sd*pullGap)*inv.At(i, g)*inv.At(j, g))
			}
		}
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
	for j, i := range add {
		m.keys[prev.stats[i].Key] = n + j
		kept := prev.stats[i]
		kept.slope, kept.start = -1, -1 // they are elsewhere now
		m.stats = append(m.stats, kept)
		m.kept = append(m.kept, prev.covariance(i, i))
	}
	for i := n; i < len(m.stats); i++ {
		if s := &m.stats[i]; s.of == power { // without its loads a kind's power says nothing
			s.findLoads(m.keys)
		}
	}
}

// covariance returns that of two thetas, in W²; those of kinds kept from before are
// known apart from the others.
func (m *model) covariance(i, j int) float64 {
	n := len(m.stats) - len(m.kept)
	switch {
	case i < n && j < n:
		return m.cov.At(i, j)
	case i == j:
		return m.kept[i-n]
	}
	return 0
}
