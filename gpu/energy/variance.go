package energy

import "math"

// variances sets the variance components of each kind.
func (m *model) variances(rows []row, theta []float64) {
	nk := len(m.stats)
	type acc struct{ d2, dn, mn float64 }
	a := make([]acc, nk)
	// Steps between neighbouring bins of one phase, and sums over phases.
	runs := make([][]runSum, nk)
	var open runSum
	closeRun := func(k int) {
		if open.n >= 2 {
			runs[k] = append(runs[k], open)
		}
		open = runSum{}
	}
	pure := func(r *row) bool { return r.kinds == 1 && r.terms[0].n == 1 }
	for i := range rows {
		r := &rows[i]
		var same bool
		if i > 0 {
			q := &rows[i-1]
			same = pure(r) && pure(q) && r.terms[0].inst == q.terms[0].inst
			if same {
				d := residual(r, theta) - residual(q, theta)
				k := r.terms[0].key
				a[k].d2 += d * d / 2
				a[k].dn++
			} else if pure(q) {
				closeRun(q.terms[0].key)
			}
		}
		if pure(r) {
			e := residual(r, theta)
			open.n++
			open.sum += e
			open.sq += e * e
		}
	}
	if n := len(rows); n > 0 && pure(&rows[n-1]) {
		closeRun(rows[n-1].terms[0].key)
	}
	// What bins of one phase scatter is taken for the sensor's noise: an H100's
	// buffer samples a rippling power rather than integrating it, and equal phases
	// scatter as much as that says (scatter of 9 sessions, driver 580). Where no
	// phase is long enough to show it, noise is what the quietest kind shows (idle,
	// as a rule), and what phases scatter beyond what they may differ by.
	const enough = 20
	quiet := math.Inf(1)
	for k := range a {
		guess := min(0.03*m.stats[k].level, 0.25*m.stats[k].rms)
		m.stats[k].steps = (a[k].d2 + 2*guess*guess) / (a[k].dn + 2)
		if a[k].dn >= enough && m.stats[k].level > 0 {
			quiet = min(quiet, m.stats[k].steps/sq(m.stats[k].level))
		}
	}
	hidden := make([]bool, nk)
	for k := range a {
		hidden[k] = a[k].dn < enough
		if m.stats[k].hidden = hidden[k]; hidden[k] {
			m.stats[k].noise = m.stats[k].steps // without quiet kinds, Inf times nothing says nothing
			if least := quiet * sq(m.stats[k].level); least < m.stats[k].noise {
				m.stats[k].noise = least
			}
			m.stats[k].least = m.stats[k].noise
		} else {
			m.stats[k].noise = a[k].d2 / a[k].dn
		}
	}
	for k := range a {
		guess := min(0.05*m.stats[k].level, m.stats[k].rms)
		m.stats[k].apart, a[k].mn = between(runs[k])
		m.stats[k].tau2 = (m.stats[k].apart*max(a[k].mn-1, 0) + guess*guess) / max(a[k].mn, 1)
		m.stats[k].v = m.stats[k].tau2 + guess*guess + 1e-9
	}
	m.parts(rows, theta)
	capped := make([]bool, nk)
	for k := range a {
		if most := sq(m.stats[k].mayDiffer() * m.stats[k].level); hidden[k] && m.stats[k].v > most {
			m.stats[k].v, capped[k] = most, true
		}
	}
	m.hiddenNoise(rows, theta, hidden, capped)
	for k := range a {
		if a[k].mn < 3 {
			m.stats[k].tau2 = unseenShare * m.stats[k].v
		}
		m.stats[k].tau2 = min(m.stats[k].tau2, m.stats[k].v)
		m.stats[k].v = max(m.stats[k].v, m.stats[k].tau2+m.stats[k].steps-m.stats[k].noise)
	}
}

// several is how many requests tell noise from what requests differ by.
const several = 10

// mayDiffer is by how much, as a relative standard deviation, the mean power of
// phases of one kind may differ where none is long enough to show it: equal work
// hardly does, work of unequal size more.
func (s *keyStat) mayDiffer() float64 {
	const alike, unalike, pause = 0.05, 0.08, 0.3
	switch {
	case !s.work():
		return pause
	case s.slope >= 0:
		return unalike
	}
	return alike
}

