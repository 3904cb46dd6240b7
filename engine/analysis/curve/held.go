package curve

import "jouletop/engine/event"

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
