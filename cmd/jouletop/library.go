package main

import (
	"context"
	"fmt"
	"sync"

	"jouletop/engine"
	"jouletop/engine/command"
	"jouletop/engine/event"
	"jouletop/engine/models"
	"jouletop/gpu"
	"jouletop/workloads"
)

// library is what the dashboard can run: models, datasets, and the plans made of
// them.
type library struct {
	o      *options
	info   gpu.Info
	specs  []engine.ModelSpec // the first is the default
	router *router            // nil without --route

	mu   sync.Mutex
	data map[string]dataset // read so far, by the name asked for
	jobs int
}

// newLibrary opens the backend, where there is a model for one, and lists what
// can be run.
func newLibrary(ctx context.Context, r *rig, o *options) (*library, error) {
	l := &library{o: o, info: r.info, data: map[string]dataset{}}
	if o.monitor {
		return l, nil
	}
	if !r.simulated() && len(o.models) == 0 && o.url == "" {
		o.models = foundModels(r.info)
		if len(o.models) == 0 {
			return l, nil // nothing to run: watch
		}
	}
	var err error
	if l.specs, err = r.openBackend(ctx, o); err != nil {
		return nil, err
	}
	if l.router, err = newRouter(o, l.specs); err != nil {
		return nil, err
	}
	if r.backend.Name() == "sim" {
		for _, name := range simNames() {
			if _, known := l.spec(name); !known {
				l.specs = append(l.specs, engine.ModelSpec{Name: name})
			}
		}
	}
	return l, nil
}

func (l *library) spec(name string) (engine.ModelSpec, bool) {
	for _, s := range l.specs {
		if s.Name == name {
			return s, true
		}
	}
	return engine.ModelSpec{}, false
}

// datasetNames are the ones given, else the built-in styles.
func (l *library) datasetNames() []string {
	if len(l.o.datasets) > 0 {
		return l.o.datasets
	}
	var names []string
	for _, s := range workloads.Styles {
		names = append(names, string(s))
	}
	return names
}

// dataset reads a dataset once.
func (l *library) dataset(name string) (dataset, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	d, ok := l.data[name]
	if ok {
		return d, nil
	}
	d, err := loadDataset(name, 0, l.o.lenient)
	if err == nil {
		l.data[name] = d
	}
	return d, err
}

// named returns a dataset read so far by its own name.
func (l *library) named(name string) (dataset, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, d := range l.data {
		if d.name == name {
			return d, true
		}
	}
	return dataset{}, false
}

// choices lists what there is, the defaults first.
func (l *library) choices() command.Choices {
	c := command.Choices{Batches: []int{1, 2, 4, 8, 16}, Clocks: l.info.SMClocks}
	if l.router != nil {
		c.Models = append(c.Models, command.Choice{Name: routedModel, Note: "each query to the model its class asks for: " + l.router.how})
	}
	for _, s := range l.specs {
		c.Models = append(c.Models, command.Choice{Name: s.Name, Note: displayHome(s.Path)})
	}
	// What generates comes first: a scored dataset hardly decodes, and a phase-aware
	// policy has nothing to show on it.
	var scored []command.Choice
	for _, n := range l.datasetNames() {
		if d, err := l.dataset(n); err == nil && len(d.queries) > 0 && d.queries[0].Classification() {
			scored = append(scored, command.Choice{Name: n, Note: "scored: options are compared, nothing is generated"})
		} else {
			c.Datasets = append(c.Datasets, command.Choice{Name: n})
		}
	}
	c.Datasets = append(c.Datasets, scored...)
	lo, hi := l.info.MinSM(), l.info.MaxSM()
	c.Policies = []string{"none"}
	if hi > 0 {
		c.Policies = append(c.Policies, fmt.Sprintf("fixed:%d", hi), fmt.Sprintf("phase:%d/%d", hi, near(l.info.SMClocks, (lo+hi)/2)), "min-energy", "min-edp")
	}
	return c
}

// near returns the supported clock nearest to mhz.
func near(clocks []int, mhz int) int {
	best := 0
	for _, c := range clocks {
		if best == 0 || abs(c-mhz) < abs(best-mhz) {
			best = c
		}
	}
	return best
}

func abs(x int) int { return max(x, -x) }

// nextJob numbers the jobs, so that point ids stay unique in a session.
func (l *library) nextJob() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.jobs++
	return l.jobs
}

// firstPlan is what runs when the dashboard opens: every dataset with the first
// model and batch size.
func (l *library) firstPlan() (engine.Plan, error) {
	if len(l.specs) == 0 {
		return engine.Plan{}, fmt.Errorf("no model found: give --model, or see `jouletop models`")
	}
	model := l.specs[0].Name
	if l.router != nil {
		model = routedModel
	}
	var all []engine.PointPlan
	for _, name := range l.datasetNames() {
		plan, err := l.jobPlan(command.Job{Model: model, Dataset: name, Batch: l.o.batches[0], Queries: l.o.queries})
		if err != nil {
			return engine.Plan{}, err
		}
		all = append(all, plan.Points...)
	}
	return dashboardPlan(all), nil
}