// hiddenNoise settles what bins scatter beyond v and noise for the kinds whose phases are
// too short to show their noise: least squares of the squared residuals, less what is
// known, on the shares. It is noise where the phases differ as much as they may already
// (capped) and several requests say so, else it is the phases': called noise, it would have
// a bin that a phase fills tell too little of it.
func (m *model) hiddenNoise(rows []row, theta []float64, hidden, capped []bool) {
	nk := len(theta)
	A, rhs := make([]float64, nk*nk), make([]float64, nk)
	for i := range rows {
		left := sq(residual(&rows[i], theta))
		expect := 1e-9
		for _, p := range rows[i].shares() {
			v := p.s * p.s * m.stats[p.key].v
			left -= v
			expect += v + p.s*m.stats[p.key].noise
			if !hidden[p.key] {
				left -= p.s * m.stats[p.key].noise
			}
		}
		w := 1 / sq(expect+0.1*sq(m.rms))
		for _, p := range rows[i].shares() {
			if !hidden[p.key] {
				continue
			}
			rhs[p.key] += w * p.s * left
			for _, q := range rows[i].shares() {
				if hidden[q.key] {
					A[p.key*nk+q.key] += w * p.s * q.s
				}
			}
		}
	}
	noise := make([]float64, nk)
	for range 50 { // coordinate descent
		for k := range nk {
			if !hidden[k] || A[k*nk+k] == 0 {
				continue
			}
			r := rhs[k]
			for j, a := range A[k*nk : (k+1)*nk] {
				if j != k {
					r -= a * noise[j]
				}
			}
			noise[k] = max(r/A[k*nk+k], 0)
		}
	}
	for k := range nk {
		more := noise[k] - m.stats[k].noise
		switch {
		case !hidden[k] || more <= 0:
		case capped[k] && m.stats[k].requests >= several:
			m.stats[k].noise += more
		default:
			m.stats[k].v += more / max(m.stats[k].part, 0.1)
		}
	}
}

// unseenShare is how much of the variance of a part of a phase is taken to be the
// whole phase's where no phase is long enough to tell.
const unseenShare = 0.8

// parts sets the variance of each kind's part of a bin, v, by least squares of the
// squared residuals on the squared shares, weighted by what they scatter
// themselves. A few bins' worth of a guess keeps it in place where there is little.
func (m *model) parts(rows []row, theta []float64) {
	const guessed = 3
	nk := len(theta)
	sq2, noise := make([]float64, len(rows)), make([]float64, len(rows))
	for i := range rows {
		sq2[i] = sq(residual(&rows[i], theta))
		for _, p := range rows[i].shares() {
			noise[i] += p.s * m.stats[p.key].noise
		}
	}
	// Few bins may be fitted so well that nothing seems to vary.
	least := make([]float64, nk)
	for k := range nk {
		guess := sq(min(0.10*m.stats[k].level, 1.5*m.stats[k].rms))
		least[k] = guess*guessed/(guessed+max(m.stats[k].rows, 0)*4) + 1e-9
	}
	// No kind can vary more than would explain all of its bins' residuals alone.
	most, cubes := make([]float64, nk), make([]float64, nk)
	for i := range rows {
		for _, p := range rows[i].shares() {
			most[p.key] += p.s * sq2[i]
			cubes[p.key] += p.s * p.s * p.s
		}
	}
	A, rhs := make([]float64, nk*nk), make([]float64, nk)
	for range 4 {
		clear(A)
		clear(rhs)
		for k := range nk {
			guess := sq(min(0.10*m.stats[k].level, 1.5*m.stats[k].rms)) + 1e-9
			A[k*nk+k], rhs[k] = guessed/sq(guess), guessed/guess
		}
		for i := range rows {
			expect := noise[i]
			for _, p := range rows[i].shares() {
				expect += p.s * p.s * m.stats[p.key].v
			}
			w := 1 / sq(expect+1e-9)
			for _, p := range rows[i].shares() {
				f := w * p.s * p.s
				rhs[p.key] += f * (sq2[i] - noise[i])
				for _, q := range rows[i].shares() {
					A[p.key*nk+q.key] += f * q.s * q.s
				}
			}
		}
		// Coordinate descent.
		for range 20 {
			for k := range nk {
				r := rhs[k]
				for j, a := range A[k*nk : (k+1)*nk] {
					if j != k {
						r -= a * m.stats[j].v
					}
				}
				if cubes[k] > 0 {
					m.stats[k].v = max(min(r/A[k*nk+k], most[k]/cubes[k]), least[k])
				}
			}
		}
	}
}

// runSum sums the residuals of one phase's own bins.
type runSum struct{ n, sum, sq float64 }

// between returns the variance between phases by one-way analysis of variance
// with random effects (0 where fewer than two were long enough), and from how
// many phases.
func between(runs []runSum) (tau2, n float64) {
	var within, inner, total, sum, n2 float64
	for _, r := range runs {
		within += r.sq - r.sum*r.sum/r.n
		inner += r.n - 1
		total += r.n
		sum += r.sum
		n2 += r.n * r.n
	}
	k := float64(len(runs))
	if k < 2 || inner < 1 {
		return 0, k
	}
	mean, msw := sum/total, within/inner
	var msb float64
	for _, r := range runs {
		msb += r.n * sq(r.sum/r.n-mean)
	}
	msb /= k - 1
	n0 := (total - n2/total) / (k - 1)
	return max((msb-msw)/n0, 0), k
}
