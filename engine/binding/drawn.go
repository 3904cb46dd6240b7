package binding

import (
	"math"
	"slices"
	"time"

	"jouletop/engine/event"
)

// What a kind of phase drew tells too whether the power limit held it: all that it holds
// draw the same, a share of the limit that is the card's own (its limit is on peaks, and
// its sensor has a gain error) and is learned from what was surely held. So phases too
// short for the card to have looked at them are judged.

const (
	mostPowers = 1 << 16
	bufferLag  = int64(20 * time.Millisecond)  // a reading lags by less behind what it tells of
	atLevel    = 0.004                         // of the limit: so near to their share of it held phases come
	belowLevel = 0.009                         // and so far below it nothing is held
	powersKept = 9                             // points by which the share is known
	mostFrom   = 1.0                           // above: at the lowest clock there is, where the limit cannot be kept
	leastFrom  = 0.7                           // of the limit: a share below is none
	beside     = int64(160 * time.Millisecond) // of the phases around a short one, what they drew is taken from
)

// drawing is one of the driver's buffer: the mean since the one before.
type drawing struct {
	t int64
	w float64
}

// draw notes a reading of the driver's buffer.
func (u *unit) draw(t int64, w float64) {
	if n := len(u.powers); n > 0 && t <= u.powers[n-1].t {
		return
	}
	if len(u.powers) >= 2*mostPowers {
		u.powers = append([]drawing(nil), u.powers[mostPowers:]...)
	}
	u.powers = append(u.powers, drawing{t, w})
}

// between returns the readings within (from, to].
func (u *unit) between(from, to int64) []drawing {
	at := func(t int64) int {
		i, _ := slices.BinarySearchFunc(u.powers, t+1, func(r drawing, t int64) int { return int(max(-1, min(1, r.t-t))) })
		return i
	}
	if to <= from {
		return nil
	}
	return u.powers[at(from):at(to)]
}

// meanOf is the mean of readings, W; NaN of none.
func meanOf(rs []drawing) float64 {
	sum := 0.0
	for _, r := range rs {
		sum += r.w
	}
	return sum / float64(len(rs))
}

// watts is what was drawn in a kind of phase, W, with the standard error of that.
type watts struct{ mean, se float64 }

// drawn returns what each unit drew in a kind of phase: read in phases that are long
// enough, and of shorter ones what the readings around them have more than their
// neighbours draw. NaN where neither can be told.
func (a *tally) drawn(u *unit, phase event.Phase) watts {
	var of []fact
	for _, f := range a.facts {
		if f.u == u {
			of = append(of, f)
		}
	}
	var within, around []float64
	for i, f := range of {
		if f.phase != phase {
			continue
		}
		if rs := u.between(f.from+bufferLag+u.every(), f.to); len(rs) > 0 {
			within = append(within, meanOf(rs))
		} else if w, ok := u.excess(of, i); ok {
			around = append(around, w)
		}
	}
	for _, list := range [][]float64{within, around} {
		if len(list) < 3 {
			continue
		}
		if len(list) > fewDelays { // in the first, what was before is still settling
			list = list[1:]
		}
		sum, sq := 0.0, 0.0
		for _, w := range list {
			sum += w
		}
		mean := sum / float64(len(list))
		for _, w := range list {
			sq += (w - mean) * (w - mean)
		}
		n := float64(len(list))
		return watts{mean, math.Sqrt(sq / (n - 1) / n)}
	}
	return watts{math.NaN(), math.NaN()}
}

// every is how often the buffer has a new reading, ns.
func (u *unit) every() int64 {
	n := len(u.powers)
	if n < 2 {
		return 0
	}
	from := max(0, n-64)
	return (u.powers[n-1].t - u.powers[from].t) / int64(n-1-from)
}

// excess is what the i-th phase drew, W, by the readings that may tell of it, less what the
// phases before and after it draw.
func (u *unit) excess(of []fact, i int) (float64, bool) {
	if i == 0 || i+1 == len(of) {
		return 0, false
	}
	f, before, after := of[i], of[i-1], of[i+1]
	period := u.every()
	if f.from-before.to > contiguous || after.from-f.to > contiguous || before.phase == f.phase || after.phase == f.phase {
		return 0, false
	}
	first := u.between(max(before.from+bufferLag+period, before.to-beside), before.to)
	last := u.between(f.to+bufferLag+period, min(after.to, f.to+bufferLag+period+beside))
	if len(first) == 0 || len(last) == 0 {
		return 0, false
	}
	b0, b1 := meanOf(first), meanOf(last)
	rs := u.between(f.from, f.to+bufferLag+period)
	if len(rs) == 0 {
		return 0, false
	}
	joules := 0.0
	for _, r := range rs {
		joules += r.w * float64(period)
	}
	d, gap := float64(f.to-f.from), float64(f.from-before.to+after.from-f.to)
	rest := float64(period)*float64(len(rs)) - d - gap
	if rest < 0 {
		return 0, false
	}
	// The gaps draw less, by what is not known: a third of what work does is taken.
	return (joules - rest*(b0+b1)/2 - gap*min(b0, b1)/3) / d, true
}

