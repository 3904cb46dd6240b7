package state

import (
	"cmp"
	"math"

	"jouletop/engine/event"
	"jouletop/gpu"
	"jouletop/tui/history"
)

// Bounds of what is kept in memory, however long the session.
const (
	keepRequests = 10_000
	keepLog      = 1000
	keepPoints   = 60_000
	keepText     = 8 << 10 // bytes of generated text of one request
	keepStreams  = 32      // requests of a batch whose text is kept
)

// State is all that is drawn from the stream. Only Apply changes it.
type State struct {
	Run     event.RunStart
	started bool
	Ended   bool
	End     event.RunEnd
	Status  event.RunState
	begun   bool // startNS is known
	StartNS int64
	Now     int64 // newest event's time

	GPUs        []string // in order of appearance
	tele        map[string]*Telemetry
	Work        Work
	Requests    Requests
	Serving     Serving
	Sweep       Sweep
	Comparisons Comparisons
	PerClock    PerClock
	Bound       event.Bound       // what held the clock, told last: of a point or of a stretch of work; no At for nothing
	Log         Ring[event.Event] // marks, clock changes, warnings, errors, ends of runs
	Logged      uint64            // entries ever

	// Notices are what a person is to have seen, the newest; Noticed counts them.
	Notices Ring[Notice]
	Noticed int
	flags   event.Flags // noticed in this run
	flow    flow
	// Tenants is what processes took of GPUs that are watched, as told last.
	Tenants map[string]event.Processes

	Warnings, Errors, Marks int
	lastWarning             string
	warnedNS                int64
	present                 int64 // the run's clock as told last, where it is real
	Versions                Versions
}

// Versions count changes by concern, so that panels know what to draw again.
type Versions struct {
	Run, Work, Text, Points, Log, clock uint64
	Requests                            uint64 // and their phases
	Rows                                uint64 // requests alone
	Passes                              uint64
}

// Telemetry is the newest readings of one GPU and their history.
type Telemetry struct {
	Track     history.Track
	Sample    gpu.Sample
	SampleNS  int64
	Requested int // -1 unknown
	PowerW    float64
	PowerNS   int64
	Source    string // the power source in use
	rank      int
	rankNS    int64
	// Asleep: the GPU is suspended, since SleptNS, and not read.
	Asleep  bool
	SleptNS int64
	// Memory in use (MiB), share of the time with a kernel running (%), and temperature (°C).
	Memory, Util, Temp    Trend
	lastSample, lastPower int64 // when readings came last, ns; they may be too old to be shown
	PeakW                 float64
	counter               counter
	knobs                 map[gpu.KnobID]event.KnobChange // the newest of each
	change                event.ClockChange               // the newest
	changed               bool
	// policyChanges counts the changes that a policy made.
	PolicyChanges int
}

// New returns what is known before anything is.
func New() *State {
	s := &State{tele: map[string]*Telemetry{}}
	s.reset()
	return s
}

// reset forgets the session; the versions go on, so that everything is drawn
// again.
func (s *State) reset() {
	v := s.Versions
	*s = State{tele: map[string]*Telemetry{}, Versions: v}
	s.Log.limit = keepLog
	s.Requests.reset()
	s.Serving.reset()
	s.Sweep.reset()
	s.Comparisons.reset()
	s.Work.Loading = math.NaN()
	s.Work.PrefillRate, s.Work.DecodeRate = math.NaN(), math.NaN()
	s.Versions.Run++
	s.Versions.Work++
	s.Versions.Text++
	s.Versions.Requests++
	s.Versions.Rows++
	s.Versions.Passes++
	s.Versions.Points++
	s.Versions.Log++
	s.Versions.clock++
}

// GPU returns the telemetry of the named GPU, made at need.
func (s *State) GPU(id string) *Telemetry {
	t := s.tele[id]
	if t == nil {
		t = &Telemetry{Sample: gpu.UnknownSample(), Requested: -1, PowerW: math.NaN(), PeakW: math.NaN()}
		s.tele[id] = t
		if id != "" { // before any GPU is known
			s.GPUs = append(s.GPUs, id)
		}
		s.Versions.Run++
	}
	return t
}

