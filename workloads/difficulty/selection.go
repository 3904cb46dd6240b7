package difficulty

import (
	"cmp"
	"math"
	"slices"
)

// Thresholds of the study's feature selection (sections V-C and V-E.2).
const (
	MinQualityCorrelation = 0.10 // |r| with quality above which a feature is kept
	MaxPairCorrelation    = 0.70 // |r| between two kept features stays below
	MaxLengthCorrelation  = 0.50 // |r| with length below which a feature counts as independent
)

// FeatureReport says what a feature has to do with length and quality.
type FeatureReport struct {
	Feature Feature
	// WithLength and WithQuality are Pearson's r with the input length and with
	// the mean normalised quality; Partial is the latter with length held
	// fixed. NaN where undefined.
	WithLength, WithQuality, Partial float64
	// ByModel is r with each model's normalised quality.
	ByModel []float64
	// Independent of length: |WithLength| < MaxLengthCorrelation.
	Independent bool
	// Selected by [SelectFeatures]; Redundant names the selected feature that
	// it doubles, where that is why it was not.
	Selected  bool
	Redundant string
}

// SelectFeatures reports on the candidates, in their order, and selects those
// whose |r| with quality exceeds MinQualityCorrelation, the strongest first and
// composites last, leaving out what correlates with one already selected by
// MaxPairCorrelation or more.
func SelectFeatures(d Data, candidates []Feature) []FeatureReport {
	quality, length := d.MeanQuality(), d.Column(Length)
	normalised := d.NormalisedQuality()
	reports := make([]FeatureReport, len(candidates))
	columns := make([][]float64, len(candidates))
	for i, f := range candidates {
		columns[i] = d.Column(f)
		r := FeatureReport{
			Feature:     f,
			WithLength:  Pearson(columns[i], length),
			WithQuality: Pearson(columns[i], quality),
			Partial:     PartialPearson(columns[i], quality, length),
		}
		r.Independent = math.Abs(r.WithLength) < MaxLengthCorrelation
		for k := range d.Models {
			r.ByModel = append(r.ByModel, Pearson(columns[i], modelColumn(normalised, k)))
		}
		reports[i] = r
	}
	order := make([]int, len(candidates))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int {
		if ca, cb := candidates[a].Composite, candidates[b].Composite; ca != cb {
			if cb {
				return -1
			}
			return 1
		}
		return cmp.Compare(math.Abs(reports[b].WithQuality), math.Abs(reports[a].WithQuality))
	})
	var kept []int
	for _, i := range order {
		if !(math.Abs(reports[i].WithQuality) > MinQualityCorrelation) {
			continue
		}
		reports[i].Selected = true
		for _, k := range kept {
			if math.Abs(Pearson(columns[i], columns[k])) >= MaxPairCorrelation {
				reports[i].Selected, reports[i].Redundant = false, candidates[k].Name
				break
			}
		}
		if reports[i].Selected {
			kept = append(kept, i)
		}
	}
	return reports
}

// Selected are the features that a selection kept, in the candidates' order.
func Selected(reports []FeatureReport) []Feature {
	var out []Feature
	for _, r := range reports {
		if r.Selected {
			out = append(out, r.Feature)
		}
	}
	return out
}

// modelColumn is model k's quality of every query.
func modelColumn(quality [][]float64, k int) []float64 {
	col := make([]float64, len(quality))
	for i := range quality {
		col[i] = quality[i][k]
	}
	return col
}
