package binding

import (
	"math"
	"slices"
	"time"

	"jouletop/engine/event"
)

// tally is what is known of a stretch of work.
type tally struct{ facts []fact }

func (a *tally) add(f fact) {
	if len(a.facts) < mostFacts {
		a.facts = append(a.facts, f)
	}
}

// verdict says what held the clock in each kind of phase.
// odds are what was learned before of whether each look tells of its own phase.
func (a *tally) verdict(odds float64) event.HeldPhases {
	out := event.UnknownHeld()
	prompt := a.prompt()
	kinds := map[event.Phase]share{}
	// Where all looks are alike, they tell of the phases that they fell into, and of no other.
	if of, more := a.look(); a.seldom() && (odds+more > certain && !prompt || never(of) || always(of)) || !prompt && a.fast() {
		for p, s := range a.byLooks(of) {
			*out.Of(p) = s.held()
		}
		return out
	}
	for _, p := range []event.Phase{event.Prefill, event.Decode, event.Score, event.Mixed} {
		if prompt {
			kinds[p] = a.inPhase(p)
		} else {
			kinds[p] = a.steady(p)
		}
	}
	if !prompt {
		for p, s := range kinds {
			if !s.known {
				kinds[p] = a.short(p, kinds)
			}
		}
		for p, s := range kinds {
			if by := a.byPower(p); !s.known && by != 0 {
				kinds[p] = share{true, float64(max(by, 0)), 0, a.locked(p)}
			}
		}
	}
	for p, s := range kinds {
		// A phase that draws what the limit holds, while the clock is not seen to be held, is
		// one in which the card had no time to say so, or one that happens to draw that.
		open := !s.known || s.power == 0 && s.heat == 0 && a.seldom() && a.byPower(p) > 0
		if !open {
			*out.Of(p) = s.held()
		}
	}
	return out
}

// seldom tells whether the card renews what it says less often than it is read.
func (a *tally) seldom() bool {
	return slices.ContainsFunc(a.units(), func(u *unit) bool { return !u.AtOnce && u.period() > 0 })
}

// never tells whether no look found the clock held.
func never(of map[event.Phase]*looks) bool {
	for _, k := range of {
		if k.all.held > 0 {
			return false
		}
	}
	return true
}

// always tells whether every look found the clock held.
func always(of map[event.Phase]*looks) bool {
	for _, k := range of {
		if k.all.free > 0 {
			return false
		}
	}
	return true
}

// byLooks takes each look for what it is, and what was drawn where there were too few.
func (a *tally) byLooks(of map[event.Phase]*looks) map[event.Phase]share {
	out := map[event.Phase]share{}
	for p, k := range of {
		s := share{true, k.power / k.n, k.heat / k.n, k.locked}
		if k.n < fewSamples {
			switch by := a.byPower(p); {
			case k.n == 0 && by == 0, k.n > 0 && by != 0 && by > 0 != (k.power > 0):
				continue
			case k.n == 0:
				s = share{true, float64(max(by, 0)), 0, a.locked(p)}
			}
		}
		out[p] = s
	}
	return out
}

func (a *tally) locked(p event.Phase) bool {
	return slices.ContainsFunc(a.of(p), func(f fact) bool { return f.locked })
}

// share is for how much of a kind of phase's time limits held the clock.
type share struct {
	known       bool
	power, heat float64 // 0 to 1
	locked      bool
}

func (s share) held() event.Held {
	power, heat := 100*s.power, 100*s.heat
	switch {
	case power >= event.HeldAtTimes && power >= heat:
		return event.Held{By: event.HeldByPower, Pct: power}
	case heat >= event.HeldAtTimes:
		return event.Held{By: event.HeldByHeat, Pct: heat}
	case s.locked:
		return event.Held{By: event.HeldByLock, Pct: math.Max(power, heat)}
	}
	return event.Held{By: event.HeldByNothing, Pct: math.Max(power, heat)}
}

// of returns the facts of a kind of phase.
func (a *tally) of(p event.Phase) []fact {
	return slices.DeleteFunc(slices.Clone(a.facts), func(f fact) bool { return f.phase != p })
}

