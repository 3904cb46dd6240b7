package event

import "math"

// Request is one request that has ended.
type Request struct {
	RequestID      string `json:"request_id"`
	BatchID        string `json:"batch_id"`
	PointID        string `json:"point_id"`
	Repeat         int    `json:"repeat"`
	GPU            string `json:"gpu"`
	Model          string `json:"model"`
	Dataset        string `json:"dataset"`
	QueryID        string `json:"query_id"`
	Class          string `json:"class,omitempty"`  // easy or hard by the rule, where known
	BatchSize      int    `json:"batch_size"`       // of its own batch
	PointBatchSize int    `json:"point_batch_size"` // of the point's full batches; the last may be smaller
	Routed         bool   `json:"routed,omitempty"` // as its point is
	Policy         string `json:"policy"`
	RequestedSMMHz int    `json:"requested_sm_mhz"`
	Drafting
	Proposed
	StartNS      int64   `json:"start_ns"`
	EndNS        int64   `json:"end_ns"` // its own last token
	InputTokens  int     `json:"input_tokens"`
	OutputTokens int     `json:"output_tokens"` // generated; 0 where scored
	PrefillS     float64 `json:"prefill_s"`
	DecodeS      float64 `json:"decode_s"` // after prefill: decode, or score
	TTFTS        float64 `json:"ttft_s"`   // time to the first text, as its reader saw it; NaN where scored
	// CachedTokens are the input tokens that were not computed, for they lay in a
	// server's cache; -1 unknown.
	CachedTokens int `json:"cached_tokens"`
	// ArrivalNS is when a request that was served was meant to come, and where its
	// latency and its TTFT count from; 0 for one of a batch that began together.
	ArrivalNS int64   `json:"arrival_ns,omitempty"`
	QueueS    float64 `json:"queue_s"`   // from its arrival to its start; NaN in a batch
	GapMaxS   float64 `json:"gap_max_s"` // longest time between two of its tokens; NaN unknown
	// What a server said that prefill and decode took, by its own clock, also where
	// that is not believed; NaN where it said nothing.
	ServerPrefillS float64 `json:"server_prefill_s"`
	ServerDecodeS  float64 `json:"server_decode_s"`
	Quality        float64 `json:"quality"` // 0 to 1; NaN unknown
	QualityMetric  string  `json:"quality_metric,omitempty"`
	Output         Output  `json:"output"`
	Flags          Flags   `json:"flags,omitempty"`
	Err            string  `json:"error,omitempty"`
}

// LatencyS returns the request's end-to-end latency in s, from its arrival on where it
// has one.
func (r Request) LatencyS() float64 {
	from := r.StartNS
	if r.ArrivalNS > 0 {
		from = r.ArrivalNS
	}
	return float64(r.EndNS-from) / 1e9
}

// TPOTS returns the time per output token after the first in s; NaN where there
// was but one, or when the prefill ended is unknown.
func (r Request) TPOTS() float64 {
	if r.OutputTokens < 2 {
		return math.NaN()
	}
	return r.DecodeS / float64(r.OutputTokens-1)
}

// Output is what a model answered: a line of outputs.jsonl.
type Output struct {
	Text           string    `json:"text,omitempty"`
	Reasoning      string    `json:"reasoning,omitempty"` // thought aloud before the text; no part of the answer
	Choice         int       `json:"choice"`              // option chosen; -1 for generated text
	LogLikelihoods []float64 `json:"log_likelihoods,omitempty"`
}

// Count is a number of tokens, NaN where it is unknown (negative).
func Count(tokens int) float64 {
	if tokens < 0 {
		return math.NaN()
	}
	return float64(tokens)
}

// CountedTokens are the tokens that joules per token and tokens per second count: the
// generated ones, or, where options were scored and none was generated, those read; NaN
// where they are unknown or none.
func CountedTokens(input, output float64) float64 {
	tokens := output
	if tokens == 0 {
		tokens = input
	}
	if !(tokens > 0) {
		return math.NaN()
	}
	return tokens
}

// JoulesPerTotal returns an energy over all tokens, those read and those generated; NaN
// where either is unknown, or there were none.
func JoulesPerTotal(joules, input, output float64) float64 {
	if !(input+output > 0) {
		return math.NaN()
	}
	return joules / (input + output)
}

// JoulesPerTotal returns the point's energy over all tokens, read and generated.
func (p PointResult) JoulesPerTotal() float64 {
	return JoulesPerTotal(p.EnergyJ, p.InputTokens, p.OutputTokens)
}

// JoulesPerTotal returns the request's energy over all its tokens, read and generated.
func (r RequestEnergy) JoulesPerTotal() float64 {
	return JoulesPerTotal(r.EnergyJ, Count(r.InputTokens), Count(r.OutputTokens))
}

// CountedTokens are the request's.
func (r Request) CountedTokens() float64 {
	return CountedTokens(Count(r.InputTokens), Count(r.OutputTokens))
}

// JoulesPerToken returns the request's energy over its counted tokens; NaN where
// the energy is unresolved or the tokens are unknown.
func (r RequestEnergy) JoulesPerToken() float64 { return r.EnergyJ / r.CountedTokens() }
