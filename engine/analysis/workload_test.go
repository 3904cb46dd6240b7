package analysis

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"jouletop/engine/session"
	"jouletop/workloads"
	"jouletop/workloads/difficulty"
	"jouletop/workloads/features"
)

var update = flag.Bool("update", false, "renew the golden files")

// planted is a workload whose answers are planted: of every ten queries of a
// dataset five succeed on every size (entity density 0.1), two from 8B on (0.15,
// causal), two on none (0.4, causal), and one on the 3B model alone.
func planted() ([]workloads.Query, []features.Features, []ran) {
	var queries []workloads.Query
	var of []features.Features
	var rows []ran
	models := []struct {
		name   string
		joules float64
	}{{"llama-3.2-3b", 4}, {"llama-3.1-8b", 8}, {"qwen2.5-14b", 16}, {"qwen2.5-32b", 32}}
	for _, style := range []workloads.Style{workloads.BoolQ, workloads.TruthfulQA} {
		for i := range 30 {
			q := workloads.Query{Dataset: "d", Style: style, ID: fmt.Sprintf("%s-%d", style, i), Prompt: "Q: " + strings.Repeat("Word ", 5+i)}
			f := features.Features{Words: 5 + i, Tokens: 6 + i, TokenEntropyBits: 2 + 0.1*float64(i%7), EntityDensity: 0.1, ReasoningComplexity: 0.01 * float64(i%5), ComplexityScore: 0.5}
			from := 0 // the first model that succeeds
			switch k := i % 10; {
			case k == 9:
				from = -1
			case k >= 7:
				from, f.EntityDensity, f.CausalScore = len(models), 0.4, 0.5
			case k >= 5:
				from, f.EntityDensity, f.CausalScore = 1, 0.15, 0.2
			}
			f.Class = features.StudyRule.Classify(f)
			q.Dataset = string(style)
			queries, of = append(queries, q), append(of, f)
			for m, model := range models {
				quality := 0.0
				if from >= 0 && m >= from || from < 0 && m == 0 {
					quality = 1
				}
				for _, clock := range []string{"fixed:2842", "fixed:180"} {
					r := ran{model.name + "." + q.Dataset + ".b8.r1", model.name, q.ID, clock, string(f.Class), model.joules, 0.1 * model.joules, quality}
					if clock == "fixed:180" {
						r.joules /= 2
					}
					rows = append(rows, r)
				}
			}
		}
	}
	return queries, of, rows
}

