package observed

import (
	"math"
	"slices"

	"jouletop/engine/event"
)

// steps is how long evaluations of a model for tokens of decodes alone take: one
// sequence alone, or several together and each of these more. In s.
type steps struct{ alone, together, each float64 }

// timed is a pass of decodes alone, seen so many times.
type timed struct {
	sequences int
	seconds   float64
	seen      float64
}

// count sets how often the model was evaluated in each pass of decodes, where their
// times say that it was more than once: passes of so many sequences take now this long
// and now that, by what evaluations of one and of several sequences add up to. Where
// a pass that takes a little longer for each sequence explains the times as well, each
// was one evaluation.
func count(its []event.Iteration) {
	if s, ok := learn(its); ok {
		s.apply(its)
	}
}

// learn finds the steps of a server from its passes; false where each is one evaluation
// as far as can be told.
func learn(its []event.Iteration) (steps, bool) {
	var all []timed
	for _, it := range its {
		if it.PrefillRequests > 0 {
			continue
		}
		t := timed{it.DecodeRequests, float64(it.EndNS-it.StartNS) / 1e9, 1}
		near := func(o timed) bool {
			return o.sequences == t.sequences && math.Abs(o.seconds/t.seconds-1) < 0.01
		}
		if i := slices.IndexFunc(all, near); i >= 0 {
			all[i].seen++
		} else {
			all = append(all, t)
		}
	}
	return stepsOf(all)
}

// apply says how often the model was evaluated in each pass of decodes, and for whom.
func (s steps) apply(its []event.Iteration) {
	alone := make([]float64, len(its))
	for i := range its {
		if it := &its[i]; it.PrefillRequests == 0 {
			n, single, _ := s.evaluations(it.DecodeRequests, float64(it.EndNS-it.StartNS)/1e9)
			it.Evaluations, it.Alone, alone[i] = n, single, float64(single)/float64(it.DecodeRequests)
		}
	}
	divide(its, alone)
}

// evaluations is how many evaluations of so many sequences come nearest to so many
// seconds, how many of them are of one sequence, and by how far they are off.
func (s steps) evaluations(sequences int, seconds float64) (n, single int, off float64) {
	off = math.Inf(1)
	for alone := 0; alone <= sequences; alone++ {
		left := sequences - alone // in evaluations of two or more
		for together := min(left, 1); 2*together <= left; together++ {
			t := s.alone*float64(alone) + s.together*float64(together) + s.each*float64(left)
			if d := math.Abs(t - seconds); d < off {
				n, single, off = alone+together, alone, d
			}
			if left == 0 {
				break
			}
		}
	}
	return n, single, off
}

// cost is how far passes are off in the mean, as shares of an evaluation; one that is
// off by a quarter is no evidence of anything.
func (s steps) cost(all []timed) float64 {
	var sum, n float64
	for _, t := range all {
		_, _, off := s.evaluations(t.sequences, t.seconds)
		sum += t.seen * min(off/s.alone, 0.25)
		n += t.seen
	}
	return sum / n
}

// stepsOf finds the steps by which times are explained best; false where one
// evaluation a pass explains them nearly as well, or passes of one sequence are too few
// to tell what one takes.
func stepsOf(all []timed) (best steps, ok bool) {
	const enough, most = 8, 400
	var single []timed
	for _, t := range all {
		if t.sequences == 1 {
			single = append(single, t)
		}
	}
	one, n := median(single)
	if n < enough {
		return steps{}, false
	}
	several := slices.DeleteFunc(slices.Clone(all), func(t timed) bool { return t.sequences == 1 })
	slices.SortFunc(several, func(a, b timed) int { return int(b.seen - a.seen) })
	several = several[:min(len(several), most)] // the usual ones
	if _, n := median(several); n < enough {
		return steps{}, false
	}
	at := math.Inf(1)
	try := func(s steps) {
		if c := s.cost(several); c < at {
			best, at = s, c
		}
	}
	for alone := 1.0; alone <= 1.15; alone += 0.03 {
		for together := 1.0; together <= 1.7; together += 0.04 {
			for each := 0.0; each <= 0.03; each += 0.006 {
				try(steps{alone * one, together * alone * one, each * one})
			}
		}
	}
	for range 3 { // closer
		mid, step := best, 0.01*one
		for i := -2.0; i <= 2; i++ {
			for j := -2.0; j <= 2; j++ {
				for k := -1.0; k <= 1; k++ {
					try(steps{mid.alone + i*step, mid.together + j*step, max(mid.each+k*step/5, 0)})
				}
			}
		}
	}
	return best, at < 0.5*singly(several)
}

