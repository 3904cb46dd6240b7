package page

import (
	"errors"
	"strconv"
	"strings"

	"jouletop/engine/analysis/paired"
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
	model, dataset, batches, repeats, queries, tokens, until *panel.Field
}

// firstBatch is the batch size proposed.
func firstBatch(c *command.Choices) string {
	if len(c.Batches) > 0 {
		return draw.Int(c.Batches[0])
	}
	return "1"
}

// whole is a field of a whole number.
func whole(label, value, hint string) *panel.Field {
	f := panel.Typed(label, value, hint)
	return f.Check(func() error { _, err := f.Number(1); return err })
}

// wholes is a field of whole numbers.
func wholes(label, value, hint string) *panel.Field {
	f := panel.Typed(label, value, hint)
	return f.Check(func() error { _, err := f.Numbers(); return err })
}

// policyField is one of a policy, or of none where that may be.
func policyField(label, value, hint string, none bool) *panel.Field {
	f := panel.Typed(label, value, hint)
	return f.Check(func() error {
		if f.Value() == "" && none {
			return nil
		}
		_, err := event.ParsePolicy(f.Value())
		return err
	})
}

// untilField asks how well a figure is to be known.
func untilField() *panel.Field {
	f := panel.Typed("until", "", "2%: repeat until energies are known so well")
	return f.Check(func() error {
		text, percent := strings.CutSuffix(f.Value(), "%")
		v, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
		if f.Value() != "" && (err != nil || !percent || !(v > 0 && v < 100)) {
			return errors.New("want a percentage such as 2%")
		}
		return nil
	})
}

const (
	modelHint   = "a .gguf file or a name"
	datasetHint = "a file, or NAME=FILE"
)

func modelField(c *view.Context, many bool) *panel.Field {
	return panel.Choose("model", c.Choices.Models, many).Open(modelHint)
}

func datasetField(c *view.Context, many bool) *panel.Field {
	return panel.Choose("dataset", c.Choices.Datasets, many).Open(datasetHint)
}

// JobForm asks for a job.
func JobForm(c *view.Context) *panel.Form {
	model, dataset := modelField(c, false), datasetField(c, false)
	batch := whole("batch size", firstBatch(&c.Choices), "prompts at once")
	queries, tokens := whole("queries", "32", "more than there are repeats them"), whole("max tokens", "100", "a request")
	policy := policyField("policy", "", "empty: as set; fixed:MHZ, phase:PREFILL/DECODE, …", true)
	repeats, until := whole("repeats", "1", "of the same queries"), untilField()
	read := func() (command.Job, error) {
		job := command.Job{Model: model.Value(), Dataset: dataset.Value(), Policy: policy.Value(), Until: until.Value()}
		var err [4]error
		job.Batch, err[0] = batch.Number(1)
		job.Queries, err[1] = queries.Number(1)
		job.MaxTokens, err[2] = tokens.Number(1)
		job.Repeats, err[3] = repeats.Number(1)
		return job, needed(job.Model, job.Dataset, err[:]...)
	}
	queue := "; " + c.Label(c.Keys.Jobs) + " shows the queue"
	return panel.NewForm(c, "New job", func() (panel.Order, error) {
		job, err := read()
		if err != nil {
			return nil, err
		}
		return func(c command.Controller) (string, error) {
			return "job queued: " + job.Model + " on " + job.Dataset + queue, c.StartJob(job)
		}, nil
	}, model, dataset, batch, queries, tokens, policy, repeats, until).Plan(func() (command.Sweep, error) {
		job, err := read()
		return job.Sweep(), err
	})
}

// read fills a plan with what the fields say.
func (f *common) read(plan *command.Sweep) error {
	plan.Models, plan.Datasets, plan.Until = f.model.Values(), f.dataset.Values(), f.until.Value()
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
		modelField(c, true), datasetField(c, true),
		wholes("batch sizes", firstBatch(&c.Choices), "like 1,4,8"), whole("repeats", "3", "tell how sure a difference is"),
		whole("queries", "8", "a point"), whole("max tokens", "100", "a request"), untilField(),
	}
	clocks := panel.Typed("clocks", sweepClocks(c.Choices.Clocks), "MHz: 960,1200 or MIN:MAX:COUNT, all, paper")
	read := func() (command.Sweep, error) {
		plan := command.Sweep{Clocks: clocks.Value()}
		err := f.read(&plan)
		return plan, err
	}
	queue := "; " + c.Label(c.Keys.Jobs) + " shows the queue"
	return panel.NewForm(c, "New sweep", func() (panel.Order, error) {
		plan, err := read()
		if err != nil {
			return nil, err
		}
		return func(c command.Controller) (string, error) {
			return "sweep queued" + queue, c.StartSweep(plan)
		}, nil
	}, f.model, f.dataset, clocks, f.batches, f.repeats, f.queries, f.tokens, f.until).Plan(read)
}

// compareForm asks for a comparison of two policies; want is told which.
func compareForm(c *view.Context, want func(a, b string)) *panel.Form {
	f := common{
		modelField(c, false), datasetField(c, true),
		wholes("batch size", firstBatch(&c.Choices), ""), whole("repeats", "3", "tell how sure a difference is"),
		whole("queries", "8", "a repeat"), whole("max tokens", "100", "a request"), untilField(),
	}
	f.dataset.Prefer("truthfulqa") // an answer long enough for phases to matter
	first, second := comparePolicies(&c.Choices)
	policyA, policyB := policyField("policy A", first, "none is the driver's clock; fixed:MHZ, phase:PREFILL/DECODE, …", false), policyField("policy B", second, "the other side", false)
	read := func() (command.Sweep, error) {
		a, b := policyA.Value(), policyB.Value()
		if a == "" || b == "" || paired.Setting(a, 0) == paired.Setting(b, 0) {
			return command.Sweep{}, errSameSides
		}
		plan := command.Sweep{Policies: []string{a, b}}
		err := f.read(&plan)
		return plan, err
	}
	queue := "; " + c.Label(c.Keys.Jobs) + " shows the queue"
	return panel.NewForm(c, "New comparison", func() (panel.Order, error) {
		plan, err := read()
		if err != nil {
			return nil, err
		}
		a, b := plan.Policies[0], plan.Policies[1]
		want(a, b)
		return func(c command.Controller) (string, error) {
			return "comparing " + b + " with " + a + " in turns" + queue, c.StartSweep(plan)
		}, nil
	}, policyA, policyB, f.model, f.dataset, f.batches, f.repeats, f.queries, f.tokens, f.until).Plan(read)
}

// sweepClocks proposes seven clocks over the whole range.
func sweepClocks(clocks []int) string {
	if len(clocks) < 2 {
		return "all"
	}
	return draw.Int(clocks[0]) + ":" + draw.Int(clocks[len(clocks)-1]) + ":7"
}

// comparePolicies proposes the driver's clock against a phase-aware policy.
func comparePolicies(c *command.Choices) (a, b string) {
	a = event.Policy{}.String()
	for _, p := range c.Policies {
		if event.PolicyOf(p).Kind == event.ClockByPhase {
			return a, p
		}
	}
	return a, ""
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
