package tui

import (
	"math"
	"slices"

	"jouletop/engine/event"
)

// requests folds finished requests: the newest ones, sums over the run, and
// percentiles over the newest.
type requests struct {
	recent    ring[requestRow]
	byID      map[string]int // request id to its running number
	total     int
	before    int // total when this run began
	failed    int
	input     int
	output    int
	all       energySums // requests
	generated energySums // those that generated text
	scored    energySums // those answered by log-likelihood: tokens are those read
	prefill   energySums // phases
	decode    energySums
	score     energySums
	last      requestRow
	hasLast   bool
	priced    requestRow // the newest with its energy
	isPrice   bool
}

// requestRow is a finished request; its energy is NaN until it is known.
type requestRow struct {
	event.Request
	event.Energy
	NetEnergyJ     float64
	JoulesPerToken float64
	MixedClock     bool
}

// energySums adds up resolved energies and the tokens they were spent on.
type energySums struct {
	n, unresolved int
	joules        float64
	net           float64
	tokens        int
	seconds       float64
}

// jpt returns J/token, NaN where nothing is known.
func (s energySums) jpt() float64 {
	if s.tokens == 0 {
		return math.NaN()
	}
	return s.joules / float64(s.tokens)
}

// jpt is the run's J/token: of what was generated, or, where nothing was, of what
// was read to be scored. The two are not mixed: a token read costs far less.
func (r *requests) jpt() float64 {
	if r.generated.tokens > 0 {
		return r.generated.jpt()
	}
	return r.scored.jpt()
}

func (r *requests) reset() {
	*r = requests{byID: map[string]int{}}
	r.recent.limit = keepRequests
}

func (r *requests) done(q event.Request) {
	nan := math.NaN()
	row := requestRow{Request: q, Energy: event.Energy{EnergyJ: nan, EnergyErrJ: nan}, NetEnergyJ: nan, JoulesPerToken: nan}
	// The text is kept for the newest alone.
	if r.recent.len() > 0 {
		r.recent.at(0).Output.Text = ""
	}
	if r.recent.len() == keepRequests {
		oldest := r.recent.at(keepRequests - 1)
		delete(r.byID, oldest.RequestID)
	}
	r.recent.add(row)
	r.byID[q.RequestID] = r.total
	r.total++
	r.input += max(q.InputTokens, 0)
	r.output += max(q.OutputTokens, 0)
	if q.Err != "" {
		r.failed++
	}
	r.last, r.hasLast = row, true
}

// energy joins a request with its energy.
func (r *requests) energy(e event.RequestEnergy) {
	kind := &r.scored
	if e.OutputTokens > 0 {
		kind = &r.generated
	}
	for _, s := range []*energySums{&r.all, kind} {
		s.add(e.EnergyJ, e.NetEnergyJ, billedTokens(e.Request), e.LatencyS())
	}
	n, ok := r.byID[e.RequestID]
	if !ok {
		return // too old to be on the screen
	}
	row := r.recent.at(r.total - 1 - n)
	row.Energy, row.NetEnergyJ, row.MixedClock = e.Energy, e.NetEnergyJ, e.MixedClock
	row.JoulesPerToken = e.JoulesPerToken()
	if r.last.RequestID == e.RequestID {
		r.last = *row
	}
	if !math.IsNaN(row.JoulesPerToken) {
		r.priced, r.isPrice = *row, true
	}
}

func (r *requests) phase(e event.PhaseEnergy) {
	sum := &r.decode
	switch e.Phase {
	case event.Prefill:
		sum = &r.prefill
	case event.Score:
		sum = &r.score
	case event.Mixed:
		return // nothing can be said of a phase
	}
	sum.add(e.EnergyJ, math.NaN(), e.Tokens, float64(e.EndNS-e.StartNS)/1e9)
}

func (s *energySums) add(joules, net float64, tokens int, seconds float64) {
	if math.IsNaN(joules) {
		s.unresolved++
		return
	}
	s.n++
	s.joules += joules
	if !math.IsNaN(net) {
		s.net += net
	}
	s.tokens += max(tokens, 0)
	s.seconds += seconds
}

// billedTokens are the tokens that a request's energy is counted by, as in
// event.RequestEnergy.JoulesPerToken: those generated, or, where it was scored,
// those read.
func billedTokens(q event.Request) int {
	if q.OutputTokens > 0 {
		return q.OutputTokens
	}
	return max(q.InputTokens, 0)
}

// spread is the median and the 95th percentile of a figure.
type spread struct{ p50, p95 float64 }

// alike tells whether two requests are of one kind, so that a median over them
// says something: the model, the dataset and the batch size are the same.
func (q *requestRow) alike(o *requestRow) bool {
	return q.Model == o.Model && q.Dataset == o.Dataset && q.BatchSize == o.BatchSize
}

// spreadOf returns the spread of a figure over the requests kept that are like
// the newest.
func (r *requests) spreadOf(figure func(*requestRow) float64) spread {
	v := make([]float64, 0, r.recent.len())
	for i := range r.recent.items {
		if !r.recent.items[i].alike(&r.last) {
			continue
		}
		if x := figure(&r.recent.items[i]); !math.IsNaN(x) {
			v = append(v, x)
		}
	}
	return spreadOf(v)
}

// spreadOf sorts v.
func spreadOf(v []float64) spread {
	if len(v) == 0 {
		return spread{math.NaN(), math.NaN()}
	}
	slices.Sort(v)
	at := func(q float64) float64 { return v[min(int(math.Ceil(q*float64(len(v)))), len(v))-1] }
	return spread{at(0.5), at(0.95)}
}
