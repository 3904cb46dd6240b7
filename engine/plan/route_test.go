package plan

import (
	"math"
	"slices"
	"strings"
	"testing"

	"jouletop/engine"
	"jouletop/gpu"
	"jouletop/workloads"
)

// query has the text that the rule judges.
func query(id, text string) workloads.Query {
	return workloads.Query{Dataset: "routes", ID: id, Text: text, Prompt: text, Question: text, Answer: -1}
}

func TestRouterPlan(t *testing.T) {
	o := &Work{Route: "rule", Batches: []int{4}, MaxTokens: 10, MaxSlowdown: "3%"}
	specs := []engine.ModelSpec{{Name: "llama-3.2-3b"}, {Name: "qwen2.5-14b"}, {Name: "qwen2.5-32b"}}
	router, err := NewRouter(o, specs)
	if err != nil {
		t.Fatal(err)
	}
	d := Dataset{Name: "routes", Queries: []workloads.Query{
		query("easy1", "add two and two"), query("hard1", "Why does ice float?"), query("easy2", "name a colour of the sky"),
		query("hard2", "Ada Lovelace met Charles Babbage in London."),
	}}
	info := gpu.Info{UUID: "x", SMClocks: []int{500, 1000, 1980}}
	base := Fixed(1980)
	pts, err := router.Plan(o, info, specs, []Dataset{d}, ByPolicy(PhaseAware(info).String()), &base, 1)
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
	if router, err = NewRouter(o, specs); err != nil {
		t.Fatal(err)
	}
	if pts, err = router.Plan(o, info, specs, []Dataset{d}, ByPolicy("none"), &base, 1); err != nil {
		t.Fatal(err)
	}
	var models []string
	for _, p := range pts {
		models = append(models, p.Spec.Name)
	}
	if want := []string{"llama-3.2-3b", "qwen2.5-14b", "qwen2.5-14b"}; !slices.Equal(models, want) {
		t.Errorf("models %q, want %q", models, want)
	}
	if pts, err = router.Plan(o, info, specs, []Dataset{d}, ByPolicy("none"), nil, 2); err != nil || len(pts) != 4 {
		t.Errorf("%v, %d points of two repeats without the baseline", err, len(pts))
	}
}

func TestNewRouterRefuses(t *testing.T) {
	two := []engine.ModelSpec{{Name: "llama-3.2-1b"}, {Name: "llama-3.2-3b"}}
	for name, c := range map[string]struct {
		o     Work
		specs []engine.ModelSpec
		wrong string
	}{
		"one model":        {Work{Route: "rule"}, two[:1], "one model only"},
		"a size unknown":   {Work{Route: "rule"}, []engine.ModelSpec{{Name: "mystery"}, two[0]}, "size of model mystery"},
		"nothing to learn": {Work{Route: "model"}, two, "--route-from"},
		"no such file":     {Work{Route: "nowhere.csv"}, two, "there is no such file"},
		"from, not routed": {Work{RouteFrom: []string{"s"}}, two, "--route-from goes with --route model"},
		"no session":       {Work{Route: "model", RouteFrom: []string{"nowhere"}}, two, "nowhere"},
	} {
		if _, err := NewRouter(&c.o, c.specs); err == nil || !strings.Contains(err.Error(), c.wrong) {
			t.Errorf("%s: error %v, want %q in it", name, err, c.wrong)
		}
	}
	if r, err := NewRouter(&Work{}, two); r != nil || err != nil {
		t.Errorf("without --route: %v, %v", r, err)
	}
	if b := modelSize(engine.ModelSpec{Name: "x", Path: "no-such-7b.gguf"}); !math.IsNaN(b) {
		t.Errorf("size of no file is %g", b)
	}
}
