package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"time"

	"github.com/spf13/cobra"

	"jouletop/engine"
	"jouletop/engine/event"
	"jouletop/engine/policy"
	"jouletop/engine/session"
)

// idleTime is how long idle power is measured before and after the jobs.
const idleTime = time.Second

// blockTime is how long --phase-blocks repeats each phase.
const blockTime = 4 * time.Second

func newRun() *cobra.Command {
	var o options
	c := &cobra.Command{
		Use:   "run",
		Short: "Run jobs without the dashboard: progress on stderr, summary on stdout, session folder on disk",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return runJobs(cmd.Context(), &o) },
	}
	f := c.Flags()
	o.addGPU(f)
	o.addModel(f)
	o.addWork(f)
	o.addSession(f)
	o.addRoute(f)
	f.BoolVar(&o.routeAlone, "route-alone", false, "with --route: leave out the largest model at the highest clock, which the routed queries are compared with")
	f.IntVar(&o.repeats, "repeats", 1, "how often each combination is run")
	f.BoolVar(&o.blocks, "phase-blocks", false, "also repeat each phase back to back, for a precise figure of its power")
	f.BoolVar(&o.json, "json", false, "summary as JSON")
	return c
}

func runJobs(ctx context.Context, o *options) (err error) {
	if err := o.check(); err != nil {
		return err
	}
	if o.repeats < 1 {
		return usagef("--repeats %d: want 1 or more", o.repeats)
	}
	data, err := loadDatasets(o)
	if err != nil {
		return err
	}
	r, err := openRig(ctx, o, 0, 0)
	if err != nil {
		return err
	}
	defer r.closeInto(&err)
	specs, err := r.openBackend(ctx, o)
	if err != nil {
		return err
	}
	if err := o.refuseMeaningless(r); err != nil {
		return err
	}
	router, err := newRouter(o, specs)
	if err != nil {
		return err
	}
	s, base := setting{0, o.policy}, (*setting)(nil)
	if router != nil {
		s, base = routeSettings(o, r)
	}
	if s.spec != "none" {
		if err := r.armForRun(); err != nil {
			return err
		}
	}
	plan := engine.Plan{Name: "run", Idle: idleTime}
	if router != nil {
		plan.Points, err = router.plan(o, r.info, specs, data, s, base, o.repeats)
	} else {
		plan.Points, err = points(o, r.info, specs, data, []setting{s}, o.repeats)
	}
	if err != nil {
		return err
	}
	if o.blocks {
		plan.Blocks = blockTime
	}
	m := newManifest(r, o, "run")
	describePlan(&m, specs, data, plan)
	rec, err := o.createSession(m, "run")
	if err != nil {
		return err
	}
	done, err := recordRun(ctx, r, rec, plan, data, nil)
	sum, e := newSummary(r, rec.Dir(), o.price, done.points)
	if e == nil && router != nil {
		sum.table, sum.Routing, e = routed(rec.Dir())
	}
	if e != nil {
		return errors.Join(err, e)
	}
	return errors.Join(err, sum.write(os.Stdout, o.json))
}

// refuseMeaningless refuses what would look at joules that mean nothing.
func (o *options) refuseMeaningless(r *rig) error {
	if r.note != "" && policy.Optimizes(o.policy) {
		return usagef("--policy %s: %s", o.policy, r.note)
	}
	return o.refuseOverlap(r, o.policy)
}

func describePlan(m *session.Manifest, specs []engine.ModelSpec, data []dataset, plan engine.Plan) {
	for _, s := range specs {
		m.Plan.Models = append(m.Plan.Models, s.Name)
	}
	for _, d := range data {
		m.Plan.Datasets = append(m.Plan.Datasets, d.name)
		m.Datasets = append(m.Datasets, d.manifest())
	}
	for _, p := range plan.Points {
		m.Plan.Points = append(m.Plan.Points, p.PointID)
	}
}

// recordRun runs the plan into rec, with progress on stderr, after the points
// before of a sweep taken up again. A done ctx ends it after the batch in hand,
// atOnce's at once; so does a disk that takes no more. That a point came to nothing
// is an error. observers hear every event too.
func recordRun(ctx context.Context, r *rig, rec *session.Recorder, plan engine.Plan, data []dataset, before []event.PointDone, observers ...func(event.Event) []event.Event) (*collector, error) {
	// Events live a moment. Simulated, they come by the million: collect them
	// seldom. Else memory is worth more than the little time.
	percent := 50
	if r.sim != nil {
		percent = 400
	}
	defer debug.SetGCPercent(debug.SetGCPercent(percent))
	got := newCollector(before)
	var shown chan struct{}
	err := r.do(func() error {
		trouble := make(chan error, 1)
		c, err := startRecording(r, rec, nil, func(e *engine.Engine, err error) {
			e.StopRun()
			trouble <- err
		})
		if err != nil {
			return errors.Join(err, rec.Close())
		}
		c.stream.Observe(got.observe)
		for _, o := range observers {
			c.stream.Observe(o)
		}
		c.describe()
		sub := c.stream.Subscribe(1000)
		shown = make(chan struct{})
		go func() {
			defer close(shown)
			showProgress(sub, trouble)
		}()
		c.sayNotes()
		stopped := context.AfterFunc(ctx, c.engine.StopRun)
		defer stopped()
		for _, d := range data {
			for _, n := range d.notes() {
				c.engine.Warn(n)
			}
		}
		err = c.watchOthers()
		if err == nil {
			err = c.engine.Run(atOnce(ctx), plan)
		}
		switch {
		case c.trouble.Load() != nil && errors.Is(err, engine.ErrStopped):
			err = rec.Err() // it ended the run
		case ctx.Err() != nil && (errors.Is(err, engine.ErrStopped) || atOnce(ctx).Err() != nil):
			err = errInterrupted
		case err == nil:
			err = errors.Join(got.failed(), got.clockFailed())
		}
		return errors.Join(err, c.finish(err))
	})
	if shown != nil {
		<-shown
	}
	if text := got.someFailed(); text != "" {
		fmt.Fprintln(os.Stderr, "jouletop:", text)
	}
	return got, err
}
