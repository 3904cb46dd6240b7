package difficulty

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"

	"jouletop/workloads"
	"jouletop/workloads/features"
)

// Tables are the study's workload tables, named by its numbers. Shares,
// accuracies and qualities run from 0 to 1; NaN is unknown. Where a table has
// a column a model, its order is Models.
type Tables struct {
	Models []Model

	Lengths     []LengthRow         // II: input length
	Means       []MeansRow          // III: features by dataset, and IV: causal questions
	Features    []FeatureReport     // V: independence from length; VIII by model
	LengthToQ   float64             // V, last row: r of length and quality
	Ablation    []AblationRow       // VI
	Quality     []QualityRow        // VII
	Correlation []FeatureQualityRow // VIII
	Scaling     []PatternRow        // IX
	Rule        []GapRow            // X
	RuleEasy    int                 // X: queries that the rule calls easy
	RuleHard    int                 // X: queries that the rule calls hard
	Routing     []RouteRow          // XV
	Categories  []CategoryRow       // XVII
	Strategies  []StrategyRow       // XVIII
}

// LengthRow is a dataset's input length in words (Table II).
type LengthRow struct {
	Dataset             string
	Queries             int
	Mean, Std, Min, Max float64
}

// Range is the longest over the shortest.
func (r LengthRow) Range() float64 { return r.Max / r.Min }

// MeansRow are a dataset's mean features (Tables III and IV).
type MeansRow struct {
	Dataset                                       string
	Complexity, Reasoning, EntityDensity, Entropy float64
	Causal                                        float64 // mean causal score
	QueryType                                     string  // dominant type of query (IV)
}

// QualityRow is a dataset's mean quality by model (Table VII).
type QualityRow struct {
	Dataset string
	Metric  string // accuracy or rouge_l
	ByModel []float64
	Mean    float64
}

// FeatureQualityRow is a feature's correlation with each model's quality
// (Table VIII).
type FeatureQualityRow struct {
	Feature string
	ByModel []float64
}

// PatternRow is a scaling pattern's share and mean features (Table IX).
type PatternRow struct {
	Pattern                             Pattern
	Queries                             int
	Share                               float64
	EntityDensity, CausalScore, Entropy float64
}

// GapRow is a model's mean quality on the queries that the rule calls easy and
// hard (Table X).
type GapRow struct {
	Model           string
	Easy, Hard, Gap float64
}

// RouteRow says where a pattern's queries go (Table XV).
type RouteRow struct {
	Pattern   Pattern
	Share     float64
	Tier      string
	Rationale string
}

// QueryTypes are the study's words for what each dataset mostly asks
// (Table IV).
var QueryTypes = map[workloads.Style]string{
	workloads.BoolQ:       "Factual verification",
	workloads.HellaSwag:   "Sequence prediction",
	workloads.TruthfulQA:  "Factual and causal",
	workloads.NarrativeQA: "Comprehension and causal",
}

// Build works out the tables that the data allow, II to X and XV. Tables whose
// numbers need qualities are empty where no model has answered, and VI where
// there are too few queries of either kind for its folds. XVII and XVIII need
// energies: [Compare].
func Build(d Data) (*Tables, error) {
	if err := d.Check(); err != nil {
		return nil, err
	}
	if len(d.Records) == 0 {
		return nil, fmt.Errorf("difficulty: no queries: %w", ErrTooFew)
	}
	t := &Tables{Models: d.Models, LengthToQ: math.NaN()}
	for _, name := range d.Datasets() {
		t.addDataset(name, d)
	}
	t.Features = SelectFeatures(d, Candidates)
	if len(d.answered().Records) == 0 {
		return t, nil
	}
	t.LengthToQ = Pearson(d.Column(Length), d.MeanQuality())
	var err error
	if t.Ablation, err = Ablation(d); err != nil && !errors.Is(err, ErrTooFew) {
		return nil, err
	}
	for _, r := range t.Features {
		t.Correlation = append(t.Correlation, FeatureQualityRow{r.Feature.Name, r.ByModel})
	}
	t.addQuality(d)
	t.addPatterns(d)
	t.addRule(d)
	return t, nil
}

