package report

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

	"jouletop/engine/analysis/answers"
	"jouletop/engine/analysis/answers/answerstest"
	"jouletop/engine/analysis/curve/curvetest"
	"jouletop/engine/analysis/table"
	"jouletop/engine/session"
	"jouletop/workloads/difficulty"
)

var update = flag.Bool("update", false, "renew the golden files")

func tableOf(t *testing.T, tables []table.Table, id string) table.Table {
	t.Helper()
	i := slices.IndexFunc(tables, func(t table.Table) bool { return t.ID == id })
	if i < 0 {
		t.Fatalf("no table %s", id)
	}
	return tables[i]
}

func TestWorkloadTables(t *testing.T) {
	w := plantedWorkload(t)
	var b bytes.Buffer
	for _, table := range Workload(w, true) {
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
	tables := Workload(plantedWorkload(t), false)
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
		made := tableOf(t, tables, c.table)
		i := slices.IndexFunc(made.Rows, func(r []table.Cell) bool { return r[0].Text == c.row })
		k := slices.Index(made.Columns, c.column)
		if i < 0 || k < 0 {
			t.Errorf("table %s has no %s, %s", c.table, c.row, c.column)
			continue
		}
		curvetest.Near(t, fmt.Sprintf("published %s, %s, %s", c.table, c.row, c.column), made.Rows[i][k].Published, c.published, 1e-9)
	}
}

func TestWorkloadFindsWhatWasPlanted(t *testing.T) {
	w := plantedWorkload(t)
	if !w.Simulated {
		t.Error("a simulated session's workload is not marked")
	}
	for p, want := range map[difficulty.Pattern]int{difficulty.AlwaysEasy: 30, difficulty.ScalingHelps: 12, difficulty.AlwaysHard: 12, difficulty.Inconsistent: 6} {
		if got := len(slices.DeleteFunc(slices.Clone(w.Patterns), func(x difficulty.Pattern) bool { return x != p })); got != want {
			t.Errorf("%s: %d queries, want %d", p, got, want)
		}
	}
	c := w.Strategies
	if c == nil || c.High != "2842" || c.Low != "180" || c.Largest != "qwen2.5-32b" || c.Small != "llama-3.2-3b" || c.BatchSize != 8 {
		t.Fatalf("strategies %+v", c)
	}
	// The largest model answers all but Always Hard and Inconsistent: 42 of 60.
	curvetest.Near(t, "baseline energy", c.Baseline.EnergyJ, 32, 1e-12)
	curvetest.Near(t, "baseline quality", c.Baseline.Quality, 42.0/60, 1e-12)
	curvetest.Near(t, "saving by clock alone", c.DVFS.Saving, 0.5, 1e-12)
	byName := map[answers.Routing]answers.RoutedOutcome{}
	for _, r := range c.Routed {
		byName[r.Routing] = r
	}
	small := byName[answers.RouteAllSmall]
	curvetest.Near(t, "all to the small one, saving", small.Only.Saving, 1-4.0/32, 1e-12)
	curvetest.Near(t, "combined saving", small.Combined.Saving, 1-2.0/32, 1e-12)
	curvetest.Near(t, "all to the small one, quality", small.Only.Quality, 36.0/60, 1e-12) // Always Easy and Inconsistent
	// The rule: easy below 0.20 and 0.05 is Always Easy and Inconsistent.
	rule := byName[answers.RouteRule]
	curvetest.Near(t, "by rule, energy", rule.Only.EnergyJ, (36*4+24*16)/60.0, 1e-12)
	curvetest.Near(t, "by rule, quality", rule.Only.Quality, 48.0/60, 1e-12)
	// By pattern: Always Easy and Always Hard to 3B, Scaling Helps to 14B, the
	// rest to 8B, which the planted ones fail on.
	pattern := byName[answers.RoutePattern]
	curvetest.Near(t, "by pattern, energy", pattern.Combined.EnergyJ, (42*2+12*8+6*4)/60.0, 1e-12)
	curvetest.Near(t, "by pattern, quality", pattern.Combined.Quality, 42.0/60, 1e-12)
	if classifier, ok := byName[answers.RouteClassifier]; !ok || classifier.Only.Quality < 0.7 {
		t.Errorf("by classifier: %+v; the classes are told apart by the features", classifier)
	}
	// Beaten by others in energy and quality: not on the front.
	if c.Baseline.Pareto || !rule.Combined.Pareto || rule.Only.Pareto {
		t.Errorf("Pareto: baseline %v, rule %v and %v", c.Baseline.Pareto, rule.Only.Pareto, rule.Combined.Pareto)
	}
	xvii := tableOf(t, Workload(w, false), "XVII")
	if n := len(xvii.Rows); n != 5 || xvii.Rows[1][0].Text != string(difficulty.ScalingHelps) || xvii.Rows[1][2].Text != "qwen2.5-14b" {
		t.Errorf("XVII: %+v", xvii.Rows)
	}
}

func TestWorkloadWithoutAnswers(t *testing.T) {
	queries, of, rows := answerstest.Planted()
	w, err := answers.NewWorkload(queries, of, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, table := range Workload(w, false) {
		if slices.Contains([]string{"VI", "VII", "VIII", "IX", "X", "XV", "XVII", "XVIII"}, table.ID) || table.Simulated {
			t.Errorf("table %s, simulated %v, without an answer", table.ID, table.Simulated)
		}
	}
	// Two datasets, told apart by their style whatever they are called.
	ii := tableOf(t, Workload(w, false), "II")
	if len(ii.Rows) != 2 || ii.Rows[0][2].Published != 102.9 {
		t.Errorf("II: %+v", ii.Rows)
	}
	// Joules that mean nothing are not laid beside each other.
	for i := range queries {
		queries[i].Dataset = "d"
	}
	a, err := answers.New([]*session.Session{answerstest.Record(t, session.Manifest{}, rows)})
	if err != nil {
		t.Fatal(err)
	}
	a.Meaningless = "times are the CPU's"
	if w, err = answers.NewWorkload(queries, of, a); err != nil || w.Strategies != nil || !strings.Contains(strings.Join(w.Notes, "\n"), "times are the CPU's") {
		t.Errorf("%v, strategies %+v, notes %q", err, w.Strategies, w.Notes)
	}
	if _, err := answers.NewWorkload(queries, of[1:], nil); err == nil {
		t.Error("features of other queries were taken")
	}
	if _, err := answers.NewWorkload(nil, nil, nil); !errors.Is(err, difficulty.ErrTooFew) {
		t.Errorf("no queries: %v", err)
	}
}

func TestMeanStd(t *testing.T) {
	if m, s := meanStd([]float64{1, 3}); m != 2 || s != 1 {
		t.Errorf("mean %g, standard deviation %g of 1 and 3", m, s)
	}
	if m, _ := meanStd(nil); m != 0 || math.IsNaN(m) {
		t.Errorf("mean of nothing %g", m)
	}
}

// plantedWorkload records the planted answers and reads them back.
func plantedWorkload(t *testing.T) *answers.Workload {
	t.Helper()
	queries, of, s := answerstest.PlantedSession(t)
	a, err := answers.New([]*session.Session{s})
	if err != nil {
		t.Fatal(err)
	}
	w, err := answers.NewWorkload(queries, of, a)
	if err != nil {
		t.Fatal(err)
	}
	return w
}
