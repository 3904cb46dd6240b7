package page

import (
	"errors"

	"jouletop/engine/command"
	"jouletop/engine/event"
	"jouletop/tui/draw"
	"jouletop/tui/panel"
	"jouletop/tui/view"
)

var (
	errNoModel   = errors.New("no model found: see jouletop models")
	errNoDataset = errors.New("choose a dataset")
	errSameSides = errors.New("choose two different policies to compare")
)

// common are the fields that every form has.
type common struct {
	model, dataset, batches, repeats, queries, tokens *panel.Field
}

// firstBatch is the batch size proposed.
func firstBatch(c *command.Choices) string {
	if len(c.Batches) > 0 {
		return draw.Int(c.Batches[0])
	}
	return "1"
}

// JobForm asks for a job.
func JobForm(c *view.Context) *panel.Form {
	model, dataset := panel.Choose("model", c.Choices.Models, false), panel.Choose("dataset", c.Choices.Datasets, false)
	batch := panel.Typed("batch size", firstBatch(&c.Choices), "prompts at once")
	queries, tokens := panel.Typed("queries", "32", "more than there are repeats them"), panel.Typed("max tokens", "100", "a request")
	return panel.NewForm(c, "New job", func() (panel.Order, error) {
		job := command.Job{Model: model.Value(), Dataset: dataset.Value()}
		var err [3]error
		job.Batch, err[0] = batch.Number(1)
		job.Queries, err[1] = queries.Number(1)
		job.MaxTokens, err[2] = tokens.Number(1)
		if e := needed(job.Model, job.Dataset, err[:]...); e != nil {
			return nil, e
		}
		return func(c command.Controller) (string, error) {
			return "job started: " + job.Model + " on " + job.Dataset, c.StartJob(job)
		}, nil
	}, model, dataset, batch, queries, tokens)
}

// read fills a plan with what the fields say.
func (f *common) read(plan *command.Sweep) error {
	plan.Models, plan.Datasets = f.model.Values(), f.dataset.Values()
	var err [4]error
	plan.Batches, err[0] = f.batches.Numbers()
	plan.Repeats, err[1] = f.repeats.Number(1)
	plan.Queries, err[2] = f.queries.Number(1)
	plan.MaxTokens, err[3] = f.tokens.Number(1)
	return needed(f.model.Value(), f.dataset.Value(), err[:]...)
}

// sweepForm asks for a sweep over clocks.
func sweepForm(c *view.Context) *panel.Form {
	f := common{
		panel.Choose("model", c.Choices.Models, true), panel.Choose("dataset", c.Choices.Datasets, true),
		panel.Typed("batch sizes", firstBatch(&c.Choices), "like 1,4,8"), panel.Typed("repeats", "3", ""),
		panel.Typed("queries", "8", "a point"), panel.Typed("max tokens", "100", "a request"),
	}
	clocks := panel.Typed("clocks", sweepClocks(c.Choices.Clocks), "MHz: 960,1200 or MIN:MAX:COUNT, all, paper")
	return panel.NewForm(c, "New sweep", func() (panel.Order, error) {
		plan := command.Sweep{Clocks: clocks.Value()}
		if err := f.read(&plan); err != nil {
			return nil, err
		}
		return func(c command.Controller) (string, error) { return "sweep started", c.StartSweep(plan) }, nil
	}, f.model, f.dataset, clocks, f.batches, f.repeats, f.queries, f.tokens)
}

// compareForm asks for a comparison of two policies; want is told which.
func compareForm(c *view.Context, want func(a, b string)) *panel.Form {
	f := common{
		panel.Choose("model", c.Choices.Models, false), panel.Choose("dataset", c.Choices.Datasets, true),
		panel.Typed("batch size", firstBatch(&c.Choices), ""), panel.Typed("repeats", "3", ""),
		panel.Typed("queries", "8", "a repeat"), panel.Typed("max tokens", "100", "a request"),
	}
	f.dataset.Prefer("truthfulqa") // an answer long enough for phases to matter
	first, second := comparePolicies(&c.Choices)
	policyA, policyB := panel.Typed("policy A", first, "none, fixed:MHZ, phase:PREFILL/DECODE, …"), panel.Typed("policy B", second, "the other side")
	return panel.NewForm(c, "New comparison", func() (panel.Order, error) {
		a, b := policyA.Value(), policyB.Value()
		if a == b || a == "" || b == "" {
			return nil, errSameSides
		}
		plan := command.Sweep{Policies: []string{a, b}}
		if err := f.read(&plan); err != nil {
			return nil, err
		}
		want(a, b)
		return func(c command.Controller) (string, error) { return "comparing " + a + " with " + b, c.StartSweep(plan) }, nil
	}, policyA, policyB, f.model, f.dataset, f.batches, f.repeats, f.queries, f.tokens)
}

// sweepClocks proposes seven clocks over the whole range.
func sweepClocks(clocks []int) string {
	if len(clocks) < 2 {
		return "all"
	}
	return draw.Int(clocks[0]) + ":" + draw.Int(clocks[len(clocks)-1]) + ":7"
}

// comparePolicies proposes the highest clock against a phase-aware policy.
func comparePolicies(c *command.Choices) (a, b string) {
	highest := event.Policy{}
	if n := len(c.Clocks); n > 0 {
		highest = event.Policy{Kind: event.FixedClock, MHz: c.Clocks[n-1]}
	}
	for _, p := range c.Policies {
		if event.PolicyOf(p).Kind == event.ClockByPhase {
			return highest.String(), p
		}
	}
	return highest.String(), ""
}

func needed(model, dataset string, errs ...error) error {
	if model == "" {
		return errNoModel
	}
	if dataset == "" {
		return errNoDataset
	}
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
