package operator

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"jouletop/engine"
	"jouletop/engine/command"
	"jouletop/engine/event"
	"jouletop/engine/models"
	"jouletop/engine/plan"
	"jouletop/engine/rig"
	"jouletop/engine/session"
	"jouletop/gpu"
	"jouletop/workloads"
	"jouletop/workloads/features"
)

// library is what the dashboard can run: models, datasets, and the plans made of
// them.
type library struct {
	o      *Config
	info   gpu.Info
	knobs  func() []gpu.Knob
	specs  []engine.ModelSpec                          // the first is the default
	router *plan.Router                                // nil without --route
	find   func(name string) (engine.ModelSpec, error) // a model that is not listed

	mu   sync.Mutex
	data map[string]plan.Dataset // read so far, by the name asked for
	jobs int
}

// NewLibrary opens the backend, where there is a model for one, and lists what
// can be run.
func NewLibrary(ctx context.Context, r *rig.Rig, o *Config) (*library, error) {
	l := &library{o: o, info: r.Info, knobs: r.Knobs, data: map[string]plan.Dataset{}}
	o.Work.Knobs = r.Knobs
	if o.Rig.Monitor {
		return l, nil
	}
	if !r.Simulated() && len(o.Rig.Models) == 0 && o.Rig.URL == "" {
		o.Rig.Models = foundModels(r.Info)
		if len(o.Rig.Models) == 0 {
			return l, nil // nothing to run: watch
		}
	}
	var err error
	if l.specs, err = r.OpenBackend(ctx, &o.Rig); err != nil {
		return nil, err
	}
	l.find = func(name string) (engine.ModelSpec, error) { return r.ModelSpec(&o.Rig, name) }
	if l.router, err = plan.NewRouter(&o.Work, l.specs); err != nil {
		return nil, err
	}
	if r.Backend.Name() == "sim" {
		for _, name := range rig.SimNames() {
			if _, known := l.spec(name); !known {
				l.specs = append(l.specs, engine.ModelSpec{Name: name})
			}
		}
	}
	return l, nil
}

func (l *library) spec(name string) (engine.ModelSpec, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range l.specs {
		if s.Name == name {
			return s, true
		}
	}
	return engine.ModelSpec{}, false
}

// model is a model that is listed, or a file or name that the operator typed, which is
// listed from then on.
func (l *library) model(name string) (engine.ModelSpec, error) {
	if s, ok := l.spec(name); ok {
		return s, nil
	}
	if l.find == nil {
		return engine.ModelSpec{}, fmt.Errorf("no model %q", name)
	}
	s, err := l.find(session.ExpandHome(name))
	if err != nil {
		return s, err
	}
	if _, ok := l.spec(s.Name); !ok {
		l.mu.Lock()
		l.specs = append(l.specs, s)
		l.mu.Unlock()
	}
	return s, nil
}

// datasetNames are the ones given, else the built-in styles.
func (l *library) datasetNames() []string {
	if len(l.o.Work.Datasets) > 0 {
		return l.o.Work.Datasets
	}
	var names []string
	for _, s := range workloads.Styles {
		if l.o.Serve.On() && s != workloads.TruthfulQA && s != workloads.NarrativeQA {
			continue // scored, which is done in batches
		}
		names = append(names, string(s))
	}
	return names
}

// Dataset reads a dataset once.
func (l *library) Dataset(name string) (plan.Dataset, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	d, ok := l.data[name]
	if ok {
		return d, nil
	}
	d, err := plan.LoadDataset(name, 0, l.o.Work.Lenient)
	if err == nil {
		l.data[name] = d
	}
	return d, err
}

// named returns a dataset read so far by its own name.
func (l *library) named(name string) (plan.Dataset, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, d := range l.data {
		if d.Name == name {
			return d, true
		}
	}
	return plan.Dataset{}, false
}

// choices lists what there is, the defaults first.
func (l *library) choices() command.Choices {
	c := command.Choices{Batches: []int{1, 2, 4, 8, 16}, Clocks: l.info.SMClocks, Knobs: l.knobs()}
	if l.router != nil {
		c.Models = append(c.Models, command.Choice{Name: routedModel, Note: "each query to the model its class asks for: " + l.router.How})
	}
	l.mu.Lock()
	specs := slices.Clone(l.specs)
	l.mu.Unlock()
	for _, s := range specs {
		c.Models = append(c.Models, command.Choice{Name: s.Name, Note: session.ShortenHome(s.Path)})
	}
	// What generates comes first: a scored dataset hardly decodes, and a phase-aware
	// policy has nothing to show on it.
	var scored []command.Choice
	for _, n := range l.datasetNames() {
		if d, err := l.Dataset(n); err == nil && len(d.Queries) > 0 && d.Queries[0].Classification() {
			scored = append(scored, command.Choice{Name: n, Note: "scored: options are compared, nothing is generated"})
		} else {
			c.Datasets = append(c.Datasets, command.Choice{Name: n})
		}
	}
	c.Datasets = append(c.Datasets, scored...)
	policies := []event.Policy{{}}
	if hi := l.info.MaxSM(); hi > 0 {
		policies = append(policies, event.Policy{Kind: event.FixedClock, MHz: hi}, plan.PhaseAware(l.info), event.Policy{Kind: event.MinEnergy}, event.Policy{Kind: event.MinEDP})
	}
	for _, p := range policies {
		c.Policies = append(c.Policies, p.String())
	}
	return c
}

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
		plan, err := l.jobPlan(command.Job{Model: model, Dataset: name, Batch: l.o.Work.Batches[0], Queries: l.o.Work.Queries})
		if err != nil {
			return engine.Plan{}, err
		}
		all = append(all, plan.Points...)
	}
	return plan.Job(all), nil
}

