package difficulty

import (
	"math"
	"path/filepath"
	"testing"

	"jouletop/gpu/sharedtest"
	"jouletop/workloads"
	"jouletop/workloads/datasets"
	"jouletop/workloads/features"
)

// studyCut is where the study evidently cut NarrativeQA's summaries, in bytes:
// cut there, their lengths come to its 339 ± 34 words.
const studyCut = 2000

// TestSamplesBesideTheStudy logs our Tables II to V on real rows beside the
// study's, and holds what is comparable to it: TruthfulQA, which is complete,
// and BoolQ.
func TestSamplesBesideTheStudy(t *testing.T) {
	dir := sharedtest.Path(t)
	x, err := features.New()
	if err != nil {
		t.Fatal(err)
	}
	var d Data
	surfaces := make(map[string][]features.Surface)
	for _, s := range []struct {
		style workloads.Style
		file  string
	}{
		{workloads.BoolQ, "boolq.jsonl"}, {workloads.HellaSwag, "hellaswag.jsonl"},
		{workloads.TruthfulQA, "truthfulqa.csv"}, {workloads.NarrativeQA, "narrativeqa/narrativeqa.jsonl"},
	} {
		queries, _, err := datasets.Load(datasets.Spec{Name: string(s.style), Path: filepath.Join(dir, s.file)}, 0, false)
		if err != nil {
			t.Fatal(err)
		}
		for _, q := range queries {
			if s.style == workloads.NarrativeQA && len(q.Text) > studyCut {
				summary := q.Text[len(q.Question)+1:]
				cut := workloads.AskNarrativeQA(q.Question, summary[:min(len(summary), studyCut)], q.Answers)
				cut.Dataset, cut.ID = q.Dataset, q.ID
				q = cut
			}
			surfaces[q.Dataset] = append(surfaces[q.Dataset], features.SurfaceOf(q.Prompt))
			d.Records = append(d.Records, Record{Dataset: q.Dataset, Style: s.style, QueryID: q.ID, Features: x.Extract(q)})
		}
	}
	tables, err := Build(d)
	if err != nil {
		t.Fatal(err)
	}
	paper := Paper()

	t.Log("II: words (study's in brackets), and words of the whole prompt")
	for _, r := range tables.Lengths {
		p := find(t, paper.Lengths, func(p LengthRow) bool { return p.Dataset == r.Dataset })
		s := surfaces[r.Dataset]
		words := column(s, func(s features.Surface) float64 { return float64(s.Words) })
		t.Logf("  %-12s n %4d  mean %6.1f (%6.1f) std %5.1f (%5.1f) min %3.0f (%3.0f) max %3.0f (%3.0f)   prompt %6.1f ± %4.1f",
			r.Dataset, r.Queries, r.Mean, p.Mean, r.Std, p.Std, r.Min, p.Min, r.Max, p.Max, mean(words), std(words))
	}
	t.Log("III, IV: features (study's in brackets), and what the prompt's surface gives")
	for _, r := range tables.Means {
		p := find(t, paper.Means, func(p MeansRow) bool { return p.Dataset == r.Dataset })
		s := surfaces[r.Dataset]
		t.Logf("  %-12s complexity %.2f (%.2f) reasoning %.2f (%.2f) entities %.2f (%.2f) entropy %.2f (%.2f) causal %4.1f %% (%4.1f)   surface: capitals %.3f entropy %.2f causal %4.1f %%",
			r.Dataset, r.Complexity, p.Complexity, r.Reasoning, p.Reasoning, r.EntityDensity, p.EntityDensity,
			r.Entropy, p.Entropy, 100*r.Causal, 100*p.Causal,
			mean(column(s, func(s features.Surface) float64 { return s.CapitalShare })),
			mean(column(s, func(s features.Surface) float64 { return s.EntropyBits })),
			100*mean(column(s, func(s features.Surface) float64 {
				if s.Causal {
					return 1
				}
				return 0
			})))
	}
	t.Log("V: correlation with length (study's in brackets)")
	for i, r := range tables.Features {
		t.Logf("  %-22s %+.2f (%+.2f)", r.Feature.Name, r.WithLength, paper.Features[i].WithLength)
	}
	var capitals, promptWords []float64
	for _, name := range d.Datasets() {
		for _, s := range surfaces[name] {
			capitals, promptWords = append(capitals, s.CapitalShare), append(promptWords, float64(s.Words))
		}
	}
	t.Logf("  %-22s %+.2f (%+.2f)", "capitals of the prompt", Pearson(capitals, promptWords), paper.Features[0].WithLength)
	for i, s := range RuleSplit(d) {
		t.Logf("rule: %-12s easy %5.1f %%", d.Datasets()[i], 100*s.EasyShare())
	}
	for _, e := range Explanations {
		t.Logf("Table %s: %s", e.Table, e.Text)
	}

	// What must hold.
	near := func(what string, got, want, tolerance float64) {
		t.Helper()
		if math.IsNaN(got) || math.Abs(got-want) > tolerance {
			t.Errorf("%s: %.3f, want %.3f ± %g", what, got, want, tolerance)
		}
	}
	means := func(name string) MeansRow {
		return find(t, tables.Means, func(r MeansRow) bool { return r.Dataset == name })
	}
	near("TruthfulQA, entropy", means("truthfulqa").Entropy, 3.50, 0.15)
	near("TruthfulQA, causal", means("truthfulqa").Causal, 0.102, 0.003)
	near("BoolQ, entropy", means("boolq").Entropy, 5.82, 0.15)
	near("BoolQ, causal", means("boolq").Causal, 0.024, 0.01)
	near("BoolQ, entity density", means("boolq").EntityDensity, 0.20, 0.06)
	near("BoolQ, complexity", means("boolq").Complexity, 0.54, 0.05)
	near("NarrativeQA, entity density", means("narrativeqa").EntityDensity, 0.18, 0.04)
	// The study's own reading is met to its last digit.
	s := surfaces["truthfulqa"]
	near("TruthfulQA, words of the prompt", mean(column(s, func(s features.Surface) float64 { return float64(s.Words) })), 12.6, 0.05)
	near("TruthfulQA, capitals", mean(column(s, func(s features.Surface) float64 { return s.CapitalShare })), 0.34, 0.005)
	near("TruthfulQA, entropy of the prompt", mean(column(s, func(s features.Surface) float64 { return s.EntropyBits })), 3.50, 0.005)
}

func column(s []features.Surface, f func(features.Surface) float64) []float64 {
	out := make([]float64, len(s))
	for i := range s {
		out[i] = f(s[i])
	}
	return out
}

func find[T any](t *testing.T, rows []T, is func(T) bool) T {
	t.Helper()
	for _, r := range rows {
		if is(r) {
			return r
		}
	}
	t.Fatal("no such row")
	panic("unreachable")
}
