package policy

import (
	"fmt"
	"math"

	"gonum.org/v1/gonum/stat"

	"jouletop/engine/event"
	"jouletop/gpu"
)

// How long a trial lasts: at least minTrial of batches whose energy is known,
// until the latency's mean is known to trialError, at most maxTrial. The
// baseline, which every judgement rests on, gets twice the care.
const (
	minTrial    = 3.0  // s
	maxTrial    = 10.0 // s
	minBatches  = 3
	trialError  = 0.0012 // standard error of the latency, as a share
	watchWindow = 10.0   // s; how often a settled clock is judged again
)

// Online runs an Optimizer while jobs run: one for each model, dataset and
// batch size. Clocks change between batches only, so that every batch has one.
// A batch's work is the time it would have taken at the baseline, as fitted
// from the baseline's phases; so trials with other prompts compare.
//
// By phase, it searches for the clock of decode (and score) alone and leaves
// prefill at the highest, each switch where it pays, as PhaseAware does; what
// is judged is still the whole batch.
type Online struct {
	goal        Goal
	clocks      []int
	maxSlowdown float64

	aware *PhaseAware // by phase; nil: one clock a batch

	jobs    map[jobKey]*job
	job     *job
	current gpu.Setting // requested and in force; zero: not known
	knobs   *knobGrid   // nil: the SM clock alone is searched
	batches map[string]*batch
	order   []string // of batches, oldest first
	failed  int
	notes   []event.PolicyNote
}

// searcher finds a setting: an Optimizer or a KnobSearch.
type searcher interface {
	Setting() gpu.Setting // to run at now
	Baseline() bool       // whether that is the baseline
	Done() bool
	Why() string
	Took() int
	Trials() []Trial
	Report(Trial)
	slower(Trial) float64
	settled() string
}

// knobGrid is what a search over several knobs goes through.
type knobGrid struct {
	knobs  []gpu.KnobID
	values [][]int
}

type jobKey struct {
	model, dataset string
	batch          int
}

// job is the search for one kind of work.
type job struct {
	opt     searcher
	lengths *lengthModel // of phases at the baseline, in its first trial
	since   int64        // when the trial began, ns
	trial   []*batch
}

// batch is what is known of a batch so far.
type batch struct {
	job      *job
	requests int // announced
	energies int // requests whose energy has come
	start    int64
	mhz      int
	planned  int         // by phase: the clock meant for what follows prefill
	others   gpu.Setting // the other knobs when it began
	mixed    bool
	failed   bool
	seconds  float64 // of its phases
	spans    []event.PhaseSpan
	energy   float64
	tokens   int // generated, or processed where scored
	steps    int // of decode: the longest request's tokens
}

// NewOnline returns the policy for a GPU's supported clocks (MHz, ascending).
func NewOnline(goal Goal, clocks []int, maxSlowdown float64) *Online {
	o := &Online{goal: goal, clocks: clocks, maxSlowdown: maxSlowdown, jobs: map[jobKey]*job{}, batches: map[string]*batch{}}
	o.enter(jobKey{})
	return o
}

// NewOnlineKnobs returns the policy that searches over several knobs, through all
// combinations of values (each ascending, in units for people).
func NewOnlineKnobs(goal Goal, knobs []gpu.KnobID, values [][]int, maxSlowdown float64) *Online {
	o := &Online{goal: goal, knobs: &knobGrid{knobs, values}, maxSlowdown: maxSlowdown, jobs: map[jobKey]*job{}, batches: map[string]*batch{}}
	o.enter(jobKey{})
	return o
}

// NewOnlineByPhase returns the policy that searches for the clock of what
// follows prefill.
func NewOnlineByPhase(goal Goal, clocks []int, maxSlowdown float64) *Online {
	o := NewOnline(goal, clocks, maxSlowdown)
	top := o.baseline()
	o.aware = NewPhaseAware(event.PhaseClocks{Prefill: top, Decode: top, Score: top})
	return o
}

// Name returns "min-energy" or "min-edp", by phase "phase:min-energy" or
// "phase:min-edp".
func (o *Online) Name() string {
	p := o.goal.policy()
	p.ByPhase = o.aware != nil
	if o.knobs != nil {
		for _, k := range o.knobs.knobs {
			p.Searched |= 1 << k
		}
	}
	return p.String()
}

// Start returns the clock to begin with: the baseline, the highest clock, or
// where a search was under way already, its next.
func (o *Online) Start() int {
	if o.aware != nil {
		return o.aware.Start()
	}
	o.current = o.job.opt.Setting()
	return o.current.SMMHz
}

// Knobs returns what the knobs beside the SM clock are to be at.
func (o *Online) Knobs() gpu.Setting { return o.current.Others() }

func (o *Online) baseline() int { return o.clocks[len(o.clocks)-1] }

