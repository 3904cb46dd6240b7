package plan

import (
	"fmt"
	"regexp"
	"strings"

	"jouletop/engine"
	"jouletop/engine/event"
	"jouletop/engine/policy"
	"jouletop/engine/session"
	"jouletop/engine/usage"
	"jouletop/gpu"
	"jouletop/gpu/plaintext"
	"jouletop/workloads"
	"jouletop/workloads/datasets"
	"jouletop/workloads/features"
)

// Dataset is one --dataset, read.
type Dataset struct {
	Name    string
	Queries []workloads.Query
	report  datasets.Report
}

// Datasets reads what --dataset names; by default the built-in queries of
// all four styles.
func Datasets(o *Work) ([]Dataset, error) {
	names := o.Datasets
	if len(names) == 0 {
		for _, s := range workloads.Styles {
			names = append(names, string(s))
		}
	}
	var out []Dataset
	seen := map[string]bool{}
	for _, n := range names {
		d, err := LoadDataset(n, o.Queries, o.Lenient)
		if err != nil {
			return nil, err
		}
		if seen[d.Name] {
			return nil, usage.Errorf("--dataset %s: there is another dataset named %s; give it a name with NAME=FILE", n, d.Name)
		}
		seen[d.Name] = true
		out = append(out, d)
	}
	return out, nil
}

// LoadDataset reads a dataset as --dataset names it, queries of it (0: all).
func LoadDataset(name string, queries int, lenient bool) (Dataset, error) {
	spec, err := datasets.ParseSpec(name)
	if err != nil {
		return Dataset{}, usage.Wrap(err)
	}
	qs, report, err := datasets.Load(spec, queries, lenient)
	if err != nil {
		return Dataset{}, err
	}
	return Dataset{report.Dataset, qs, report}, nil
}

// Notes are what the operator should know of the datasets.
func (d Dataset) Notes() []string {
	var out []string
	if d.report.Note != "" {
		out = append(out, d.report.Note)
	}
	if n := d.report.Skipped; n > 0 {
		out = append(out, fmt.Sprintf("dataset %s: %s skipped: %s", d.Name, plaintext.Plural(n, "bad row"), strings.Join(d.report.Problems, "; ")))
	}
	return out
}

// Manifest describes the dataset for a session.
func (d Dataset) Manifest() session.Dataset {
	return session.Dataset{Name: d.Name, Path: d.report.Path, SHA256: d.report.SHA256, Rows: len(d.Queries), Skipped: d.report.Skipped}
}

var unsafeInID = regexp.MustCompile(`[^A-Za-z0-9._-]+`)

// PointID names a point in one word: model.dataset.b4.c1005.r2, after "route." where
// its queries are routed. It is for people: whatever a program asks of a point is a
// field of its own.
func PointID(p event.Point) string {
	id := p.Model + "." + p.Dataset
	if p.BatchSize >= 0 {
		id += fmt.Sprintf(".b%d", p.BatchSize)
	}
	if p.Routed {
		id = "route." + id
	}
	if p.Draft != "" {
		id += fmt.Sprintf(".%s-d%d", p.Draft, p.DraftDepth)
	}
	if p.RequestedSMMHz > 0 {
		id += fmt.Sprintf(".c%d", p.RequestedSMMHz)
		if p.Knobs != (gpu.Setting{}) {
			id += "." + p.Knobs.String()
		}
	} else if event.PolicyOf(p.Policy).Kind != event.NoPolicy {
		id += "." + p.Policy
	}
	if p.Repeat > 0 {
		id += fmt.Sprintf(".r%d", p.Repeat)
	}
	return unsafeInID.ReplaceAllString(id, "-")
}

// JobID is PointID for a point of the dashboard's n-th job, of which several may be
// alike.
func JobID(n int, p event.Point) string { return fmt.Sprintf("j%d.%s", n, PointID(p)) }

// Setting is the clock of a point, and other knobs: fixed ones or a policy.
type Setting struct {
	mhz  int    // 0: by the policy
	Spec string // as --policy takes it
}

// Points lists the combinations of models, datasets, batches, settings, draft depths and
// repeats, the models outermost so that each is loaded once a turn. No two have the same
// id: their requests would be taken for one's.
func Points(o *Work, gpuInfo gpu.Info, specs []engine.ModelSpec, data []Dataset, settings []Setting, repeats int) ([]engine.PointPlan, error) {
	slow, err := o.Slowdown()
	if err != nil {
		return nil, err
	}
	combinations := 0
	for _, spec := range specs {
		combinations += len(data) * len(o.Batches) * len(settings) * len(o.drafting(spec))
	}
	if combinations > 0 && repeats > mostPoints/combinations {
		return nil, usage.Errorf("%d combinations, %d times each, are more than the %d points that are run at once: leave out some, or lower --repeats", combinations, repeats, mostPoints)
	}
	var out []engine.PointPlan
	seen := map[string]bool{}
	for _, spec := range specs {
		for _, d := range data {
			for _, batch := range o.Batches {
				for _, s := range settings {
					for _, drafting := range o.drafting(spec) {
						for r := range repeats {
							p := engine.PointPlan{
								Point: event.Point{
									GPU: gpuInfo.ID(), Model: spec.Name, Dataset: d.Name, BatchSize: batch, Policy: s.Spec,
									RequestedSMMHz: s.mhz, Repeat: r + 1, Queries: len(d.Queries), Knobs: event.PolicyOf(s.Spec).Knobs, Drafting: drafting,
								},
								Spec: spec, Queries: d.Queries, MaxTokens: o.MaxTokens, Chat: o.Chat, Class: features.ClassOf,
							}
							p.PointID = PointID(p.Point)
							if seen[p.PointID] {
								return nil, usage.Errorf("%s would run twice, and the two could not be told apart: name a model, a dataset or a setting once, and files that are not the same differently", p.PointID)
							}
							seen[p.PointID] = true
							// Each point has a policy of its own: policies learn.
							if p.Policy, err = policy.Parse(s.Spec, gpuInfo, policy.Options{MaxSlowdown: slow, Knobs: o.Knobs}); err != nil {
								return nil, usage.Wrap(err)
							}
							p.Spec.MaxBatch = max(batch, 0)
							out = append(out, p)
						}
					}
				}
			}
		}
	}
	return out, nil
}

// Fixed returns the setting for one clock.
func Fixed(mhz int) Setting {
	return Setting{mhz, event.Policy{Kind: event.FixedClock, MHz: mhz}.String()}
}

// FixedKnobs returns the setting for several knobs.
func FixedKnobs(s gpu.Setting) Setting {
	if s.Others() == (gpu.Setting{}) {
		return Fixed(s.SMMHz)
	}
	return Setting{s.SMMHz, event.Policy{Kind: event.FixedKnobs, MHz: s.SMMHz, Knobs: s.Others()}.String()}
}

// ByPolicy returns the setting for a policy as --policy takes it.
func ByPolicy(spec string) Setting { return Setting{0, spec} }
