package tui

import (
	"math"
	"strings"

	"jouletop/engine/event"
	"jouletop/gpu"
	"jouletop/tui/history"
)

// Bounds of what is kept in memory, however long the session.
const (
	keepRequests = 512
	keepLog      = 1000
	keepPoints   = 20_000
	keepText     = 8 << 10 // bytes of generated text of one request
	keepStreams  = 32      // requests of a batch whose text is kept
)

// state is all that is drawn from the stream. Only apply changes it.
type state struct {
	run     event.RunStart
	started bool
	ended   bool
	end     event.RunEnd
	status  string // event.State's
	begun   bool   // startNS is known
	startNS int64
	now     int64 // newest event's time

	gpus     []string // in order of appearance
	tele     map[string]*telemetry
	work     work
	reqs     requests
	sweep    sweep
	comp     comparisons
	perClock perClock
	log      ring[logEntry]
	logs     uint64 // entries ever

	warnings, errors, marks int
	lastWarning             string
	warnedNS                int64
	present                 int64 // the run's clock as told last, where it is real
	ver                     versions
}

// versions count changes by concern, so that panels know what to draw again.
type versions struct {
	run, work, text, reqs, points, log, clock uint64
}

// telemetry is the newest readings of one GPU and their history.
type telemetry struct {
	track     history.Track
	sample    gpu.Sample
	sampleNS  int64
	requested int // -1 unknown
	powerW    float64
	powerNS   int64
	source    string // the power source in use
	rank      int
	rankNS    int64
	peakW     float64
	change    event.ClockChange // the newest
	changed   bool
	// policyChanges counts the changes that a policy made.
	policyChanges int
}

// work is what is running now.
type work struct {
	model    string
	loading  float64 // 0 to 1; NaN when no model is loading
	point    event.Point
	inPoint  bool
	pointAt  int64
	doneHere int // requests of the point
	batch    event.BatchStart
	phase    event.PhaseStart
	inPhase  bool
	phaseAt  int64
	streams  []string
	tokens   int // generated in the running phase
	// newest rates, tokens/s
	prefillRate, decodeRate float64
	rate                    tokenRate
}

// letter is the phase letter for the status line, '-' for idle.
func (w *work) letter() byte {
	if l := phaseLetter(w.phase.Phase); w.inPhase && l != ' ' {
		return l
	}
	return '-'
}

func phaseLetter(p event.Phase) byte { return history.Letters[phaseIndex(p)] }

func phaseIndex(p event.Phase) int {
	switch p {
	case event.Prefill:
		return history.Prefill
	case event.Decode:
		return history.Decode
	case event.Score:
		return history.Score
	case event.Mixed:
		return history.Mixed
	}
	return history.Idle
}

type logEntry struct {
	t    int64
	kind byte // m mark, w warning, e error, c clock, p policy, s state
	text string
}

// restartNS is how far back in time a run must begin for the stream to have
// begun again; less is telemetry that came before it.
const restartNS = 1_000_000_000

func newState() *state {
	s := &state{tele: map[string]*telemetry{}}
	s.reset()
	return s
}

// reset forgets the session; the versions go on, so that everything is drawn
// again.
func (s *state) reset() {
	v := s.ver
	*s = state{tele: map[string]*telemetry{}, ver: v}
	s.log.limit = keepLog
	s.reqs.reset()
	s.sweep.reset()
	s.comp.reset()
	s.work.loading = math.NaN()
	s.work.prefillRate, s.work.decodeRate = math.NaN(), math.NaN()
	s.ver.run++
	s.ver.work++
	s.ver.text++
	s.ver.reqs++
	s.ver.points++
	s.ver.log++
	s.ver.clock++
}

// gpu returns the telemetry of the named GPU, made at need.
func (s *state) gpu(id string) *telemetry {
	t := s.tele[id]
	if t == nil {
		t = &telemetry{sample: gpu.UnknownSample(), requested: -1, powerW: math.NaN(), peakW: math.NaN()}
		s.tele[id] = t
		if id != "" { // before any GPU is known
			s.gpus = append(s.gpus, id)
		}
		s.ver.run++
	}
	return t
}

