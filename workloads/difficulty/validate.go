package difficulty

import (
	"fmt"
	"math"
	"math/rand/v2"
)

// Folds and Seed of the cross-validation behind Table VI.
const (
	Folds = 5
	Seed  = 42
)

// LongInput is the length in words above which the study's baseline takes a
// query for hard.
const LongInput = 150

// StratifiedFolds assigns each row to one of k folds, 0 to k-1, shuffled by
// the seed, so that every fold holds its share of both labels to within one
// row.
func StratifiedFolds(y []bool, k int, seed uint64) []int {
	rng := rand.New(rand.NewPCG(seed, 0))
	fold := make([]int, len(y))
	next := 0
	for _, label := range []bool{false, true} {
		var rows []int
		for i, v := range y {
			if v == label {
				rows = append(rows, i)
			}
		}
		rng.Shuffle(len(rows), func(i, j int) { rows[i], rows[j] = rows[j], rows[i] })
		// Go on where the other label stopped, so that sizes differ by one at
		// most.
		for _, i := range rows {
			fold[i] = next % k
			next++
		}
	}
	return fold
}

// CrossValidate is the mean accuracy, 0 to 1, of a logistic regression over k
// stratified folds, each predicted by a fit to the others; the columns are
// standardised on the rows fitted.
func CrossValidate(x [][]float64, y []bool, k int, c float64, seed uint64) (float64, error) {
	if easy := countTrue(y); easy < k || len(y)-easy < k {
		return math.NaN(), fmt.Errorf("difficulty: %d easy and %d hard queries in %d folds: %w",
			easy, len(y)-easy, k, ErrTooFew)
	}
	fold := StratifiedFolds(y, k, seed)
	sum := 0.0
	for f := range k {
		var train, test [][]float64
		var trainY, testY []bool
		for i := range x {
			if fold[i] == f {
				test, testY = append(test, x[i]), append(testY, y[i])
			} else {
				train, trainY = append(train, x[i]), append(trainY, y[i])
			}
		}
		scaler := FitScaler(train)
		fit, err := FitLogistic(scaler.applyAll(train), trainY, c)
		if err != nil {
			return math.NaN(), err
		}
		hits := 0
		for i := range test {
			if (fit.Probability(scaler.Apply(test[i])) > 0.5) == testY[i] {
				hits++
			}
		}
		sum += float64(hits) / float64(len(test))
	}
	return sum / float64(k), nil
}

// AblationRow is one feature set and how well it tells easy from hard.
type AblationRow struct {
	FeatureSet string
	Accuracy   float64 // mean over the folds, 0 to 1
}

// Ablation is the study's Table VI: the length heuristic (hard above
// LongInput words; nothing is fitted), then logistic regressions on length and
// entity density, on these and the causal score, and on the two features
// without length.
func Ablation(d Data) ([]AblationRow, error) {
	d = d.answered()
	y := d.Labels()
	hits := 0
	for i, words := range d.Column(Length) {
		if (words <= LongInput) == y[i] {
			hits++
		}
	}
	if len(y) == 0 {
		return nil, fmt.Errorf("difficulty: ablation: %w", ErrTooFew)
	}
	rows := []AblationRow{{"Length only (>150 tokens)", float64(hits) / float64(len(y))}}
	for _, set := range []struct {
		name string
		of   []Feature
	}{
		{"+ Entity density", []Feature{Length, EntityDensity}},
		{"+ Causal question score", []Feature{Length, EntityDensity, CausalScore}},
		{"Features only (no length)", []Feature{EntityDensity, CausalScore}},
	} {
		accuracy, err := CrossValidate(d.matrix(set.of), y, Folds, DefaultC, Seed)
		if err != nil {
			return nil, fmt.Errorf("difficulty: ablation, %s: %w", set.name, err)
		}
		rows = append(rows, AblationRow{set.name, accuracy})
	}
	return rows, nil
}

// answered are the data without the queries that no model answered.
func (d Data) answered() Data {
	out := Data{Models: d.Models}
	for i, q := range d.MeanQuality() {
		if !math.IsNaN(q) {
			out.Records = append(out.Records, d.Records[i])
		}
	}
	return out
}

// matrix has one row a query, one column a feature.
func (d Data) matrix(of []Feature) [][]float64 {
	x := make([][]float64, len(d.Records))
	for i, r := range d.Records {
		x[i] = make([]float64, len(of))
		for k, f := range of {
			x[i][k] = f.Value(r.Features)
		}
	}
	return x
}
