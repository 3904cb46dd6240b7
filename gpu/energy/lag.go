package energy

import "math"

// stampSD is how well, in s, a phase's boundary is known: the host stamps it when
// it launches or has synchronised, the GPU begins and ends a little later.
const stampSD = 0.0001

// findLag finds the lag of tr by which the bins fit the phases best, starting
// from what is known of such a source. It changes nothing where the bins say
// nothing (no change of power to see), and tells whether they did.
func findLag(tr *track, tl *timeline, from int) bool {
	k := known[tr.name]
	if n := len(tr.reads); n > 0 { // polls may be in step with the renewals
		k.lagSD = math.Hypot(k.lagSD, tr.reads[n-1].jit)
	}
	step := tr.period / 10
	if tr.cum {
		step = 0.005
	}
	n := int(math.Ceil(3.5 * k.lagSD / step))
	cost := make([]float64, 2*n+1)
	var cache []row
	var rows int
	best := 0
	for i := range cost {
		lag := k.lag + float64(i-n)*step
		keys := map[Key]int{}
		cache = rowsOf(tr, tl, from, lag, keys, cache)
		if len(cache) < len(keys)+5 {
			return false
		}
		_, _, rss, _, ok := solve(cache, len(keys))
		if !ok {
			return false
		}
		rows = len(cache)
		// Per row, as rows at the ends come and go with the lag.
		cost[i] = rss / float64(rows)
		if cost[i] < cost[best] {
			best = i
		}
	}
	s2 := cost[best]
	if s2 <= 0 || best == 0 || best == len(cost)-1 {
		return false
	}
	// The cost is about s2 + c (lag - best)²: the likelihood's width follows from
	// c. Neighbouring bins resemble each other and the model is not exact, so the
	// width is doubled.
	c := (cost[best+1] - 2*cost[best] + cost[best-1]) / (2 * step * step)
	if c <= 0 {
		return false
	}
	at := k.lag + float64(best-n)*step + (cost[best-1]-cost[best+1])/(4*step*c)
	v := 4 * s2 / (c * float64(rows))
	prior := k.lagSD * k.lagSD
	tr.lag = (at/v + k.lag/prior) / (1/v + 1/prior)
	tr.lagSD = math.Sqrt(1/(1/v+1/prior) + sq(stampSD))
	return true
}
