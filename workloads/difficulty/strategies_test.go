package difficulty

import (
	"errors"
	"math"
	"slices"
	"testing"
)

func TestCompareByHand(t *testing.T) {
	m := Measured{
		{"big", "hi"}:   {{10, 1, 1}, {20, 2, 1}},
		{"big", "lo"}:   {{5, 1.25, 1}, {12, 2.25, 1}},
		{"small", "hi"}: {{2, 0.5, 1}, {4, 0.75, 0}},
		{"small", "lo"}: {{1, 0.75, 1}, {3, 1, 0}},
	}
	rows, categories, err := Compare(m, Plan{
		Largest: "big", High: "hi", DVFS: "lo",
		Routes:     []string{"small", "big"},
		Categories: []string{string(AlwaysEasy), string(ScalingHelps)},
	})
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []StrategyRow{
		{Baseline, "big", "hi", 2, 15, 1.5, 1, 0, 22.5, false},
		{DVFSOnly, "big", "lo", 2, 8.5, 1.75, 1, 1 - 17.0/30, 8.5 * 1.75, false},
		{RoutingOnly, "routed", "hi", 2, 11, 1.25, 1, 1 - 22.0/30, 11 * 1.25, false},
		{Combined, "routed", "lo", 2, 6.5, 1.5, 1, 1 - 13.0/30, 6.5 * 1.5, true},
	} {
		got := rows[i]
		if math.Abs(got.Saving-want.Saving) > 1e-12 || math.Abs(got.EDPJs-want.EDPJs) > 1e-12 {
			t.Errorf("%s: saving %v, EDP %v; want %v, %v", got.Strategy, got.Saving, got.EDPJs, want.Saving, want.EDPJs)
		}
		got.Saving, got.EDPJs = want.Saving, want.EDPJs
		if got != want {
			t.Errorf("got %+v\nwant %+v", got, want)
		}
	}
	if len(categories) != 3 || categories[0].Saving != 0.9 || categories[0].Model != "small" ||
		categories[0].Share != 0.5 || categories[2].Model != "mixed" || categories[1].BaselineJ != 20 {
		t.Errorf("categories %+v", categories)
	}
}

func TestComparePairsKnownQueries(t *testing.T) {
	nan := math.NaN()
	m := Measured{
		{"m", "hi"}: {{10, 1, 1}, {nan, 1, 1}, {30, nan, nan}},
		{"m", "lo"}: {{5, 2, 1}, {1, 1, 1}, {15, 3, 0.5}},
	}
	rows, _, err := Compare(m, Plan{Largest: "m", High: "hi", DVFS: "lo", Routes: []string{"m", "m", "m"}, Categories: make([]string, 3)})
	if err != nil {
		t.Fatal(err)
	}
	if r := rows[1]; r.Queries != 2 || r.EnergyJ != 10 || r.Saving != 0.5 || r.LatencyS != 2.5 || r.Quality != 1 {
		t.Errorf("got %+v", r)
	}
	if _, _, err := Compare(m, Plan{}); !errors.Is(err, ErrTooFew) {
		t.Errorf("no queries: %v", err)
	}
	if _, _, err := Compare(m, Plan{Largest: "x", High: "hi", DVFS: "lo", Routes: []string{"m"}, Categories: []string{""}}); err == nil {
		t.Error("a model without outcomes accepted")
	}
}

// TestCompareReproducesTheStudy feeds the energies of the study's Table XVI and
// the shares of its Table IX: the savings of Tables XVII and XVIII must come
// out. (Its weighted average of 87 % does not: the shares and savings it
// prints average to 85.8 %.)
func TestCompareReproducesTheStudy(t *testing.T) {
	paper := Paper()
	const n = 1000
	var patterns []Pattern
	for _, row := range paper.Scaling {
		for range int(math.Round(row.Share * n)) {
			patterns = append(patterns, row.Pattern)
		}
	}
	if len(patterns) != n {
		t.Fatalf("%d patterns of shares that should add up to 1", len(patterns))
	}
	routes, err := PatternRoutes(patterns, paper.Models)
	if err != nil {
		t.Fatal(err)
	}
	m := make(Measured)
	nan := math.NaN()
	for i, e := range [][2]float64{{2.92, 1.69}, {4.19, 2.52}, {6.24, 3.61}, {8.32, 4.91}, {20.97, 11.74}} {
		m[Setting{paper.Models[i].Name, "2842"}] = slices.Repeat([]Outcome{{e[0], nan, nan}}, n)
		m[Setting{paper.Models[i].Name, "180"}] = slices.Repeat([]Outcome{{e[1], nan, nan}}, n)
	}
	largest, _ := Largest(paper.Models)
	plan := Plan{Largest: largest.Name, High: "2842", DVFS: "180", Routes: routes}
	for _, p := range patterns {
		plan.Categories = append(plan.Categories, string(p))
	}
	rows, categories, err := Compare(m, plan)
	if err != nil {
		t.Fatal(err)
	}
	for i, c := range categories[:4] {
		want := paper.Categories[i]
		if c.Category != want.Category || math.Abs(c.Saving-want.Saving) > 0.005 || math.Abs(c.Share-want.Share) > 1e-9 {
			t.Errorf("%s: share %.3f saving %.3f, study %.3f and %.2f", c.Category, c.Share, c.Saving, want.Share, want.Saving)
		}
	}
	if got := categories[4].Saving; math.Abs(got-0.858) > 0.0005 {
		t.Errorf("weighted average %.4f, want 0.858", got)
	}
	if got, want := rows[1].Saving, paper.Strategies[1].Saving; math.Abs(got-want) > 0.005 {
		t.Errorf("DVFS only saves %.3f, study %.2f", got, want)
	}

	// Table XVIII itself routes every query to the 3B model.
	for i := range plan.Routes {
		plan.Routes[i] = paper.Models[1].Name
	}
	if rows, _, err = Compare(m, plan); err != nil {
		t.Fatal(err)
	}
	for i, row := range rows {
		want := paper.Strategies[i]
		if math.Abs(row.EnergyJ-want.EnergyJ) > 0.005 || math.Abs(row.Saving-want.Saving) > 0.005 {
			t.Errorf("%s: %.2f J, saving %.3f; study %.2f J, %.2f", row.Strategy, row.EnergyJ, row.Saving, want.EnergyJ, want.Saving)
		}
	}
}

func TestPareto(t *testing.T) {
	rows := []StrategyRow{
		{EnergyJ: 10, Quality: 0.9}, {EnergyJ: 5, Quality: 0.9}, {EnergyJ: 4, Quality: 0.8}, {EnergyJ: 4.5, Quality: 0.7},
		{EnergyJ: 4, Quality: 0.8}, {EnergyJ: 1, Quality: math.NaN()},
	}
	markPareto(rows)
	for i, want := range []bool{false, true, true, false, true, false} {
		if rows[i].Pareto != want {
			t.Errorf("row %d: %v, want %v", i, rows[i].Pareto, want)
		}
	}
	for _, r := range Paper().Strategies {
		want := r.Pareto
		all := Paper().Strategies
		markPareto(all)
		for _, a := range all {
			if a.Strategy == r.Strategy && a.Pareto != want {
				t.Errorf("%s: Pareto %v in the data, %v by the rule", r.Strategy, want, a.Pareto)
			}
		}
	}
}
