package difficulty

import (
	"encoding/csv"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"jouletop/gpu/sharedtest"
)

func readTable(t *testing.T, path string) [][]string {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Skip(err)
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	return rows[1:]
}

// TestPaperAgainstItsTables compares the numbers in the code with the study's
// tables as somebody else typed them.
func TestPaperAgainstItsTables(t *testing.T) {
	dir := sharedtest.Path(t, "paper")
	paper := Paper()
	got := make(map[string]float64)
	put := func(key string, v float64) { got[strings.ToLower(key)] = v }
	for _, r := range paper.Lengths {
		put("2/"+r.Dataset+"/mean_tokens", r.Mean)
		put("2/"+r.Dataset+"/std_tokens", r.Std)
		put("2/"+r.Dataset+"/min_tokens", r.Min)
		put("2/"+r.Dataset+"/max_tokens", r.Max)
	}
	for _, r := range paper.Means {
		put("3/complexity score/"+r.Dataset, r.Complexity)
		put("3/reasoning complexity/"+r.Dataset, r.Reasoning)
		put("3/entity density/"+r.Dataset, r.EntityDensity)
		put("3/token entropy/"+r.Dataset, r.Entropy)
		put("3/causal questions (%)/"+r.Dataset, 100*r.Causal)
	}
	for _, r := range paper.Features {
		put("5/"+r.Feature.Name+"/corr_with_length", r.WithLength)
	}
	put("5/length/corr_with_quality", paper.LengthToQ)
	for _, r := range paper.Ablation {
		put("6/"+strings.ReplaceAll(r.FeatureSet, " tokens", "")+"/accuracy_5fold_pct", 100*r.Accuracy)
		put("6/"+r.FeatureSet+"/accuracy_5fold_pct", 100*r.Accuracy)
	}
	for _, r := range paper.Categories {
		put("17/"+r.Category+"/saving_pct", 100*r.Saving)
	}
	for _, r := range paper.Strategies {
		key := "18/" + string(r.Strategy) + " (" + r.Model + " " + r.Clock + " mhz)"
		put(key+"/energy_j", r.EnergyJ)
		put(key+"/quality_pct", 100*r.Quality)
	}
	for _, row := range readTable(t, filepath.Join(dir, "workload_tables.csv")) {
		key := strings.ToLower(row[0] + "/" + row[1] + "/" + row[2])
		want, err := strconv.ParseFloat(row[3], 64)
		if err != nil {
			t.Fatal(err)
		}
		if v, ok := got[key]; !ok || math.Abs(v-want) > 1e-9 {
			t.Errorf("%s: %v (there: %v), want %v", key, v, ok, want)
		}
	}

	floats := func(cells []string) []float64 {
		var out []float64
		for _, c := range cells {
			v, err := strconv.ParseFloat(c, 64)
			if err != nil {
				v = math.NaN()
			}
			out = append(out, v)
		}
		return out
	}
	for i, row := range readTable(t, filepath.Join(dir, "table07_quality.csv")) {
		if q := paper.Quality[i]; !strings.EqualFold(q.Dataset, row[0]) || q.Metric != row[1] || !slices.Equal(q.ByModel, floats(row[2:])) {
			t.Errorf("Table VII: %+v, want %v", q, row)
		}
	}
	for i, row := range readTable(t, filepath.Join(dir, "table08_feature_quality_correlation.csv")) {
		if !slices.Equal(paper.Correlation[i].ByModel, floats(row[1:])) {
			t.Errorf("Table VIII: %+v, want %v", paper.Correlation[i], row)
		}
	}
	for i, row := range readTable(t, filepath.Join(dir, "table09_scaling_patterns.csv")) {
		p, want := paper.Scaling[i], floats(row[1:5])
		for k, v := range []float64{100 * p.Share, p.EntityDensity, p.CausalScore, p.Entropy} {
			if math.Abs(v-want[k]) > 1e-9 || math.IsNaN(v) != math.IsNaN(want[k]) {
				t.Errorf("Table IX: %+v, want %v", p, row)
			}
		}
		if paper.Routing[i].Tier != row[5] || string(p.Pattern) != row[0] {
			t.Errorf("Table XV: %+v, want %v", paper.Routing[i], row)
		}
	}
	for i, row := range readTable(t, filepath.Join(dir, "table10_rule_validation.csv")) {
		if g := paper.Rule[i]; g.Model != row[0] || !slices.Equal([]float64{g.Easy, g.Hard, g.Gap}, floats(row[1:])) {
			t.Errorf("Table X: %+v, want %v", g, row)
		}
	}
}
