// Package served sums up requests that a model served as they came: how long they
// waited and took, as percentiles, and how many met a service level ([SLO]), which is
// the goodput (Zhong et al., DistServe, OSDI 2024).
package served

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"jouletop/engine/event"
)

// SLO is what a request is to keep to; 0 is no bound.
type SLO struct {
	TTFT time.Duration // to the first token, from the arrival on
	TPOT time.Duration // per token after the first
	E2E  time.Duration // to the last token, from the arrival on
}

// ParseSLO reads ttft=500ms,tpot=50ms,e2e=10s: some of them, in any order; "" is none.
func ParseSLO(text string) (SLO, error) {
	var s SLO
	if text == "" {
		return s, nil
	}
	of := map[string]*time.Duration{"ttft": &s.TTFT, "tpot": &s.TPOT, "e2e": &s.E2E}
	for part := range strings.SplitSeq(text, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		at := of[name]
		switch d, err := time.ParseDuration(value); {
		case at == nil:
			return SLO{}, fmt.Errorf("%q: want ttft, tpot or e2e with a time, such as ttft=500ms,tpot=50ms", part)
		case *at != 0:
			return SLO{}, fmt.Errorf("%q: %s stands there twice", text, name)
		case err != nil || d <= 0:
			return SLO{}, fmt.Errorf("%q: want a time above 0 such as 500ms", part)
		default:
			*at = d
		}
	}
	return s, nil
}

// String is what ParseSLO reads.
func (s SLO) String() string {
	var parts []string
	for _, p := range []struct {
		name string
		d    time.Duration
	}{{"ttft", s.TTFT}, {"tpot", s.TPOT}, {"e2e", s.E2E}} {
		if p.d > 0 {
			parts = append(parts, p.name+"="+p.d.String())
		}
	}
	return strings.Join(parts, ",")
}

// Met tells whether a request kept to it. One that failed did not; where there was
// but one token there is no time per token to keep to.
func (s SLO) Met(r event.Request) bool {
	within := func(seconds float64, bound time.Duration) bool { return bound == 0 || seconds <= bound.Seconds() }
	return r.Err == "" && within(r.TTFTS, s.TTFT) && (r.OutputTokens < 2 || within(r.TPOTS(), s.TPOT)) && within(r.LatencyS(), s.E2E)
}

// Percentiles that are told, in percent.
var Percentiles = []float64{50, 90, 95, 99}

// Spread is a quantity's mean and Percentiles over requests, in s; NaN where there
// are none.
type Spread struct {
	Mean        float64
	Percentiles []float64
}

// Sums is what the requests of a point came to.
type Sums struct {
	Point            string
	Requests, Failed int
	Seconds          float64 // from the first arrival to the last end
	Input, Output    int     // tokens of those that succeeded
	Met              int     // requests that kept to the SLO
	// By request that succeeded, in s.
	TTFT, TPOT, E2E, Queue, Gap Spread
}

// Goodput is how many requests a second kept to the SLO.
func (s Sums) Goodput() float64 { return float64(s.Met) / s.Seconds }

// Sum sums up requests, which may be of several points, by point in the order in
// which they come.
func Sum(requests []event.Request, slo SLO) []Sums {
	var points []string
	by := map[string][]event.Request{}
	for _, r := range requests {
		if by[r.PointID] == nil {
			points = append(points, r.PointID)
		}
		by[r.PointID] = append(by[r.PointID], r)
	}
	var out []Sums
	for _, p := range points {
		out = append(out, sumPoint(p, by[p], slo))
	}
	return out
}

func sumPoint(point string, requests []event.Request, slo SLO) Sums {
	s := Sums{Point: point, Requests: len(requests)}
	first, last := int64(math.MaxInt64), int64(math.MinInt64)
	var ttft, tpot, e2e, queue, gap []float64
	for _, r := range requests {
		first, last = min(first, r.ArrivalNS), max(last, r.EndNS)
		if slo.Met(r) {
			s.Met++
		}
		if r.Err != "" {
			s.Failed++
			continue
		}
		s.Input, s.Output = s.Input+r.InputTokens, s.Output+r.OutputTokens
		ttft, tpot, e2e, queue, gap = append(ttft, r.TTFTS), append(tpot, r.TPOTS()), append(e2e, r.LatencyS()), append(queue, r.QueueS), append(gap, r.GapMaxS)
	}
	s.Seconds = float64(last-first) / 1e9
	s.TTFT, s.TPOT, s.E2E, s.Queue, s.Gap = spread(ttft), spread(tpot), spread(e2e), spread(queue), spread(gap)
	return s
}

// spread leaves out what is unknown.
func spread(values []float64) Spread {
	values = slices.DeleteFunc(values, math.IsNaN)
	slices.Sort(values)
	s := Spread{Mean: math.NaN()}
	sum := 0.0
	for _, v := range values {
		sum += v
	}
	if len(values) > 0 {
		s.Mean = sum / float64(len(values))
	}
	for _, p := range Percentiles {
		s.Percentiles = append(s.Percentiles, percentile(values, p))
	}
	return s
}

// percentile is the value that p percent of the sorted values do not exceed, between
// two of them in proportion; NaN of none.
func percentile(sorted []float64, p float64) float64 {
	if len(sorted) == 0 {
		return math.NaN()
	}
	at := p / 100 * float64(len(sorted)-1)
	low := int(at)
	if low+1 == len(sorted) {
		return sorted[low]
	}
	return sorted[low] + (at-float64(low))*(sorted[low+1]-sorted[low])
}