// Apply folds one event in.
func (s *State) Apply(e event.Event) {
	switch e := e.(type) {
	case event.Sample:
		s.sampled(e)
	case event.Power:
		s.powered(e)
	case event.RunStart:
		if s.started && (e.TimeNS == s.Run.TimeNS || e.TimeNS < s.Now-restartNS) {
			s.reset() // a replay begins again
		}
		s.Run, s.started, s.Ended = e, true, false
		s.flags = ""
		s.Requests.before, s.Sweep.base = s.Requests.Total, s.Sweep.Count
		s.Comparisons.began()
		s.begin(e.TimeNS)
		s.Versions.Run++
	case event.RunMore:
		s.Run.Points, s.Run.Requests = s.Run.Points+e.Points, s.Run.Requests+e.Requests
		s.Versions.Run++
	case event.RunEnd:
		s.Ended, s.End = true, e
		s.Comparisons.ended()
		s.Work.InPoint, s.Work.InPhase, s.Work.Loading = false, false, math.NaN()
		s.Sweep.Running = false // a point cut short has no result
		if s.Status == event.StateStopping {
			s.Status = event.StateIdle
		}
		s.closePhases(e.TimeNS)
		s.note(e)
		s.Versions.Run++
		s.Versions.Work++
	case event.State:
		if s.Ended && e.State == event.StateStopping {
			break // it has stopped already
		}
		s.Status = e.State
		s.Versions.Run++
	case event.ModelLoading:
		s.Work.Model, s.Work.Loading = e.Model, e.Progress
		if e.Progress >= 1 {
			s.Work.Loading = math.NaN()
		}
		s.Versions.Work++
	case event.PointStart:
		s.Work.Point, s.Work.InPoint, s.Work.pointAt, s.Work.DoneInPoint = e.Point, true, e.TimeNS, 0
		s.Work.Model, s.Work.Loading = e.Model, math.NaN()
		s.Sweep.start(e)
		s.PerClock.begin(e.Model, e.BatchSize)
		s.Versions.Work++
		s.Versions.Points++
	case event.PointDone:
		s.Work.InPoint = false
		s.Sweep.finish(e)
		if e.Held.Told() {
			s.Bound = event.Bound{At: e.At, GPU: e.GPU, FromNS: s.Work.pointAt, LimitW: s.limitOf(e), Held: e.Held}
		}
		s.flagged(e.TimeNS, e.Flags, "point "+e.PointID)
		s.Comparisons.point(e)
		s.Versions.Work++
		s.Versions.Points++
	case event.BatchStart:
		s.Work.Batch = e
		s.Work.Streams = s.Work.Streams[:0]
		s.Versions.Text++
		s.Versions.Work++
	case event.Iteration:
		s.Serving.add(e)
		s.Versions.Passes++
	case event.PhaseStart:
		s.phaseStart(e)
	case event.PhaseEnd:
		s.phaseEnd(e)
	case event.Token:
		s.flow.add(e)
		s.token(e)
	case event.RequestDone:
		s.endTurns(e)
		s.Work.DoneInPoint++
		s.Work.answered(e.Request)
		s.Requests.done(e.Request)
		s.Comparisons.answered(e.Request)
		s.Serving.done(e.Request)
		s.Versions.Text++
		s.Versions.Requests++
		s.Versions.Rows++
	case event.RequestEnergy:
		s.Requests.energy(e)
		s.flagged(e.TimeNS, e.Flags, "request "+e.RequestID)
		s.Comparisons.add(e)
		if !e.MixedClock && e.Err == "" {
			s.PerClock.add("", e.RequestedSMMHz, e.EnergyJ, billedTokens(e.Request))
		}
		s.Versions.Requests++
		s.Versions.Rows++
		s.Versions.Points++
	case event.PhaseEnergy:
		s.Requests.phase(e)
		s.Comparisons.phase(e)
		if !e.MixedClock {
			s.PerClock.add(e.Phase, e.RequestedSMMHz, e.EnergyJ, e.Tokens)
		}
		s.Versions.Requests++
	case event.ClockChange:
		s.clockChange(e)
	case event.KnobChange:
		s.knobChange(e)
	case event.Bound:
		s.Bound = e
		s.Versions.Run++
	case event.PolicyNote:
		s.note(e)
	case event.Mark:
		s.Marks++
		s.note(e)
	case event.Warning:
		s.Warnings++
		s.lastWarning, s.warnedNS = e.Text, e.TimeNS
		s.notice(e.TimeNS, e.Text, false)
		s.note(e)
	case event.Error:
		s.Errors++
		s.notice(e.TimeNS, cmp.Or(e.What, e.Text), true)
		s.note(e)
	case event.Sleep:
		t := s.GPU(e.GPU)
		t.Asleep, t.SleptNS = e.Asleep, e.TimeNS
		s.note(e)
		s.Versions.Run++
	case event.Processes:
		if s.Tenants == nil {
			s.Tenants = map[string]event.Processes{}
		}
		s.Tenants[e.GPU] = e
		s.Versions.Run++
	}
	t := e.When()
	s.begin(t)
	s.Now = max(s.Now, t)
}