// Optimizer returns the search for the job in hand; nil where several knobs are searched.
func (o *Online) Optimizer() *Optimizer {
	opt, _ := o.job.opt.(*Optimizer)
	return opt
}

// KnobSearch returns the search over several knobs for the job in hand; nil where the SM
// clock alone is searched.
func (o *Online) KnobSearch() *KnobSearch {
	opt, _ := o.job.opt.(*KnobSearch)
	return opt
}

// Phase asks for the next trial's clock where a batch begins, or by phase where
// prefill has ended.
func (o *Online) Phase(p event.PhaseStart) (int, bool) {
	want := o.job.opt.Setting()
	if o.aware != nil {
		if b := o.batches[p.BatchID]; b != nil && p.Phase != event.Prefill {
			b.planned = want.SMMHz
		}
		o.aware.clocks.Decode, o.aware.clocks.Score = want.SMMHz, want.SMMHz
		return o.aware.Phase(p)
	}
	b := o.batches[p.BatchID]
	begins := p.Phase == event.Prefill && (b == nil || b.spans == nil) // a drafter reads the prompts again
	set := o.failed < maxFailures && want != o.current && (begins || p.Phase == event.Mixed)
	if set {
		o.current = want
	}
	if b != nil && b.spans == nil {
		b.others = o.current.Others()
	}
	return o.current.SMMHz, set
}

// Observe collects trials from batches that have ended and whose energy has
// come, some time later.
func (o *Online) Observe(e event.Event) []event.PolicyNote {
	switch e := e.(type) {
	case event.PointStart:
		o.enter(jobKey{e.Model, e.Dataset, e.BatchSize})
	case event.BatchStart:
		o.begin(e)
	case event.PhaseEnd:
		if b := o.batches[e.BatchID]; b != nil {
			b.seconds += float64(e.EndNS-e.StartNS) / 1e9
			b.spans = append(b.spans, e.PhaseSpan)
		}
	case event.RequestEnergy:
		o.account(e)
	case event.ClockChange:
		if o.aware == nil {
			o.changed(e.Cause, e.Err, e.At)
		}
	case event.KnobChange:
		o.changed(e.Cause, e.Err, e.At)
	}
	notes := o.notes
	o.notes = nil
	if o.aware != nil {
		notes = append(notes, o.aware.Observe(e)...)
	}
	return notes
}

func (o *Online) enter(k jobKey) {
	if o.jobs[k] == nil {
		var opt searcher
		if o.knobs != nil {
			opt = NewKnobSearch(o.goal, o.knobs.knobs, o.knobs.values, o.maxSlowdown)
		} else {
			opt = NewOptimizer(o.goal, o.clocks, o.maxSlowdown)
		}
		o.jobs[k] = &job{opt: opt, lengths: newLengthModel()}
	}
	o.job = o.jobs[k]
	o.job.trial = nil
}

// keptBatches is how many batches are remembered while their energy is awaited.
const keptBatches = 1000

func (o *Online) begin(e event.BatchStart) {
	o.batches[e.BatchID] = &batch{job: o.job, requests: len(e.Queries)}
	o.order = append(o.order, e.BatchID)
	for len(o.order) > keptBatches {
		delete(o.batches, o.order[0])
		o.order = o.order[1:]
	}
}

// account adds a request's energy to its batch, and the batch, once whole, to
// the trial.
func (o *Online) account(e event.RequestEnergy) {
	b := o.batches[e.BatchID]
	if b == nil {
		return
	}
	if b.energies == 0 {
		b.start, b.mhz = e.StartNS, e.RequestedSMMHz
	}
	b.energies++
	b.start = min(b.start, e.StartNS)
	b.mixed = b.mixed || e.MixedClock || e.RequestedSMMHz != b.mhz
	b.failed = b.failed || e.Err != ""
	b.energy += e.EnergyJ
	if n := e.CountedTokens(); n > 0 {
		b.tokens += int(n)
	}
	b.steps = max(b.steps, e.OutputTokens)
	if b.energies < b.requests {
		return
	}
	delete(o.batches, e.BatchID)
	for i := range b.spans {
		// Decode takes a step for each token of the longest request, whatever the
		// others'.
		if s := &b.spans[i]; s.Phase == event.Decode && b.steps > 0 {
			s.Tokens = b.steps
		}
	}
	j := b.job
	ran, whole := b.others.With(gpu.KnobSM, b.mhz), !b.mixed
	if o.aware != nil {
		ran, whole = gpu.Setting{SMMHz: b.planned}, true
	}
	if j != o.job || !whole || b.failed || ran != j.opt.Setting() || b.start < j.since || b.seconds <= 0 {
		return
	}
	j.trial = append(j.trial, b)
	o.judge(e.At)
}

