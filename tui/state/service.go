package state

import (
	"math"

	"jouletop/engine/analysis/served"
	"jouletop/engine/event"
	"jouletop/tui/history"
)

// serviceNS is the time that figures of the service now are over, ns.
const serviceNS = 60_000_000_000

// Service is how a model that serves requests as they come does now: of the requests
// that ended in the last minute of the run.
type Service struct {
	served.Sums         // Seconds is the time looked at
	Priced      int     // of those that succeeded: their energy is known
	JoulesEach  float64 // mean of the priced, J a request; NaN where there are none
	// JoulesPerToken is the energy drawn over the passes of the last seconds by the tokens
	// that they made; NaN unknown.
	JoulesPerToken float64
}

// Service sums up the requests that were served lately, by a service level; false where
// none ended in the last minute.
func (s *State) Service(slo served.SLO) (v Service, ok bool) {
	now := s.Now
	if s.Ended {
		now = s.End.TimeNS
	}
	from := max(now-serviceNS, s.Run.TimeNS)
	first := now
	var requests []event.Request
	joules := 0.0
	r := &s.Requests
	for i := range r.Recent.Len() {
		q := r.Recent.At(i)
		if q.EndNS < from-serviceNS { // they end almost in the order in which they come here
			break
		}
		if q.ArrivalNS == 0 || q.EndNS < from || q.EndNS > now {
			continue
		}
		row := q.Request
		row.PointID, row.Output = "", event.Output{}
		requests = append(requests, row)
		first = min(first, q.ArrivalNS)
		if q.Err == "" && !math.IsNaN(q.EnergyJ) {
			v.Priced++
			joules += q.EnergyJ
		}
	}
	v.JoulesPerToken = s.joulesPerTokenMade()
	if len(requests) == 0 {
		return v, false
	}
	v.Sums = served.Sum(requests, slo)[0]
	v.Seconds = float64(now-max(first, from)) / 1e9
	v.JoulesEach = joules / float64(v.Priced) // NaN of none
	return v, true
}

// joulesPerTokenMade is the energy drawn in the last ten seconds in which there were
// passes by the tokens that were made in them, J/token; NaN where power is not known.
func (s *State) joulesPerTokenMade() float64 {
	const columns, width = 10, 1_000_000_000
	newest, ok := s.Serving.Newest()
	if !ok {
		return math.NaN()
	}
	end := newest.EndNS - powerLateNS
	from, made := end-columns*width, 0
	for i := range s.Serving.Passes.Len() {
		p := s.Serving.Passes.At(i)
		if p.EndNS <= from {
			break
		}
		if p.EndNS <= end {
			made += p.Made
		}
	}
	joules := 0.0
	for _, id := range s.GPUs {
		var drawn [columns]history.Column
		s.tele[id].Track.Columns(drawn[:], from, width)
		for i := range drawn {
			joules += drawn[i].Power.Mean * width / 1e9
		}
	}
	if made == 0 {
		return math.NaN()
	}
	return joules / float64(made)
}

// powerLateNS is by how much readings of power come later than passes, at most.
const powerLateNS = 1_000_000_000