// begin notes when the session began: at its first event.
func (s *State) begin(t int64) {
	if !s.begun {
		s.begun, s.StartNS = true, t
	}
}

func (s *State) sampled(e event.Sample) {
	t := s.GPU(e.GPU)
	t.Track.AddClock(e.TimeNS, e.SMMHz, e.RequestedSMMHz)
	if e.TimeNS >= t.SampleNS {
		t.Sample, t.SampleNS, t.Requested = e.Sample, e.TimeNS, e.RequestedSMMHz
		t.lastSample = e.TimeNS
		t.Memory.add(e.TimeNS, e.MemUsedMiB)
		t.Util.add(e.TimeNS, e.GPUUtil)
		t.Temp.add(e.TimeNS, e.TempC)
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

func (s *State) powered(e event.Power) {
	if e.Source == gpu.SourceCounter {
		s.GPU(e.GPU).counter.read(e.TimeNS, e.CounterJ)
		return
	}
	rank := sourceRank(e.Source)
	if rank == 0 || !gpu.Plausible(e.PowerW) {
		return
	}
	t := s.GPU(e.GPU)
	if rank < t.rank && e.TimeNS < t.rankNS+sourceStale {
		return
	}
	if rank != t.rank {
		t.rank, t.Source = rank, e.Source
		s.Versions.Run++
	}
	t.rankNS = max(t.rankNS, e.TimeNS)
	if !e.Fresh && rank == 1 {
		return // a repetition of an average says nothing new
	}
	t.Track.AddPower(e.TimeNS, e.PowerW)
	if e.TimeNS >= t.PowerNS {
		t.PowerW, t.PowerNS = e.PowerW, e.TimeNS
		t.lastPower = e.TimeNS
	}
	if math.IsNaN(t.PeakW) || e.PowerW > t.PeakW {
		t.PeakW = e.PowerW
	}
}

// Tell says what time it is on the run's clock, where that is real: readings age
// by it when no events come.
func (s *State) Tell(now int64) {
	s.present = now
	s.Age()
}

// Present is the run's clock as far as it is known, ns.
func (s *State) Present() int64 { return max(s.Now, s.present) }

// live is how old, in ns, a reading may be to count as one of now.
const live = 3_000_000_000

// Age makes unknown what was read too long ago.
func (s *State) Age() {
	now := max(s.Now, s.present)
	for _, t := range s.tele {
		if t.SampleNS > 0 && now-t.SampleNS > live {
			t.Sample, t.SampleNS = gpu.UnknownSample(), 0
			s.Versions.Run++
		}
		if t.PowerNS > 0 && now-t.PowerNS > live {
			t.PowerW, t.PowerNS = math.NaN(), 0
			s.Versions.Run++
		}
	}
}

// Warning is what to tell of the newest warning; empty where it is old.
func (s *State) Warning() string {
	const stands = 300_000_000_000
	if s.lastWarning == "" || s.Ended && s.warnedNS < s.Run.TimeNS || max(s.Now, s.present)-s.warnedNS > stands {
		return ""
	}
	return s.lastWarning
}

func (s *State) clockChange(e event.ClockChange) {
	t := s.GPU(e.GPU)
	t.change, t.changed = e, true
	s.Versions.clock++
	if e.Cause.By == event.ByPolicy && e.Err == "" {
		t.PolicyChanges++ // too many to log: a policy may set two a batch
		return
	}
	s.note(e)
}

func (s *State) note(e event.Event) {
	s.Log.add(e)
	s.Logged++
	s.Versions.Log++
}

// PowerW is the power of all GPUs together, W: the job runs on all of them. It is
// NaN where one is not known.
func (s *State) PowerW() float64 {
	sum := 0.0
	for _, id := range s.GPUs {
		sum += s.tele[id].PowerW
	}
	return sum
}

// Elapsed returns ns since the session began.
func (s *State) Elapsed() int64 { return max(s.Now-s.StartNS, 0) }

// Busy tells whether a job is running.
func (s *State) Busy() bool {
	return !s.Ended && (s.Work.InPoint || s.Work.InPhase || s.Status == event.StateRunning || s.Status == event.StatePaused || s.Status == event.StateStopping)
}
