package operator

import (
	"strings"
	"testing"

	"jouletop/engine/command"
	"jouletop/engine/plan"
	"jouletop/engine/rig"
)

// The dashboard's jobs are routed where it was started with --route.
func TestLibraryRoutes(t *testing.T) {
	o := &Config{
		Rig:  rig.Config{GPU: "sim", Devices: []string{"0"}, Backend: "auto", SimModels: plan.RouteModels, Seed: 1},
		Work: plan.Work{Route: "rule", Batches: []int{2}, MaxTokens: 10, MaxSlowdown: "3%"},
	}
	r, err := rig.Open(t.Context(), &o.Rig, 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	l, err := NewLibrary(t.Context(), r, o)
	if err != nil {
		t.Fatal(err)
	}
	if c := l.choices(); c.Models[0].Name != routedModel {
		t.Errorf("choices %+v", c.Models)
	}
	job, err := l.jobPlan(command.Job{Model: routedModel, Dataset: "truthfulqa", Batch: 2, Queries: 10})
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, p := range job.Points {
		n += len(p.Queries)
		if !strings.HasPrefix(p.PointID, "j1.route.") || p.Policy == nil || p.Policy.Name() != plan.PhaseAware(r.Info).String() {
			t.Errorf("point %s with policy %v", p.PointID, p.Policy)
		}
	}
	if n != 10 || len(job.Points) != 2 {
		t.Errorf("%d queries in %d points", n, len(job.Points))
	}
	first, err := l.firstPlan()
	if err != nil || len(first.Points) < 4 || !first.Points[0].Routed {
		t.Errorf("%v, first plan %d points", err, len(first.Points))
	}
	if _, err := l.jobPlan(command.Job{Model: "llama-3.2-3b", Dataset: "truthfulqa"}); err != nil {
		t.Error(err)
	}
}
