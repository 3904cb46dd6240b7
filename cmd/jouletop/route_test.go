package main

import (
	"math"
	"slices"
	"strings"
	"testing"

	"jouletop/engine"
	"jouletop/engine/command"
	"jouletop/gpu"
	"jouletop/workloads"
)

// query has the text that the rule judges.
func query(id, text string) workloads.Query {
	return workloads.Query{Dataset: "routes", ID: id, Text: text, Prompt: text, Question: text, Answer: -1}
}

func TestRouterPlan(t *testing.T) {
	o := &options{route: "rule", batches: []int{4}, maxTokens: 10, maxSlowdown: "3%"}
	specs := []engine.ModelSpec{{Name: "llama-3.2-3b"}, {Name: "qwen2.5-14b"}, {Name: "qwen2.5-32b"}}
	router, err := newRouter(o, specs)
	if err != nil {
		t.Fatal(err)
	}
	d := dataset{name: "routes", queries: []workloads.Query{
		query("easy1", "add two and two"), query("hard1", "Why does ice float?"), query("easy2", "name a colour of the sky"),
		query("hard2", "Ada Lovelace met Charles Babbage in London."),
	}}
	info := gpu.Info{UUID: "x", SMClocks: []int{500, 1000, 1980}}
	base := fixed(1980)
	pts, err := router.plan(o, info, specs, []dataset{d}, setting{0, phaseAware(info)}, &base, 1)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, p := range pts {
		ids := p.PointID + ":"
		for _, q := range p.Queries {
			ids += " " + q.ID + "=" + p.Class(q)
		}
		got = append(got, ids)
	}
	want := []string{
		"route.llama-3.2-3b.routes.b4.phase-1980-1000.r1: easy1=easy easy2=easy",
		"route.qwen2.5-14b.routes.b4.phase-1980-1000.r1: hard1=hard hard2=hard",
		"qwen2.5-32b.routes.b4.c1980.r1: easy1=easy hard1=hard easy2=easy hard2=hard",
	}
	if !slices.Equal(got, want) {
		t.Errorf("points\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}

	// The baseline stands beside the same model's routed points: it is loaded once.
	specs = specs[:2]
	if router, err = newRouter(o, specs); err != nil {
		t.Fatal(err)
	}
	if pts, err = router.plan(o, info, specs, []dataset{d}, setting{0, "none"}, &base, 1); err != nil {
		t.Fatal(err)
	}
	var models []string
	for _, p := range pts {
		models = append(models, p.Spec.Name)
	}
	if want := []string{"llama-3.2-3b", "qwen2.5-14b", "qwen2.5-14b"}; !slices.Equal(models, want) {
		t.Errorf("models %q, want %q", models, want)
	}
	if pts, err = router.plan(o, info, specs, []dataset{d}, setting{0, "none"}, nil, 2); err != nil || len(pts) != 4 {
		t.Errorf("%v, %d points of two repeats without the baseline", err, len(pts))
	}
}

func TestNewRouterRefuses(t *testing.T) {
	two := []engine.ModelSpec{{Name: "llama-3.2-1b"}, {Name: "llama-3.2-3b"}}
	for name, c := range map[string]struct {
		o     options
		specs []engine.ModelSpec
		wrong string
	}{
		"one model":        {options{route: "rule"}, two[:1], "one model only"},
		"a size unknown":   {options{route: "rule"}, []engine.ModelSpec{{Name: "mystery"}, two[0]}, "size of model mystery"},
		"nothing to learn": {options{route: "model"}, two, "--route-from"},
		"no such file":     {options{route: "nowhere.csv"}, two, "there is no such file"},
		"from, not routed": {options{routeFrom: []string{"s"}}, two, "--route-from goes with --route model"},
		"no session":       {options{route: "model", routeFrom: []string{"nowhere"}}, two, "nowhere"},
	} {
		if _, err := newRouter(&c.o, c.specs); err == nil || !strings.Contains(err.Error(), c.wrong) {
			t.Errorf("%s: error %v, want %q in it", name, err, c.wrong)
		}
	}
	if r, err := newRouter(&options{}, two); r != nil || err != nil {
		t.Errorf("without --route: %v, %v", r, err)
	}
	if b := modelSize(engine.ModelSpec{Name: "x", Path: "no-such-7b.gguf"}); !math.IsNaN(b) {
		t.Errorf("size of no file is %g", b)
	}
}

// The dashboard's jobs are routed where it was started with --route.
func TestLibraryRoutes(t *testing.T) {
	o := &options{route: "rule", backend: "auto", gpu: "sim", devices: []string{"0"}, batches: []int{2}, maxTokens: 10, maxSlowdown: "3%", seed: 1}
	r, err := openRig(t.Context(), o, 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	l, err := newLibrary(t.Context(), r, o)
	if err != nil {
		t.Fatal(err)
	}
	if c := l.choices(); c.Models[0].Name != routedModel {
		t.Errorf("choices %+v", c.Models)
	}
	plan, err := l.jobPlan(command.Job{Model: routedModel, Dataset: "truthfulqa", Batch: 2, Queries: 10})
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, p := range plan.Points {
		n += len(p.Queries)
		if !strings.HasPrefix(p.PointID, "route.j1.") || p.Policy == nil || p.Policy.Name() != phaseAware(r.info) {
			t.Errorf("point %s with policy %v", p.PointID, p.Policy)
		}
	}
	if n != 10 || len(plan.Points) != 2 {
		t.Errorf("%d queries in %d points", n, len(plan.Points))
	}
	first, err := l.firstPlan()
	if err != nil || len(first.Points) < 4 || !strings.HasPrefix(first.Points[0].PointID, "route.") {
		t.Errorf("%v, first plan %d points", err, len(first.Points))
	}
	if _, err := l.jobPlan(command.Job{Model: "llama-3.2-3b", Dataset: "truthfulqa"}); err != nil {
		t.Error(err)
	}
}
