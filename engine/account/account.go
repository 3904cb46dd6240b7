package account

import (
	"cmp"
	"math"
	"slices"
	"sync"
	"time"

	"jouletop/engine/event"
	"jouletop/gpu"
	"jouletop/gpu/energy"
)

// Account joins what arrives apart: power readings, samples, phases, requests.
// Once the sensors have covered a batch it says what each phase and each request
// cost; once a point is complete, what the point came to.
type Account struct {
	meter    Meters
	requests Clocks

	mu       sync.Mutex
	batches  map[string]*batchAccount
	queue    []*batchAccount  // ended, waiting for the sensors, in order
	pieces   []*piece         // of busy times, likewise
	rested   map[string]int64 // when the last busy time of a point ended, ns
	divideBy event.Split
	points   map[string]*pointAccount
	clocks   clockHistory
	loose    []event.PhaseSpan // phases of no batch (idle times, steady blocks) waiting for the sensors
	phases   phaseMaker
	idleW    float64 // idle power as measured last, W; NaN before
	idleErr  float64
}

// Clocks knows which SM clock was requested when.
type Clocks interface {
	// RequestedIn returns the clock that was requested for most of the time from
	// t0 to t1 (MHz, 0 the driver's), and whether it was another in between.
	RequestedIn(t0, t1 int64) (mhz int, mixed bool)
	// FlagsIn says what was wrong with it from t0 to t1.
	FlagsIn(t0, t1 int64) event.Flags
	// Confirmed returns the time in ns up to which both are known for good.
	Confirmed() int64
	// Forget drops what was requested before t.
	Forget(t int64)
}

type batchAccount struct {
	id, point string
	size      int
	start     int64
	end       int64
	phases    []event.PhaseSpan
	requests  []event.Request

	// Of a busy time whose passes are known: those since the last piece, and what the
	// requests under way have had.
	iterations []passed
	shares     map[string]*servedShare
	begun      bool
	woke       string  // request that ended the pause before it
	idle       float64 // J, of the pause
}

// add takes a request in, after the batch's phases. One that failed may have run
// at no time: it makes the batch no longer than its phases.
func (b *batchAccount) add(r event.Request) {
	b.requests = append(b.requests, r)
	if r.Err == "" || len(b.phases) == 0 {
		b.start, b.end = min(b.start, r.StartNS), max(b.end, r.EndNS)
	}
}

// stretch is a part of a batch in which it ran without a pause.
type stretch struct {
	start, end int64
	phases     []energy.Phase
	rows       []int // the phases' places in the batch
}

// stretches are the batch without the pauses in it (idle phases: its requests
// were turned away and sent again), which belong to none of its requests.
func (b *batchAccount) stretches() []stretch {
	var pauses []event.PhaseSpan
	for _, s := range b.phases {
		if s.Phase == event.Idle {
			pauses = append(pauses, s)
		}
	}
	slices.SortFunc(pauses, func(x, y event.PhaseSpan) int { return cmp.Compare(x.StartNS, y.StartNS) })
	var out []stretch
	at := b.start
	for _, p := range append(pauses, event.PhaseSpan{StartNS: b.end, EndNS: b.end}) {
		out = append(out, stretch{start: at, end: max(p.StartNS, at)})
		at = max(p.EndNS, at)
	}
	for i, p := range b.phases {
		if p.Phase == event.Idle {
			continue
		}
		k := slices.IndexFunc(out, func(s stretch) bool { return p.EndNS <= s.end })
		out[k].phases, out[k].rows = append(out[k].phases, meterPhase(p)), append(out[k].rows, i)
	}
	return out
}

// seconds is how long the batch ran, pauses left out.
func (b *batchAccount) seconds() float64 {
	sum := 0.0
	for _, s := range b.stretches() {
		sum += float64(s.end-s.start) / 1e9
	}
	return sum
}

// New returns an account of the GPUs of m, whose clocks c knows of.
func New(m Meters, requests Clocks) *Account {
	return &Account{meter: m, requests: requests, batches: map[string]*batchAccount{}, points: map[string]*pointAccount{}, rested: map[string]int64{}, idleW: math.NaN()}
}