// median is the median time of passes, and how many there are.
func median(ts []timed) (seconds, n float64) {
	slices.SortFunc(ts, func(a, b timed) int {
		switch {
		case a.seconds < b.seconds:
			return -1
		case a.seconds > b.seconds:
			return 1
		}
		return 0
	})
	for _, t := range ts {
		n += t.seen
	}
	half := 0.0
	for _, t := range ts {
		if half += t.seen; half >= n/2 {
			return t.seconds, n
		}
	}
	return math.NaN(), n
}

// singly is what cost is where each pass is one evaluation, which takes a time and for
// each sequence another: a line through the medians by number of sequences.
func singly(ts []timed) float64 {
	by := map[int][]timed{}
	for _, t := range ts {
		by[t.sequences] = append(by[t.sequences], t)
	}
	var n, sx, sy, sxx, sxy float64
	for k, own := range by {
		m, w := median(own)
		x := float64(k)
		n, sx, sy, sxx, sxy = n+w, sx+w*x, sy+w*m, sxx+w*x*x, sxy+w*x*m
	}
	slope := 0.0
	if d := n*sxx - sx*sx; d > 1e-9*n*n {
		slope = (n*sxy - sx*sy) / d
	}
	base := (sy - slope*sx) / n
	var sum float64
	for _, t := range ts {
		sum += t.seen * min(math.Abs(t.seconds-base-slope*float64(t.sequences))/base, 0.25)
	}
	return sum / n
}

// divide says how many evaluations were each sequence's: that there was one more from
// when it came, or one fewer from when it went, shows in the passes before and after,
// where nobody else came or went. Neighbours come and go, so that what shows then counts
// beside its being as likely as any other in the pass to be evaluated alone.
func divide(its []event.Iteration, alone []float64) {
	type seen struct{ sum, n float64 }
	of := map[string]seen{}
	last := -1 // the pass of decodes alone before
	for i := range its {
		if its[i].PrefillRequests > 0 {
			continue
		}
		if last >= 0 {
			if id, more := changed(its[last].Members, its[i].Members); id != "" {
				d := float64(more * (settled(its, i, 1) - settled(its, last, -1)))
				s := of[id]
				of[id] = seen{s.sum + min(max(d, 0), 1), s.n + 1}
			}
		}
		last = i
	}
	for i := range its {
		if its[i].PrefillRequests > 0 {
			continue
		}
		p := alone[i]
		for k := range its[i].Members {
			m := &its[i].Members[k]
			s := of[m.RequestID]
			share := (s.sum + p) / (s.n + 1)
			m.Evaluations, m.EvaluationsErr = share, math.Sqrt(share*(1-share)/(s.n+1))
		}
	}
}

// settled is how often the model was evaluated in passes with the members of the i-th,
// from it on (by 1) or back: as often as in most of the nearest.
func settled(its []event.Iteration, i, by int) int {
	const near = 5
	counts, best := map[int]int{}, its[i].Evaluations
	for k, n := i, 0; k >= 0 && k < len(its) && n < near && its[k].PrefillRequests == 0 && its[k].DecodeRequests == its[i].DecodeRequests; k, n = k+by, n+1 {
		e := its[k].Evaluations
		if counts[e]++; counts[e] > counts[best] {
			best = e
		}
	}
	return best
}

// changed is the one request that came (1) or went (-1) from one pass to another; "" where
// it was none or several.
func changed(from, to []event.IterationMember) (id string, more int) {
	in := map[string]int{}
	for _, m := range from {
		in[m.RequestID]--
	}
	for _, m := range to {
		in[m.RequestID]++
	}
	for r, n := range in {
		if n == 0 {
			continue
		}
		if id != "" {
			return "", 0
		}
		id, more = r, n
	}
	return id, more
}
