package main

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
	"jouletop/engine/session"
	"jouletop/engine/stream"
	"jouletop/gpu"
	"jouletop/gpu/clockguard"
)

// controller does what the dashboard's operator asks for. It implements
// command.Controller over a running session.
type controller struct {
	*recording
	lib    *library
	o      *options
	jobs   *jobQueue
	events *stream.Subscriber

	mu     sync.Mutex
	policy engine.Policy      // the operator's
	clocks policy.PhaseClocks // as chosen by hand; 0 leaves a phase to the driver
	later  string             // policy to take once armed; empty none
}

var errNoControl = fmt.Errorf("clock control: %w", gpu.ErrReadOnly)

// Status tells what the stream does not.
func (c *controller) Status() command.Status {
	c.mu.Lock()
	clocks := c.clocks
	c.mu.Unlock()
	s := command.Status{
		Armed: c.armed(), ReadOnly: c.o.readOnly,
		Policy: c.engine.Policy().Name(), Prefill: clocks.Prefill, Decode: clocks.Decode, Score: clocks.Score,
		Paused: c.engine.Paused(), Hidden: c.info.Hidden, Dropped: c.events.Dropped(),
		PowerSources: c.powerSources(),
		Session:      command.SessionInfo{Path: c.rec.Dir(), Name: filepath.Base(c.rec.Dir())},
		Files:        sessionFiles(c.rec.Dir()),
	}
	if t := c.unguarded.Load(); t != nil && !s.Armed {
		s.Alarm = *t
	}
	if !c.clk.Simulated() {
		s.NowNS = c.clk.Now()
	}
	if t := c.trouble.Load(); t != nil {
		s.Alarm = *t + "; the run pauses: make room, then z resumes"
	}
	s.Processes, _ = c.otherProcesses() // what cannot be told is told of elsewhere
	return s
}

// sessionFiles lists a session's files with their sizes.
func sessionFiles(dir string) []command.File {
	var out []command.File
	for _, name := range session.Files() {
		if st, err := os.Stat(filepath.Join(dir, name)); err == nil {
			out = append(out, command.File{Name: name, Bytes: st.Size(), Rows: -1})
		}
	}
	return out
}

// Choices lists what can be run and set.
func (c *controller) Choices() (command.Choices, error) { return c.lib.choices(), nil }