// jobPlan makes the plan of one job. Its points leave the operator's policy
// alone.
func (l *library) jobPlan(j command.Job) (engine.Plan, error) {
	if l.router != nil && j.Model == routedModel {
		return l.routedPlan(j)
	}
	pts, err := l.points([]string{j.Model}, []string{j.Dataset}, []int{max(j.Batch, 1)}, []setting{{0, "none"}}, 1, j.Queries, j.MaxTokens)
	if err != nil {
		return engine.Plan{}, err
	}
	for i := range pts {
		pts[i].Policy = nil
	}
	return dashboardPlan(pts), nil
}

// promptPlan runs one prompt of the operator's own.
func (l *library) promptPlan(text, model string) (engine.Plan, error) {
	spec, ok := l.spec(model)
	if !ok {
		if len(l.specs) == 0 {
			return engine.Plan{}, fmt.Errorf("no model to run the prompt with")
		}
		spec = l.specs[0]
	}
	n := l.nextJob()
	q := workloads.Query{Dataset: "prompt", Style: workloads.Custom, ID: fmt.Sprintf("prompt-%d", n), Prompt: text, Text: text, Question: text, Answer: -1}
	p := engine.PointPlan{
		Point: event.Point{GPU: l.info.ID(), Model: spec.Name, Dataset: "prompt", BatchSize: 1, Policy: "none", Repeat: n, Queries: 1},
		Spec:  spec, Queries: []workloads.Query{q}, MaxTokens: l.o.maxTokens, Chat: l.o.chat, Class: classOf,
	}
	p.PointID = pointID(p.Point)
	return engine.Plan{Name: "prompt", Points: []engine.PointPlan{p}}, nil
}

// points resolves names and lists the combinations.
func (l *library) points(models, dataNames []string, batches []int, settings []setting, repeats, queries, maxTokens int) ([]engine.PointPlan, error) {
	o := *l.o
	o.batches = batches
	if maxTokens > 0 {
		o.maxTokens = maxTokens
	}
	var specs []engine.ModelSpec
	for _, m := range models {
		s, ok := l.spec(m)
		if !ok {
			return nil, fmt.Errorf("no model %q", m)
		}
		specs = append(specs, s)
	}
	var data []dataset
	for _, n := range dataNames {
		d, err := l.dataset(n)
		if err != nil {
			return nil, err
		}
		if queries > 0 && queries < len(d.queries) {
			d.queries = d.queries[:queries]
		}
		data = append(data, d)
	}
	pts, err := points(&o, l.info, specs, data, settings, repeats)
	job := l.nextJob()
	for i := range pts {
		pts[i].PointID = fmt.Sprintf("j%d.%s", job, pts[i].PointID)
	}
	return pts, err
}

// foundModels are the models on this machine that the GPU has room for, as far as
// that is known.
func foundModels(info gpu.Info) []string {
	var out []string
	for _, f := range models.Find(models.Options{Paths: []string{"."}}) {
		if _, fits := models.Fits(f, float64(info.MemoryMiB), 1, fitTokens); fits || info.MemoryMiB < 0 && f.Problem == "" && f.Unknown == "" {
			out = append(out, f.Name)
		}
	}
	return out
}

// workload measures the queries of the datasets in use.
func (l *library) workload() (command.Workload, error) {
	var queries []workloads.Query
	for _, name := range l.datasetNames() {
		d, err := l.dataset(name)
		if err != nil {
			return command.Workload{}, err
		}
		queries = append(queries, d.queries...)
	}
	return describeQueries(queries), nil
}

// describeQueries measures queries for the dashboard.
func describeQueries(queries []workloads.Query) command.Workload {
	w := command.Workload{Features: []command.Feature{
		{Name: "length", Unit: "tokens"}, {Name: "token entropy", Unit: "bits"}, {Name: "entity density"},
		{Name: "causal score"}, {Name: "reasoning complexity"}, {Name: "complexity score"},
	}}
	for _, q := range queries {
		f, ok := queryFeatures.get(q)
		if !ok {
			continue
		}
		w.Queries = append(w.Queries, command.WorkloadQuery{
			Dataset: q.Dataset, ID: q.ID, Class: string(f.Class), Text: q.Question,
			Values: []float64{float64(f.Tokens), f.TokenEntropyBits, f.EntityDensity, f.CausalScore, f.ReasoningComplexity, f.ComplexityScore},
		})
	}
	return w
}
