package account

import (
	"cmp"
	"jouletop/engine/event"
	"jouletop/gpu/energy"
	"math"
	"slices"
)

// shares divides a batch's energy among its requests: prefill by prompt tokens,
// every step after it equally among the sequences still active, and where they
// are in different phases at once, every moment equally among those under way.
type shares struct {
	b       *batchAccount
	parts   []phaseShare
	unknown bool // of a phase's energy nothing is known
}

// phaseShare is what a phase used.
type phaseShare struct {
	event.PhaseSpan
	joules, half, seconds float64   // half: the half-width of joules
	byTime                []float64 // of a mixed phase: the requests' parts
}

func newShares(b *batchAccount) *shares { return &shares{b: b} }

func (s *shares) phase(span event.PhaseSpan, e energy.Estimate) {
	s.unknown = s.unknown || math.IsNaN(e.Likely())
	p := phaseShare{PhaseSpan: span, joules: e.Likely(), half: e.HalfWidth(), seconds: float64(span.EndNS-span.StartNS) / 1e9}
	if span.Phase == event.Mixed {
		p.byTime = timeShares(s.b.requests, span)
	}
	s.parts = append(s.parts, p)
}

// of returns request i's share of the batch, 0 to 1, and its half-width as far as
// the phases' energies are not known; shares add up to 1.
func (s *shares) of(i int) (share, half float64) {
	sum, byTime := 0.0, 0.0
	for _, p := range s.parts {
		sum += p.joules
		byTime += p.seconds
	}
	timed := s.unknown || !(sum > 0)
	if timed {
		sum = byTime
	}
	if !(sum > 0) {
		return 1 / float64(len(s.b.requests)), 0
	}
	own := make([]float64, len(s.parts))
	for k, p := range s.parts {
		switch p.Phase {
		case event.Prefill:
			own[k] = tokenShare(s.b.requests, i)
		case event.Mixed:
			own[k] = p.byTime[i]
		default:
			own[k] = stepShare(s.b.requests, i)
		}
		part := p.joules
		if timed {
			part = p.seconds
		}
		share += part / sum * own[k]
	}
	if !timed {
		for k, p := range s.parts {
			half = math.Hypot(half, p.half*(own[k]-share)/sum)
		}
	}
	return share, half
}

// timeShares are the requests' parts of a phase, each moment of which is split
// equally among those under way.
func timeShares(rs []event.Request, span event.PhaseSpan) []float64 {
	type step struct {
		at    int64
		begin int // 1, or -1 for an end
	}
	var steps []step
	inside := func(t int64) int64 { return min(max(t, span.StartNS), span.EndNS) }
	for _, r := range rs {
		if from, to := inside(r.StartNS), inside(r.EndNS); from < to {
			steps = append(steps, step{from, 1}, step{to, -1})
		}
	}
	slices.SortFunc(steps, func(a, b step) int { return cmp.Compare(a.at, b.at) })
	// What one that is under way from the beginning has had by each moment.
	had := map[int64]float64{}
	n, all, each := 0, 0.0, 0.0
	for k, s := range steps {
		if k > 0 && n > 0 {
			d := float64(s.at - steps[k-1].at)
			all, each = all+d, each+d/float64(n)
		}
		had[s.at] = each
		n += s.begin
	}
	out := make([]float64, len(rs))
	for i, r := range rs {
		if all <= 0 {
			out[i] = 1 / float64(len(rs))
		} else if from, to := inside(r.StartNS), inside(r.EndNS); from < to {
			out[i] = (had[to] - had[from]) / all
		}
	}
	return out
}

// tokenShare is request i's part of the prompt tokens.
func tokenShare(rs []event.Request, i int) float64 {
	sum := 0
	for _, r := range rs {
		if r.InputTokens < 0 { // unknown
			return 1 / float64(len(rs))
		}
		sum += r.InputTokens
	}
	if sum == 0 {
		return 1 / float64(len(rs))
	}
	return float64(rs[i].InputTokens) / float64(sum)
}

// stepShare is request i's part of the steps after prefill, each split equally
// among the sequences that are still active in it.
func stepShare(rs []event.Request, i int) float64 {
	last := 0
	for _, r := range rs {
		last = max(last, r.OutputTokens)
	}
	if last == 0 {
		return 1 / float64(len(rs)) // scored: all the way together
	}
	ends := make([]int, len(rs)) // the last step of each
	for k, r := range rs {
		ends[k] = r.OutputTokens
	}
	slices.Sort(ends)
	share, from := 0.0, 0
	for k, end := range ends {
		if end > rs[i].OutputTokens {
			break
		}
		share += float64(end-from) / float64(len(ends)-k) // those still active
		from = end
	}
	return share / float64(last)
}
