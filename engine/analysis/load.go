package analysis

import (
	"cmp"
	"maps"
	"math"
	"slices"

	"jouletop/engine/event"
	"jouletop/engine/session"
)

func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }

func sortedBySize(models map[string]bool) []string {
	names := sortedKeys(models)
	slices.SortStableFunc(names, func(a, b string) int { return cmp.Compare(sizeRank(a), sizeRank(b)) })
	return names
}

// Points returns a session's points: points.csv, or, where a session has none
// (a plain run, a recording made elsewhere), points made of its requests.
func Points(s *session.Session) ([]event.PointDone, error) {
	var points []event.PointDone
	if err := s.Points(func(p *event.PointDone) error { points = append(points, *p); return nil }); err != nil {
		return nil, err
	}
	if len(points) > 0 {
		return points, nil
	}
	type sums struct {
		p                  event.PointDone
		n, in, out         float64
		joules, netJ, errJ float64
		pre, dec, lat      float64
		quality, qualityN  float64
		mixed              bool
		busy               map[string][2]int64
	}
	byID := map[string]*sums{}
	err := s.Requests(func(r *event.RequestEnergy) error {
		if r.Err != "" {
			return nil
		}
		id := r.PointID
		if id == "" {
			id = session.PointOf(r.BatchID)
		}
		u := byID[id]
		if u == nil {
			u = &sums{busy: map[string][2]int64{}}
			u.p.Point = event.Point{PointID: id, GPU: r.GPU, Model: r.Model, Dataset: r.Dataset, BatchSize: r.BatchSize, Policy: r.Policy, RequestedSMMHz: r.RequestedSMMHz, Repeat: r.Repeat}
			byID[id] = u
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
		return nil
	})
	if err != nil {
		return nil, err
	}
	for _, id := range sortedKeys(byID) {
		u := byID[id]
		p := u.p
		p.Queries = int(u.n)
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
			NetEnergyJ: u.netJ / u.n, PrefillEnergyJ: nan, DecodeEnergyJ: nan, JoulesPerToken: u.joules / tokens,
			EDPJS: u.joules / u.n * u.lat / u.n, MeanPowerW: u.joules / seconds, Quality: u.quality / u.qualityN,
			ThrottledPct: nan, TempStartC: nan, TempEndC: nan,
		}
		if p.RequestedSMMHz == 0 {
			p.AchievedSMMHz = nan
		}
		points = append(points, p)
	}
	return points, nil
}
