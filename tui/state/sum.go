package state

import (
	"math"

	"jouletop/engine/event"
)

// Sum is what two sessions are compared by.
type Sum struct {
	Requests
	Points        int
	Latency, TTFT Spread
}

// SumUp sums up a session's points and requests.
func SumUp(points []event.PointDone, requests []event.RequestEnergy) Sum {
	s := Sum{Points: len(points)}
	s.Requests.reset()
	s.Total = len(requests)
	var latency, ttft []float64
	for i := range requests {
		r := &requests[i]
		s.energy(*r)
		if v := r.LatencyS(); !math.IsNaN(v) {
			latency = append(latency, v)
		}
		if !math.IsNaN(r.TTFTS) {
			ttft = append(ttft, r.TTFTS)
		}
	}
	s.Latency, s.TTFT = SpreadOf(latency), SpreadOf(ttft)
	return s
}
