package main

import (
	"context"
	"errors"
	"slices"

	"github.com/spf13/cobra"

	"jouletop/engine/analysis/report"
	"jouletop/engine/analysis/served"
	"jouletop/engine/operator"
	"jouletop/engine/plan"
	"jouletop/engine/rig"
	"jouletop/engine/telemetry"
	"jouletop/engine/usage"
)

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
	o.addDrafts(f)
	o.addSession(f)
	o.addRoute(f)
	o.addServing(f)
	o.addTelemetry(f)
	f.BoolVar(&o.Work.RouteAlone, "route-alone", false, "with --route: leave out the largest model at the highest clock, which the routed queries are compared with")
	o.addRepeats(f, 1)
	f.BoolVar(&o.json, "json", false, "summary as JSON")
	return c
}

func runJobs(ctx context.Context, o *options) (err error) {
	if err := o.check(); err != nil {
		return err
	}
	if o.Work.Repeats < 1 {
		return usage.Errorf("--repeats %d: want 1 or more", o.Work.Repeats)
	}
	slo, err := o.checkServing()
	if err != nil {
		return err
	}
	readData := plan.Datasets
	if o.Serve.On() {
		readData, o.Work.Batches = plan.ServedDatasets, []int{o.Serve.AtOnce(o.Rig.URL != "")}
	}
	data, err := readData(&o.Work)
	if err != nil {
		return err
	}
	tell, err := o.openTelemetry()
	if err != nil {
		return err
	}
	defer closeTelemetry(tell)
	r, err := rig.Open(ctx, &o.Rig, 0, 0)
	if err != nil {
		return err
	}
	defer r.CloseInto(&err)
	specs, err := r.OpenBackend(ctx, &o.Rig)
	if err != nil {
		return err
	}
	if err := o.RefuseMeaningless(r); err != nil {
		return err
	}
	if err := o.CheckServe(r); err != nil {
		return err
	}
	todo, routed, err := o.PlanRun(r, specs, data, &o.Serve)
	if err != nil {
		return err
	}
	m := operator.Manifest(r, &o.Config, "run")
	operator.DescribePlan(&m, specs, data, todo)
	if m.Plan.Serving = o.Serve.Manifest(); m.Plan.Serving != nil {
		m.Plan.Serving.SLO = slo.String()
	}
	rec, err := o.CreateSession(m, "run")
	if err != nil {
		return err
	}
	observers, err := tell.Start(telemetry.SourceOf(&m, rec.Dir()))
	if err != nil {
		return errors.Join(err, rec.Close())
	}
	done, err := recorded(ctx, r, rec, todo, data, nil, observers...)
	sum, e := o.summarize(r, rec, done.Points)
	if e == nil {
		sum.AddRepeats(done.Points)
	}
	if e == nil && routed {
		sum.Table, sum.Routing, e = report.RoutedSession(rec.Dir())
	}
	if e == nil && o.Serve.On() {
		sum.Table, sum.Serving, e = report.ServedSession(rec.Dir(), slo)
	}
	if e != nil {
		return errors.Join(err, e)
	}
	return errors.Join(err, sum.Write(stdout(), o.json))
}

// checkServing finds what is wrong with the flags about serving.
func (o *options) checkServing() (served.SLO, error) {
	slo, err := served.ParseSLO(o.slo)
	if err != nil {
		return slo, usage.Errorf("--slo %v", err)
	}
	if err := o.Serve.Check(); err != nil {
		return slo, err
	}
	switch {
	case !o.Serve.On() && o.slo != "":
		err = usage.Errorf("--slo goes with --arrivals or --concurrency")
	case o.Serve.On() && o.Work.Route != "":
		err = usage.Errorf("--route: queries that are served go to one model; leave out --arrivals or --concurrency")
	case o.Serve.On() && o.Work.Blocks:
		err = usage.Errorf("--phase-blocks repeats batches; leave out --arrivals or --concurrency")
	case o.Serve.On() && !slices.Equal(o.Work.Batches, []int{1}):
		err = usage.Errorf("--batch: requests that are served come one by one, --slots at once at most; leave it out, or --arrivals or --concurrency")
	}
	return slo, err
}
