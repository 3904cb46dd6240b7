package event

import (
	"fmt"
	"math"
)

// IterationSpan is an iteration without its members.
type IterationSpan struct {
	IterationID string `json:"iteration_id"`
	BatchID     string `json:"batch_id"` // of the busy time that it is in
	GPU         string `json:"gpu"`
	Model       string `json:"model"` // as in a PhaseSpan
	StartNS     int64  `json:"start_ns"`
	EndNS       int64  `json:"end_ns"`
	// Tokens of prompts that were read, of so many requests; so many others went
	// on by a token.
	PrefillTokens   int `json:"prefill_tokens"`
	PrefillRequests int `json:"prefill_requests"`
	DecodeRequests  int `json:"decode_requests"`
	KVTokens        int `json:"kv_tokens"` // read from the KV cache
	Queued          int `json:"queued"`    // requests that had no slot meanwhile
	RequestedSMMHz  int `json:"requested_sm_mhz"`
	// Evaluations is how often the model was evaluated in it, its weights read each time.
	// Alone is how many of several were for one token alone (other kernels, which take less
	// time and draw more), as far as is known.
	Evaluations int `json:"evaluations"`
	Alone       int `json:"evaluations_alone,omitempty"`
	// Origin says how it is known.
	Origin Origin `json:"origin,omitempty"`
	// Doubts are flags of the pass itself: what is in it is not known as it seems.
	Doubts Flags `json:"doubts,omitempty"`
}

// Origin says how a pass is known.
type Origin string

// The origins.
const (
	// OriginRun: it was run by this program, which knows what was in it.
	OriginRun Origin = ""
	// OriginStream: it was put together from when a server's tokens came, and from what
	// its streams say.
	OriginStream Origin = "stream"
	// OriginServer: the same, and the server told of the pass itself.
	OriginServer Origin = "server"
)

// ServedEnergy is what the energy of a request among others is made of, and what other
// ways of dividing come to; NaN for a request of a batch that ran together.
type ServedEnergy struct {
	Split Split `json:"energy_split,omitempty"` // by which EnergyJ was divided
	// MarginalJ is the total with the request less the total without it, of all that was
	// served: what its own tokens and sequence added to the passes that it was in, by what
	// such loads were learned to cost, beyond what an idle GPU draws in the time they took;
	// and what it made of the others' passes, by replaying who came without it: they share
	// more passes as they wait for its prompt, or take longer as it has a slot. It may be
	// below zero. MarginalErrJ is the half-width of its 95 % interval.
	MarginalJ    float64 `json:"marginal_energy_j"`
	MarginalErrJ float64 `json:"marginal_energy_err_j"`
	// IdleJ is what the pause drew that the request ended by coming; in no energy_j.
	IdleJ float64 `json:"idle_energy_j"`
	// TokenJ is the request's share where each pass is divided by the tokens that were
	// evaluated, CappedJ where those of one request in one pass count as CappedTokens at
	// most.
	TokenJ  float64 `json:"token_share_j"`
	CappedJ float64 `json:"capped_token_share_j"`
}

// NotServed is the ServedEnergy of a request that did not run among others.
var NotServed = ServedEnergy{MarginalJ: math.NaN(), MarginalErrJ: math.NaN(), IdleJ: math.NaN(), TokenJ: math.NaN(), CappedJ: math.NaN()}

// CappedTokens is how many tokens of a request count in one pass, at most, for its capped
// share of tokens.
const CappedTokens = 32

// Split says how the energy of a pass is divided among the requests in it.
type Split string

// The splits.
const (
	// SplitMarginal: to each what its own tokens and sequence added (where the others would
	// have been in a pass of another kind without it, what sets the two apart), and of what
	// they share (weights, base power) the same to each.
	SplitMarginal Split = "marginal"
	// SplitTokens: by the tokens that were evaluated.
	SplitTokens Split = "tokens"
	// SplitEqual: the same to each.
	SplitEqual Split = "equal"
)

// ParseSplit reads what --energy-split takes.
func ParseSplit(s string) (Split, error) {
	switch k := Split(s); k {
	case SplitMarginal, SplitTokens, SplitEqual:
		return k, nil
	}
	return "", fmt.Errorf("%q: want %s, %s or %s", s, SplitMarginal, SplitTokens, SplitEqual)
}

// IterationMember is a request's part of an iteration.
type IterationMember struct {
	RequestID string `json:"request_id"`
	Slot      int    `json:"slot"`
	Known     int    `json:"known"`   // tokens of it in the KV cache before
	Fresh     int    `json:"fresh"`   // tokens that were evaluated
	Prefill   bool   `json:"prefill"` // they are of its prompt
	// Evaluations is how many evaluations of the pass there would not have been without
	// it, as far as is known, and EvaluationsErr by how much that may be off as a standard
	// deviation.
	Evaluations    float64 `json:"evaluations,omitempty"`
	EvaluationsErr float64 `json:"evaluations_err,omitempty"`
}
