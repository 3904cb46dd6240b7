package energy

import (
	"math"
	"slices"
)

// stampSD is how well, in s, a phase's boundary is known: the host stamps it when
// it launches or has synchronised, the GPU begins and ends a little later.
const stampSD = 0.00001

// findLag finds the lag of tr, starting from what is known of such a source, by
// which the bins fit the phases best: those at the ends of work before a pause,
// where power falls at once, if there are enough of them (at its beginning a phase
// may wait for the host, which looks like a lag). It changes nothing where the
// bins say nothing, and tells whether they did.
func findLag(tr *track, tl *timeline, from int) bool {
	k := known[tr.name]
	if n := len(tr.reads); n > 0 { // polls may be in step with the renewals
		k.lagSD = math.Hypot(k.lagSD, tr.reads[n-1].jit)
	}
	step := tr.period / 10
	if tr.cum {
		step = 0.005
	}
	// Coarsely over all that is possible, then finely around the best. A lag a period
	// too long explains a few falls as well as the right one does: what is known of
	// such sources comes first then.
	const many = 4
	near, wide := 3*k.lagSD, max(3*k.lagSD, 1.2*tr.width)
	if len(tl.falls(int64(tr.period*0.75e9))) >= many {
		near = wide
	}
	coarse, best, ok := coarseLag(tr, tl, from, k.lag, near, step)
	if !ok && near < wide {
		coarse, best, ok = coarseLag(tr, tl, from, k.lag, wide, step)
	}
	if !ok {
		return false
	}
	const finer = 8
	fine, ok := lagCosts(tr, tl, from, coarse.from+float64(best)*step-1.5*step, step/finer, 3*finer+1)
	if !ok {
		return false
	}
	at, v, ok := fine.minimum()
	if !ok {
		return false
	}
	tr.byFalls = fine.falls
	if !fine.falls {
		// Each kind of beginning is off in its own way, which does not average out: four
		// sessions of one H100 alone gave -1 to 8 ms where falls give 3 to 7. A few say
		// even less: the clock may have changed just before.
		const doubtful = 4
		v = v*doubtful + max(min(sq(0.001), 100*v), sq(0.005)/float64(max(tl.beginnings(), 1)))
	}
	prior := k.lagSD * k.lagSD
	tr.lag = (at/v + k.lag/prior) / (1/v + 1/prior)
	tr.lagFound = math.Sqrt(1/(1/v+1/prior) + sq(stampSD))
	tr.lagSD = tr.lagFound
	return true
}

// doubtLag widens what is known of a lag found by falls by what is not known of the
// power before them, which all falls after work of one kind share: on average half of
// a bin that holds a fall is work.
func (tr *track) doubtLag(tl *timeline) {
	if !tr.byFalls {
		return
	}
	falls := tl.falls(int64(tr.period * 0.75e9))
	after := map[int]float64{}
	var n float64
	for _, f := range falls {
		for i := tl.from(f.end - 1); i < len(tl.phases) && tl.phases[i].Start < f.end; i++ {
			if k, ok := tr.model.keys[tl.phases[i].kind.key]; ok && tl.phases[i].End == f.end {
				after[k]++
				n++
			}
		}
	}
	v := sq(tr.lagFound)
	for k, m := range after {
		s := &tr.model.stats[k]
		if step := s.level - idleShare*tr.model.mean; step > 0 {
			v += tr.model.covariance(k, k) * sq(m/n*tr.width/2/step)
		}
	}
	tr.lagSD = math.Sqrt(v)
}

// coarseLag tries lags up to reach from the middle; ok is false where the best of them
// is at an end, for it may lie beyond.
func coarseLag(tr *track, tl *timeline, from int, middle, reach, step float64) (c lagCost, best int, ok bool) {
	c, ok = lagCosts(tr, tl, from, middle-reach, step, int(2*reach/step)+1)
	if !ok {
		return c, 0, false
	}
	best = c.least()
	return c, best, best > 0 && best < len(c.cost)-1
}

// lagCost is the mean squared residual in W² of n bins for each of a row of lags.
type lagCost struct {
	from, step float64 // s
	cost       []float64
	n          float64   // that are worth one each: see fallCost
	falls      bool      // of the bins after falls alone
	whole      []float64 // mean squared residual of all bins
}

// lagRows is how many of the latest readings the lag is found by: it is told to some
// hundredths of a millisecond by a thousand.
const lagRows = 2048

