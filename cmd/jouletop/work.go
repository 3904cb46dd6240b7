package main

import (
	"fmt"
	"regexp"
	"strings"

	"jouletop/engine"
	"jouletop/engine/event"
	"jouletop/engine/policy"
	"jouletop/engine/session"
	"jouletop/gpu"
	"jouletop/workloads"
	"jouletop/workloads/datasets"
)

// dataset is one --dataset, read.
type dataset struct {
	name    string
	queries []workloads.Query
	report  datasets.Report
}

// loadDatasets reads what --dataset names; by default the built-in queries of
// all four styles.
func loadDatasets(o *options) ([]dataset, error) {
	names := o.datasets
	if len(names) == 0 {
		for _, s := range workloads.Styles {
			names = append(names, string(s))
		}
	}
	var out []dataset
	seen := map[string]bool{}
	for _, n := range names {
		d, err := loadDataset(n, o.queries, o.lenient)
		if err != nil {
			return nil, err
		}
		if seen[d.name] {
			return nil, usagef("--dataset %s: there is another dataset named %s; give it a name with NAME=FILE", n, d.name)
		}
		seen[d.name] = true
		out = append(out, d)
	}
	return out, nil
}

func loadDataset(name string, queries int, lenient bool) (dataset, error) {
	spec, err := datasets.ParseSpec(name)
	if err != nil {
		return dataset{}, usageError{err}
	}
	qs, report, err := datasets.Load(spec, queries, lenient)
	if err != nil {
		return dataset{}, err
	}
	return dataset{report.Dataset, qs, report}, nil
}

// notes are what the operator should know of the datasets.
func (d dataset) notes() []string {
	var out []string
	if d.report.Note != "" {
		out = append(out, d.report.Note)
	}
	if n := d.report.Skipped; n > 0 {
		out = append(out, fmt.Sprintf("dataset %s: %s skipped: %s", d.name, plural(n, "bad row"), strings.Join(d.report.Problems, "; ")))
	}
	return out
}

func (d dataset) manifest() session.Dataset {
	return session.Dataset{Name: d.name, Path: d.report.Path, SHA256: d.report.SHA256, Rows: len(d.queries), Skipped: d.report.Skipped}
}

var unsafeInID = regexp.MustCompile(`[^A-Za-z0-9._-]+`)

// pointID names a point in one word: model.dataset.b4.c1005.r2. Batch and
// request ids begin with it and a slash.
func pointID(p event.Point) string {
	id := fmt.Sprintf("%s.%s.b%d", p.Model, p.Dataset, p.BatchSize)
	if p.RequestedSMMHz > 0 {
		id += fmt.Sprintf(".c%d", p.RequestedSMMHz)
	} else if p.Policy != "" && p.Policy != "none" {
		id += "." + p.Policy
	}
	if p.Repeat > 0 {
		id += fmt.Sprintf(".r%d", p.Repeat)
	}
	return unsafeInID.ReplaceAllString(id, "-")
}

// setting is the clock of a point: a fixed one or a policy.
type setting struct {
	mhz  int    // 0: policy
	spec string // as --policy takes it
}

// points lists the combinations of models, datasets, batches, settings and
// repeats, the models outermost so that each is loaded once a turn.
func points(o *options, gpuInfo gpu.Info, specs []engine.ModelSpec, data []dataset, settings []setting, repeats int) ([]engine.PointPlan, error) {
	slow, err := o.slowdown()
	if err != nil {
		return nil, err
	}
	var out []engine.PointPlan
	for _, spec := range specs {
		for _, d := range data {
			for _, batch := range o.batches {
				for _, s := range settings {
					for r := range repeats {
						p := engine.PointPlan{
							Point: event.Point{
								GPU: gpuInfo.ID(), Model: spec.Name, Dataset: d.name, BatchSize: batch, Policy: s.spec,
								RequestedSMMHz: s.mhz, Repeat: r + 1, Queries: len(d.queries),
							},
							Spec: spec, Queries: d.queries, MaxTokens: o.maxTokens, Chat: o.chat, Class: classOf,
						}
						p.PointID = pointID(p.Point)
						// Each point has a policy of its own: policies learn.
						if p.Policy, err = policy.Parse(s.spec, gpuInfo, policy.Options{MaxSlowdown: slow}); err != nil {
							return nil, usageError{err}
						}
						p.Spec.MaxBatch = batch
						out = append(out, p)
					}
				}
			}
		}
	}
	return out, nil
}

// fixed returns the setting for one clock.
func fixed(mhz int) setting { return setting{mhz, fmt.Sprintf("fixed:%d", mhz)} }
