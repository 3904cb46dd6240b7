// Package difficulty finds out what makes queries hard and what routing them
// by difficulty would save: correlations of features with quality, the
// easy/hard label and a classifier for it, scaling patterns over model sizes,
// the study's rule, and the energy and quality of routing strategies. All are
// pure functions over plain structs; the numbers of the study ("Characterizing
// LLM Inference Energy-Performance Tradeoffs across Workloads and GPU
// Scaling", sections V and VII) stand in the same structs ([Paper]).
//
// The usual way in: fill a [Data] with one [Record] a query, then [Build].
package difficulty

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"jouletop/workloads"
	"jouletop/workloads/features"
)

// Model is one of the language models compared.
type Model struct {
	Name    string
	ParamsB float64 // parameters, in billions
}

// Record is one query with what each model made of it.
type Record struct {
	Dataset  string
	Style    workloads.Style // names the metric and the type of query in the tables
	QueryID  string
	Features features.Features
	// Quality is the score (accuracy or ROUGE-L, 0 to 1) by model, in the order
	// of Data.Models; NaN where a model hasn't answered.
	Quality []float64
}

// Data is a workload with its outcomes.
type Data struct {
	Models  []Model // by growing size
	Records []Record
}

// ErrTooFew is returned where there are too few queries, or queries of one
// kind only, for what is asked.
var ErrTooFew = errors.New("too few queries")

// Check tells whether the data are well formed: models by growing size, one
// quality a model.
func (d Data) Check() error {
	if !slices.IsSortedFunc(d.Models, func(a, b Model) int {
		switch {
		case a.ParamsB < b.ParamsB:
			return -1
		case a.ParamsB > b.ParamsB:
			return 1
		}
		return 0
	}) {
		return errors.New("difficulty: the models are not in the order of their size")
	}
	for _, r := range d.Records {
		if len(r.Quality) != len(d.Models) {
			return fmt.Errorf("difficulty: query %s/%s has %d qualities for %d models",
				r.Dataset, r.QueryID, len(r.Quality), len(d.Models))
		}
	}
	return nil
}

// Datasets are the names of the datasets, in the order of their first query.
func (d Data) Datasets() []string {
	var names []string
	for _, r := range d.Records {
		if !slices.Contains(names, r.Dataset) {
			names = append(names, r.Dataset)
		}
	}
	return names
}

// Feature is one number that describes a query before it is answered.
type Feature struct {
	Name  string
	Value func(features.Features) float64
	// Composite features are made of other candidates; selection prefers those.
	Composite bool
}

// Length is the input length in words, which the study's lengths evidently
// are.
var Length = Feature{Name: "Length", Value: func(f features.Features) float64 { return float64(f.Words) }}

// The study's five features (Table III).
var (
	EntityDensity       = Feature{Name: "Entity Density", Value: func(f features.Features) float64 { return f.EntityDensity }}
	CausalScore         = Feature{Name: "Causal Question Score", Value: func(f features.Features) float64 { return f.CausalScore }}
	ReasoningComplexity = Feature{Name: "Reasoning Complexity", Value: func(f features.Features) float64 { return f.ReasoningComplexity }}
	TokenEntropy        = Feature{Name: "Token Entropy", Value: func(f features.Features) float64 { return f.TokenEntropyBits }}
	ComplexityScore     = Feature{Name: "Complexity Score", Value: func(f features.Features) float64 { return f.ComplexityScore }, Composite: true}
)

// Candidates are the features that selection chooses among, in the study's
// order (Table V).
var Candidates = []Feature{EntityDensity, CausalScore, ReasoningComplexity, TokenEntropy, ComplexityScore}

// Column is a feature of every record.
func (d Data) Column(f Feature) []float64 {
	col := make([]float64, len(d.Records))
	for i, r := range d.Records {
		col[i] = f.Value(r.Features)
	}
	return col
}

// NormalisedQuality scales every quality to 0..1 by the smallest and the
// largest of its dataset over all models and queries, so that accuracy and
// ROUGE-L are comparable and models stay so too. Where a dataset's qualities
// are all equal they are left as they are. The result has the shape of the
// records' Quality.
func (d Data) NormalisedQuality() [][]float64 {
	type bounds struct{ lo, hi float64 }
	by := make(map[string]bounds)
	for _, r := range d.Records {
		b, ok := by[r.Dataset]
		if !ok {
			b = bounds{math.Inf(1), math.Inf(-1)}
		}
		for _, q := range r.Quality {
			if !math.IsNaN(q) {
				b.lo, b.hi = min(b.lo, q), max(b.hi, q)
			}
		}
		by[r.Dataset] = b
	}
	out := make([][]float64, len(d.Records))
	for i, r := range d.Records {
		b := by[r.Dataset]
		out[i] = make([]float64, len(r.Quality))
		for k, q := range r.Quality {
			if b.hi > b.lo {
				q = (q - b.lo) / (b.hi - b.lo)
			}
			out[i][k] = q
		}
	}
	return out
}

// MeanQuality is each query's normalised quality averaged over the models that
// answered it; NaN where none did.
func (d Data) MeanQuality() []float64 {
	out := make([]float64, len(d.Records))
	for i, q := range d.NormalisedQuality() {
		out[i] = mean(q)
	}
	return out
}

// Labels tells for each query whether it is easy: its mean normalised quality
// lies above the median of all queries. A query that no model answered is not
// easy, and is left out of the median. The median is that of the whole
// workload, not of one dataset: with accuracies averaged over five models more
// than half of a classification set reaches 1, no query can lie above that
// set's own median, and the study's split of 49 to 51 % could not come about.
func (d Data) Labels() []bool {
	q := d.MeanQuality()
	m := median(q)
	easy := make([]bool, len(q))
	for i := range q {
		easy[i] = q[i] > m
	}
	return easy
}
