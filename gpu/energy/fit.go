package energy

import (
	"math"
	"slices"

	"gonum.org/v1/gonum/mat"
)

// keyStat is what the fit knows of one kind of phase.
type keyStat struct {
	Key
	theta    float64    // W, mean power, or what an effect adds
	level    float64    // W, mean power with the usual loads
	late     float64    // W, change of theta for a lag one standard deviation longer
	requests float64    // behind it, counted by their weight
	rows     float64    // bins' worth of evidence
	rms      float64    // W, of the residuals of bins with this kind in them
	noise    float64    // W², variance of a reading
	steps    float64    // W², variance from one bin to the next within a phase
	tau2     float64    // W², variance between phases
	apart    float64    // W², the same as far as the phases themselves show it
	part     float64    // of a bin, the usual length of a part of a phase within one
	v        float64    // W², variance of a part of a phase within a bin; includes tau2
	x0       float64    // mean logarithm of the context, where its slope is known
	slope    int        // which parameter that is; -1 none
	start    int        // and which is of its start
	loads    [sorts]int // and which are of its loads
	rates    Loads      // a second, at which they count in full
	scale    float64    // by which calibration has multiplied the noise
	hidden   bool       // phases are too short to show their noise
	least    float64    // W², where hidden: what noise cannot be below, by other kinds
}

// model is the outcome of a fit: power of each kind of phase, and how it varies.
type model struct {
	keys  map[Key]int
	byID  []int // see number: by the timeline's numbers, 2 more than keys has; 0 not looked up
	stats []keyStat
	cov   *mat.SymDense // W², covariance of the thetas that were fitted
	kept  []float64     // W², variance of those kept from before: see covariance
	// Of all bins, for what is in no known phase: mean in W, variance in W² and
	// variance from one bin to the next.
	mean, level2, step2 float64
	rms                 float64 // W, of the residuals
	rows                int
	drift               drift
}

// Limits of a fit.
const (
	maxRows = 4096
	maxKeys = 256
)

// A fit's faint pull, in bins' worth of evidence, on what has little of its own:
// kinds towards the mean of all, slopes towards none (a kind's power changes by
// less than a tenth as its context doubles), loads towards none, what a kind draws
// without its loads towards what a pause draws, loads that take after each other towards
// one cost, and gaps, whose share in a bin is lost
// in the blur of its edges, wholly to a power between idle and work.
const (
	pullKind  = 0.02
	pullSlope = 0.25
	pullStart = 0.1
	pullLoad  = 0.1
	pullBase  = 1
	pullKin   = 3
	pullGap   = 1000
)

// solution is what least squares found.
type solution struct {
	theta     []float64
	mean, rss float64  // of the rows: W; W², weighted
	factor    cholesky // of the normal matrix
}

// solve finds the thetas by least squares; ok is false where rows do not tell them.
func solve(rows []row, traits map[Key]trait, keys map[Key]int) (sol solution, ok bool) {
	nk := len(keys)
	A, rhs := make([]float64, nk*nk), make([]float64, nk)
	var sw, sy float64
	for i := range rows {
		r := &rows[i]
		sw += r.w
		sy += r.w * r.y
		for _, p := range r.terms {
			rhs[p.key] += r.w * p.s * r.y
			for _, q := range r.terms {
				if p.key <= q.key {
					A[p.key*nk+q.key] += r.w * p.s * q.s
				}
			}
		}
	}
	sol.mean = sy / sw
	idle := idleGuess(rows, keys, sol.mean)
	withLoads := map[Key]bool{}
	for k := range keys {
		if k.of >= load0 {
			withLoads[k.with(power)] = true
		}
	}
	for k, i := range keys {
		pull, to := pullKind, sol.mean
		switch {
		case k.of == slope:
			pull, to = pullSlope, 0
		case k.of == start:
			pull, to = pullStart, 0
		case k.of == power && withLoads[k]:
			pull, to = pullBase, gapPower(idle, sol.mean)
		case k.of >= load0:
			pull, to = pullLoad, 0
		case k.Kind == kindGap:
			pull, to = pullGap, gapPower(idle, sol.mean)
		}
		A[i*nk+i] += pull
		rhs[i] += pull * to
	}
	for k, first := range keys {
		for way := 1; way < ways; way++ {
			if other, ratio, ok := kin(k, way, traits, keys); ok {
				addKin(A, nk, first, other, ratio)
			}
		}
	}
	if !sol.positive(A, rhs, keys) {
		return sol, false
	}
	for i := range rows {
		e := residual(&rows[i], sol.theta)
		sol.rss += rows[i].w * e * e
	}
	return sol, true
}

// another is the load that is the first done another way, 1 or 2.
func another(way int) int { return sorts - ways + way }

// kin finds the parameter of the load that takes after that of k, where k is the first of
// a kind's loads; ratio is how much that adds in W where both cost the same.
func kin(k Key, way int, traits map[Key]trait, keys map[Key]int) (other int, ratio float64, ok bool) {
	if k.of != load0 {
		return 0, 0, false
	}
	rates := traits[k.with(power)].rates
	other, ok = keys[k.with(load0+effect(another(way)))]
	return other, rates[another(way)] / rates[0], ok && rates[0] > 0
}

// addKin pulls the last towards ratio times the first.
func addKin(A []float64, nk, first, last int, ratio float64) {
	A[first*nk+first] += pullKin * ratio * ratio
	A[last*nk+last] += pullKin
	A[min(first, last)*nk+max(first, last)] -= pullKin * ratio
}

