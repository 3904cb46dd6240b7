package curve

import (
	"slices"

	"jouletop/engine/event"
)

// hold takes in what held the clock over the repeats of one setting. That a limit did is
// what there is to tell of those that throttled; what was not in force is told of none.
func (c *Clock) hold(ps []event.PointDone) {
	asked := slices.DeleteFunc(slices.Clone(ps), func(p event.PointDone) bool { return p.Flags.ClockFailed() })
	if len(asked) == 0 {
		asked = ps
	}
	c.Held = heldOver(asked)
	var throttled, limit []float64
	for _, p := range asked {
		throttled, limit = append(throttled, p.ThrottledPct), append(limit, p.AchievedLimitW)
	}
	c.ThrottledPct, c.LimitW = StatOf(throttled).Mean, StatOf(limit).Mean
}

// heldOver is what held the clock over repeats: for the mean of their times, by what did
// so most.
func heldOver(points []event.PointDone) event.HeldPhases {
	out := event.UnknownHeld()
	for _, p := range []event.Phase{event.Prefill, event.Decode, event.Score, event.Mixed} {
		var most event.Held
		sum, n := 0.0, 0.0
		for i := range points {
			h := *points[i].Held.Of(p)
			if !h.Known() {
				continue
			}
			sum, n = sum+h.Pct, n+1
			if n == 1 || h.Pct > most.Pct {
				most = h
			}
		}
		if n == 0 {
			continue
		}
		most.Pct = sum / n
		if most.Limited() && most.Pct < event.HeldAtTimes {
			most.By = event.HeldByNothing
		}
		*out.Of(p) = most
	}
	return out
}