// jobPlan makes the plan of one job. Its points leave the operator's policy
// alone.
func (l *library) jobPlan(j command.Job) (engine.Plan, error) {
	if l.router != nil && j.Model == routedModel {
		return l.routedPlan(j)
	}
	own := j.Policy != "" // a policy of the job's own
	n := l.nextJob()
	list := func(repeats int) ([]engine.PointPlan, error) {
		pts, err := l.points(n, []string{j.Model}, []string{j.Dataset}, []int{l.atOnce(j.Batch)}, []plan.Setting{plan.ByPolicy(cmp.Or(j.Policy, "none"))}, repeats, j.Queries, j.MaxTokens)
		for i := range pts {
			if !own {
				pts[i].Policy = nil
			}
		}
		return pts, err
	}
	pts, err := list(max(j.Repeats, 1))
	if err != nil {
		return engine.Plan{}, err
	}
	if l.o.Serve.On() {
		o := l.o.Work
		o.Queries = j.Queries
		if err := plan.ServeJob(&o, &l.o.Serve, pts, l.o.Rig.Seed); err != nil {
			return engine.Plan{}, err
		}
	}
	todo := plan.Job(pts)
	todo.NeedsClocks = own && event.PolicyOf(j.Policy).Kind != event.NoPolicy
	return todo, l.until(&todo, j.Until, list)
}

// until has a plan go on until its points are known so well.
func (l *library) until(todo *engine.Plan, share string, list func(repeats int) ([]engine.PointPlan, error)) error {
	if share != "" && l.o.Serve.On() {
		return errors.New("until: repeats batches of the same queries; requests that are served as they come have none")
	}
	u, err := plan.NewUntil(share, list)
	if u != nil {
		todo.More = u.More
	}
	return err
}

// sweepPlan makes the plan of a sweep or a comparison, and tells how many settings it
// has: clocks or policies. job is the number that its points are named by.
func (l *library) sweepPlan(job int, s command.Sweep) (todo engine.Plan, n int, err error) {
	var settings []plan.Setting
	for _, spec := range s.Policies {
		settings = append(settings, plan.ByPolicy(cmp.Or(spec, "none")))
	}
	if len(settings) == 0 {
		axes, err := plan.ParseAxes(s.Clocks, s.Knobs, l.info, l.knobs)
		if err != nil {
			return todo, 0, err
		}
		settings = plan.Settings(axes)
	}
	if len(settings) == 0 || len(s.Models) == 0 || len(s.Datasets) == 0 || len(s.Batches) == 0 {
		return todo, 0, errors.New("the plan is empty: choose models, datasets, clocks and batch sizes")
	}
	list := func(repeats int) ([]engine.PointPlan, error) {
		return l.points(job, s.Models, s.Datasets, s.Batches, settings, repeats, s.Queries, s.MaxTokens)
	}
	pts, err := list(max(s.Repeats, 1))
	if err != nil {
		return todo, 0, err
	}
	if len(s.Policies) > 0 {
		todo = plan.Comparison(pts)
	} else {
		todo = plan.Sweep(pts, l.o.Rig.Seed)
	}
	return todo, len(settings), l.until(&todo, s.Until, list)
}

// atOnce is how many requests of a job run together.
func (l *library) atOnce(batch int) int {
	if l.o.Serve.On() {
		return l.o.Serve.AtOnce(l.o.Rig.URL != "")
	}
	return max(batch, 1)
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
		Point: event.Point{GPU: l.info.ID(), Model: spec.Name, Dataset: "prompt", BatchSize: 1, Policy: "none", Repeat: n, Queries: 1, Drafting: l.o.Work.Drafting(spec)},
		Spec:  spec, Queries: []workloads.Query{q}, MaxTokens: l.o.Work.MaxTokens, Chat: l.o.Work.Chat, Class: features.ClassOf,
	}
	p.PointID = plan.PointID(p.Point)
	return engine.Plan{Name: "prompt", Points: []engine.PointPlan{p}}, nil
}

// points resolves names and lists the combinations.
func (l *library) points(job int, models, dataNames []string, batches []int, settings []plan.Setting, repeats, queries, maxTokens int) ([]engine.PointPlan, error) {
	o := *l.o
	o.Work.Batches = batches
	if maxTokens > 0 {
		o.Work.MaxTokens = maxTokens
	}
	var specs []engine.ModelSpec
	for _, m := range models {
		s, err := l.model(m)
		if err != nil {
			return nil, err
		}
		specs = append(specs, s)
	}
	var data []plan.Dataset
	for _, n := range dataNames {
		d, err := l.Dataset(n)
		if err != nil {
			return nil, err
		}
		if queries > 0 && queries < len(d.Queries) {
			d.Queries = d.Queries[:queries]
		}
		data = append(data, d)
	}
	pts, err := plan.Points(&o.Work, l.info, specs, data, settings, repeats)
	for i := range pts {
		pts[i].PointID = plan.JobID(job, pts[i].Point)
	}
	return pts, err
}

// foundModels are the models on this machine that the GPU has room for, as far as
// that is known.
func foundModels(info gpu.Info) []string {
	var out []string
	for _, f := range models.Find(models.Options{Paths: []string{"."}}) {
		if _, fits := models.Fits(f, float64(info.MemoryMiB), 1, rig.FitTokens); fits || info.MemoryMiB < 0 && f.Problem == "" && f.Unknown == "" {
			out = append(out, f.Name)
		}
	}
	return out
}

// workload measures the queries of the datasets in use.
func (l *library) workload() (command.Workload, error) {
	var queries []workloads.Query
	for _, name := range l.datasetNames() {
		d, err := l.Dataset(name)
		if err != nil {
			return command.Workload{}, err
		}
		queries = append(queries, d.Queries...)
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
		f, ok := features.Of(q)
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
