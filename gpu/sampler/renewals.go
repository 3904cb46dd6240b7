package sampler

import (
	"jouletop/gpu"
	"slices"
)

// Renewals finds how often power sources gave new values from the readings of a
// recording, for which there was no time to [Discover] more.
type Renewals struct {
	of map[string]*renewals
}

// renewals are one source's: the time of the last new value, and the intervals
// between the first ones, ns.
type renewals struct {
	last      int64
	intervals []int64
}

// Intervals between new values from which a period is told, at least and at most.
const (
	minRenewals = 20
	maxRenewals = 256
)

// Add takes a reading in. The counter's tell nothing, since it is read more
// seldom than it ticks.
func (r *Renewals) Add(p gpu.PowerReading) {
	if !p.Fresh || p.Source == gpu.SourceCounter {
		return
	}
	if r.of == nil {
		r.of = map[string]*renewals{}
	}
	s := r.of[p.Source]
	if s == nil {
		s = &renewals{last: p.TimeNS}
		r.of[p.Source] = s
		return
	}
	if p.TimeNS > s.last && len(s.intervals) < maxRenewals {
		s.intervals = append(s.intervals, p.TimeNS-s.last)
	}
	s.last = p.TimeNS
}

// Describe returns the sources with their SeenPeriodMS, where enough values were
// seen: the median interval, as exact as the polling of the source.
func (r *Renewals) Describe(sources []gpu.PowerSource) []gpu.PowerSource {
	sources = slices.Clone(sources)
	for i, src := range sources {
		s := r.of[src.Name]
		if s == nil || len(s.intervals) < minRenewals {
			continue
		}
		sorted := slices.Sorted(slices.Values(s.intervals))
		sources[i].SeenPeriodMS = round3(float64(sorted[len(sorted)/2]) / 1e6)
	}
	return sources
}