// delays are after how long the clock followed boundaries, ascending, and of all phases
// for how much it was held.
func (a *tally) delays() (of []int64, held, limited, n int) {
	var long, inShort []int64 // of phases that are long enough to show a late one, and of others
	short := 0
	for _, f := range a.facts {
		n += f.n
		limited += max(f.power, f.heat)
		if f.power > 0 || f.heat > 0 || f.after != [2]bool{} {
			held++
		}
		switch {
		case f.ns >= telling && f.delay >= 0:
			long = append(long, f.delay)
		case f.ns < telling && f.ns >= promptly:
			short++
			if f.delay >= 0 {
				inShort = append(inShort, f.delay)
			}
		}
	}
	// What a short phase shows came soon, whenever it belongs to: but where that is late,
	// most of them show nothing.
	if of = long; len(of) < fewDelays && 10*len(inShort) >= 7*short {
		of = inShort
	}
	if len(of) < fewDelays {
		of = nil
	}
	slices.Sort(of)
	return of, held, limited, n
}

// prompt tells whether samples tell of the time they were taken at: the clock follows a
// boundary by the next but one, or it was held never, or (all but) always.
func (a *tally) prompt() bool {
	if units := a.units(); len(units) > 0 && !slices.ContainsFunc(units, func(u *unit) bool { return !u.AtOnce }) {
		return true
	}
	delays, held, limited, n := a.delays()
	if held == 0 || 100*limited >= 98*n {
		return true
	}
	ns := int64(0)
	for _, f := range a.facts {
		ns += f.ns
	}
	return len(delays) > 0 && delays[len(delays)*4/5] <= min(promptly, 13*ns/int64(10*n))
}

// fast tells whether the clock follows a boundary within a few samples.
func (a *tally) fast() bool {
	delays, _, _, _ := a.delays()
	return len(delays) > 0 && delays[len(delays)*19/20] <= fastIn-int64(5*time.Millisecond)
}

// inPhase takes samples at their word.
func (a *tally) inPhase(p event.Phase) (s share) {
	n := 0
	for _, f := range a.of(p) {
		n += f.n
		s.power += float64(f.power)
		s.heat += float64(f.heat)
		s.locked = s.locked || f.locked
	}
	if s.known = n >= fewSamples; s.known {
		s.power /= float64(n)
		s.heat /= float64(n)
	}
	return s
}

// steady takes the samples of long phases after their first half second.
func (a *tally) steady(p event.Phase) (s share) {
	n, seconds, all := 0, int64(0), int64(0)
	for _, f := range a.of(p) {
		all += f.ns
		if f.ns < long {
			continue
		}
		seconds += f.ns
		n += f.steadyN
		s.power += float64(f.steady[0])
		s.heat += float64(f.steady[1])
		s.locked = s.locked || f.locked
	}
	// Few long phases among short ones say nothing of these.
	if s.known = n >= fewSamples && 5*seconds >= all; s.known {
		s.power /= float64(n)
		s.heat /= float64(n)
	}
	return s
}

// short judges phases that are over before their samples have come: held where anything
// was in them or right after. Where another kind of phase is held, or not known either,
// nobody can tell whose samples these are.
func (a *tally) short(p event.Phase, others map[event.Phase]share) (s share) {
	facts := a.of(p)
	if len(facts) > fewDelays {
		facts = facts[1:] // before it was another point
	}
	ns := int64(0)
	for _, f := range facts {
		ns += f.ns
		s.locked = s.locked || f.locked
		if f.power > 0 || f.after[0] {
			s.power += float64(f.ns)
		}
		if f.heat > 0 || f.after[1] {
			s.heat += float64(f.ns)
		}
	}
	if ns == 0 {
		return share{}
	}
	s.power /= float64(ns)
	s.heat /= float64(ns)
	s.known = true
	if s.power == 0 && s.heat == 0 {
		return s
	}
	for q, o := range others {
		if q != p && len(a.of(q)) > 0 && (!o.known || 100*math.Max(o.power, o.heat) >= event.HeldAtTimes) {
			return share{}
		}
	}
	return s
}
