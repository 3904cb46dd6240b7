package binding

import (
	"math"
	"slices"
	"time"
)

// A card that renews what it says each 100 ms still tells of one moment at a time: where
// another clock, or another reason, is read, it was renewed since the reading before. The
// renewals in between are found from how far apart these are.

// renewal is a reading unlike the one before.
type renewal struct {
	t, gap int64 // when it was read, and since when it may have held, ns
	sample
}

// tick is one moment at which the card looked: within (from, to].
type tick struct {
	from, to    int64
	power, heat bool
	locked      bool
}

const (
	mostRenewals = 1 << 16
	periodGaps   = 128 // between renewals, by which their period is found
	longestRun   = 50  // renewals without change after which one loses count of them

	// Periods that are looked for, ns.
	leastPeriod = int64(30 * time.Millisecond)
	mostPeriod  = int64(250 * time.Millisecond)
	periodStep  = int64(500 * time.Microsecond)
)

// renew notes a reading if it is unlike the one before, at t0.
func (u *unit) renew(s sample, bits uint64, t0 int64) {
	changed := u.renewals == nil || s.mhz != u.lastMHz || bits != u.lastBits
	u.lastMHz, u.lastBits = s.mhz, bits
	if !changed {
		return
	}
	if len(u.renewals) >= 2*mostRenewals {
		u.renewals = append([]renewal(nil), u.renewals[mostRenewals:]...)
	}
	u.renewals = append(u.renewals, renewal{s.t, s.t - t0, s})
}

// period returns how often the card renews what it says, ns: the longest of which all times
// between changes are multiples. 0: too little has changed to tell, or it is too fast to.
func (u *unit) period() int64 {
	r := u.renewals[max(0, len(u.renewals)-2*periodGaps):]
	type gap struct{ d, off int64 }
	var gaps []gap
	for i := 1; i < len(r); i++ {
		if d := r[i].t - r[i-1].t; d < 10*mostPeriod && r[i-1].gap < leastPeriod && r[i].gap < leastPeriod {
			gaps = append(gaps, gap{d, max(r[i].gap, r[i-1].gap) + d/500})
		}
	}
	gaps = gaps[max(0, len(gaps)-periodGaps):]
	for p := mostPeriod; p >= leastPeriod; p -= periodStep {
		fit, byChance := 0, 0.0
		for _, g := range gaps {
			n := (g.d + p/2) / p
			if off := g.d - n*p; n > 0 && max(off, -off) <= g.off {
				fit++
			}
			byChance += math.Log(min(1, float64(2*g.off)/float64(p)))
		}
		// Half a dozen at least, and so many that chance would not have it, of any of the
		// hundreds of periods that are tried.
		if fit >= 6 && 20*fit >= 19*len(gaps) && byChance < -9 {
			return refined(p, len(gaps), func(i int) int64 { return gaps[i].d })
		}
	}
	return 0
}

// refined returns the period of which the times are whole multiples, nearest to p.
func refined(p int64, n int, at func(int) int64) int64 {
	for range 3 {
		sum, count := int64(0), int64(0)
		for i := range n {
			k := (at(i) + p/2) / p
			if k > 0 {
				sum, count = sum+at(i), count+k
			}
		}
		if count > 0 {
			p = sum / count
		}
	}
	return p
}

// ticks returns the moments between two times at which the card looked, where it renews
// each p ns; 0 of those that changed something alone.
func (u *unit) ticks(from, to, p int64) (out []tick) {
	first, _ := slices.BinarySearchFunc(u.renewals, from-mostPeriod, func(r renewal, t int64) int { return int(max(-1, min(1, r.t-t))) })
	for i := max(0, first-1); i < len(u.renewals) && u.renewals[i].t-u.renewals[i].gap < to; i++ {
		r := u.renewals[i]
		add := func(a, b int64) {
			if a >= from && b <= to {
				out = append(out, tick{a, b, r.power, r.heat, r.wanted > 0 && r.wanted < u.HighestMHz})
			}
		}
		add(r.t-r.gap, r.t)
		if p == 0 {
			continue
		}
		if i+1 == len(u.renewals) {
			for j := int64(1); j <= longestRun; j++ {
				t, drift := r.t+j*p, j*p/500
				if t+drift > u.latest {
					break
				}
				add(t-r.gap-drift, t+drift)
			}
			continue
		}
		next := u.renewals[i+1]
		n := (next.t - r.t + p/2) / p
		for j := int64(1); j < n; j++ {
			t, off := r.t+(next.t-r.t)*j/n, max(r.gap, next.gap)
			if n > longestRun { // that count may be wrong: from both ends
				drift := min(j, n-j) * p / 500
				if drift > p/10 {
					continue
				}
				t = r.t + j*p
				if n-j < j {
					t = next.t - (n-j)*p
				}
				add(t-off-drift, t+drift)
				continue
			}
			add(t-off, t)
		}
	}
	return out
}
