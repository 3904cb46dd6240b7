package difficulty

import (
	"fmt"
	"math"
	"slices"

	"jouletop/workloads/features"
)

// Classifier tells easy from hard by a fitted logistic regression; it can be
// kept as JSON.
type Classifier struct {
	Features []string `json:"features"` // names from Candidates, or "Length"
	Scaler   Scaler   `json:"scaler"`
	Fit      Logistic `json:"fit"`
}

// TrainClassifier fits a classifier to the data's labels with the given
// features.
func TrainClassifier(d Data, of []Feature) (Classifier, error) {
	d = d.answered()
	x := d.matrix(of)
	c := Classifier{Scaler: FitScaler(x)}
	for _, f := range of {
		c.Features = append(c.Features, f.Name)
	}
	fit, err := FitLogistic(c.Scaler.applyAll(x), d.Labels(), DefaultC)
	if err != nil {
		return Classifier{}, fmt.Errorf("difficulty: train the classifier: %w", err)
	}
	c.Fit = fit
	return c, nil
}

// Check tells whether a classifier that was read from a file can be used.
func (c Classifier) Check() error {
	n := len(c.Features)
	if n == 0 || len(c.Scaler.Mean) != n || len(c.Scaler.Std) != n || len(c.Fit.Weights) != n {
		return fmt.Errorf("difficulty: classifier with %d features, %d means, %d deviations, %d weights",
			n, len(c.Scaler.Mean), len(c.Scaler.Std), len(c.Fit.Weights))
	}
	for i, name := range c.Features {
		if _, ok := featureByName(name); !ok {
			return fmt.Errorf("difficulty: classifier uses the unknown feature %q", name)
		}
		if !(c.Scaler.Std[i] > 0) || math.IsInf(c.Scaler.Std[i], 0) {
			return fmt.Errorf("difficulty: classifier's deviation of %q is %g", name, c.Scaler.Std[i])
		}
	}
	return nil
}

// Classify predicts a query's class: easy where the probability exceeds one
// half. The classifier must be sound ([Classifier.Check]).
func (c Classifier) Classify(f features.Features) features.Class {
	row := make([]float64, len(c.Features))
	for i, name := range c.Features {
		feature, _ := featureByName(name)
		row[i] = feature.Value(f)
	}
	if c.Fit.Probability(c.Scaler.Apply(row)) > 0.5 {
		return features.Easy
	}
	return features.Hard
}

func featureByName(name string) (Feature, bool) {
	all := append([]Feature{Length}, Candidates...)
	i := slices.IndexFunc(all, func(f Feature) bool { return f.Name == name })
	if i < 0 {
		return Feature{}, false
	}
	return all[i], true
}
