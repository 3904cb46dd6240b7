package plan

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"math"
	"os"
	"slices"
	"strings"

	"jouletop/engine"
	"jouletop/engine/analysis/answers"
	"jouletop/engine/analysis/curve"
	"jouletop/engine/event"
	"jouletop/engine/gguf"
	"jouletop/engine/usage"
	"jouletop/gpu"
	"jouletop/gpu/regular"
	"jouletop/workloads"
	"jouletop/workloads/difficulty"
	"jouletop/workloads/features"
)

// RouteModels are what a simulation routes between unless told otherwise: the
// targets of the study's tiers, and its largest model as the baseline.
var RouteModels = []string{"llama-3.2-3b", "qwen2.5-14b", "qwen2.5-32b"}

// Router tells which model a query goes to.
type Router struct {
	How    string             // rule, model, or the file
	models []difficulty.Model // by growing size
	class  func(workloads.Query) string
	model  func(workloads.Query) (string, error)
}

// NewRouter is nil without --route.
func NewRouter(o *Work, specs []engine.ModelSpec) (*Router, error) {
	if len(o.RouteFrom) > 0 && o.Route != "model" {
		return nil, usage.Errorf("--route-from goes with --route model")
	}
	if o.Route == "" {
		return nil, nil
	}
	if len(specs) < 2 {
		return nil, usage.Errorf("--route %s: there is one model only; give several --model", o.Route)
	}
	t := &Router{How: o.Route, class: features.ClassOf}
	for _, s := range specs {
		b := modelSize(s)
		if math.IsNaN(b) {
			return nil, usage.Errorf("--route %s: the size of model %s is not known; routing goes by size", o.Route, s.Name)
		}
		t.models = append(t.models, difficulty.Model{Name: s.Name, ParamsB: b})
	}
	slices.SortStableFunc(t.models, func(a, b difficulty.Model) int { return cmp.Compare(a.ParamsB, b.ParamsB) })
	t.model = t.byClass
	switch o.Route {
	case "rule":
		return t, nil
	case "model":
		if len(o.RouteFrom) == 0 {
			return nil, usage.Errorf("--route model: learn from what? give --route-from DIR, a session of several models over like queries")
		}
		return t, t.learn(o.RouteFrom)
	}
	return t, t.fromFile(o.Route)
}

// modelSize is a model's size in billions of parameters: its file's, or its
// name's; NaN where neither tells.
func modelSize(s engine.ModelSpec) float64 {
	if s.Path != "" {
		if m, err := gguf.OpenModel(s.Path); err == nil {
			return float64(m.Parameters()) / 1e9
		}
	}
	return curve.Billions(s.Name)
}

// byClass picks the model by the query's class.
func (t *Router) byClass(q workloads.Query) (string, error) {
	class := t.class(q)
	if class == "" {
		return "", fmt.Errorf("--route %s: query %s of %s has no class", t.How, q.ID, q.Dataset)
	}
	m, _ := difficulty.RouteClass(features.Class(class)).Pick(t.models)
	return m.Name, nil
}

// learn trains a classifier on recorded sessions.
func (t *Router) learn(dirs []string) error {
	w, err := OpenWorkload(&Work{}, dirs)
	if err != nil {
		return fmt.Errorf("--route-from: %w", err)
	}
	of := answers.ClassifierFeatures(w.Tables)
	c, err := difficulty.TrainClassifier(w.Data, of)
	if err != nil {
		return fmt.Errorf("--route-from: %w", err)
	}
	var names []string
	for _, f := range of {
		names = append(names, strings.ToLower(f.Name))
	}
	note := fmt.Sprintf("classifier trained on %d queries by %s", len(w.Queries), strings.Join(names, ", "))
	if predicted, err := answers.OutOfFold(w.Data, of); err == nil {
		hits, easy := 0, w.Data.Labels()
		for i, p := range predicted {
			if (p == features.Easy) == easy[i] {
				hits++
			}
		}
		note += fmt.Sprintf("; %.1f %% right on queries it was not trained on", 100*float64(hits)/float64(len(predicted)))
	}
	fmt.Fprintln(os.Stderr, note)
	t.class = func(q workloads.Query) string {
		f, ok := features.Of(q)
		if !ok {
			return ""
		}
		return string(c.Classify(f))
	}
	return nil
}

// maxRoutes bounds a file of routes, in bytes: those of a million queries are 50 MB.
const maxRoutes = 64 << 20