// positive solves for the thetas. More work never draws less: loads that came out
// below nothing are left out, one after another. How well the thetas are known is told by
// the matrix without that: that a load comes out at nothing is no knowledge of it.
func (sol *solution) positive(A, rhs []float64, keys map[Key]int) (ok bool) {
	nk := len(rhs)
	const none = 1e9 // rows' worth of evidence that there is none
	for i := range 4 * nk {
		factor, ok := factorize(slices.Clone(A), nk)
		if !ok {
			return false
		}
		if i == 0 {
			sol.factor = factor
		}
		sol.theta = slices.Clone(rhs)
		factor.solve(sol.theta)
		worst := -1
		for k, i := range keys {
			if k.of >= load0 && sol.theta[i] < -1e-3 && (worst < 0 || sol.theta[i] < sol.theta[worst]) {
				worst = i
			}
		}
		if worst < 0 {
			return true
		}
		A[worst*nk+worst] += none
		rhs[worst] = 0
	}
	return true
}

// gapPower is what a short pause is taken to draw where nothing tells: idle power
// and some of what work draws, which lasts a while in the board (on an H100 power
// falls to idle within some 60 ms).
func gapPower(idle, work float64) float64 { return idle + 0.2*(work-idle) }

// idleShare is idle power over the mean power of work where no idle time was seen.
const idleShare = 0.3

// idleGuess is the mean of the bins that are idle altogether.
func idleGuess(rows []row, keys map[Key]int, mean float64) float64 {
	idle := map[int]bool{}
	for k, i := range keys {
		if k.Kind == KindIdle {
			idle[i] = true
		}
	}
	var s, n float64
	for i := range rows {
		if sh := rows[i].shares(); len(sh) == 1 && idle[sh[0].key] {
			s, n = s+rows[i].y, n+1
		}
	}
	if n == 0 {
		return idleShare * mean
	}
	return s / n
}

func residual(r *row, theta []float64) float64 {
	e := r.y
	for _, p := range r.terms {
		e -= p.s * theta[p.key]
	}
	return e
}

// fitModel fits rows; prev gives what is known of kinds that rows lack.
func fitModel(rows []row, traits map[Key]trait, keys map[Key]int, prev *model) (model, bool) {
	if len(rows) < 3 {
		return model{}, false
	}
	sol, ok := solve(rows, traits, keys)
	if !ok {
		return model{}, false
	}
	m := model{keys: keys, stats: make([]keyStat, len(keys)), rows: len(rows)}
	if m.drift = findDrift(rows, sol.theta); m.drift.found() {
		for i := range rows {
			rows[i].y -= m.drift.at((rows[i].a + rows[i].b) / 2)
		}
		if sol, ok = solve(rows, traits, keys); !ok {
			return model{}, false
		}
	}
	theta := sol.theta
	m.mean = sol.mean
	for k, i := range keys {
		m.stats[i] = keyStat{Key: k, theta: theta[i], slope: -1, start: -1, loads: noLoads}
	}
	for k, i := range keys {
		if g, ok := keys[k.with(slope)]; ok && k.of == power {
			m.stats[i].x0, m.stats[i].slope = traits[k].x0, g
		}
		if g, ok := keys[k.with(start)]; ok && k.of == power {
			m.stats[i].start = g
		}
		if k.of == power {
			m.stats[i].rates = traits[k].rates
			m.stats[i].findLoads(keys)
		}
		m.stats[i].level = m.level(i)
	}
	inv, ok := sol.factor.inverse()
	if !ok {
		return model{}, false
	}
	m.residuals(rows, theta)
	m.sandwich(rows, theta, traits, mat.NewSymDense(len(theta), inv))
	m.variances(rows, theta)
	if !m.finite() {
		return model{}, false
	}
	m.keep(prev)
	return m, true
}

// finite tells whether all that was found are numbers: else no window could be solved.
func (m *model) finite() bool {
	for i := range m.stats {
		s := &m.stats[i]
		if x := s.theta + s.noise + s.tau2 + s.v + m.cov.At(i, i); math.IsNaN(x) || math.IsInf(x, 0) {
			return false
		}
	}
	return true
}

// noLoads are the parameters of a kind whose loads nothing is known of.
var noLoads = [sorts]int{-1, -1, -1, -1, -1, -1}

// findLoads finds the parameters of a kind's loads.
func (s *keyStat) findLoads(keys map[Key]int) {
	for j := range s.loads {
		s.loads[j] = -1
		if g, ok := keys[s.with(load0+effect(j))]; ok {
			s.loads[j] = g
		}
	}
}

// level is the mean power in W of the k-th kind with its usual loads.
func (m *model) level(k int) float64 {
	w := m.stats[k].theta
	for _, g := range m.stats[k].loads {
		if g >= 0 {
			w += m.stats[g].theta
		}
	}
	return w
}

// residuals sets each kind's rms. With hardly any bins the residuals say little,
// and a tenth of the power is supposed instead.
func (m *model) residuals(rows []row, theta []float64) {
	sum, n := make([]float64, len(theta)), make([]float64, len(theta))
	var all float64
	for i := range rows {
		all += sq(residual(&rows[i], theta))
	}
	m.rms = math.Sqrt(all / float64(len(rows)))
	for i := range rows {
		e := residual(&rows[i], theta)
		for _, p := range rows[i].shares() {
			sum[p.key] += p.s * e * e
			n[p.key] += p.s
			m.stats[p.key].part += p.s * p.s
		}
	}
	for k := range theta {
		if m.stats[k].of != power {
			m.stats[k].rms = m.rms
			continue
		}
		m.stats[k].part /= n[k]
		dof := max(n[k]-1, 0)
		w := 1 / (1 + dof*dof/4)
		m.stats[k].rms = math.Sqrt((1-w)*sum[k]/max(dof, 1) + w*sq(0.1*m.stats[k].level))
	}
}