// levels are the shares of the limit that phases surely held by it drew.
type levels []float64

// share is theirs; NaN of none. It is one of the lower ones: at the lowest clocks a limit
// cannot be kept, so that what it holds draws more, and never less.
func (l levels) share() float64 {
	if len(l) == 0 {
		return math.NaN()
	}
	s := slices.Sorted(slices.Values(l))
	return s[(len(s)-1)/3]
}

func (l *levels) add(share float64) {
	if !(share > 0) {
		return
	}
	if *l = append(*l, share); len(*l) > powersKept {
		*l = (*l)[1:]
	}
}

// byPower tells whether the limit held a kind of phase by what it drew: 1 it did, -1 it did
// not, 0 nobody can tell.
func (a *tally) byPower(phase event.Phase) int {
	said := 0
	for i, u := range a.units() {
		w, limit := a.drawn(u, phase), a.limit(u)
		level := a.level(u) * limit
		one := 0
		switch {
		case math.IsNaN(w.mean) || !(limit > 0):
		case !(level > 0):
			// How much a held phase draws is not known, but that it is no less than this.
			if w.mean+2*w.se < leastFrom*limit {
				one = -1
			}
		case w.mean-2*w.se < level-atLevel*limit && w.mean+2*w.se > level-belowLevel*limit && w.se > atLevel*limit:
		case w.mean > level-atLevel*limit:
			one = 1
		case w.mean+2*w.se < level-belowLevel*limit:
			one = -1
		}
		if i > 0 && one != said {
			return 0
		}
		said = one
	}
	return said
}

// level is the share of the limit that what it holds draws: as learned, or as this stretch
// of work tells. NaN unknown.
func (a *tally) level(u *unit) float64 {
	if share := u.levels.share(); share > 0 {
		return share
	}
	of, _ := a.look()
	for p := range of {
		if share := a.surely(u, of, p, false); share > 0 {
			return share
		}
	}
	return a.alike(u, of)
}

// alike is the share of the limit that all kinds of phase drew, where the clock was held
// nearly all the time and they drew the same, as they hardly would otherwise; else NaN.
func (a *tally) alike(u *unit, of map[event.Phase]*looks) float64 {
	n, held := 0.0, 0.0
	var shares []float64
	for p, k := range of {
		n, held = n+k.n, held+k.power
		shares = append(shares, a.drawn(u, p).mean/a.limit(u))
	}
	if held < 0.9*n || len(shares) < 2 {
		return math.NaN()
	}
	lo, hi := slices.Min(shares), slices.Max(shares)
	if lo > leastFrom && hi < mostFrom && hi-lo < 2*atLevel { // and so none is NaN
		return (lo + hi) / 2
	}
	return math.NaN()
}

// surely is the share of the limit that a kind of phase drew, where the limit surely held
// it all the time; else NaN. Where the clock follows at once all looks count, else the later ones of
// a phase.
func (a *tally) surely(u *unit, of map[event.Phase]*looks, p event.Phase, prompt bool) float64 {
	k := of[p]
	if k.heat > 0 || prompt && (k.n < fewSamples || k.power < k.n) || !prompt && (k.old.held < fewSamples || k.old.free > 0) || len(a.units()) != 1 {
		return math.NaN()
	}
	if share := a.drawn(u, p).mean / a.limit(u); share > leastFrom && share < mostFrom {
		return share
	}
	return math.NaN()
}

// limit is the power limit, W; NaN where it was not the same all the time.
func (a *tally) limit(u *unit) float64 {
	limit := 0.0
	for _, f := range a.facts {
		switch {
		case f.u != u:
		case limit == 0:
			limit = f.limitW
		case f.limitW != limit:
			return math.NaN()
		}
	}
	return limit
}

func (a *tally) units() (out []*unit) {
	for _, f := range a.facts {
		if !slices.Contains(out, f.u) {
			out = append(out, f.u)
		}
	}
	return out
}