// fromFile reads a CSV with the columns dataset, query_id and model; others are
// passed over.
func (t *Router) fromFile(path string) error {
	f, err := regular.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return usage.Errorf("--route %s: want rule, model or a CSV file; there is no such file", path)
	}
	if err != nil {
		return fmt.Errorf("--route: %w", err)
	}
	defer f.Close()
	text, err := regular.Read(f, maxRoutes)
	if err != nil {
		return fmt.Errorf("--route: %w", err)
	}
	to, err := answers.ReadRoutes(bytes.NewReader(text), t.models)
	if err != nil {
		return fmt.Errorf("--route %s: %w", path, err)
	}
	t.model = func(q workloads.Query) (string, error) {
		m, ok := to[[2]string{q.Dataset, q.ID}]
		if !ok {
			return "", fmt.Errorf("--route %s: no row for query %s of %s", path, q.ID, q.Dataset)
		}
		return m, nil
	}
	return nil
}

// Split lists the points of routed queries: each dataset's, by the model they
// go to, the models in the order given.
func (t *Router) Split(o *Work, info gpu.Info, specs []engine.ModelSpec, data []Dataset, s Setting, repeats int) ([]engine.PointPlan, error) {
	parts := map[string][]Dataset{}
	for _, d := range data {
		of := map[string][]workloads.Query{}
		for _, q := range d.Queries {
			m, err := t.model(q)
			if err != nil {
				return nil, err
			}
			of[m] = append(of[m], q)
		}
		for m, queries := range of {
			parts[m] = append(parts[m], Dataset{Name: d.Name, Queries: queries})
		}
	}
	var out []engine.PointPlan
	for _, spec := range specs {
		if len(parts[spec.Name]) == 0 {
			continue
		}
		pts, err := Points(o, info, []engine.ModelSpec{spec}, parts[spec.Name], []Setting{s}, repeats)
		if err != nil {
			return nil, err
		}
		for i := range pts {
			pts[i].Routed, pts[i].Class = true, t.class
			pts[i].PointID = PointID(pts[i].Point)
		}
		out = append(out, pts...)
	}
	return out, nil
}

// Plan lists the routed points, and, where asked for, those of the largest model
// at the highest clock over all queries, each model's in a row.
func (t *Router) Plan(o *Work, info gpu.Info, specs []engine.ModelSpec, data []Dataset, s Setting, base *Setting, repeats int) ([]engine.PointPlan, error) {
	out, err := t.Split(o, info, specs, data, s, repeats)
	if err != nil || base == nil {
		return out, err
	}
	largest, _ := difficulty.Largest(t.models)
	i := slices.IndexFunc(specs, func(s engine.ModelSpec) bool { return s.Name == largest.Name })
	all, err := Points(o, info, specs[i:i+1], data, []Setting{*base}, repeats)
	if err != nil {
		return nil, err
	}
	for k := range all {
		all[k].Class = t.class
	}
	// Beside the largest model's own points, so that it is loaded once.
	at := slices.IndexFunc(out, func(p engine.PointPlan) bool { return p.Spec.Name == largest.Name })
	if at < 0 {
		at = len(out)
	}
	return slices.Insert(out, at, all...), nil
}

// PhaseAware is the policy of routed queries unless the operator names one:
// prefill at the highest clock, decode in the middle of the range, where it
// loses little and the frequency cliff is behind it.
func PhaseAware(info gpu.Info) event.Policy {
	top, middle := info.MaxSM(), gpu.NearestClock(info.SMClocks, (info.MinSM()+info.MaxSM())/2)
	return event.Policy{Kind: event.ClockByPhase, Clocks: event.PhaseClocks{Prefill: top, Decode: middle, Score: top}}
}

// RouteSettings are the routed points' clocks and the baseline's, nil where it is
// not asked for. Without clock control both are the driver's.
func RouteSettings(o *Work, info gpu.Info, controlled bool) (routed Setting, base *Setting) {
	highest := ByPolicy("none")
	if controlled && len(info.SMClocks) > 0 {
		highest = Fixed(info.MaxSM())
		if event.PolicyOf(o.Policy).Kind == event.NoPolicy {
			o.Policy = PhaseAware(info).String()
		}
	}
	if o.RouteAlone {
		return ByPolicy(o.Policy), nil
	}
	return ByPolicy(o.Policy), &highest
}
