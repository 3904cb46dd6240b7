package event

import (
	"math"
	"strconv"
)

// Drafting says how tokens are drafted for a model that decodes speculatively: a few are
// proposed by something cheaper, and the model reads them in one pass and keeps those that
// it would have said itself. The zero value is none.
type Drafting struct {
	// Draft is the name of the model that drafts, or DraftSelf or DraftNGram.
	Draft string `json:"draft,omitempty"`
	// DraftDepth is how many tokens are proposed at a time, at most; 0 decodes plainly,
	// for comparison.
	DraftDepth int `json:"draft_depth,omitempty"`
}

// What may draft beside a model of its own.
const (
	// DraftSelf: the model itself, which says nothing wrong; for trying out.
	DraftSelf = "self"
	// DraftNGram: what followed the last tokens when they came before.
	DraftNGram = "ngram"
)

// MaxDraftDepth is the most tokens that are proposed at a time.
const MaxDraftDepth = 32

// Drafts tells whether tokens are drafted.
func (d Drafting) Drafts() bool { return d.Draft != "" && d.DraftDepth > 0 }

// DraftText is "self, depth 4"; "" where nothing drafts.
func (d Drafting) DraftText() string {
	if d.Draft == "" {
		return ""
	}
	return d.Draft + ", depth " + strconv.Itoa(d.DraftDepth)
}

// Proposed is what was drafted for a request.
type Proposed struct {
	// DraftTokens were proposed, and AcceptedTokens of them kept: they are among the
	// request's output tokens. Both are 0 where nothing was drafted.
	DraftTokens    int `json:"draft_tokens,omitempty"`
	AcceptedTokens int `json:"accepted_tokens,omitempty"`
}

// Acceptance is the share of what was drafted that was kept; NaN where nothing was
// drafted.
func (p Proposed) Acceptance() float64 {
	if p.DraftTokens <= 0 {
		return math.NaN()
	}
	return float64(p.AcceptedTokens) / float64(p.DraftTokens)
}

// Drafts tells whether the request was one for which tokens are drafted.
func (r Request) Drafts() bool { return r.Drafting.Drafts() || r.DraftTokens > 0 }

// DraftedEnergy is what drafting and verifying took of a request's energy, J; NaN where
// that is not known to within 15 %, the half of the 95 % interval being a bound then.
// Lookup of n-grams takes none: it has no phase of its own.
type DraftedEnergy struct {
	DraftJ     float64 `json:"draft_energy_j"`
	DraftErrJ  float64 `json:"draft_energy_err_j"`
	VerifyJ    float64 `json:"verify_energy_j"`
	VerifyErrJ float64 `json:"verify_energy_err_j"`
}

// NotDrafted is the DraftedEnergy of a request for which nothing was drafted.
var NotDrafted = DraftedEnergy{DraftJ: math.NaN(), DraftErrJ: math.NaN(), VerifyJ: math.NaN(), VerifyErrJ: math.NaN()}

// JoulesPerAccepted is what drafting and verifying took for each token of the draft that
// was kept, J; NaN where that is not known, or none was.
func (r RequestEnergy) JoulesPerAccepted() float64 {
	return joulesPerAccepted(r.DraftedEnergy, float64(r.AcceptedTokens))
}

func joulesPerAccepted(e DraftedEnergy, accepted float64) float64 {
	if !(accepted > 0) {
		return math.NaN()
	}
	return (e.DraftJ + e.VerifyJ) / accepted
}

// Drafted is what drafting came to in a point: means per query.
type Drafted struct {
	MeanDraftTokens    float64 `json:"mean_draft_tokens"`
	MeanAcceptedTokens float64 `json:"mean_accepted_tokens"`
	DraftedEnergy
}

// NoneDrafted is the Drafted of a point in which nothing was.
var NoneDrafted = Drafted{math.NaN(), math.NaN(), NotDrafted}

// Acceptance is the share of what was drafted that was kept; NaN where nothing was
// drafted.
func (d Drafted) Acceptance() float64 {
	if !(d.MeanDraftTokens > 0) {
		return math.NaN()
	}
	return d.MeanAcceptedTokens / d.MeanDraftTokens
}

// JoulesPerAccepted is as RequestEnergy's.
func (d Drafted) JoulesPerAccepted() float64 {
	return joulesPerAccepted(d.DraftedEnergy, d.MeanAcceptedTokens)
}

// Decoding is the kind of phase that p belongs to where drafting and verifying are not
// told apart: both are decoding.
func (p Phase) Decoding() Phase {
	if p == Draft || p == Verify {
		return Decode
	}
	return p
}