// apply folds one event in.
func (s *state) apply(e event.Event) {
	switch e := e.(type) {
	case event.Sample:
		s.sampled(e)
	case event.Power:
		s.powered(e)
	case event.RunStart:
		if s.started && (e.TimeNS == s.run.TimeNS || e.TimeNS < s.now-restartNS) {
			s.reset() // a replay begins again
		}
		s.run, s.started, s.ended = e, true, false
		s.reqs.before, s.sweep.base = s.reqs.total, s.sweep.count
		s.begin(e.TimeNS)
		s.ver.run++
	case event.RunEnd:
		s.ended, s.end = true, e
		s.work.inPoint, s.work.inPhase, s.work.loading = false, false, math.NaN()
		s.sweep.running = false // a point cut short has no result
		if s.status == "stopping" {
			s.status = "idle"
		}
		s.closePhases(e.TimeNS)
		s.note(e.TimeNS, 's', "run ended: "+e.How+errSuffix(e.Err))
		s.ver.run++
		s.ver.work++
	case event.State:
		if s.ended && e.State == "stopping" {
			break // it has stopped already
		}
		s.status = e.State
		s.ver.run++
	case event.ModelLoading:
		s.work.model, s.work.loading = e.Model, e.Progress
		if e.Progress >= 1 {
			s.work.loading = math.NaN()
		}
		s.ver.work++
	case event.PointStart:
		s.work.point, s.work.inPoint, s.work.pointAt, s.work.doneHere = e.Point, true, e.TimeNS, 0
		s.work.model, s.work.loading = e.Model, math.NaN()
		s.sweep.start(e)
		s.perClock.begin(e.Model, e.BatchSize)
		s.ver.work++
		s.ver.points++
	case event.PointDone:
		s.work.inPoint = false
		s.sweep.finish(e)
		s.ver.work++
		s.ver.points++
	case event.BatchStart:
		s.work.batch = e
		s.work.streams = s.work.streams[:0]
		s.ver.text++
		s.ver.work++
	case event.PhaseStart:
		s.phaseStart(e)
	case event.PhaseEnd:
		s.phaseEnd(e)
	case event.Token:
		s.token(e)
	case event.RequestDone:
		s.work.doneHere++
		s.reqs.done(e.Request)
		s.ver.reqs++
	case event.RequestEnergy:
		s.reqs.energy(e)
		s.comp.add(e)
		if !e.MixedClock && e.Err == "" {
			s.perClock.add("", e.RequestedSMMHz, e.EnergyJ, billedTokens(e.Request))
		}
		s.ver.reqs++
		s.ver.points++
	case event.PhaseEnergy:
		s.reqs.phase(e)
		if !e.MixedClock {
			s.perClock.add(e.Phase, e.RequestedSMMHz, e.EnergyJ, e.Tokens)
		}
		s.ver.reqs++
	case event.ClockChange:
		s.clockChange(e)
	case event.PolicyNote:
		s.note(e.TimeNS, 'p', e.Text)
	case event.Mark:
		s.marks++
		s.note(e.TimeNS, 'm', e.Note)
	case event.Warning:
		s.warnings++
		s.lastWarning, s.warnedNS = e.Text, e.TimeNS
		s.note(e.TimeNS, 'w', e.Text)
	case event.Error:
		s.errors++
		s.note(e.TimeNS, 'e', e.Text)
	}
	t := e.When()
	s.begin(t)
	s.now = max(s.now, t)
}

// begin notes when the session began: at its first event.
func (s *state) begin(t int64) {
	if !s.begun {
		s.begun, s.startNS = true, t
	}
}

func errSuffix(err string) string {
	if err == "" {
		return ""
	}
	return ": " + err
}

func (s *state) sampled(e event.Sample) {
	t := s.gpu(e.GPU)
	t.track.AddClock(e.TimeNS, e.SMMHz, e.RequestedSMMHz)
	if e.TimeNS >= t.sampleNS {
		t.sample, t.sampleNS, t.requested = e.Sample, e.TimeNS, e.RequestedSMMHz
	}
}

// sourceRank orders power sources by how finely they tell power over time.
func sourceRank(source string) int {
	switch source {
	case gpu.SourceBuffer:
		return 3
	case gpu.SourceInstant:
		return 2
	case gpu.SourceAverage:
		return 1
	}
	return 0
}

// sourceStale is how long the finest power source may be silent before a
// coarser one takes its place, ns.
const sourceStale = 3_000_000_000

func (s *state) powered(e event.Power) {
	rank := sourceRank(e.Source)
	if rank == 0 || !gpu.Plausible(e.PowerW) {
		return
	}
	t := s.gpu(e.GPU)
	if rank < t.rank && e.TimeNS < t.rankNS+sourceStale {
		return
	}
	if rank != t.rank {
		t.rank, t.source = rank, e.Source
		s.ver.run++
	}
	t.rankNS = max(t.rankNS, e.TimeNS)
	if !e.Fresh && rank == 1 {
		return // a repetition of an average says nothing new
	}
	t.track.AddPower(e.TimeNS, e.PowerW)
	if e.TimeNS >= t.powerNS {
		t.powerW, t.powerNS = e.PowerW, e.TimeNS
	}
	if math.IsNaN(t.peakW) || e.PowerW > t.peakW {
		t.peakW = e.PowerW
	}
}

// live is how old, in ns, a reading may be to count as one of now.
const live = 3_000_000_000

// age makes unknown what was read too long ago.
func (s *state) age() {
	now := max(s.now, s.present)
	for _, t := range s.tele {
		if t.sampleNS > 0 && now-t.sampleNS > live {
			t.sample, t.sampleNS = gpu.UnknownSample(), 0
			s.ver.run++
		}
		if t.powerNS > 0 && now-t.powerNS > live {
			t.powerW, t.powerNS = math.NaN(), 0
			s.ver.run++
		}
	}
}

