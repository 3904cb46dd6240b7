package difficulty

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/brianvoe/gofakeit/v7/data"

	"jouletop/workloads"
	"jouletop/workloads/features"
)

// planted is a query whose difficulty was decided before its text was written.
type planted struct {
	query   workloads.Query
	class   features.Class
	pattern Pattern
}

// Names and other words come from vocabularies of about the same size, so that
// entropy doesn't tell them apart.
var (
	plantedNames   = data.Person["first"]
	plantedFillers = func() []string {
		var words []string
		for _, a := range []string{"bo", "ca", "de", "fi", "gu", "ha", "lo", "mi", "ne", "pu"} {
			for _, b := range []string{"lan", "mer", "nit", "pol", "rus", "sat", "tem", "vin", "dor", "gal", "kel", "bun"} {
				for _, c := range []string{"der", "nel", "sto", "mic", "gar", "pen", "lum", "rit", "tas", "wob", "ven", "dal"} {
					words = append(words, a+b+c)
				}
			}
		}
		return words
	}()
)

// plant writes n queries by known rules: half are easy (few names, no causal
// word) and solved by every model; half are hard, for their many names or for
// a causal question or for both, and of the other three patterns in the
// proportions 4 : 2 : 1. Length is drawn independently of all that.
func plant(n int, seed uint64) []planted {
	rng := rand.New(rand.NewPCG(seed, 1))
	out := make([]planted, n)
	for i := range out {
		p := planted{class: features.Easy, pattern: AlwaysEasy}
		density, causal := 0.12*rng.Float64(), false
		if i%2 == 1 {
			p.class = features.Hard
			switch k := rng.IntN(7); {
			case k < 4:
				p.pattern = AlwaysHard
			case k < 6:
				p.pattern = ScalingHelps
			default:
				p.pattern = Inconsistent
			}
			why := rng.IntN(3)
			if why > 0 {
				density = 0.3 + 0.3*rng.Float64()
			}
			causal = why != 1
		}
		p.query = workloads.Query{Dataset: "planted", ID: fmt.Sprint(i), Text: plantText(rng, 20+rng.IntN(120), density, causal)}
		out[i] = p
	}
	return out
}

// plantText strings sentences of eight content words together, a share of
// which, spread at random, are names.
func plantText(rng *rand.Rand, content int, density float64, causal bool) string {
	var b strings.Builder
	if causal {
		b.WriteString("Why? ")
	}
	names := int(density*float64(content) + 0.5)
	for i := range content {
		if i%8 == 0 {
			b.WriteString("They saw it ")
		}
		// Exactly names of the words are names.
		if rng.IntN(content-i) < names {
			names--
			b.WriteString("and " + plantedNames[rng.IntN(len(plantedNames))] + " ")
		} else {
			b.WriteString("and " + plantedFillers[rng.IntN(len(plantedFillers))] + " ")
		}
		if i%8 == 7 || i == content-1 {
			b.WriteString("again. ")
		}
	}
	return b.String()
}

// plantQuality is what models of five sizes score on a pattern, with noise.
func plantQuality(rng *rand.Rand, p Pattern) []float64 {
	success := map[Pattern][]bool{
		AlwaysEasy:   {true, true, true, true, true},
		ScalingHelps: {false, false, true, true, true},
		AlwaysHard:   {false, false, false, false, false},
		Inconsistent: {false, true, false, true, false},
	}[p]
	out := make([]float64, len(success))
	for i, s := range success {
		level := 0.2
		if s {
			level = 0.8
		}
		out[i] = min(1, max(0, level+0.1*rng.NormFloat64()))
	}
	return out
}

// TestRecoversPlantedRules runs the whole way from text to tables and asks for
// what was planted back.
func TestRecoversPlantedRules(t *testing.T) {
	x, err := features.New()
	if err != nil {
		t.Fatal(err)
	}
	for seed := range uint64(2) {
		queries := plant(600, seed)
		rng := rand.New(rand.NewPCG(seed, 2))
		d := Data{Models: fiveModels}
		for _, q := range queries {
			d.Records = append(d.Records, Record{
				Dataset: q.query.Dataset, QueryID: q.query.ID,
				Features: x.Extract(q.query), Quality: plantQuality(rng, q.pattern),
			})
		}
		tables, err := Build(d)
		if err != nil {
			t.Fatal(err)
		}
		n := float64(len(queries))
		want := func(what string, hits int) {
			t.Helper()
			if share := float64(hits) / n; share < 0.95 {
				t.Errorf("seed %d: %s recovered in %.1f %%, want at least 95 %%", seed, what, 100*share)
			}
		}
		patterns, labels := ScalingPatterns(d), d.Labels()
		hit := map[string]int{}
		classifier, err := TrainClassifier(d, Selected(tables.Features))
		if err != nil {
			t.Fatal(err)
		}
		for i, q := range queries {
			if d.Records[i].Features.Class == q.class {
				hit["rule"]++
			}
			if labels[i] == (q.class == features.Easy) {
				hit["label"]++
			}
			if patterns[i] == q.pattern {
				hit["pattern"]++
			}
			if classifier.Classify(d.Records[i].Features) == q.class {
				hit["classifier"]++
			}
		}
		for _, what := range []string{"rule", "label", "pattern", "classifier"} {
			want(what, hit[what])
		}

		var names []string
		for _, f := range Selected(tables.Features) {
			names = append(names, f.Name)
		}
		for _, f := range []Feature{EntityDensity, CausalScore} {
			if !slices.Contains(names, f.Name) {
				t.Errorf("seed %d: %s was planted and not selected: %v", seed, f.Name, names)
			}
		}
		if r := tables.LengthToQ; r < -0.1 || r > 0.1 {
			t.Errorf("seed %d: length correlates with quality by %.3f, planted 0", seed, r)
		}
		length, both := tables.Ablation[0].Accuracy, tables.Ablation[3].Accuracy
		if length > 0.6 || both < 0.95 {
			t.Errorf("seed %d: accuracy %.3f by length, %.3f by features; planted 0.5 and 1", seed, length, both)
		}
		for _, g := range tables.Rule {
			if g.Gap < 0.2 {
				t.Errorf("seed %d: %s: gap %.3f between rule-easy and rule-hard", seed, g.Model, g.Gap)
			}
		}
		t.Logf("seed %d: %v of 600, features %v, accuracy by length %.3f, by features %.3f", seed, hit, names, length, both)
	}
}

// TestChanceRecoversNothing is the control: with quality drawn by coin the
// same pipeline must find no feature and no accuracy.
func TestChanceRecoversNothing(t *testing.T) {
	x, err := features.New()
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(9, 9))
	d := Data{Models: fiveModels}
	for _, q := range plant(600, 9) {
		r := Record{Dataset: "planted", QueryID: q.query.ID, Features: x.Extract(q.query)}
		for range fiveModels {
			r.Quality = append(r.Quality, rng.Float64())
		}
		d.Records = append(d.Records, r)
	}
	tables, err := Build(d)
	if err != nil {
		t.Fatal(err)
	}
	if got := Selected(tables.Features); len(got) != 0 {
		t.Errorf("selected %d features of random quality", len(got))
	}
	for _, a := range tables.Ablation {
		if a.Accuracy < 0.4 || a.Accuracy > 0.6 {
			t.Errorf("%s: accuracy %.3f on random quality", a.FeatureSet, a.Accuracy)
		}
	}
}
