package difficulty

import (
	"errors"
	"math"
	"testing"

	"jouletop/workloads"
	"jouletop/workloads/features"
)

func small() Data {
	f := func(words int, density, causal float64) features.Features {
		f := features.Features{Words: words, EntityDensity: density, CausalScore: causal, TokenEntropyBits: float64(words) / 10}
		f.Class = features.StudyRule.Classify(f)
		return f
	}
	return Data{Models: []Model{{"small", 1}, {"large", 8}}, Records: []Record{
		{Dataset: "b", Style: workloads.BoolQ, QueryID: "1", Features: f(100, 0.1, 0), Quality: []float64{1, 1}},
		{Dataset: "b", Style: workloads.BoolQ, QueryID: "2", Features: f(200, 0.3, 0), Quality: []float64{0, 1}},
		{Dataset: "t", Style: workloads.TruthfulQA, QueryID: "1", Features: f(10, 0, 0), Quality: []float64{0.2, 0.6}},
		{Dataset: "t", Style: workloads.TruthfulQA, QueryID: "2", Features: f(20, 0.5, 1), Quality: []float64{0.2, 0.3}},
	}}
}

func TestBuildByHand(t *testing.T) {
	tables, err := Build(small())
	if err != nil {
		t.Fatal(err)
	}
	if l := tables.Lengths[0]; l != (LengthRow{"b", 2, 150, 50, 100, 200}) || l.Range() != 2 {
		t.Errorf("lengths %+v, range %v", l, l.Range())
	}
	if m := tables.Means[1]; m.EntityDensity != 0.25 || m.Causal != 0.5 || m.QueryType != "Factual and causal" {
		t.Errorf("means %+v", m)
	}
	if q := tables.Quality[1]; q.Metric != "rouge_l" || q.ByModel[0] != 0.2 || math.Abs(q.ByModel[1]-0.45) > 1e-12 {
		t.Errorf("quality %+v", q)
	}
	// Normalised: (1,1), (0,1), (0,1), (0,¼).
	for i, want := range []int{1, 2, 1, 0} {
		if p := tables.Scaling[i]; p.Queries != want || p.Share != float64(want)/4 {
			t.Errorf("%s: %d queries, share %v; want %d", p.Pattern, p.Queries, p.Share, want)
		}
	}
	if r := tables.Routing[1]; r.Tier != "8B+" || r.Share != 0.5 {
		t.Errorf("routing %+v", r)
	}
	// The rule calls the first and the third easy.
	if g := tables.Rule[0]; tables.RuleEasy != 2 || tables.RuleHard != 2 || math.Abs(g.Easy-0.6) > 1e-12 || math.Abs(g.Gap-0.5) > 1e-12 {
		t.Errorf("rule %d to %d, %+v", tables.RuleEasy, tables.RuleHard, g)
	}
	if tables.Ablation != nil {
		t.Errorf("ablation of four queries in five folds: %+v", tables.Ablation)
	}
}

func TestBuildWithoutAnswers(t *testing.T) {
	d := small()
	d.Models = nil
	for i := range d.Records {
		d.Records[i].Quality = nil
	}
	tables, err := Build(d)
	if err != nil {
		t.Fatal(err)
	}
	if len(tables.Lengths) != 2 || tables.Scaling != nil || tables.Rule != nil || !math.IsNaN(tables.LengthToQ) {
		t.Errorf("got %+v", tables)
	}
	if _, err := Build(Data{}); !errors.Is(err, ErrTooFew) {
		t.Errorf("no queries: %v", err)
	}
}

func TestSelectionDropsWhatDoubles(t *testing.T) {
	var d Data
	d.Models = []Model{{"m", 1}}
	for i := range 100 {
		v := float64(i) / 100
		d.Records = append(d.Records, Record{Dataset: "d", Quality: []float64{1 - v}, Features: features.Features{
			Words:            100 + i%3,
			EntityDensity:    v,
			ComplexityScore:  v + 0.001*float64(i%7),
			TokenEntropyBits: float64(i % 2),
		}})
	}
	for _, r := range SelectFeatures(d, Candidates) {
		want := r.Feature.Name == EntityDensity.Name
		if r.Selected != want {
			t.Errorf("%s: selected %v, r %.3f", r.Feature.Name, r.Selected, r.WithQuality)
		}
		if r.Feature.Composite && r.Redundant != EntityDensity.Name {
			t.Errorf("%s doubles %q, want %q", r.Feature.Name, r.Redundant, EntityDensity.Name)
		}
	}
}
