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
	limits   map[string]float64 // power limit set on each GPU, W
	owed     []owed             // rows of requests, but for what the rest of the load would have drawn
	partly   []*batchAccount    // in pieces, not all of which are settled
	loose    []event.PhaseSpan  // phases of no batch (idle times, steady blocks) waiting for the sensors
	phases   phaseMaker
	idleW    float64 // idle power as measured last, W; NaN before
	idleErr  float64
	inPieces energy.Estimate // of all batches in pieces
	net      energy.Estimate // of them, less idle power
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
	pieces    bool              // see event.BatchStart
	parts     []energy.Estimate // of its first phases, where it is in pieces
	clocks    []float64         // likewise, their mean SM clocks
	drafted   drafted           // where tokens were drafted, once it is settled

	// Of a busy time whose passes are known: those since the last piece, and what the
	// requests under way have had.
	iterations []passed
	shares     map[string]*servedShare
	begun      bool
	blur       float64 // J, drawn while a pass may have ended, where passes are concluded
	traffic    traffic
	costs      costs   // of passes, as known last
	woke       string  // request that ended the pause before it
	idle       float64 // J, of the pause
}

// add takes a request in, after the batch's phases. One that failed may have run
// at no time: it makes the batch no longer than its phases.
func (b *batchAccount) add(r event.Request) {
	b.requests = append(b.requests, r)
	b.traffic.request(r)
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
	return &Account{meter: m, requests: requests, batches: map[string]*batchAccount{}, points: map[string]*pointAccount{}, rested: map[string]int64{}, limits: map[string]float64{}, idleW: math.NaN()}
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
		if len(a.queue)+len(a.loose)+len(a.pieces)+len(a.partly)+len(a.owed) > 0 {
			out = append(out, a.resolve(min(a.meter.coveredBefore(liveHindsight), a.requests.Confirmed()))...)
		}
		return out
	case event.Sample:
		a.clocks.add(ev)
		if p := a.points[openPoint]; p != nil {
			p.sample(ev)
		}
	case event.KnobChange:
		if ev.Knob == gpu.KnobPower {
			a.limits[ev.GPU] = math.NaN()
			if ev.Achieved > 0 {
				a.limits[ev.GPU] = float64(ev.Achieved) / 1000
			}
		}
	case event.PointStart:
		p := newPointAccount(ev)
		if a.points[ev.PointID] = p; !ev.Past {
			a.points[openPoint] = p
		}
	case event.BatchStart:
		b := &batchAccount{id: ev.BatchID, point: ev.PointID, size: len(ev.Queries), start: math.MaxInt64, pieces: ev.Pieces}
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
	if b.pieces && !slices.Contains(a.partly, b) {
		a.partly = append(a.partly, b)
	}
	b.start, b.end = min(b.start, s.StartNS), max(b.end, s.EndNS)
}

// phaseMaker turns the phases of a run, in order, into what a meter learns from.
type phaseMaker struct {
	prefill event.PhaseSpan // the latest
	made    int             // tokens since then, where they are drafted
	// most is how many tokens phases of drafting and verifying had at most, by model.
	most map[draftedKind]int
}

// draftedKind is a kind of phase where tokens are drafted.
type draftedKind struct {
	phase event.Phase
	model string
}

// short tells whether a phase of drafting or verifying has fewer tokens than others of its
// kind: at the end of an answer less is drafted, and a pass over less draws other power.
// Such phases are a kind of their own: they are few, and mixed into bins otherwise than the
// rest, so that they would have much to say about the power of phases that they are unlike.
func (m *phaseMaker) short(s event.PhaseSpan) bool {
	k := draftedKind{s.Phase, s.Model}
	if m.most == nil {
		m.most = map[draftedKind]int{}
	}
	m.most[k] = max(m.most[k], s.Tokens)
	return s.Tokens < m.most[k]
}

// next returns the next phase, with the context of the batch it belongs to.
func (m *phaseMaker) next(s event.PhaseSpan) energy.Phase {
	p := meterPhase(s)
	if s.Phase == event.Prefill {
		m.prefill, m.made = s, 0
	}
	if (s.Phase == event.Draft || s.Phase == event.Verify) && m.short(s) {
		p.Model += " short"
	}
	if s.BatchSize <= 0 || s.Tokens < 0 || m.prefill.BatchID != s.BatchID || m.prefill.Tokens <= 0 {
		return p
	}
	p.Context = float64(m.prefill.Tokens+m.made) / float64(s.BatchSize)
	if s.Phase == event.Verify || s.Phase == event.Decode {
		m.made += s.Tokens
	}
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
	a.partly = slices.DeleteFunc(a.partly, func(b *batchAccount) bool { return a.settleParts(b, t) })
	for len(a.pieces) > 0 && a.pieces[0].span.EndNS <= t {
		p := a.pieces[0]
		a.pieces = a.pieces[1:]
		out = append(out, a.settlePiece(p)...)
	}
	// Others wait for the stream meanwhile: one at a time, while there is time.
	most := 1
	if t == math.MaxInt64 {
		most = len(a.owed)
	}
	out = append(out, a.tell(most)...)
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
	for _, o := range a.owed {
		if o.row.PointID == pointID {
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
	p.limits = a.limits
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
	if b.pieces {
		a.inPieces, a.net = energy.Sum(a.inPieces, whole), energy.Sum(a.net, net)
	}
	b.drafted = a.draftedIn(b)
	shares := newShares(b)
	for i, s := range b.phases {
		e := parts[i]
		if s.Phase != event.Idle {
			shares.phase(s, e)
		}
		row := a.phaseRow(at, s, e)
		if b.pieces {
			row.SMMHzMean = b.clocks[i] // the samples are gone
		}
		out = append(out, row)
	}
	for i, r := range b.requests {
		share, shareErr := shares.of(i)
		mhz, mixed := a.requests.RequestedIn(r.StartNS, r.EndNS)
		r.RequestedSMMHz, r.Flags = mhz, r.Flags.Union(a.requests.FlagsIn(r.StartNS, r.EndNS))
		row := event.RequestEnergy{At: at, Request: r, MixedClock: mixed, Energy: eventEnergy(whole), ServedEnergy: event.NotServed, DraftedEnergy: b.drafted.of(b, i)}
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
	if b.pieces {
		a.settleParts(b, math.MaxInt64)
		return energy.Sum(b.parts...), b.parts
	}
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

// Whole is what all batches in pieces came to together, and less what an idle GPU draws:
// parts of it that are too short to be told may well be known together.
func (a *Account) Whole() (whole, net event.Energy) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return eventEnergy(a.inPieces), eventEnergy(a.net)
}

// settleParts estimates the phases that ended by t of a batch in pieces, while the
// readings are still there; it tells whether those are all so far.
func (a *Account) settleParts(b *batchAccount, t int64) bool {
	for i := len(b.parts); i < len(b.phases); i++ {
		s := b.phases[i]
		if s.EndNS > t {
			return false
		}
		b.parts = append(b.parts, a.meter.phaseEnergy(meterPhase(s)))
		b.clocks = append(b.clocks, a.clocks.mean(s.StartNS, s.EndNS))
	}
	return true
}

func eventEnergy(e energy.Estimate) event.Energy {
	out := event.Energy{EnergyJ: e.Joules, EnergyErrJ: e.ErrJ, Method: e.Method}
	if !e.Resolved {
		out.EnergyJ = math.NaN()
	}
	return out
}
