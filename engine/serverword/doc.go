// Package serverword reads what LLM servers say of themselves, beside the streams of the
// requests they answer: llama-server (/metrics, /slots), vLLM (/metrics, and the lines of
// --enable-logging-iteration-details in its log), SGLang (/metrics) and Dynamo
// (forward-pass metrics, as lines of JSON).
//
// Nothing of it is believed unchecked: what is read is bounded, numbers that cannot be
// are unknown and counted, counters that go back are a restart, records that are missing
// are counted. A [Watch] looks at a server while it is measured.
package serverword

import "errors"

// Kind is what sort of server told.
type Kind string

// The kinds.
const (
	Unknown     Kind = ""
	LlamaServer Kind = "llama-server"
	VLLM        Kind = "vllm"
	SGLang      Kind = "sglang"
	Dynamo      Kind = "dynamo"
)

// ErrMalformed is wrapped by errors of texts that are not what they should be.
var ErrMalformed = errors.New("malformed server telemetry")

// Reading is one look at a server's gauges and counters; NaN is unknown.
type Reading struct {
	Kind Kind
	// Gauges: requests that run and that wait.
	Running, Waiting float64
	// Counters: tokens of prompts read, tokens generated, passes of the model.
	Read, Made, Passes float64
	// Impossible is how many values cannot be (negative, infinite, no number), and are
	// unknown.
	Impossible int
}

// Pass is what a server says of one pass of its model.
type Pass struct {
	// Requests whose prompts are read, with so many tokens, and others that go on by so
	// many tokens.
	Prefills, PrefillTokens, Decodes, DecodeTokens int
	KVTokens                                       int     // of those that decode; -1 unknown
	Queued                                         int     // -1 unknown
	Seconds                                        float64 // it took; NaN unknown
	// Number counts the passes of one worker; -1 unknown. A number that is left out is a
	// lost record.
	Number int64
	Worker string
	// WallNS is when it was noted, by the server's wall clock, in ns; 0 unknown. ReadNS is
	// when it was read here, by the time base.
	WallNS, ReadNS int64
}

// Bounds on what is believed of one pass.
const (
	maxRequests = 1 << 16
	maxTokens   = 1 << 24
	maxSeconds  = 3600
)

func (p *Pass) possible() bool {
	in := func(n, most int) bool { return n >= 0 && n <= most }
	return in(p.Prefills, maxRequests) && in(p.Decodes, maxRequests) && in(p.PrefillTokens, maxTokens) && in(p.DecodeTokens, maxTokens) &&
		p.PrefillTokens >= p.Prefills && p.DecodeTokens >= p.Decodes && (p.Prefills > 0 || p.PrefillTokens == 0) && (p.Decodes > 0 || p.DecodeTokens == 0) &&
		p.KVTokens >= -1 && p.Queued >= -1 && p.Queued <= maxRequests && !(p.Seconds < 0 || p.Seconds > maxSeconds)
}
