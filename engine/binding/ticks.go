package binding

import (
	"math"
	"time"

	"jouletop/engine/event"
)

// Two kinds of card renew what they say as seldom: one whose clock follows the work at
// once, so that each look tells of the phase in which it was taken; and one that also takes
// its time to lower and to raise the clock (an H100), so that for half a second a look
// tells of what was before. Which it is, the looks themselves tell: in the first kind of
// card those soon after a boundary are like the later ones of the same kind of phase, in
// the second like one another.

const (
	lingering  = int64(450 * time.Millisecond) // for so long after a boundary a slow clock may tell of what was before
	contiguous = int64(5 * time.Millisecond)   // phases less apart are one stretch of work
	certain    = 3.0                           // log of the odds that settle which kind of card it is
)

// count is how many looks found the clock held, and not.
type count struct{ held, free float64 }

func (c *count) add(held bool) {
	if held {
		c.held++
	} else {
		c.free++
	}
}

// evidence is the log of the likelihood of the looks, whatever their share (Jeffreys prior).
func (c count) evidence() float64 {
	lbeta := func(a, b float64) float64 {
		x, _ := math.Lgamma(a)
		y, _ := math.Lgamma(b)
		z, _ := math.Lgamma(a + b)
		return x + y - z
	}
	return lbeta(c.held+0.5, c.free+0.5) - lbeta(0.5, 0.5)
}

// looks are what the card saw in a kind of phase.
type looks struct {
	n, power, heat float64
	locked         bool
	old, all       count // old: later than a slow clock would tell of what was before
}

// look takes the looks at each kind of phase together, and the odds that each tells of its
// own phase.
func (a *tally) look() (of map[event.Phase]*looks, odds float64) {
	of = map[event.Phase]*looks{}
	var young count
	fast := a.fast()
	periods := map[*unit]int64{}
	last := map[*unit]int{} // the phase before, and since when its kind goes on
	since := map[*unit]int64{}
	for i, f := range a.facts {
		if _, ok := periods[f.u]; !ok {
			periods[f.u] = f.u.period()
		}
		prev, ok := last[f.u]
		if !ok || a.facts[prev].phase != f.phase || f.from-a.facts[prev].to > contiguous {
			since[f.u] = f.from
		}
		last[f.u] = i
		k := of[f.phase]
		if k == nil {
			k = &looks{}
			of[f.phase] = k
		}
		if fast && periods[f.u] == 0 {
			k.n += f.sure.n
			k.power += f.sure.power
			k.heat += f.sure.heat
			k.locked = k.locked || f.locked
			continue
		}
		for _, t := range f.u.ticks(f.from, f.to, periods[f.u]) {
			k.n++
			k.power += float64(number(t.power))
			k.heat += float64(number(t.heat))
			k.locked = k.locked || t.locked
			held := t.power || t.heat
			k.all.add(held)
			if t.from-since[f.u] >= lingering {
				k.old.add(held)
			} else {
				young.add(held)
			}
		}
	}
	all := young
	for _, k := range of {
		all.held, all.free = all.held+k.old.held, all.free+k.old.free
	}
	if all.held == 0 || all.free == 0 {
		return of, 0 // they are all alike
	}
	odds = -young.evidence()
	for _, k := range of {
		odds += k.all.evidence() - k.old.evidence()
	}
	return of, odds
}