// lagCosts tries n lags; ok is false where there are too few bins.
func lagCosts(tr *track, tl *timeline, from int, first, step float64, n int) (lagCost, bool) {
	from = max(from, len(tr.reads)-lagRows)
	all := lagCost{from: first, step: step, cost: make([]float64, n)}
	atFalls := lagCost{from: first, step: step, cost: make([]float64, n), falls: true}
	starts := tl.traits() // which look like a lag
	falls := tl.falls(int64(tr.period * 0.75e9))
	const enough = 8
	for i := range n {
		keys := map[Key]int{}
		cache := rowsOf(tr, tl, from, first+float64(i)*step, starts, keys, tr.scratch)
		tr.scratch = cache
		if len(cache) < len(keys)+5 {
			return all, false
		}
		sol, ok := solve(cache, starts, keys)
		if !ok {
			return all, false
		}
		// Per row, as rows at the ends come and go with the lag.
		all.n = float64(len(cache))
		all.cost[i] = sol.rss / all.n
		var bins float64
		atFalls.cost[i], bins, atFalls.n = fallCost(cache, sol.theta, falls, int64(tr.period*3.2e9))
		atFalls.falls = atFalls.falls && bins >= enough
	}
	all.whole, atFalls.whole = all.cost, all.cost
	if atFalls.falls {
		return atFalls, true
	}
	return all, true
}

// least returns the lag of least cost among those that all bins can live with: with a
// lag a period too long the last phases before falls take the power of what follows,
// and the bins after them fit better than with the right one.
func (l lagCost) least() int {
	const bearable = 2
	most := bearable * slices.Min(l.whole)
	best := slices.Index(l.whole, slices.Min(l.whole))
	for i, c := range l.cost {
		if c < l.cost[best] && l.whole[i] <= most {
			best = i
		}
	}
	return best
}

// minimum returns the lag of least cost and its variance. Around it the cost is
// about s2 + c (lag - best)², fitted here to a few points on either side, and the
// likelihood's width follows from c.
func (l lagCost) minimum() (at, v float64, ok bool) {
	const side = 4
	best := l.least()
	mid := max(side, min(best, len(l.cost)-1-side))
	var mean2, slope, curve, n1, n2 float64
	for k := -side; k <= side; k++ {
		mean2 += float64(k*k) / (2*side + 1)
	}
	for k := -side; k <= side; k++ {
		x, c := float64(k), l.cost[mid+k]
		slope += x * c
		n1 += x * x
		curve += (x*x - mean2) * c
		n2 += sq(x*x - mean2)
	}
	slope, curve = slope/n1, curve/n2
	if curve <= 0 || l.cost[best] <= 0 {
		return 0, 0, false
	}
	x := max(-side, min(-slope/(2*curve), side))
	return l.from + (float64(mid)+x)*l.step, l.cost[best] / (curve / sq(l.step) * l.n), true
}

// fallCost returns the mean squared residual of the bins told between a fall and
// the next phase, for as long as the fall may show, how many there are, and what they
// are worth: of the bins of a fall one tells its time, and that the work before
// differed from the mean of its kind shows in that one. Two falls are spent on the
// lag and the power before.
func fallCost(rows []row, theta []float64, falls []fall, reach int64) (cost, n, worth float64) {
	i, last := 0, -1
	for k := range rows {
		r := &rows[k]
		for i < len(falls) && min(falls[i].next, falls[i].end+reach) <= r.t {
			i++
		}
		if i == len(falls) {
			break
		}
		if r.t > falls[i].end {
			e := residual(r, theta)
			cost += e * e
			n++
			if i != last {
				worth++
				last = i
			}
		}
	}
	if n == 0 {
		return 0, 0, 0
	}
	return cost / n, n, max(worth-2, 1)
}

// thetas returns the mean powers for another lag.
func (tr *track) thetas(tl *timeline, from int, lag float64, traits map[Key]trait) map[Key]float64 {
	keys := map[Key]int{}
	rows := rowsOf(tr, tl, from, lag, traits, keys, tr.scratch)
	tr.scratch = rows
	sol, ok := solve(rows, traits, keys)
	if len(rows) == 0 || !ok {
		return nil
	}
	out := map[Key]float64{}
	for k, i := range keys {
		out[k] = sol.theta[i]
	}
	return out
}

// keepLate takes over from the model before what setLate found, and tells whether
// that was known of every kind.
func (m *model) keepLate(prev *model) (known bool) {
	before := map[Key]float64{}
	for _, s := range prev.stats {
		before[s.Key] = s.late
	}
	known = true
	for i, s := range m.stats {
		late, ok := before[s.Key]
		m.stats[i].late = late
		known = known && ok
	}
	return known
}

// setLate notes by how much, in W, each theta changes with the lag by one standard
// deviation; late and early are the thetas for lags that far off.
func (m *model) setLate(late, early map[Key]float64) {
	for i, s := range m.stats {
		a, ok := late[s.Key]
		b, ok2 := early[s.Key]
		m.stats[i].late = 0
		if ok && ok2 {
			m.stats[i].late = (a - b) / 2
		}
	}
}
