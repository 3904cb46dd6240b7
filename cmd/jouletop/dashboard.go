package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"golang.org/x/term"

	"jouletop/engine"
	"jouletop/engine/policy"
	"jouletop/engine/session"
	"jouletop/tui"
)

// runDashboard opens the dashboard over a session of its own and starts a first
// job where there is a model to run.
func runDashboard(ctx context.Context, o *options) (err error) {
	if err := o.check(); err != nil {
		return err
	}
	if err := needTerminal("jouletop run"); err != nil {
		return err
	}
	r, err := openRig(ctx, o, 1, 0)
	if err != nil {
		return err
	}
	defer r.closeInto(&err)
	lib, err := newLibrary(ctx, r, o)
	if err != nil {
		return err
	}
	if err := o.checkPolicy(r); err != nil {
		return err
	}
	for _, name := range o.datasets { // before anything is opened or recorded
		if _, err := lib.dataset(name); err != nil {
			return err
		}
	}
	what := "dashboard"
	if o.monitor {
		what = "monitor"
	}
	rec, err := o.createSession(newManifest(r, o, what), what)
	if err != nil {
		return err
	}

	for _, n := range r.notes { // the screen and the manifest have them as well
		fmt.Fprintln(os.Stderr, "jouletop:", n)
	}
	// The session runs within the rig's clock; the screen beside it.
	ready := make(chan *controller, 1)
	ended := make(chan error, 1)
	go func() {
		ended <- r.do(func() error {
			c, err := openController(r, rec, lib, o)
			if err != nil {
				close(ready)
				return err
			}
			ready <- c
			return c.finish(c.jobs.run())
		})
	}()
	c, ok := <-ready
	if !ok {
		return <-ended
	}
	mode := tui.Dashboard
	if o.monitor {
		mode = tui.Monitor
	}
	err = tui.Run(ctx, tui.Options{
		Source: c.events, Controller: c, Mode: mode, Version: version(), GPUs: r.infos(),
		Simulated: r.simulated(), Caveat: r.note, PricePerKWh: o.price, Analyse: analyse,
	})
	if errors.Is(err, tui.ErrAbandoned) {
		c.jobs.abandon()
		err = errInterrupted
	} else {
		c.jobs.end()
	}
	err = errors.Join(err, <-ended)
	fmt.Println("session:", displayHome(rec.Dir()))
	return err
}

// needTerminal tells of the command that does without, where there is none.
func needTerminal(instead string) error {
	if term.IsTerminal(int(os.Stdin.Fd())) && term.IsTerminal(int(os.Stdout.Fd())) {
		return nil
	}
	return usagef("the dashboard needs a terminal for input and output; `%s` does without", instead)
}

// checkPolicy finds what is wrong with --policy before anything is recorded.
func (o *options) checkPolicy(r *rig) error {
	if o.policy != "none" && !r.controlled() {
		return usagef("--policy %s sets clocks; leave --read-only out", o.policy)
	}
	if _, err := policy.Parse(o.policy, r.info, policy.Options{}); err != nil {
		return usageError{err}
	}
	return o.refuseMeaningless(r)
}

// openController starts the recording and queues the first job.
func openController(r *rig, rec *session.Recorder, lib *library, o *options) (*controller, error) {
	rc, err := startRecording(r, rec, nil, func(e *engine.Engine, _ error) { e.Pause() })
	if err != nil {
		return nil, errors.Join(err, rec.Close())
	}
	rc.describe()
	c := &controller{recording: rc, lib: lib, o: o, events: rc.stream.Subscribe(4096), policy: policy.None{}}
	rc.stream.Observe(c.lost)
	rc.sayNotes()
	c.jobs = newJobQueue(rc.engine, r.clk, c.restore)
	if err := errors.Join(rc.watchOthers(), c.begin(o.policy)); err != nil {
		return nil, errors.Join(err, rc.finish(err))
	}
	if r.backend == nil {
		return c, nil
	}
	plan, err := lib.firstPlan()
	if err != nil {
		rc.engine.Warn(err.Error())
		return c, nil
	}
	return c, c.enqueue(job{plan: plan}, false)
}

// dashboardPlan wraps points for the dashboard: a short look at idle power, no
// cool-down.
func dashboardPlan(points []engine.PointPlan) engine.Plan {
	return engine.Plan{Name: "run", Points: points, Idle: idleTime}
}
