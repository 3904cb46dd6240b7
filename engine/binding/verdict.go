package binding

import (
	"math"
	"slices"

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
func (a *tally) verdict() event.HeldPhases {
	out := event.UnknownHeld()
	prompt := a.prompt()
	kinds := map[event.Phase]share{}
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
	}
	for p, s := range kinds {
		if s.known {
			*out.Of(p) = s.held()
		}
	}
	return out
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

// prompt tells whether samples tell of the time they were taken at: the clock follows a
// boundary at once, or it was held never, or (all but) always.
func (a *tally) prompt() bool {
	var delays, inShort []int64 // of phases that are long enough to show a late one, and of others
	held, n, limited, short := false, 0, 0, 0
	for _, f := range a.facts {
		n += f.n
		limited += max(f.power, f.heat)
		held = held || f.power > 0 || f.heat > 0 || f.after != [2]bool{}
		switch {
		case f.ns >= telling && f.delay >= 0:
			delays = append(delays, f.delay)
		case f.ns < telling && f.ns >= promptly:
			short++
			if f.delay >= 0 {
				inShort = append(inShort, f.delay)
			}
		}
	}
	if !held || 100*limited >= 98*n {
		return true
	}
	if len(delays) < fewDelays {
		// What a short phase shows came soon, whenever it belongs to: but where that is late,
		// most of them show nothing.
		if 10*len(inShort) < 7*short {
			return false
		}
		delays = inShort
	}
	slices.Sort(delays)
	return len(delays) >= fewDelays && delays[len(delays)/2] <= promptly
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
