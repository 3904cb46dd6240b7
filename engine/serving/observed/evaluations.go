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
	s, ok := stepsOf(all)
	if !ok {
		return
	}
	for i := range its {
		if it := &its[i]; it.PrefillRequests == 0 {
			it.Evaluations, it.Alone, _ = s.evaluations(it.DecodeRequests, float64(it.EndNS-it.StartNS)/1e9)
		}
	}
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