// Arm allows setting clocks on a real GPU.
func (c *controller) Arm(on bool) (string, error) {
	if !c.controlled() {
		return "", errNoControl
	}
	c.unguarded.Store(nil)
	if !on {
		// The driver's call takes time, simulated time on a simulated GPU: only a
		// goroutine of the clock's may wait for that.
		err := c.do(func() error { return errors.Join(c.GiveBack(), c.arm(false)) })
		return "clock control is off; the clock is the driver's", err
	}
	if err := c.do(func() error { return c.arm(true) }); err != nil {
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
	return c.armWarning(), nil
}

// begin takes the policy asked for at the start, or keeps it until clock control
// is armed.
func (c *controller) begin(spec string) error {
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
func (c *controller) SetClock(phase event.Phase, mhz int) error {
	if err := c.mayset(); err != nil {
		return err
	}
	if err := c.info.CheckSMClock(mhz); err != nil {
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
		c.clocks = policy.PhaseClocks{Prefill: mhz, Decode: mhz, Score: mhz}
	}
	k := c.clocks
	if k.Prefill == k.Decode && k.Decode == k.Score {
		c.apply(policy.Fixed{MHz: mhz}, event.ByOperator)
		return nil
	}
	c.apply(policy.NewPhaseAware(k, nil), event.ByOperator)
	return nil
}

// apply puts a policy in force as the operator's; c.mu is held.
func (c *controller) apply(p engine.Policy, by event.By) {
	c.policy = p
	c.engine.SetPolicy(p, by, true)
}

// restore puts the operator's policy in force again after a sweep.
func (c *controller) restore() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.apply(c.policy, event.BySweepEnd)
}

func (c *controller) mayset() error {
	switch {
	case !c.controlled():
		return errNoControl
	case !c.armed():
		return fmt.Errorf("%w: press a to arm it", clockguard.ErrNotArmed)
	}
	return nil
}

// GiveBack leaves the clock to the driver.
func (c *controller) GiveBack() error {
	if !c.controlled() {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.clocks = policy.PhaseClocks{}
	c.apply(policy.None{}, event.ByOperator)
	return nil
}

// SetPolicy takes a policy as --policy does.
func (c *controller) SetPolicy(spec string) error {
	if spec == "none" {
		return c.GiveBack()
	}
	if err := c.mayset(); err != nil {
		return err
	}
	if c.note != "" && policy.Optimizes(spec) {
		return errors.New(c.note)
	}
	if err := c.o.refuseOverlap(c.rig, spec); err != nil {
		return err
	}
	slow, err := c.o.slowdown()
	if err != nil {
		return err
	}
	p, err := policy.Parse(spec, c.info, policy.Options{MaxSlowdown: slow})
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.clocks = policy.PhaseClocks{}
	switch p := p.(type) {
	case policy.Fixed:
		c.clocks = policy.PhaseClocks{Prefill: p.MHz, Decode: p.MHz, Score: p.MHz}
	case *policy.PhaseAware:
		c.clocks = p.Clocks()
	}
	c.apply(p, event.ByOperator)
	return nil
}

// enqueue queues a job and names its datasets in the manifest.
func (c *controller) enqueue(j job, next bool) error {
	if err := c.jobs.add(j, next); err != nil {
		return err
	}
	var used []session.Dataset
	for _, p := range j.plan.Points {
		if d, ok := c.lib.named(p.Dataset); ok {
			used = append(used, d.manifest())
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
func (c *controller) StartJob(j command.Job) error {
	plan, err := c.lib.jobPlan(j)
	if err != nil {
		return err
	}
	return c.enqueue(job{plan: plan}, false)
}

// RunPrompt queues one prompt, to run next.
func (c *controller) RunPrompt(text string) error {
	if strings.TrimSpace(text) == "" {
		return errors.New("the prompt is empty")
	}
	plan, err := c.lib.promptPlan(text, c.engine.Model().Name)
	if err != nil {
		return err
	}
	return c.enqueue(job{plan: plan}, true)
}

// StartSweep runs a sweep plan.
func (c *controller) StartSweep(s command.Sweep) error {
	if err := c.mayset(); err != nil {
		return err
	}
	if c.note != "" {
		return errors.New(c.note)
	}
	var settings []setting
	for _, spec := range s.Policies {
		settings = append(settings, setting{0, spec})
	}
	if len(settings) == 0 {
		clocks, err := parseClocks(s.Clocks, c.info)
		if err != nil {
			return err
		}
		for _, mhz := range clocks {
			settings = append(settings, fixed(mhz))
		}
	}
	if len(settings) == 0 || len(s.Models) == 0 || len(s.Datasets) == 0 || len(s.Batches) == 0 {
		return errors.New("the plan is empty: choose models, datasets, clocks and batch sizes")
	}
	pts, err := c.lib.points(s.Models, s.Datasets, s.Batches, settings, max(s.Repeats, 1), s.Queries, s.MaxTokens)
	if err != nil {
		return err
	}
	return c.enqueue(job{sweepPlan(pts, c.o.seed), true}, false)
}

// Pause holds the run after the batch in hand.
func (c *controller) Pause() error { c.engine.Pause(); return nil }

// Resume lets it go on.
func (c *controller) Resume() error { c.engine.Resume(); return nil }

// SkipPoint gives up the point in hand.
func (c *controller) SkipPoint() error {
	if !c.jobs.running() {
		return errors.New("nothing is running: there is no point to skip") // not the next run's first
	}
	c.engine.Skip()
	return nil
}

// Stop ends after the running batch.
func (c *controller) Stop() error { c.jobs.stop(); return nil }

// End ends the session.
func (c *controller) End() error { c.jobs.end(); return nil }

// Mark puts a note into the session.
func (c *controller) Mark(note string) error { c.engine.Mark(note); return nil }

// Export copies the session's CSV files.
func (c *controller) Export(path string) (string, error) {
	return exportSession(c.rec.Dir(), path)
}

// SetReplaySpeed is for replays.
func (c *controller) SetReplaySpeed(float64) error { return errNoReplay }

// SeekTo is for replays.
func (c *controller) SeekTo(int64) error { return errNoReplay }

var errNoReplay = errors.New("this is a live session, not a replay")

// exportSession copies a session's files as they stand, complete lines all, to
// path or to a new folder in the working directory.
func exportSession(dir, path string) (string, error) {
	if path == "" {
		path = filepath.Base(dir) + "-export-" + time.Now().Format("150405")
	}
	path = expandHome(path)
	if err := session.Export(dir, path); err != nil {
		return "", err
	}
	return filepath.Abs(path)
}

// Workload describes the queries of the datasets in use.
func (c *controller) Workload() (command.Workload, error) { return c.lib.workload() }

// Sessions lists earlier sessions.
func (c *controller) Sessions() ([]command.SessionInfo, error) {
	all, err := listSessions(filepath.Dir(c.rec.Dir()))
	return slices.DeleteFunc(all, func(s command.SessionInfo) bool { return s.Path == c.rec.Dir() }), err
}

// OpenSession reads an earlier session.
func (c *controller) OpenSession(path string) (command.SessionDetail, error) {
	return openSession(path)
}

// lost observes the stream: where a clock is lost and not set again, so is the
// policy that asked for it, as when the operator switches clock control off.
func (c *controller) lost(e event.Event) []event.Event {
	if e, ok := e.(event.ClockChange); ok && e.Cause.Unasked() && !c.rearm {
		go func() {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.clocks = policy.PhaseClocks{}
			c.apply(policy.None{}, e.Cause.By)
		}()
	}
	return nil
}