// warning is what to tell of the newest warning; empty where it is old.
func (s *state) warning() string {
	const stands = 300_000_000_000
	if s.lastWarning == "" || s.ended && s.warnedNS < s.run.TimeNS || max(s.now, s.present)-s.warnedNS > stands {
		return ""
	}
	return s.lastWarning
}

func (s *state) phaseStart(e event.PhaseStart) {
	w := &s.work
	w.phase, w.inPhase, w.phaseAt, w.tokens = e, true, e.TimeNS, 0
	for _, id := range gpu.MemberIDs(e.GPU) {
		s.gpu(id).track.Begin(phaseIndex(e.Phase), e.TimeNS)
	}
	s.ver.work++
}

func (s *state) phaseEnd(e event.PhaseEnd) {
	w := &s.work
	if w.inPhase && w.phase.BatchID == e.BatchID && w.phase.Phase == e.Phase {
		w.inPhase = false
	}
	for _, id := range gpu.MemberIDs(e.GPU) {
		s.gpu(id).track.End(phaseIndex(e.Phase), e.StartNS, e.EndNS)
	}
	if sec := float64(e.EndNS-e.StartNS) / 1e9; sec > 0 && e.Tokens > 0 {
		switch e.Phase {
		case event.Prefill, event.Score:
			w.prefillRate = float64(e.Tokens) / sec
		case event.Decode:
			w.decodeRate = float64(e.Tokens) / sec
		}
	}
	s.ver.work++
}

// closePhases ends what a run left open.
func (s *state) closePhases(at int64) {
	for _, id := range s.gpus {
		s.tele[id].track.Begin(history.Idle, at)
	}
}

func (s *state) token(e event.Token) {
	w := &s.work
	w.tokens++
	w.rate.add(e.TimeNS)
	if e.BatchID != w.batch.BatchID || e.Index < 0 || e.Index >= keepStreams {
		return
	}
	for len(w.streams) <= e.Index {
		w.streams = append(w.streams, "")
	}
	text := w.streams[e.Index] + e.Text
	if len(text) > keepText {
		text = strings.ToValidUTF8(text[len(text)-keepText/2:], "")
	}
	w.streams[e.Index] = text
	s.ver.text++
}

func (s *state) clockChange(e event.ClockChange) {
	t := s.gpu(e.GPU)
	t.change, t.changed = e, true
	what := "clock given back to the driver"
	if e.RequestedSMMHz > 0 {
		what = "clock " + fmtInt(e.RequestedSMMHz) + " MHz"
		if e.AchievedSMMHz >= 0 {
			what += ", achieved " + fmtInt(e.AchievedSMMHz)
		}
	}
	if !math.IsNaN(e.CallMS) {
		what += ", call " + fmtFloat(e.CallMS, 1) + " ms"
	}
	if !math.IsNaN(e.SettleMS) {
		what += ", settled " + fmtFloat(e.SettleMS, 0) + " ms"
	}
	s.ver.clock++
	if e.Cause.By == event.ByPolicy && e.Err == "" {
		t.policyChanges++ // too many to log: a policy may set two a batch
		return
	}
	s.note(e.TimeNS, 'c', what+" ("+e.Cause.String()+")"+errSuffix(e.Err))
}

func (s *state) note(t int64, kind byte, text string) {
	s.log.add(logEntry{t, kind, text})
	s.logs++
	s.ver.log++
}

// powerW is the power of all GPUs together, W: the job runs on all of them. It is
// NaN where one is not known.
func (s *state) powerW() float64 {
	sum := 0.0
	for _, id := range s.gpus {
		sum += s.tele[id].powerW
	}
	return sum
}

// elapsed returns ns since the session began.
func (s *state) elapsed() int64 { return max(s.now-s.startNS, 0) }

// busy tells whether a job is running.
func (s *state) busy() bool {
	return !s.ended && (s.work.inPoint || s.work.inPhase || s.status == "running" || s.status == "paused" || s.status == "stopping")
}

// tokenRate counts tokens over the newest two seconds.
type tokenRate struct {
	slots [20]struct {
		id int64
		n  int
	}
}

const rateSlotNS = 100_000_000

func (r *tokenRate) add(t int64) {
	id := t / rateSlotNS
	if id < 0 {
		return
	}
	s := &r.slots[id%int64(len(r.slots))]
	if s.id != id {
		s.id, s.n = id, 0
	}
	s.n++
}

// ring keeps the newest values.
type ring[T any] struct {
	items []T
	next  int
	limit int
}

func (r *ring[T]) add(v T) {
	if len(r.items) < r.limit {
		r.items = append(r.items, v)
		return
	}
	r.items[r.next] = v
	r.next = (r.next + 1) % len(r.items)
}

func (r *ring[T]) len() int { return len(r.items) }

// at returns the i-th newest, 0 the newest.
func (r *ring[T]) at(i int) *T {
	n := len(r.items)
	return &r.items[((r.next-1-i)%n+n)%n]
}
