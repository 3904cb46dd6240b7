package energy

import "math"

// stampSD is how well, in s, a phase's boundary is known: the host stamps it when
// it launches or has synchronised, the GPU begins and ends a little later.
const stampSD = 0.00008

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
	n := int(math.Ceil(max(3*k.lagSD, 1.2*tr.width) / step))
	all, atFalls := lagCost{make([]float64, 2*n+1), 0}, lagCost{make([]float64, 2*n+1), 0}
	falls := tl.falls(int64(tr.period * 0.75e9))
	var cache []row
	for i := range 2*n + 1 {
		keys := map[Key]int{}
		cache = rowsOf(tr, tl, from, k.lag+float64(i-n)*step, keys, cache)
		if len(cache) < len(keys)+5 {
			return false
		}
		theta, _, rss, _, ok := solve(cache, len(keys))
		if !ok {
			return false
		}
		// Per row, as rows at the ends come and go with the lag.
		all.n = float64(len(cache))
		all.cost[i] = rss / all.n
		atFalls.cost[i], atFalls.n = fallCost(cache, theta, falls, int64(tr.period*3.2e9))
	}
	at, v, ok := atFalls.minimum(step)
	if atFalls.n < 8 || !ok {
		// Neighbouring bins resemble each other and each kind of beginning is off
		// in its own way, which does not average out.
		const doubtful = 4
		at, v, ok = all.minimum(step)
		v *= doubtful
	}
	if !ok {
		return false
	}
	at += k.lag - float64(n)*step
	prior := k.lagSD * k.lagSD
	tr.lag = (at/v + k.lag/prior) / (1/v + 1/prior)
	tr.lagSD = math.Sqrt(1/(1/v+1/prior) + sq(stampSD))
	return true
}

// lagCost is the mean squared residual in W² of n bins for each of a row of lags.
type lagCost struct {
	cost []float64
	n    float64
}

// minimum returns where the cost is least, in s from the first lag, and the
// variance of that. The cost is about s2 + c (lag - best)², and the likelihood's
// width follows from c.
func (l lagCost) minimum(step float64) (at, v float64, ok bool) {
	best := 0
	for i, c := range l.cost {
		if c < l.cost[best] {
			best = i
		}
	}
	if best == 0 || best == len(l.cost)-1 || l.cost[best] <= 0 {
		return 0, 0, false
	}
	lo, mid, hi := l.cost[best-1], l.cost[best], l.cost[best+1]
	c := (hi - 2*mid + lo) / (2 * step * step)
	if c <= 0 {
		return 0, 0, false
	}
	return float64(best)*step + (lo-hi)/(4*step*c), mid / (c * l.n), true
}

// fallCost returns the mean squared residual of the bins told between a fall and
// the next phase, for as long as the fall may show, and how many there are.
func fallCost(rows []row, theta []float64, falls []fall, reach int64) (cost, n float64) {
	i := 0
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
		}
	}
	if n == 0 {
		return 0, 0
	}
	return cost / n, n
}