// addDataset fills a dataset's rows of Tables II to IV.
func (t *Tables) addDataset(name string, d Data) {
	part := d.subset(func(r Record) bool { return r.Dataset == name })
	words := part.Column(Length)
	t.Lengths = append(t.Lengths, LengthRow{
		Dataset: name, Queries: len(words), Mean: mean(words), Std: std(words),
		Min: slices.Min(words), Max: slices.Max(words),
	})
	t.Means = append(t.Means, MeansRow{
		Dataset:       name,
		Complexity:    mean(part.Column(ComplexityScore)),
		Reasoning:     mean(part.Column(ReasoningComplexity)),
		EntityDensity: mean(part.Column(EntityDensity)),
		Entropy:       mean(part.Column(TokenEntropy)),
		Causal:        mean(part.Column(CausalScore)),
		QueryType:     QueryTypes[part.Records[0].Style],
	})
}

// addQuality fills Table VII.
func (t *Tables) addQuality(d Data) {
	for _, name := range d.Datasets() {
		part := d.subset(func(r Record) bool { return r.Dataset == name })
		row := QualityRow{Dataset: name, Metric: metric(part.Records[0].Style)}
		for k := range d.Models {
			row.ByModel = append(row.ByModel, mean(part.rawQuality(k)))
		}
		row.Mean = mean(row.ByModel)
		t.Quality = append(t.Quality, row)
	}
}

// metric names how a style is scored; "" for a style of one's own, which is
// scored either way.
func metric(s workloads.Style) string {
	switch s {
	case workloads.BoolQ, workloads.HellaSwag:
		return "accuracy"
	case workloads.TruthfulQA, workloads.NarrativeQA:
		return "rouge_l"
	}
	return ""
}

// addPatterns fills Tables IX and XV.
func (t *Tables) addPatterns(d Data) {
	patterns := ScalingPatterns(d)
	all := 0
	for _, p := range patterns {
		if p != UnknownPattern {
			all++
		}
	}
	for _, p := range Patterns {
		var part Data
		for i, r := range d.Records {
			if patterns[i] == p {
				part.Records = append(part.Records, r)
			}
		}
		n := len(part.Records)
		row := PatternRow{
			Pattern: p, Queries: n, Share: ratio(float64(n), all),
			EntityDensity: mean(part.Column(EntityDensity)),
			CausalScore:   mean(part.Column(CausalScore)),
			Entropy:       mean(part.Column(TokenEntropy)),
		}
		tier, why := Route(p)
		t.Scaling = append(t.Scaling, row)
		t.Routing = append(t.Routing, RouteRow{p, row.Share, tier.Name, why})
	}
}

// addRule fills Table X. Qualities are as scored, not normalised, as the
// study's evidently are: the mean of its two columns is the model's average in
// Table VII.
func (t *Tables) addRule(d Data) {
	easy := d.subset(func(r Record) bool { return features.StudyRule.Classify(r.Features) == features.Easy })
	hard := d.subset(func(r Record) bool { return features.StudyRule.Classify(r.Features) == features.Hard })
	t.RuleEasy, t.RuleHard = len(easy.Records), len(hard.Records)
	average := GapRow{Model: "Average"}
	var e, h []float64
	for k, m := range d.Models {
		row := GapRow{Model: m.Name, Easy: mean(easy.rawQuality(k)), Hard: mean(hard.rawQuality(k))}
		row.Gap = row.Easy - row.Hard
		t.Rule = append(t.Rule, row)
		e, h = append(e, row.Easy), append(h, row.Hard)
	}
	average.Easy, average.Hard = mean(e), mean(h)
	average.Gap = average.Easy - average.Hard
	t.Rule = append(t.Rule, average)
}

func (d Data) subset(keep func(Record) bool) Data {
	out := Data{Models: d.Models}
	for _, r := range d.Records {
		if keep(r) {
			out.Records = append(out.Records, r)
		}
	}
	return out
}

// rawQuality is model k's quality as scored.
func (d Data) rawQuality(k int) []float64 {
	col := make([]float64, len(d.Records))
	for i, r := range d.Records {
		col[i] = r.Quality[k]
	}
	return col
}

// Largest is the model with the most parameters; false if there is none.
func Largest(models []Model) (Model, bool) {
	if len(models) == 0 {
		return Model{}, false
	}
	return slices.MaxFunc(models, func(a, b Model) int { return cmp.Compare(a.ParamsB, b.ParamsB) }), true
}
