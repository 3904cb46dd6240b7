package main

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"os"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"jouletop/engine"
	"jouletop/engine/analysis/answers"
	"jouletop/engine/analysis/curve"
	"jouletop/engine/analysis/report"
	"jouletop/engine/analysis/table"
	"jouletop/engine/command"
	"jouletop/engine/gguf"
	"jouletop/engine/session"
	"jouletop/gpu"
	"jouletop/gpu/regular"
	"jouletop/workloads"
	"jouletop/workloads/difficulty"
	"jouletop/workloads/features"
)

func (o *options) addRoute(f *pflag.FlagSet) {
	f.StringVar(&o.route, "route", "", "send each query to the model its class asks for: rule, model (a classifier trained on --route-from), or a CSV `file` of dataset,query_id,model")
	f.StringArrayVar(&o.routeFrom, "route-from", nil, "recorded session of several models that --route model learns from (repeatable)")
}

// routeModels are what a simulation routes between unless told otherwise: the
// targets of the study's tiers, and its largest model as the baseline.
var routeModels = []string{"llama-3.2-3b", "qwen2.5-14b", "qwen2.5-32b"}

// router tells which model a query goes to.
type router struct {
	how    string             // rule, model, or the file
	models []difficulty.Model // by growing size
	class  func(workloads.Query) string
	model  func(workloads.Query) (string, error)
}

// newRouter is nil without --route.
func newRouter(o *options, specs []engine.ModelSpec) (*router, error) {
	if len(o.routeFrom) > 0 && o.route != "model" {
		return nil, usagef("--route-from goes with --route model")
	}
	if o.route == "" {
		return nil, nil
	}
	if len(specs) < 2 {
		return nil, usagef("--route %s: there is one model only; give several --model", o.route)
	}
	t := &router{how: o.route, class: classOf}
	for _, s := range specs {
		b := modelSize(s)
		if math.IsNaN(b) {
			return nil, usagef("--route %s: the size of model %s is not known; routing goes by size", o.route, s.Name)
		}
		t.models = append(t.models, difficulty.Model{Name: s.Name, ParamsB: b})
	}
	slices.SortStableFunc(t.models, func(a, b difficulty.Model) int { return cmp.Compare(a.ParamsB, b.ParamsB) })
	t.model = t.byClass
	switch o.route {
	case "rule":
		return t, nil
	case "model":
		if len(o.routeFrom) == 0 {
			return nil, usagef("--route model: learn from what? give --route-from DIR, a session of several models over like queries")
		}
		return t, t.learn(o.routeFrom)
	}
	return t, t.fromFile(o.route)
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
func (t *router) byClass(q workloads.Query) (string, error) {
	class := t.class(q)
	if class == "" {
		return "", fmt.Errorf("--route %s: query %s of %s has no class", t.how, q.ID, q.Dataset)
	}
	m, _ := difficulty.RouteClass(features.Class(class)).Pick(t.models)
	return m.Name, nil
}

// learn trains a classifier on recorded sessions.
func (t *router) learn(dirs []string) error {
	w, err := openWorkload(&options{}, dirs)
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
	note := fmt.Sprintf("classifier trained on %d queries by %s", len(w.queries), strings.Join(names, ", "))
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
		f, ok := queryFeatures.get(q)
		if !ok {
			return ""
		}
		return string(c.Classify(f))
	}
	return nil
}

// fromFile reads a CSV with the columns dataset, query_id and model; others are
// passed over.
func (t *router) fromFile(path string) error {
	f, err := regular.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return usagef("--route %s: want rule, model or a CSV file; there is no such file", path)
	}
	if err != nil {
		return fmt.Errorf("--route: %w", err)
	}
	defer f.Close()
	to, err := answers.ReadRoutes(f, t.models)
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

// split lists the points of routed queries: each dataset's, by the model they
// go to, the models in the order given.
func (t *router) split(o *options, info gpu.Info, specs []engine.ModelSpec, data []dataset, s setting, repeats int) ([]engine.PointPlan, error) {
	parts := map[string][]dataset{}
	for _, d := range data {
		of := map[string][]workloads.Query{}
		for _, q := range d.queries {
			m, err := t.model(q)
			if err != nil {
				return nil, err
			}
			of[m] = append(of[m], q)
		}
		for m, queries := range of {
			parts[m] = append(parts[m], dataset{name: d.name, queries: queries})
		}
	}
	var out []engine.PointPlan
	for _, spec := range specs {
		if len(parts[spec.Name]) == 0 {
			continue
		}
		pts, err := points(o, info, []engine.ModelSpec{spec}, parts[spec.Name], []setting{s}, repeats)
		if err != nil {
			return nil, err
		}
		for i := range pts {
			pts[i].PointID, pts[i].Class = answers.RoutedPrefix+pts[i].PointID, t.class
		}
		out = append(out, pts...)
	}
	return out, nil
}

