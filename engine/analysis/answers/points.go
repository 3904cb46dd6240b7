package answers

import (
	"maps"
	"math"
	"slices"

	"jouletop/engine/account"
	"jouletop/engine/analysis/curve"
	"jouletop/engine/event"
	"jouletop/engine/session"
)

// Points returns a session's points: points.csv, or, where a session has none
// (a plain run, a recording made elsewhere), points made of its requests. Where the
// run did not end by itself, those it did not finish are flagged.
func Points(s *session.Session) ([]event.PointDone, error) {
	var points []event.PointDone
	if err := s.Points(func(p *event.PointDone) error { points = append(points, *p); return nil }); err != nil {
		return nil, err
	}
	if len(points) > 0 {
		return points, concludeHeld(s, points)
	}
	sums := NewSums()
	if err := s.Requests(func(r *event.RequestEnergy) error { sums.Add(r); return nil }); err != nil {
		return nil, err
	}
	points = sums.Points()
	// What requests do not tell, the session told as each point ended.
	ended := map[string]event.PointDone{}
	err := s.EventsOf(func(e event.Event) error {
		p := e.(event.PointDone)
		ended[p.PointID] = p
		return nil
	}, event.PointDone{})
	whole := s.Manifest.Ended == event.HowDone || s.Manifest.Name == "foreign"
	for i, p := range points {
		done, ok := ended[p.PointID]
		switch {
		case ok:
			points[i].Flags, points[i].ThrottledPct = p.Flags.Union(done.Flags), done.ThrottledPct
			points[i].Held, points[i].AchievedLimitW, points[i].AchievedMemMHz = done.Held, done.AchievedLimitW, done.AchievedMemMHz
			if curve.Finite(done.AchievedSMMHz) {
				points[i].AchievedSMMHz = done.AchievedSMMHz
			}
		case !whole:
			points[i].Flags = p.Flags.With(event.FlagUnfinished)
		}
	}
	if err != nil {
		return points, err
	}
	return points, concludeHeld(s, points)
}

// Sums adds up requests by point.
type Sums struct{ byID map[string]*pointSum }

type pointSum struct {
	p                  event.PointDone
	totals             account.Totals
	joules, netJ, errJ float64 // of those that succeeded
	mixed              bool
	busy               map[string][2]int64
}

// NewSums returns sums of nothing.
func NewSums() *Sums { return &Sums{map[string]*pointSum{}} }

// Add takes a request in.
func (s *Sums) Add(r *event.RequestEnergy) {
	id := r.PointID
	u := s.byID[id]
	if u == nil {
		u = &pointSum{busy: map[string][2]int64{}}
		u.p.Point = event.Point{PointID: id, GPU: r.GPU, Model: r.Model, Dataset: r.Dataset, BatchSize: r.BatchSize, Policy: r.Policy, RequestedSMMHz: r.RequestedSMMHz, Repeat: r.Repeat, Knobs: event.PolicyOf(r.Policy).Knobs, Drafting: r.Drafting}
		s.byID[id] = u
	}
	u.totals.Add(r)
	if r.Err != "" {
		return
	}
	if r.RequestedSMMHz != u.p.RequestedSMMHz {
		u.mixed = true
	}
	u.p.BatchSize = max(u.p.BatchSize, r.BatchSize) // the last batch may be smaller
	u.joules, u.netJ, u.errJ = u.joules+r.EnergyJ, u.netJ+r.NetEnergyJ, u.errJ+r.EnergyErrJ
	span, ok := u.busy[r.BatchID]
	if !ok {
		span = [2]int64{r.StartNS, r.EndNS}
	}
	u.busy[r.BatchID] = [2]int64{min(span[0], r.StartNS), max(span[1], r.EndNS)}
}

// Points returns the points of which a request succeeded, by id. Means are over
// those requests.
func (s *Sums) Points() []event.PointDone {
	var points []event.PointDone
	for _, id := range slices.Sorted(maps.Keys(s.byID)) {
		if u := s.byID[id]; u.totals.Succeeded() > 0 {
			points = append(points, u.point())
		}
	}
	return points
}

func (u *pointSum) point() event.PointDone {
	p := u.p
	if u.mixed {
		p.RequestedSMMHz = 0
	}
	seconds := 0.0
	for _, span := range u.busy {
		seconds += float64(span[1]-span[0]) / 1e9
	}
	n, nan := u.totals.Succeeded(), math.NaN()
	p.PointResult = event.PointResult{
		Drafted: event.NoneDrafted,
		Held:    event.UnknownHeld(), AchievedMemMHz: nan, AchievedLimitW: nan,
		AchievedSMMHz: float64(p.RequestedSMMHz), Energy: event.Energy{EnergyJ: u.joules / n, EnergyErrJ: u.errJ / n, Method: "requests"},
		NetEnergyJ: u.netJ / n, PrefillEnergyJ: nan, DecodeEnergyJ: nan, ThrottledPct: nan, TempStartC: nan, TempEndC: nan,
	}
	u.totals.Means(&p, seconds)
	if p.RequestedSMMHz == 0 {
		p.AchievedSMMHz = math.NaN()
	}
	return p
}
