package state

import (
	"math"
	"slices"

	"jouletop/engine/event"
)

// Requests folds finished requests: the newest ones, sums over the run, and
// percentiles over the newest.
type Requests struct {
	Recent    Ring[Request]
	byID      map[string]int // request id to its running number
	Total     int
	before    int // total when this run began
	Failed    int
	input     int
	output    int
	All       EnergySums // requests
	Generated EnergySums // those that generated text
	Scored    EnergySums // those answered by log-likelihood: tokens are those read
	Prefill   EnergySums // phases
	Decode    EnergySums
	Score     EnergySums
	Last      Request
	HasLast   bool
	priced    Request // the newest with its energy
	isPriced  bool
}

// Request is a finished request; its energy is NaN until it is known.
type Request struct {
	event.Request
	event.Energy
	NetEnergyJ     float64
	JoulesPerToken float64
	MixedClock     bool
	event.DraftedEnergy
}

// EnergySums adds up resolved energies and the tokens they were spent on.
type EnergySums struct {
	N, Unresolved int
	Joules        float64
	half          float64 // of its interval
	net           float64
	tokens        int
	seconds       float64
}

// JoulesPerToken returns J/token, NaN where nothing is known.
func (s EnergySums) JoulesPerToken() float64 {
	if s.tokens == 0 {
		return math.NaN()
	}
	return s.Joules / float64(s.tokens)
}

// HalfPerToken returns the half-width of JoulesPerToken's interval in J/token, NaN where it
// is not known. What is not known of one energy is not known of the next: the model of the
// powers is one. So half-widths add up, which is the most that they can come to.
func (s EnergySums) HalfPerToken() float64 {
	if s.tokens == 0 {
		return math.NaN()
	}
	return s.half / float64(s.tokens)
}

// JoulesPerToken is the run's J/token: of what was generated, or, where nothing was, of what
// was read to be scored. The two are not mixed: a token read costs far less.
func (r *Requests) JoulesPerToken() float64 { return r.billed().JoulesPerToken() }

// HalfPerToken is the half-width of its interval.
func (r *Requests) HalfPerToken() float64 { return r.billed().HalfPerToken() }

func (r *Requests) billed() EnergySums {
	if r.Generated.tokens > 0 {
		return r.Generated
	}
	return r.Scored
}

// LastJoulesPerToken is J/token of the newest request whose energy is known, and the
// half-width of its interval; NaN where there is none.
func (r *Requests) LastJoulesPerToken() (mean, half float64) {
	if !r.isPriced {
		return math.NaN(), math.NaN()
	}
	q := &r.priced
	return q.JoulesPerToken, q.EnergyErrJ / q.EnergyJ * q.JoulesPerToken
}

func (r *Requests) reset() {
	*r = Requests{byID: map[string]int{}}
	r.Recent.limit = keepRequests
}

func (r *Requests) done(q event.Request) {
	nan := math.NaN()
	row := Request{Request: q, Energy: event.Energy{EnergyJ: nan, EnergyErrJ: nan}, NetEnergyJ: nan, JoulesPerToken: nan, DraftedEnergy: event.NotDrafted}
	// The text is kept for the newest alone.
	if r.Recent.Len() > 0 {
		r.Recent.At(0).Output.Text = ""
	}
	if r.Recent.Len() == keepRequests {
		oldest := r.Recent.At(keepRequests - 1)
		delete(r.byID, oldest.RequestID)
	}
	r.Recent.add(row)
	r.byID[q.RequestID] = r.Total
	r.Total++
	r.input += max(q.InputTokens, 0)
	r.output += max(q.OutputTokens, 0)
	if q.Err != "" {
		r.Failed++
	}
	r.Last, r.HasLast = row, true
}

// energy joins a request with its energy.
func (r *Requests) energy(e event.RequestEnergy) {
	kind := &r.Scored
	if e.OutputTokens > 0 {
		kind = &r.Generated
	}
	for _, s := range []*EnergySums{&r.All, kind} {
		s.add(e.EnergyJ, e.EnergyErrJ, e.NetEnergyJ, billedTokens(e.Request), e.LatencyS())
	}
	if e.Drafts() && e.OutputTokens > 0 {
		r.Decode.add(e.DraftJ+e.VerifyJ, e.DraftErrJ+e.VerifyErrJ, math.NaN(), e.OutputTokens-1, e.DecodeS)
	}
	n, ok := r.byID[e.RequestID]
	if !ok {
		return // too old to be on the screen
	}
	row := r.Recent.At(r.Total - 1 - n)
	row.Energy, row.NetEnergyJ, row.MixedClock, row.Flags, row.DraftedEnergy = e.Energy, e.NetEnergyJ, e.MixedClock, e.Flags, e.DraftedEnergy
	row.JoulesPerToken = e.JoulesPerToken()
	if r.Last.RequestID == e.RequestID {
		r.Last = *row
	}
	if !math.IsNaN(row.JoulesPerToken) {
		r.priced, r.isPriced = *row, true
	}
}

func (r *Requests) phase(e event.PhaseEnergy) {
	sum := &r.Decode
	switch e.Phase {
	case event.Prefill:
		sum = &r.Prefill
	case event.Score:
		sum = &r.Score
	case event.Mixed, event.Draft, event.Verify:
		return // nothing can be said of a phase
	}
	sum.add(e.EnergyJ, e.EnergyErrJ, math.NaN(), e.Tokens, float64(e.EndNS-e.StartNS)/1e9)
}

func (s *EnergySums) add(joules, half, net float64, tokens int, seconds float64) {
	if math.IsNaN(joules) {
		s.Unresolved++
		return
	}
	s.N++
	s.Joules += joules
	s.half += half
	if !math.IsNaN(net) {
		s.net += net
	}
	s.tokens += max(tokens, 0)
	s.seconds += seconds
}

// billedTokens are the tokens that a request's energy is counted by, 0 where they are
// unknown.
func billedTokens(q event.Request) int {
	if n := q.CountedTokens(); n > 0 {
		return int(n)
	}
	return 0
}

// Spread is the median and the 95th percentile of a figure.
type Spread struct{ Median, P95 float64 }

// alike tells whether two requests are of one kind, so that a median over them
// says something: the model, the dataset and the batch size are the same.
func (q *Request) alike(o *Request) bool {
	return q.Model == o.Model && q.Dataset == o.Dataset && q.BatchSize == o.BatchSize
}

// spreadOver is how many of the newest requests a spread is over, at most.
const spreadOver = 512

// SpreadOf returns the spread of a figure over the newest requests that are like
// the newest of all.
func (r *Requests) SpreadOf(figure func(*Request) float64) Spread {
	v := make([]float64, 0, min(r.Recent.Len(), spreadOver))
	for i := range min(r.Recent.Len(), spreadOver) {
		q := r.Recent.At(i)
		if !q.alike(&r.Last) {
			continue
		}
		if x := figure(q); !math.IsNaN(x) {
			v = append(v, x)
		}
	}
	return SpreadOf(v)
}

// SpreadOf sorts v.
func SpreadOf(v []float64) Spread {
	if len(v) == 0 {
		return Spread{math.NaN(), math.NaN()}
	}
	slices.Sort(v)
	at := func(q float64) float64 { return v[min(int(math.Ceil(q*float64(len(v)))), len(v))-1] }
	return Spread{at(0.5), at(0.95)}
}