// plantedWorkload records the planted answers and reads them back.
func plantedWorkload(t *testing.T) *Workload {
	t.Helper()
	queries, of, rows := planted()
	// record's dataset is d: the ids tell the styles apart.
	for i := range queries {
		queries[i].Dataset = "d"
	}
	a := answersOf(t, record(t, session.Manifest{}, rows))
	w, err := NewWorkload(queries, of, a)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func tableOf(t *testing.T, tables []Table, id string) Table {
	t.Helper()
	i := slices.IndexFunc(tables, func(t Table) bool { return t.ID == id })
	if i < 0 {
		t.Fatalf("no table %s", id)
	}
	return tables[i]
}

func TestWorkloadFindsWhatWasPlanted(t *testing.T) {
	w := plantedWorkload(t)
	if !w.Simulated {
		t.Error("a simulated session's workload is not marked")
	}
	for p, want := range map[difficulty.Pattern]int{difficulty.AlwaysEasy: 30, difficulty.ScalingHelps: 12, difficulty.AlwaysHard: 12, difficulty.Inconsistent: 6} {
		if got := count(w.Patterns, p); got != want {
			t.Errorf("%s: %d queries, want %d", p, got, want)
		}
	}
	c := w.Strategies
	if c == nil || c.High != "2842" || c.Low != "180" || c.Largest != "qwen2.5-32b" || c.Small != "llama-3.2-3b" || c.BatchSize != 8 {
		t.Fatalf("strategies %+v", c)
	}
	// The largest model answers all but Always Hard and Inconsistent: 42 of 60.
	near(t, "baseline energy", c.Baseline.EnergyJ, 32, 1e-12)
	near(t, "baseline quality", c.Baseline.Quality, 42.0/60, 1e-12)
	near(t, "saving by clock alone", c.DVFS.Saving, 0.5, 1e-12)
	byName := map[Routing]RoutedOutcome{}
	for _, r := range c.Routed {
		byName[r.Routing] = r
	}
	small := byName[RouteAllSmall]
	near(t, "all to the small one, saving", small.Only.Saving, 1-4.0/32, 1e-12)
	near(t, "combined saving", small.Combined.Saving, 1-2.0/32, 1e-12)
	near(t, "all to the small one, quality", small.Only.Quality, 36.0/60, 1e-12) // Always Easy and Inconsistent
	// The rule: easy below 0.20 and 0.05 is Always Easy and Inconsistent.
	rule := byName[RouteRule]
	near(t, "by rule, energy", rule.Only.EnergyJ, (36*4+24*16)/60.0, 1e-12)
	near(t, "by rule, quality", rule.Only.Quality, 48.0/60, 1e-12)
	// By pattern: Always Easy and Always Hard to 3B, Scaling Helps to 14B, the
	// rest to 8B, which the planted ones fail on.
	pattern := byName[RoutePattern]
	near(t, "by pattern, energy", pattern.Combined.EnergyJ, (42*2+12*8+6*4)/60.0, 1e-12)
	near(t, "by pattern, quality", pattern.Combined.Quality, 42.0/60, 1e-12)
	if classifier, ok := byName[RouteClassifier]; !ok || classifier.Only.Quality < 0.7 {
		t.Errorf("by classifier: %+v; the classes are told apart by the features", classifier)
	}
	// Beaten by others in energy and quality: not on the front.
	if c.Baseline.Pareto || !rule.Combined.Pareto || rule.Only.Pareto {
		t.Errorf("Pareto: baseline %v, rule %v and %v", c.Baseline.Pareto, rule.Only.Pareto, rule.Combined.Pareto)
	}
	xvii := tableOf(t, w.Study(false), "XVII")
	if n := len(xvii.Rows); n != 5 || xvii.Rows[1][0].Text != string(difficulty.ScalingHelps) || xvii.Rows[1][2].Text != "qwen2.5-14b" {
		t.Errorf("XVII: %+v", xvii.Rows)
	}
}

func TestWorkloadTables(t *testing.T) {
	w := plantedWorkload(t)
	var b bytes.Buffer
	for _, table := range w.Study(true) {
		if err := table.WriteText(&b, true); err != nil {
			t.Fatal(err)
		}
	}
	golden := filepath.Join("testdata", "workload.golden")
	if *update {
		if err := os.WriteFile(golden, b.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(b.Bytes(), want) {
		t.Errorf("the tables changed; see with -update what became of them:\n%s", b.Bytes())
	}
}

func TestWorkloadTablesMarkAndPublished(t *testing.T) {
	tables := plantedWorkload(t).Study(false)
	for _, id := range []string{"V", "VI", "VII", "VIII", "IX", "X", "XV", "XVII", "XVIII"} {
		if !tableOf(t, tables, id).Simulated {
			t.Errorf("table %s of a simulated session is not marked", id)
		}
	}
	for _, id := range []string{"II", "III", "IV"} {
		if tableOf(t, tables, id).Simulated {
			t.Errorf("table %s is of real queries, yet marked", id)
		}
	}
	for _, c := range []struct {
		table     string
		row       string
		column    string
		published float64
	}{
		{"VI", "Features only (no length)", "accuracy %", 68.6},
		{"VIII", "Entity Density", "qwen2.5-32b", -0.32},
		{"IX", "Always Easy", "share %", 44.5},
		{"X", "llama-3.2-3b", "gap", 0.250},
		{"XV", "Always Hard", "share %", 32.6},
		{"XVII", "Weighted Average", "saving %", 87},
		{"XVIII", "Combined: all to llama-3.2-3b", "saving %", 88},
		{"XVIII", "Baseline: all to qwen2.5-32b", "accuracy", 0.838},
	} {
		table := tableOf(t, tables, c.table)
		i := slices.IndexFunc(table.Rows, func(r []Cell) bool { return r[0].Text == c.row })
		k := slices.Index(table.Columns, c.column)
		if i < 0 || k < 0 {
			t.Errorf("table %s has no %s, %s", c.table, c.row, c.column)
			continue
		}
		near(t, fmt.Sprintf("published %s, %s, %s", c.table, c.row, c.column), table.Rows[i][k].Published, c.published, 1e-9)
	}
}

func TestWorkloadWithoutAnswers(t *testing.T) {
	queries, of, rows := planted()
	w, err := NewWorkload(queries, of, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, table := range w.Study(false) {
		if slices.Contains([]string{"VI", "VII", "VIII", "IX", "X", "XV", "XVII", "XVIII"}, table.ID) || table.Simulated {
			t.Errorf("table %s, simulated %v, without an answer", table.ID, table.Simulated)
		}
	}
	// Two datasets, told apart by their style whatever they are called.
	ii := tableOf(t, w.Study(false), "II")
	if len(ii.Rows) != 2 || ii.Rows[0][2].Published != 102.9 {
		t.Errorf("II: %+v", ii.Rows)
	}
	// Joules that mean nothing are not laid beside each other.
	for i := range queries {
		queries[i].Dataset = "d"
	}
	a := answersOf(t, record(t, session.Manifest{}, rows))
	a.Meaningless = "times are the CPU's"
	if w, err = NewWorkload(queries, of, a); err != nil || w.Strategies != nil || !strings.Contains(strings.Join(w.Notes, "\n"), "times are the CPU's") {
		t.Errorf("%v, strategies %+v, notes %q", err, w.Strategies, w.Notes)
	}
	if _, err := NewWorkload(queries, of[1:], nil); err == nil {
		t.Error("features of other queries were taken")
	}
	if _, err := NewWorkload(nil, nil, nil); !errors.Is(err, difficulty.ErrTooFew) {
		t.Errorf("no queries: %v", err)
	}
}

func TestOutOfFold(t *testing.T) {
	w := plantedWorkload(t)
	got, err := OutOfFold(w.Data, []difficulty.Feature{difficulty.EntityDensity, difficulty.CausalScore})
	if err != nil {
		t.Fatal(err)
	}
	// The features tell the planted classes apart but for the Inconsistent ones.
	hits, easy := 0, w.Data.Labels()
	for i := range got {
		if (got[i] == features.Easy) == easy[i] {
			hits++
		}
	}
	if share := float64(hits) / float64(len(got)); share < 0.85 {
		t.Errorf("%.2f of the classes were predicted", share)
	}
	few := difficulty.Data{Models: w.Data.Models, Records: w.Data.Records[:6]}
	if _, err := OutOfFold(few, difficulty.Candidates); !errors.Is(err, difficulty.ErrTooFew) {
		t.Errorf("six queries: %v", err)
	}
}

func TestWorkloadPlots(t *testing.T) {
	dir := t.TempDir()
	files, err := plantedWorkload(t).Plots(dir)
	if err != nil || len(files) != 8 {
		t.Fatalf("%v, %q", err, files)
	}
	for name, marked := range map[string]bool{"length-histogram": false, "entity-histogram": false, "quality-against-length": true, "energy-against-quality": true} {
		svg, err := os.ReadFile(filepath.Join(dir, name+".svg"))
		if err != nil || bytes.Contains(svg, []byte("SIMULATED")) != marked {
			t.Errorf("%s: %v, marked %v", name, err, !marked)
		}
	}
	// One query of no features makes pictures, too.
	w, err := NewWorkload([]workloads.Query{{Dataset: "d", ID: "q"}}, make([]features.Features, 1), nil)
	if err != nil {
		t.Fatal(err)
	}
	if files, err := w.Plots(dir); err != nil || len(files) != 4 {
		t.Errorf("%v, %q", err, files)
	}
	near(t, "mean", func() float64 { m, _ := meanStd([]float64{1, 3}); return m }(), 2, 1e-12)
	near(t, "std", func() float64 { _, s := meanStd([]float64{1, 3}); return s }(), 1, 1e-12)
	if m, _ := meanStd(nil); m != 0 || math.IsNaN(m) {
		t.Errorf("mean of nothing %g", m)
	}
}
