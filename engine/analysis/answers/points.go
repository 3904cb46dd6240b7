package answers

import (
	"maps"
	"math"
	"slices"

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
		return points, nil
	}
	sums := NewSums()
	if err := s.Requests(func(r *event.RequestEnergy) error { sums.Add(r); return nil }); err != nil {
		return nil, err
	}
	points = sums.Points()
	if s.Manifest.Ended == event.HowDone || s.Manifest.Name == "foreign" {
		return points, nil
	}
	finished := map[string]bool{}
	err := s.Events(func(e event.Event) error {
		if p, ok := e.(event.PointDone); ok {
			finished[p.PointID] = true
		}
		return nil
	})
	for i, p := range points {
		if !finished[p.PointID] {
			points[i].Flags = p.Flags.With(event.FlagUnfinished)
		}
	}
	return points, err
}

// Sums adds up requests by point.
type Sums struct{ byID map[string]*pointSum }

type pointSum struct {
	p                  event.PointDone
	n, in, out         float64
	joules, netJ, errJ float64
	pre, dec, lat      float64
	quality, qualityN  float64
	failed             int
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
		u.p.Point = event.Point{PointID: id, GPU: r.GPU, Model: r.Model, Dataset: r.Dataset, BatchSize: r.BatchSize, Policy: r.Policy, RequestedSMMHz: r.RequestedSMMHz, Repeat: r.Repeat}
		s.byID[id] = u
	}
	u.p.Flags = u.p.Flags.Union(r.Flags)
	if r.Err != "" {
		u.failed++
		return
	}
	if r.RequestedSMMHz != u.p.RequestedSMMHz {
		u.mixed = true
	}
	u.p.BatchSize = max(u.p.BatchSize, r.BatchSize) // the last batch may be smaller
	u.n++
	u.in, u.out = u.in+float64(r.InputTokens), u.out+float64(r.OutputTokens)
	u.joules, u.netJ, u.errJ = u.joules+r.EnergyJ, u.netJ+r.NetEnergyJ, u.errJ+r.EnergyErrJ
	u.pre, u.dec, u.lat = u.pre+r.PrefillS, u.dec+r.DecodeS, u.lat+r.LatencyS()
	if !math.IsNaN(r.Quality) {
		u.quality, u.qualityN = u.quality+r.Quality, u.qualityN+1
	}
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
		if u := s.byID[id]; u.n > 0 {
			points = append(points, u.point())
		}
	}
	return points
}

func (u *pointSum) point() event.PointDone {
	p := u.p
	p.Queries = int(u.n) + u.failed
	if u.failed > 0 {
		p.Flags = p.Flags.With(event.FlagFailedRequests)
	}
	if u.mixed {
		p.RequestedSMMHz = 0
	}
	seconds := 0.0
	for _, span := range u.busy {
		seconds += float64(span[1]-span[0]) / 1e9
	}
	tokens := u.out
	if tokens == 0 {
		tokens = u.in
	}
	p.PointResult = event.PointResult{
		AchievedSMMHz: float64(p.RequestedSMMHz), InputTokens: u.in / u.n, OutputTokens: u.out / u.n,
		PrefillS: u.pre / u.n, DecodeS: u.dec / u.n, LatencyS: u.lat / u.n, TokensPerS: tokens / seconds,
		Energy:     event.Energy{EnergyJ: u.joules / u.n, EnergyErrJ: u.errJ / u.n, Method: "requests"},
		NetEnergyJ: u.netJ / u.n, PrefillEnergyJ: math.NaN(), DecodeEnergyJ: math.NaN(), JoulesPerToken: u.joules / tokens,
		EDPJS: u.joules / u.n * u.lat / u.n, MeanPowerW: u.joules / seconds, Quality: u.quality / u.qualityN,
		ThrottledPct: math.NaN(), TempStartC: math.NaN(), TempEndC: math.NaN(), Flags: p.Flags,
	}
	if p.RequestedSMMHz == 0 {
		p.AchievedSMMHz = math.NaN()
	}
	return p
}