// judge ends the trial once it has lasted long enough.
func (o *Online) judge(at event.At) {
	j := o.job
	seconds, known := 0.0, 0.0
	for _, b := range j.trial {
		seconds += b.seconds
		if !math.IsNaN(b.energy) {
			known += b.seconds
		}
	}
	care := 1.0
	if j.opt.Baseline() {
		care = 2
	}
	switch {
	case j.opt.Done() && seconds < watchWindow:
		return
	case known < minTrial && seconds < 3*maxTrial*care:
		return
	}
	if len(j.opt.Trials()) == 0 { // the unit of work
		for _, b := range j.trial {
			for _, s := range b.spans {
				s.RequestedSMMHz = 0 // of no matter here: all are the baseline's
				j.lengths.add(s, 0)
			}
		}
	}
	t := j.measure()
	precise := len(j.trial) >= minBatches && t.LatencySD/math.Sqrt(float64(t.Batches)) <= trialError/math.Sqrt(care)
	if !precise && seconds < maxTrial*care && !j.opt.Done() {
		return
	}
	o.report(at, t)
}

// measure makes a trial of the batches collected.
func (j *job) measure() Trial {
	s := j.opt.Setting()
	t := Trial{MHz: s.SMMHz, Others: s.Others()}
	var energy, latency []float64
	for _, b := range j.trial {
		work := 0.0
		for _, s := range b.spans {
			work += j.lengths.seconds(kindKey{s.Phase, s.BatchSize}, s.Tokens, 0)
		}
		if !(work > 0) {
			continue // a kind of phase that the baseline didn't have
		}
		latency = append(latency, b.seconds/work)
		if !math.IsNaN(b.energy) {
			energy = append(energy, b.energy/work)
		}
	}
	t.Batches = len(latency)
	t.Latency, t.LatencySD = meanSD(latency)
	t.Energy, t.EnergySD = meanSD(energy)
	return t
}

// report hands a trial to the optimizer and notes what came of it.
func (o *Online) report(at event.At, t Trial) {
	j := o.job
	perToken := j.joulesPerToken()
	j.trial, j.since = nil, at.TimeNS
	opt := j.opt
	if opt.Done() {
		// Settled, and still good unless the window says surely that it isn't.
		doubt := 2 * t.LatencySD / math.Sqrt(float64(t.Batches))
		if !(t.Latency > 0 && opt.slower(t)-doubt > o.maxSlowdown) {
			return
		}
	}
	was := opt.Done()
	n := len(opt.Trials())
	opt.Report(t)
	if len(opt.Trials()) == n {
		return // not a measurement
	}
	text := fmt.Sprintf("%s trial %d: %s", o.Name(), n+1, knobText(t.setting()))
	if n > 0 {
		first := opt.Trials()[0]
		text += fmt.Sprintf(", energy %+.1f %%, latency %+.1f %%", 100*(t.Energy/first.Energy-1), 100*opt.slower(t))
	}
	switch {
	case opt.Done() && was:
		text += fmt.Sprintf(": broke the bound of %+.3g %%, now %s", 100*o.maxSlowdown, knobText(opt.Setting()))
	case opt.Done():
		text += "; " + opt.settled()
	default:
		text += fmt.Sprintf("; next %s (%s)", knobText(opt.Setting()), opt.Why())
	}
	o.notes = append(o.notes, event.PolicyNote{At: at, Text: text, SMMHz: t.MHz, Cost: perToken})
}

// knobText words a setting: the SM clock alone in MHz.
func knobText(s gpu.Setting) string {
	if s.Others() == (gpu.Setting{}) {
		return fmt.Sprintf("%d MHz", s.SMMHz)
	}
	return s.String()
}

// joulesPerToken is a trial's energy per token: of tokens generated, or
// processed where options are scored. 0 where no energy is known.
func (j *job) joulesPerToken() float64 {
	energy, tokens := 0.0, 0
	for _, b := range j.trial {
		if !math.IsNaN(b.energy) {
			energy += b.energy
			tokens += b.tokens
		}
	}
	if tokens == 0 {
		return 0
	}
	return energy / float64(tokens)
}

// changed learns from a change of a knob that was made, refused or lost.
func (o *Online) changed(cause event.Cause, failure string, at event.At) {
	if cause.Unasked() {
		o.current = gpu.Setting{}
		return
	}
	if failure == "" {
		o.failed = 0
		return
	}
	o.current = gpu.Setting{} // unknown: the next batch asks again
	if o.failed++; o.failed == maxFailures {
		o.notes = append(o.notes, event.PolicyNote{At: at, Text: fmt.Sprintf(
			"%s given up after %d refused clock changes: %s", o.goal, maxFailures, failure)})
	}
}

// meanSD returns the mean and the standard deviation as a share of it; NaN for
// the latter where there are fewer than two values.
func meanSD(x []float64) (mean, sd float64) {
	mean, sd = stat.MeanStdDev(x, nil)
	return mean, sd / mean
}