// Divide sets how passes are divided among the requests in them, from now on; it is
// SplitMarginal before.
func (a *Account) Divide(by event.Split) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.divideBy = by
}

func (a *Account) split() event.Split { return cmp.Or(a.divideBy, event.SplitMarginal) }

// Observe is the stream's: it takes the facts in and gives the results out.
func (a *Account) Observe(ev event.Event) []event.Event {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch ev := ev.(type) {
	case event.Power:
		a.meter.add(ev)
		out := a.meter.findings()
		if len(a.queue)+len(a.loose)+len(a.pieces) > 0 {
			out = append(out, a.resolve(min(a.meter.coveredBefore(liveHindsight), a.requests.Confirmed()))...)
		}
		return out
	case event.Sample:
		a.clocks.add(ev)
		if p := a.points[openPoint]; p != nil {
			p.sample(ev)
		}
	case event.PointStart:
		p := newPointAccount(ev)
		a.points[ev.PointID], a.points[openPoint] = p, p
	case event.BatchStart:
		b := &batchAccount{id: ev.BatchID, point: ev.PointID, size: len(ev.Queries), start: math.MaxInt64}
		if ev.Open {
			b.size = stillOpen
		}
		a.batches[ev.BatchID] = b
	case event.BatchEnd:
		if b := a.batches[ev.BatchID]; b != nil {
			if b.shares != nil {
				delete(a.batches, b.id)
				a.pieces = append(a.pieces, &piece{batch: b, span: event.PhaseSpan{StartNS: ev.TimeNS, EndNS: ev.TimeNS}, last: true})
				break
			}
			b.size = ev.Requests
			a.complete(b)
		}
	case event.Iteration:
		a.addIteration(ev)
	case event.PhaseEnd:
		a.addPhase(ev.PhaseSpan)
	case event.RequestDone:
		a.addRequest(ev.Request)
	}
	return nil
}

// liveHindsight is how much of what comes after a batch a live estimate waits for, in
// ns: the first batches of a new kind are among what their kind is learned from.
const liveHindsight = int64(500 * time.Millisecond)

// openPoint is the key of the point that samples belong to.
const openPoint = ""

func (a *Account) addPhase(s event.PhaseSpan) {
	s.ThrottledPct = a.clocks.throttled(s.StartNS, s.EndNS)
	if b := a.batches[s.BatchID]; b != nil {
		if p, ok := b.cut(s); ok {
			a.pieces = append(a.pieces, p)
			return
		}
	}
	a.meter.addPhase(a.phases.next(s))
	b := a.batches[s.BatchID]
	if b == nil {
		a.loose = append(a.loose, s)
		return
	}
	b.phases = append(b.phases, s)
	b.start, b.end = min(b.start, s.StartNS), max(b.end, s.EndNS)
}

// phaseMaker turns the phases of a run, in order, into what a meter learns from.
type phaseMaker struct{ prefill event.PhaseSpan } // the latest

// next returns the next phase, with the context of the batch it belongs to.
func (m *phaseMaker) next(s event.PhaseSpan) energy.Phase {
	p := meterPhase(s)
	if s.Phase == event.Prefill {
		m.prefill = s
	}
	if s.BatchSize <= 0 || s.Tokens < 0 || m.prefill.BatchID != s.BatchID || m.prefill.Tokens <= 0 {
		return p
	}
	p.Context = float64(m.prefill.Tokens) / float64(s.BatchSize)
	if s.Phase != event.Prefill {
		p.Context += float64(s.Tokens) / float64(s.BatchSize) / 2 // it grows
	}
	return p
}

// meterPhase is a phase by itself.
func meterPhase(s event.PhaseSpan) energy.Phase {
	const most = 50 // percent of the time
	return energy.Phase{
		Kind: string(s.Phase), Model: s.Model, Batch: s.BatchSize, SMMHz: s.RequestedSMMHz, Throttled: s.ThrottledPct > most,
		Start: s.StartNS, End: s.EndNS, Tokens: s.Tokens,
	}
}

