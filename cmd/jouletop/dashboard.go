package main

import (
	"context"
	"errors"
	"fmt"

	"jouletop/engine"
	"jouletop/engine/session"
	"jouletop/gpu"
	"jouletop/tui"
)

// runDashboard opens the dashboard over a session of its own and starts a first
// job where there is a model to run.
func runDashboard(ctx context.Context, o *options) error {
	if err := o.check(); err != nil {
		return err
	}
	r, err := openRig(ctx, o, 1, 0)
	if err != nil {
		return err
	}
	defer r.Close()
	lib, err := newLibrary(ctx, r, o)
	if err != nil {
		return err
	}
	what := "dashboard"
	if o.monitor {
		what = "monitor"
	}
	keep, err := session.ParseKeep(o.samples)
	if err != nil {
		return usageError{err}
	}
	rec, err := session.Create(o.sessionDir(what), newManifest(r, o, what), keep)
	if err != nil {
		return err
	}

	// The session runs within the rig's clock; the screen beside it.
	ready := make(chan *controller, 1)
	ended := make(chan error, 1)
	go func() {
		ended <- r.do(func() error {
			c, err := openController(r, rec, lib, o)
			if err != nil {
				close(ready)
				return errors.Join(err, rec.Close())
			}
			ready <- c
			c.jobs.run()
			return c.finish(nil)
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
		Source: c.events, Controller: c, Mode: mode, Version: version(), GPUs: []gpu.Info{r.dev.Info()},
		Simulated: r.simulated(), Caveat: r.note, PricePerKWh: o.price, Analyse: analyse,
	})
	c.jobs.end()
	err = errors.Join(err, <-ended)
	fmt.Println("session:", displayHome(rec.Dir()))
	return err
}

// openController starts the recording and queues the first job.
func openController(r *rig, rec *session.Recorder, lib *library, o *options) (*controller, error) {
	rc, err := startRecording(r, rec, nil)
	if err != nil {
		return nil, err
	}
	rc.noteModels()
	c := &controller{recording: rc, lib: lib, o: o, jobs: newJobQueue(rc.engine, r.clk), events: rc.stream.Subscribe(4096)}
	if err := rc.watchOthers(); err != nil {
		return nil, err
	}
	if r.backend == nil {
		return c, nil
	}
	plan, err := lib.firstPlan()
	if err != nil {
		rc.engine.Warn(err.Error())
		return c, nil
	}
	return c, c.jobs.add(plan, false)
}

// dashboardPlan wraps points for the dashboard: a short look at idle power, no
// cool-down.
func dashboardPlan(points []engine.PointPlan) engine.Plan {
	return engine.Plan{Name: "run", Points: points, Idle: idleTime}
}
