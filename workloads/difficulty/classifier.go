package difficulty

import (
	"fmt"
	"slices"

	"jouletop/workloads/features"
)

// Classifier tells easy from hard by a fitted logistic regression; make one with
// TrainClassifier.
type Classifier struct {
	Features []string // names from Candidates, or "Length"
	Scaler   Scaler
	Fit      Logistic
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

// Classify predicts a query's class: easy where the probability exceeds one
// half.
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
