package operator

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"jouletop/engine"
	"jouletop/engine/command"
	"jouletop/engine/event"
	"jouletop/engine/policy"
	"jouletop/engine/rig"
	"jouletop/engine/session"
	"jouletop/engine/stream"
	"jouletop/gpu"
	"jouletop/gpu/clockguard"
	"jouletop/gpu/plaintext"
)

// Controller does what the dashboard's operator asks for. It implements
// command.Controller over a running session.
type Controller struct {
	*recording
	lib    *library
	o      *Config
	jobs   *jobQueue
	times  *forecast
	events *stream.Subscriber

	mu     sync.Mutex
	policy engine.Policy     // the operator's
	clocks event.PhaseClocks // as chosen by hand; 0 leaves a phase to the driver
	others gpu.Setting       // of the other knobs, likewise
	later  string            // policy to take once armed; empty none
}

var errNoControl = fmt.Errorf("clock control: %w", gpu.ErrReadOnly)

// Status tells what the stream does not.
func (c *Controller) Status() command.Status {
	c.mu.Lock()
	clocks := c.clocks
	c.mu.Unlock()
	s := command.Status{
		Knobs: c.engine.Setting(),
		Armed: c.Armed(), ReadOnly: !c.Controlled(),
		Policy: c.engine.Policy().Name(), Prefill: clocks.Prefill, Decode: clocks.Decode, Score: clocks.Score,
		Paused: c.engine.Paused(), Hidden: c.Info.Hidden, Dropped: c.events.Dropped(),
		PowerSources: c.PowerSources(),
		Session:      command.SessionInfo{Path: c.rec.Dir(), Name: filepath.Base(c.rec.Dir())},
		Files:        sessionFiles(c.rec.Dir()), SLO: c.o.SLO,
	}
	s.MaxSlowdown, _ = c.o.Work.Slowdown() // it was checked before
	if t := c.unguarded.Load(); t != nil && !s.Armed {
		s.Alarm = *t
	}
	if !c.Clock.Simulated() {
		s.NowNS = c.Clock.Now()
	}
	if t := c.trouble.Load(); t != nil {
		s.Alarm = "the run pauses: make room, then resume it: " + *t
	}
	s.Queue = c.queue()
	if s.Tenants = c.engine.Tenants(); s.Tenants == nil {
		s.Processes, _ = c.OtherProcesses() // what cannot be told is told of elsewhere
	}
	if !s.Armed {
		s.HeldBy, s.Permission = rig.HeldBy(c.Infos()...), rig.Permission(c.Rig, &c.o.Rig)
	}
	return s
}

// sessionFiles lists a session's files with their sizes.
func sessionFiles(dir string) []command.File {
	var out []command.File
	for _, name := range session.Files() {
		if st, err := os.Stat(filepath.Join(dir, name)); err == nil {
			out = append(out, command.File{Name: name, Bytes: st.Size()})
		}
	}
	return out
}

// Choices lists what can be run and set.
func (c *Controller) Choices() (command.Choices, error) {
	out := c.lib.choices()
	out.Arming = c.ArmWarning()
	return out, nil
}

// Arm allows setting clocks on a real GPU.
func (c *Controller) Arm(on bool) (string, error) {
	if !c.Controlled() {
		return "", errNoControl
	}
	c.unguarded.Store(nil)
	if !on {
		// The driver's call takes time, simulated time on a simulated GPU: only a
		// goroutine of the clock's may wait for that.
		err := c.Do(func() error { return errors.Join(c.GiveBack(), c.ArmClocks(false)) })
		return "clock control is off; every knob given back", err
	}
	if err := c.Do(func() error { return c.ArmClocks(true) }); err != nil {
		return "", err
	}
	c.mu.Lock()
	spec := c.later
	c.later = ""
	c.mu.Unlock()
	if spec != "" {
		if err := c.SetPolicy(spec); err != nil {
			return "", err
		}
	}
	return "", nil
}