func (a *Account) addRequest(r event.Request) {
	b := a.batches[r.BatchID]
	if b == nil {
		return
	}
	b.add(r)
	a.complete(b)
}

// stillOpen is the size of a batch whose requests come and go: it is known at its
// end.
const stillOpen = -1

// complete puts a batch in line once all its requests have ended.
func (a *Account) complete(b *batchAccount) {
	if len(b.requests) != b.size {
		return
	}
	delete(a.batches, b.id)
	if b.size > 0 { // else nothing came of it
		a.queue = append(a.queue, b)
	}
}

// resolve gives the results of every batch that ended by t.
func (a *Account) resolve(t int64) []event.Event {
	var out []event.Event
	for len(a.loose) > 0 && a.loose[0].EndNS <= t {
		out = append(out, a.settleLoose(a.loose[0]))
		a.loose = a.loose[1:]
	}
	for len(a.pieces) > 0 && a.pieces[0].span.EndNS <= t {
		p := a.pieces[0]
		a.pieces = a.pieces[1:]
		out = append(out, a.settlePiece(p)...)
	}
	for len(a.queue) > 0 && a.queue[0].end <= t {
		b := a.queue[0]
		a.queue = a.queue[1:]
		out = append(out, a.settle(b)...)
		a.clocks.forget(b.start)
		a.requests.Forget(b.start)
	}
	return out
}

// settleLoose says what a phase of no batch cost, and books idle power.
func (a *Account) settleLoose(s event.PhaseSpan) event.PhaseEnergy {
	e := a.meter.phaseEnergy(meterPhase(s))
	if seconds := float64(s.EndNS-s.StartNS) / 1e9; s.Phase == event.Idle && e.Resolved && seconds > 0 {
		a.idleW, a.idleErr = e.Joules/seconds, e.ErrJ/seconds
	}
	return event.PhaseEnergy{
		At: event.At{TimeNS: s.EndNS}, PhaseSpan: s, SMMHzMean: a.clocks.mean(s.StartNS, s.EndNS), Energy: eventEnergy(e),
		Flags: a.requests.FlagsIn(s.StartNS, s.EndNS),
	}
}

// Flush resolves what the sensors will no longer cover.
func (a *Account) Flush() []event.Event {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.resolve(math.MaxInt64)
}

// Waiting tells whether batches of the point have no result yet.
func (a *Account) Waiting(pointID string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, b := range a.queue {
		if b.point == pointID {
			return true
		}
	}
	for _, p := range a.pieces {
		if p.batch.point == pointID {
			return true
		}
	}
	return false
}

// Finish closes a point's account and returns its row.
func (a *Account) Finish(pointID string, end int64, err error) event.PointDone {
	a.mu.Lock()
	defer a.mu.Unlock()
	p := a.points[pointID]
	p.settle(a)
	delete(a.points, pointID)
	delete(a.points, openPoint)
	delete(a.rested, pointID)
	return p.result(end, err)
}

// settle says what a batch's phases and requests cost.
func (a *Account) settle(b *batchAccount) []event.Event {
	var out []event.Event
	at := event.At{TimeNS: b.end}
	whole, parts := a.energies(b)
	net := whole.Net(a.idleW, a.idleErr, b.seconds())
	shares := newShares(b)
	for i, s := range b.phases {
		e := parts[i]
		if s.Phase != event.Idle {
			shares.phase(s, e)
		}
		out = append(out, a.phaseRow(at, s, e))
	}
	for i, r := range b.requests {
		share, shareErr := shares.of(i)
		mhz, mixed := a.requests.RequestedIn(r.StartNS, r.EndNS)
		r.RequestedSMMHz, r.Flags = mhz, r.Flags.Union(a.requests.FlagsIn(r.StartNS, r.EndNS))
		row := event.RequestEnergy{At: at, Request: r, MixedClock: mixed, Energy: eventEnergy(whole), ServedEnergy: event.NotServed}
		row.Flags = row.Flags.Union(flagsOf(whole.Faults))
		row.EnergyJ *= share
		row.EnergyErrJ *= share
		if whole.Resolved {
			row.EnergyErrJ = math.Hypot(row.EnergyErrJ, shareErr*whole.Joules)
		}
		row.NetEnergyJ = share * net.Joules
		out = append(out, row)
	}
	if p := a.points[b.point]; p != nil {
		p.add(a, b, parts, out)
	}
	return out
}

