package state

import (
	"math"

	"jouletop/engine/event"
)

// Sum is what two sessions are compared by.
type Sum struct {
	Requests
	Latency, TTFT Spread
}

// SumUp sums up a session's requests.
func SumUp(requests []event.RequestEnergy) Sum {
	var s Sum
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