// begin takes the policy asked for at the start, or keeps it until clock control
// is armed.
func (c *Controller) begin(spec string) error {
	err := c.SetPolicy(spec)
	if !errors.Is(err, clockguard.ErrNotArmed) {
		return err
	}
	c.mu.Lock()
	c.later = spec
	c.mu.Unlock()
	c.engine.Warn(fmt.Sprintf("policy %s waits until clock control is armed (a)", spec))
	return nil
}

// SetClock locks the SM clock for a phase, or for all.
func (c *Controller) SetClock(phase event.Phase, mhz int) error {
	if err := c.mayset(); err != nil {
		return err
	}
	if err := c.Info.CheckSMClock(mhz); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	switch phase {
	case event.Prefill:
		c.clocks.Prefill = mhz
	case event.Decode:
		c.clocks.Decode = mhz
	case event.Score:
		c.clocks.Score = mhz
	default:
		c.clocks = event.PhaseClocks{Prefill: mhz, Decode: mhz, Score: mhz}
	}
	c.applyByHand()
	return nil
}

// SetKnob sets another knob than the SM clock, in the driver's unit; 0 gives it back.
func (c *Controller) SetKnob(k gpu.KnobID, v int) error {
	if k == gpu.KnobSM && v != 0 {
		return c.SetClock("", v)
	}
	if err := c.mayset(); err != nil {
		return err
	}
	for _, have := range c.Knobs() {
		if have.ID == k && v != 0 {
			if err := have.Check(v); err != nil {
				return err
			}
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if event.PolicyOf(c.policy.Name()).Searches() {
		return fmt.Errorf("%s sets the knobs: give it up first", c.policy.Name())
	}
	switch k {
	case gpu.KnobSM:
		c.clocks = event.PhaseClocks{}
	case gpu.KnobPower:
		if v%1000 != 0 {
			return fmt.Errorf("%w: power limits are set in whole W", gpu.ErrBadValue)
		}
		c.others.PowerW = v / 1000
	default:
		c.others = c.others.With(k, v)
	}
	c.applyByHand()
	return nil
}

// applyByHand puts in force what was chosen by hand; c.mu is held.
func (c *Controller) applyByHand() {
	switch k := c.clocks; {
	case k == event.PhaseClocks{} && c.others == gpu.Setting{}:
		c.apply(engine.NoPolicy{}, event.ByOperator)
	case k.Prefill == k.Decode && k.Decode == k.Score:
		c.apply(policy.Fixed{MHz: k.Prefill, Others: c.others}, event.ByOperator)
	default:
		c.apply(policy.NewPhaseAware(k).WithKnobs(c.others), event.ByOperator)
	}
}

// apply puts a policy in force as the operator's; c.mu is held.
func (c *Controller) apply(p engine.Policy, by event.By) {
	c.policy = p
	c.engine.SetPolicy(p, by, true)
}

// restore puts the operator's policy in force again after a sweep.
func (c *Controller) restore() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.apply(c.policy, event.BySweepEnd)
}

func (c *Controller) mayset() error {
	switch {
	case !c.Controlled():
		return errNoControl
	case !c.Armed():
		return fmt.Errorf("%w: %w", clockguard.ErrNotArmed, command.ErrArmFirst)
	}
	return nil
}

// GiveBack gives every knob back.
func (c *Controller) GiveBack() error {
	if !c.Controlled() {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.clocks, c.others = event.PhaseClocks{}, gpu.Setting{}
	c.apply(engine.NoPolicy{}, event.ByOperator)
	return nil
}

// SetPolicy takes a policy as --policy does.
func (c *Controller) SetPolicy(spec string) error {
	asked, err := event.ParsePolicy(spec)
	if err != nil {
		return err
	}
	if asked.Kind == event.NoPolicy {
		return c.GiveBack()
	}
	if err := c.mayset(); err != nil {
		return err
	}
	if c.Note != "" && asked.Searches() {
		return errors.New(c.Note)
	}
	if err := c.Rig.RefuseOverlap(spec, c.o.Work.Batches); err != nil {
		return err
	}
	slow, err := c.o.Work.Slowdown()
	if err != nil {
		return err
	}
	p, err := policy.Parse(spec, c.Info, policy.Options{MaxSlowdown: slow, Knobs: c.Knobs})
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.clocks, c.others = event.PhaseClocks{}, asked.Knobs
	switch p := p.(type) {
	case policy.Fixed:
		c.clocks = event.PhaseClocks{Prefill: p.MHz, Decode: p.MHz, Score: p.MHz}
	case *policy.PhaseAware:
		c.clocks = p.Clocks()
	}
	c.apply(p, event.ByOperator)
	return nil
}

// enqueue queues a job and names its datasets in the manifest.
func (c *Controller) enqueue(j job, next bool) error {
	if err := c.jobs.add(j, next); err != nil {
		return err
	}
	var used []session.Dataset
	for _, p := range j.plan.Points {
		if d, ok := c.lib.named(p.Dataset); ok {
			used = append(used, d.Manifest())
		}
	}
	if len(used) == 0 {
		return nil // a prompt of the operator's own
	}
	return c.rec.Update(func(m *session.Manifest) {
		for _, d := range used {
			if !slices.ContainsFunc(m.Datasets, func(o session.Dataset) bool { return o.Name == d.Name }) {
				m.Datasets = append(m.Datasets, d)
				m.Plan.Datasets = append(m.Plan.Datasets, d.Name)
			}
		}
	})
}

// StartJob queues a job.
func (c *Controller) StartJob(j command.Job) error {
	if j.Policy != "" && j.Policy != "none" {
		if err := c.mayset(); err != nil {
			return err
		}
	}
	j.Queries = max(j.Queries, 1)
	todo, err := c.lib.jobPlan(j)
	if err != nil {
		return err
	}
	return c.enqueue(job{name: j.Model + " on " + j.Dataset, plan: todo, clocks: todo.NeedsClocks}, false)
}

// RunPrompt queues one prompt, to run next.
func (c *Controller) RunPrompt(text string) error {
	if strings.TrimSpace(text) == "" {
		return errors.New("the prompt is empty")
	}
	plan, err := c.lib.promptPlan(text, c.engine.Model().Name)
	if err != nil {
		return err
	}
	return c.enqueue(job{name: "prompt: " + plaintext.Line(text), plan: plan}, true)
}

// StartSweep runs a sweep plan.
func (c *Controller) StartSweep(s command.Sweep) error {
	if err := c.mayset(); err != nil {
		return err
	}
	if c.Note != "" {
		return errors.New(c.Note)
	}
	todo, settings, err := c.lib.sweepPlan(c.lib.nextJob(), s)
	if err != nil {
		return err
	}
	what := fmt.Sprintf("%d clocks", settings)
	if len(s.Policies) > 0 {
		what = strings.Join(s.Policies, " against ")
	}
	return c.enqueue(job{name: what + ": " + strings.Join(s.Models, ", ") + " on " + strings.Join(s.Datasets, ", "), plan: todo, clocks: true, policies: s.Policies}, false)
}

// Forecast says what a plan comes to.
func (c *Controller) Forecast(s command.Sweep) (command.Forecast, error) {
	var todo engine.Plan
	var settings int
	var err error
	if c.lib.router != nil && slices.Contains(s.Models, routedModel) && len(s.Datasets) > 0 && len(s.Batches) > 0 {
		settings = 1
		todo, err = c.lib.jobPlan(command.Job{Model: routedModel, Dataset: s.Datasets[0], Batch: s.Batches[0], Queries: s.Queries, MaxTokens: s.MaxTokens})
	} else {
		todo, settings, err = c.lib.sweepPlan(0, s)
	}
	if err != nil {
		return command.Forecast{}, err
	}
	f := command.Forecast{Settings: settings, Points: len(todo.Points), Requests: todo.Requests()}
	f.Seconds, f.Rough, _, f.Unknown = c.times.left(todo.Points, 0)
	f.Seconds += 2 * todo.Idle.Seconds()
	return f, nil
}

// queue lists the jobs with what is left of them.
func (c *Controller) queue() (out []command.Queued) {
	jobs, running := c.jobs.list()
	for i, j := range jobs {
		q := command.Queued{ID: j.id, Name: j.name, Points: len(j.plan.Points), Requests: j.plan.Requests(), Running: running && i == 0, Policies: j.policies}
		q.Seconds, q.Rough, q.Done, q.Unknown = c.times.left(j.plan.Points, c.Clock.Now())
		out = append(out, q)
	}
	return out
}

// MoveJob moves a job that waits.
func (c *Controller) MoveJob(id, by int) error { return c.jobs.move(id, by) }

// CancelJob takes a job from the queue, or ends it after its batch.
func (c *Controller) CancelJob(id int) error { return c.jobs.drop(id) }

// Pause holds the run after the batch in hand.
func (c *Controller) Pause() error { c.engine.Pause(); return nil }

// Resume lets it go on.
func (c *Controller) Resume() error { c.engine.Resume(); return nil }

// ChangePace makes requests that come by a rate come faster or slower.
func (c *Controller) ChangePace(by float64) (float64, error) { return c.engine.ChangePace(by) }

// SkipPoint gives up the point in hand.
func (c *Controller) SkipPoint() error {
	if !c.jobs.running() {
		return errors.New("nothing is running: there is no point to skip") // not the next run's first
	}
	c.engine.Skip()
	return nil
}

// Stop ends after the running batch.
func (c *Controller) Stop() error { c.jobs.stop(); return nil }

// End ends the session.
func (c *Controller) End() error { c.jobs.end(); return nil }

// Mark puts a note into the session.
func (c *Controller) Mark(note string) error { c.engine.Mark(note); return nil }

// Export copies the session's CSV files.
func (c *Controller) Export(path string) (string, error) {
	return exportSession(c.rec.Dir(), path)
}

// SetReplaySpeed is for replays.
func (c *Controller) SetReplaySpeed(float64) error { return errNoReplay }

// SeekTo is for replays.
func (c *Controller) SeekTo(int64) error { return errNoReplay }

var errNoReplay = errors.New("this is a live session, not a replay")

// exportSession copies a session's files as they stand, complete lines all, to
// path or to a new folder in the working directory, with one zip file of them beside it.
// It says where both are.
func exportSession(dir, path string) (string, error) {
	if path == "" {
		path = filepath.Base(dir) + "-export-" + time.Now().Format("150405")
	}
	path = session.ExpandHome(path)
	path, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	if _, err := session.ExportZip(dir, path); err != nil {
		return "", err
	}
	return path + " and .zip", nil
}

// Workload describes the queries of the datasets in use.
func (c *Controller) Workload() (command.Workload, error) { return c.lib.workload() }

// Sessions lists earlier sessions.
func (c *Controller) Sessions() ([]command.SessionInfo, error) {
	all, err := listSessions(filepath.Dir(c.rec.Dir()))
	return slices.DeleteFunc(all, func(s command.SessionInfo) bool { return s.Path == c.rec.Dir() }), err
}

// OpenSession reads an earlier session.
func (c *Controller) OpenSession(path string) (command.SessionDetail, error) {
	return openSession(path)
}

// lost observes the stream: where a clock is lost and not set again, so is the
// policy that asked for it, as when the operator switches clock control off.
func (c *Controller) lost(e event.Event) []event.Event {
	var cause event.Cause
	switch e := e.(type) {
	case event.ClockChange:
		cause = e.Cause
	case event.KnobChange:
		cause = e.Cause
	}
	if cause.Unasked() && !c.Rearm {
		go func() {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.clocks, c.others = event.PhaseClocks{}, gpu.Setting{}
			c.apply(engine.NoPolicy{}, cause.By)
		}()
	}
	return nil
}