// plan lists the routed points, and, where asked for, those of the largest model
// at the highest clock over all queries, each model's in a row.
func (t *router) plan(o *options, info gpu.Info, specs []engine.ModelSpec, data []dataset, s setting, base *setting, repeats int) ([]engine.PointPlan, error) {
	out, err := t.split(o, info, specs, data, s, repeats)
	if err != nil || base == nil {
		return out, err
	}
	largest, _ := difficulty.Largest(t.models)
	i := slices.IndexFunc(specs, func(s engine.ModelSpec) bool { return s.Name == largest.Name })
	all, err := points(o, info, specs[i:i+1], data, []setting{*base}, repeats)
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

// phaseAware is the policy of routed queries unless the operator names one:
// prefill at the highest clock, decode in the middle of the range, where it
// loses little and the frequency cliff is behind it.
func phaseAware(info gpu.Info) string {
	return fmt.Sprintf("phase:%d/%d", info.MaxSM(), near(info.SMClocks, (info.MinSM()+info.MaxSM())/2))
}

// routeSettings are the routed points' clocks and the baseline's, nil where it is
// not asked for. Without clock control both are the driver's.
func routeSettings(o *options, r *rig) (routed setting, base *setting) {
	info := r.info
	highest := setting{0, "none"}
	if r.controlled() && len(info.SMClocks) > 0 {
		highest = fixed(info.MaxSM())
		if o.policy == "none" {
			o.policy = phaseAware(info)
		}
	}
	if o.routeAlone {
		return setting{0, o.policy}, nil
	}
	return setting{0, o.policy}, &highest
}

// routeSummary is a row of the summary's routing.
type routeSummary struct {
	Class           string   `json:"class"`
	Queries         int      `json:"queries"`
	Models          []string `json:"models"`
	EnergyJ         *float64 `json:"energy_j"`
	LatencyS        *float64 `json:"latency_s"`
	Quality         *float64 `json:"quality"`
	BaselineJ       *float64 `json:"baseline_energy_j"`
	BaselineS       *float64 `json:"baseline_latency_s"`
	BaselineQuality *float64 `json:"baseline_quality"`
	Saving          *float64 `json:"saving"` // a share
}

// routed reads a session's routed queries: the table, and the same for JSON.
func routed(dir string) (table.Table, []routeSummary, error) {
	s, err := session.Open(dir)
	if err != nil {
		return table.Table{}, nil, err
	}
	a, err := answers.New([]*session.Session{s})
	if err != nil {
		return table.Table{}, nil, err
	}
	rows, _, _ := a.Routed()
	var out []routeSummary
	for _, r := range rows {
		out = append(out, routeSummary{
			r.Class, r.Queries, r.Models, known(r.EnergyJ), known(r.LatencyS), known(r.Quality),
			known(r.BaselineJ), known(r.BaselineS), known(r.BaselineQuality), known(r.Saving()),
		})
	}
	return report.Routed(a), out, nil
}

// routedModel stands for the routed models where the dashboard's operator
// chooses a model.
const routedModel = "routed"

// routedPlan makes the plan of a job whose queries are routed. On a real GPU the
// clock stays the operator's.
func (l *library) routedPlan(j command.Job) (engine.Plan, error) {
	o := *l.o
	o.batches = []int{max(j.Batch, 1)}
	if j.MaxTokens > 0 {
		o.maxTokens = j.MaxTokens
	}
	d, err := l.dataset(j.Dataset)
	if err != nil {
		return engine.Plan{}, err
	}
	if j.Queries > 0 && j.Queries < len(d.queries) {
		d.queries = d.queries[:j.Queries]
	}
	own := strings.HasPrefix(l.info.ID(), "sim:") && !o.readOnly
	s := setting{0, "none"}
	if own {
		s.spec = phaseAware(l.info)
	}
	pts, err := l.router.split(&o, l.info, l.specs, []dataset{d}, s, 1)
	if err != nil {
		return engine.Plan{}, err
	}
	job := l.nextJob()
	for i := range pts {
		pts[i].PointID = fmt.Sprintf("%sj%d.%s", answers.RoutedPrefix, job, strings.TrimPrefix(pts[i].PointID, answers.RoutedPrefix))
		if !own {
			pts[i].Policy = nil
		}
	}
	return dashboardPlan(pts), nil
}