// phaseRow is the row of a phase.
func (a *Account) phaseRow(at event.At, s event.PhaseSpan, e energy.Estimate) event.PhaseEnergy {
	mhz, mixed := a.requests.RequestedIn(s.StartNS, s.EndNS)
	s.RequestedSMMHz = mhz
	return event.PhaseEnergy{
		At: at, PhaseSpan: s, SMMHzMean: a.clocks.mean(s.StartNS, s.EndNS), MixedClock: mixed, Energy: eventEnergy(e),
		Flags: a.requests.FlagsIn(s.StartNS, s.EndNS),
	}
}

// energies are the batch's and each of its phases'.
func (a *Account) energies(b *batchAccount) (whole energy.Estimate, parts []energy.Estimate) {
	parts = make([]energy.Estimate, len(b.phases))
	for i, s := range b.phases {
		if s.Phase == event.Idle {
			parts[i] = a.meter.phaseEnergy(meterPhase(s))
		}
	}
	var wholes []energy.Estimate
	for _, s := range b.stretches() {
		w, of := a.meter.request(s.start, s.end, s.phases)
		for k, i := range s.rows {
			parts[i] = of[k]
		}
		wholes = append(wholes, w)
	}
	return energy.Sum(wholes...), parts
}

func eventEnergy(e energy.Estimate) event.Energy {
	out := event.Energy{EnergyJ: e.Joules, EnergyErrJ: e.ErrJ, Method: e.Method}
	if !e.Resolved {
		out.EnergyJ = math.NaN()
	}
	return out
}

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

// clockHistory keeps the recent samples of the SM clock, for phase means.
type clockHistory struct {
	t       []int64
	mhz     []float64
	limited []bool
}

func (h *clockHistory) add(s event.Sample) {
	if s.SMMHz < 0 {
		return
	}
	const most = 1 << 16 // eleven minutes at 10 ms, should a batch last so long
	if len(h.t) >= most {
		h.drop(most / 2)
	}
	h.t, h.mhz, h.limited = append(h.t, s.TimeNS), append(h.mhz, float64(s.SMMHz)), append(h.limited, limited(s.Sample))
}

func (h *clockHistory) drop(n int) {
	h.t = append(h.t[:0], h.t[n:]...)
	h.mhz = append(h.mhz[:0], h.mhz[n:]...)
	h.limited = append(h.limited[:0], h.limited[n:]...)
}

// forget drops the samples before t, but for the last.
func (h *clockHistory) forget(t int64) {
	n := 0
	for n+1 < len(h.t) && h.t[n+1] < t {
		n++
	}
	if n > 1024 { // not for every batch
		h.drop(n)
	}
}

// mean returns the mean SM clock from t0 to t1 in MHz: of the samples within,
// else the last one before; NaN where there is none.
func (h *clockHistory) mean(t0, t1 int64) float64 {
	return h.over(t0, t1, func(i int) float64 { return h.mhz[i] })
}

// throttled returns for how much of t0 to t1 the clock was held down, in percent,
// found as mean is.
func (h *clockHistory) throttled(t0, t1 int64) float64 {
	return h.over(t0, t1, func(i int) float64 {
		if h.limited[i] {
			return 100
		}
		return 0
	})
}

func (h *clockHistory) over(t0, t1 int64, value func(i int) float64) float64 {
	sum, n, before := 0.0, 0, math.NaN()
	for i := len(h.t) - 1; i >= 0; i-- {
		if h.t[i] > t1 {
			continue
		}
		if h.t[i] < t0 {
			before = value(i)
			break
		}
		sum += value(i)
		n++
	}
	if n == 0 {
		return before
	}
	return sum / float64(n)
}

// limited tells whether a power or thermal limit held the clock down.
func limited(s gpu.Sample) bool { return s.Throttle.Limits() }
