package account

import (
	"math"

	"jouletop/engine/event"
)

// Totals adds up requests: the one rule for a point's means, here and where points are
// made of a session's requests.
type Totals struct {
	Requests, Failed int
	Flags            event.Flags // of any request
	Err              string      // of the last that failed

	input, output     float64 // tokens; NaN where a request's are unknown
	drafted, accepted float64
	drafts            bool // for some request tokens were drafted
	prefillS, decodeS float64
	latencyS          float64
	quality, judged   float64 // the sum, and of how many
}

// Add takes a request in.
func (t *Totals) Add(r *event.RequestEnergy) {
	t.Requests++
	t.Flags = t.Flags.Union(r.Flags)
	if r.Err != "" {
		t.Failed++
		t.Err = r.Err
		return
	}
	t.input += event.Count(r.InputTokens)
	t.output += event.Count(r.OutputTokens)
	t.drafts = t.drafts || r.Drafts()
	t.drafted += float64(r.DraftTokens)
	t.accepted += float64(r.AcceptedTokens)
	t.prefillS += r.PrefillS // NaN where unknown, and so is the mean
	t.decodeS += r.DecodeS
	t.latencyS += r.LatencyS()
	if !math.IsNaN(r.Quality) {
		t.quality += r.Quality
		t.judged++
	}
}

// Succeeded is how many requests the means are over; NaN for none.
func (t *Totals) Succeeded() float64 {
	if n := t.Requests - t.Failed; n > 0 {
		return float64(n)
	}
	return math.NaN()
}

// Means gives d, whose EnergyJ is the mean already, what follows from the requests that
// succeeded and the s that batches ran.
func (t *Totals) Means(d *event.PointDone, busyS float64) {
	n := t.Succeeded()
	tokens := event.CountedTokens(t.input, t.output)
	d.Queries = t.Requests
	d.InputTokens, d.OutputTokens = t.input/n, t.output/n
	d.MeanDraftTokens, d.MeanAcceptedTokens = math.NaN(), math.NaN()
	if t.drafts {
		d.MeanDraftTokens, d.MeanAcceptedTokens = t.drafted/n, t.accepted/n
	}
	d.PrefillS, d.DecodeS, d.LatencyS = t.prefillS/n, t.decodeS/n, t.latencyS/n
	d.TokensPerS = tokens / busyS
	d.JoulesPerToken = d.EnergyJ * n / tokens
	d.EDPJS = d.EnergyJ * d.LatencyS
	d.MeanPowerW = d.EnergyJ * n / busyS
	d.Quality = t.quality / t.judged
	d.Flags = d.Flags.Union(t.Flags)
	if t.Failed > 0 {
		d.Flags = d.Flags.With(event.FlagFailedRequests)
	}
}
