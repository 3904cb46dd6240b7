package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"jouletop/engine/operator"
	"jouletop/engine/plan"
	"jouletop/engine/rig"
	"jouletop/engine/session"
	"jouletop/engine/telemetry"
	"jouletop/engine/usage"
	"jouletop/gpu"
)

func newSweep() *cobra.Command {
	var (
		o        options
		minPoint time.Duration
		cool     time.Duration
	)
	c := &cobra.Command{
		Use:   "sweep",
		Short: "Clocks and other knobs × batch sizes × models × datasets × repeats, resumable",
		Long: `Run every combination of models, datasets, batch sizes, SM clocks (and of other
knobs, with --sweep) and repeats, in an order shuffled by the seed so that heat does
not pose as frequency. The highest clock is the baseline. Ctrl-C ends after the batch in hand;
--session DIR --resume goes on where a sweep stopped, however it stopped.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return runSweep(cmd.Context(), &o, minPoint, cool) },
	}
	f := c.Flags()
	o.addGPU(f)
	o.addModel(f)
	o.addWork(f)
	o.addDrafts(f)
	o.addSession(f)
	o.addTelemetry(f)
	f.Lookup("batch").DefValue = "[1,4,8]"
	o.Work.Batches = []int{1, 4, 8}
	f.StringVar(&o.Work.Clocks, "clocks", "", "SM `clocks`: 180,960,2842, MIN:MAX:COUNT, all, or paper (default: seven over the range, or the driver's where --sweep names another knob)")
	f.StringArrayVar(&o.Work.Sweeps, "sweep", nil, "`knob` to go through: sm=345:1980:7, power=200:700:6 (W), mem=all (MHz), profile=0,1; KNOB=LIST, MIN:MAX:COUNT or all (repeatable: every combination is run)")
	o.addRepeats(f, 3)
	f.BoolVar(&o.Resume, "resume", false, "go on with the sweep in --session")
	f.DurationVar(&minPoint, "min-point", 0, "repeat a point's queries until it has lasted so long")
	f.DurationVar(&cool, "cool-down", 30*time.Second, "wait before a point until the GPU is as cool as at the start, or so long")
	f.BoolVar(&o.json, "json", false, "summary as JSON")
	return c
}

func runSweep(ctx context.Context, o *options, minPoint, cool time.Duration) (err error) {
	if err := o.check(); err != nil {
		return err
	}
	if o.Work.Repeats < 1 {
		return usage.Errorf("--repeats %d: want 1 or more", o.Work.Repeats)
	}
	for flag, d := range map[string]time.Duration{"min-point": minPoint, "cool-down": cool} {
		if d < 0 {
			return usage.Errorf("--%s %v: want 0 (not at all) or more", flag, d)
		}
	}
	if o.Resume && o.Session == "" {
		return usage.Errorf("--resume: which sweep? give --session DIR")
	}
	data, err := plan.Datasets(&o.Work)
	if err != nil {
		return err
	}
	startNS := int64(0)
	if o.Resume {
		if startNS, err = session.LastTime(o.Session); err != nil {
			return err
		}
	}
	tell, err := o.openTelemetry()
	if err != nil {
		return err
	}
	defer closeTelemetry(tell)
	r, err := rig.Open(ctx, &o.Rig, 0, startNS)
	if err != nil {
		return err
	}
	defer r.CloseInto(&err)
	if !r.Controlled() {
		return usage.Errorf("a sweep sets clocks; leave --read-only out")
	}
	specs, err := r.OpenBackend(ctx, &o.Rig)
	if err != nil {
		return err
	}
	todo, axes, err := o.PlanSweep(r, specs, data, minPoint, cool)
	if err != nil {
		return err
	}
	m := operator.Manifest(r, &o.Config, "sweep")
	m.Plan.Clocks = plan.SMClocks(axes)
	for _, a := range axes {
		if a.Knob != gpu.KnobSM {
			m.Plan.Sweeps = append(m.Plan.Sweeps, a.String())
		}
	}
	operator.DescribePlan(&m, specs, data, todo)
	rec, before, err := operator.OpenSweep(&o.Config, m)
	if err != nil {
		return err
	}
	todo.Points = plan.Unfinished(todo.Points, before)
	if len(todo.Points) == 0 && !todo.Goes(before) {
		fmt.Fprintln(os.Stderr, "jouletop: the sweep is complete; nothing to resume")
	}
	observers, err := tell.Start(telemetry.SourceOf(&m, rec.Dir()))
	if err != nil {
		return errors.Join(err, rec.Close())
	}
	done, err := recorded(ctx, r, rec, todo, data, before, observers...)
	s, e := o.summarize(r, rec, done.Points)
	if e != nil {
		return errors.Join(err, e)
	}
	if slow, e := o.Work.Slowdown(); e == nil {
		s.AddSweep(done.Points, slow)
	}
	return errors.Join(err, s.Write(stdout(), o.json))
}
