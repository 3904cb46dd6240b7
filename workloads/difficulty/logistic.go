package difficulty

import (
	"errors"
	"fmt"
	"math"

	"gonum.org/v1/gonum/mat"
)

// DefaultC is the study's inverse strength of regularisation.
const DefaultC = 1.0

// Logistic is a fitted logistic regression: p(easy) = 1 / (1 + exp(−(Intercept
// + w·x))).
type Logistic struct {
	Intercept float64
	Weights   []float64
}

// ErrNotConverged is returned when the fit doesn't settle, as with numbers that
// are not finite.
var ErrNotConverged = errors.New("logistic regression did not converge")

// FitLogistic fits a logistic regression with L2 penalty as scikit-learn
// defines it: it minimises
//
//	½ w·w + C Σ log(1 + exp(−sᵢ (b + w·xᵢ))),  sᵢ = +1 if yᵢ, else −1
//
// with the intercept b unpenalised, by Newton's method with step halving until
// the gradient is below 1e-10 per query. Rows of x have the same length. Both
// classes must occur.
func FitLogistic(x [][]float64, y []bool, c float64) (Logistic, error) {
	if len(x) != len(y) || len(x) == 0 {
		return Logistic{}, fmt.Errorf("difficulty: fit %d rows to %d labels: %w", len(x), len(y), ErrTooFew)
	}
	if easy := countTrue(y); easy == 0 || easy == len(y) {
		return Logistic{}, fmt.Errorf("difficulty: all %d labels are equal: %w", len(y), ErrTooFew)
	}
	if !(c > 0) {
		return Logistic{}, fmt.Errorf("difficulty: C is %g, want more than 0", c)
	}
	n := len(x[0]) + 1 // the intercept comes first
	w := make([]float64, n)
	loss, gradient, hessian := logisticLoss(x, y, c, w)
	for range 100 {
		if maxAbs(gradient) < 1e-10*float64(len(x)) {
			return Logistic{Intercept: w[0], Weights: w[1:]}, nil
		}
		var step mat.VecDense
		if err := step.SolveVec(hessian, mat.NewVecDense(n, gradient)); err != nil {
			if _, bad := err.(mat.Condition); !bad {
				return Logistic{}, fmt.Errorf("difficulty: solve a Newton step: %w", err)
			}
		}
		// Halve the step until the loss falls; near the minimum rounding alone
		// decides, so a step that leaves it equal is taken as well.
		next := make([]float64, n)
		for scale := 1.0; ; scale /= 2 {
			for i := range next {
				next[i] = w[i] - scale*step.AtVec(i)
			}
			l, g, h := logisticLoss(x, y, c, next)
			if l <= loss+1e-12*math.Abs(loss) {
				w, loss, gradient, hessian = next, l, g, h
				break
			}
			if scale < 1e-9 || math.IsNaN(l) {
				return Logistic{}, fmt.Errorf("difficulty: loss %g: %w", l, ErrNotConverged)
			}
		}
	}
	return Logistic{}, fmt.Errorf("difficulty: gradient still %g: %w", maxAbs(gradient), ErrNotConverged)
}

// logisticLoss is the penalised loss at w with its gradient and Hessian.
func logisticLoss(x [][]float64, y []bool, c float64, w []float64) (float64, []float64, *mat.SymDense) {
	n := len(w)
	loss := 0.0
	gradient := make([]float64, n)
	h := make([]float64, n*n)
	for i := 1; i < n; i++ {
		loss += 0.5 * w[i] * w[i]
		gradient[i] = w[i]
		h[i*n+i] = 1
	}
	row := make([]float64, n)
	row[0] = 1
	for i := range x {
		copy(row[1:], x[i])
		z := 0.0
		for k := range row {
			z += row[k] * w[k]
		}
		p := sigmoid(z)
		target := 0.0
		if y[i] {
			target = 1
			z = -z
		}
		// log(1 + exp(z)) without overflow.
		loss += c * (max(z, 0) + math.Log1p(math.Exp(-math.Abs(z))))
		for k := range row {
			gradient[k] += c * (p - target) * row[k]
			for m := k; m < n; m++ {
				h[k*n+m] += c * p * (1 - p) * row[k] * row[m]
			}
		}
	}
	return loss, gradient, mat.NewSymDense(n, h)
}

// Probability of being easy, 0 to 1.
func (l Logistic) Probability(x []float64) float64 {
	z := l.Intercept
	for i, w := range l.Weights {
		z += w * x[i]
	}
	return sigmoid(z)
}

func sigmoid(z float64) float64 {
	if z < 0 {
		e := math.Exp(z)
		return e / (1 + e)
	}
	return 1 / (1 + math.Exp(-z))
}

func maxAbs(x []float64) float64 {
	m := 0.0
	for _, v := range x {
		if a := math.Abs(v); a > m || math.IsNaN(a) {
			m = a
		}
	}
	return m
}

func countTrue(y []bool) int {
	n := 0
	for _, b := range y {
		if b {
			n++
		}
	}
	return n
}

// Scaler standardises columns to mean 0 and (population) variance 1.
type Scaler struct {
	Mean []float64
	Std  []float64
}

// FitScaler learns a table's columns. A column that doesn't vary is only
// centred.
func FitScaler(x [][]float64) Scaler {
	var s Scaler
	if len(x) == 0 {
		return s
	}
	col := make([]float64, len(x))
	for k := range x[0] {
		for i := range x {
			col[i] = x[i][k]
		}
		sd := std(col)
		if !(sd > 0) {
			sd = 1
		}
		s.Mean, s.Std = append(s.Mean, mean(col)), append(s.Std, sd)
	}
	return s
}

// Apply standardises one row.
func (s Scaler) Apply(row []float64) []float64 {
	out := make([]float64, len(row))
	for k := range row {
		out[k] = (row[k] - s.Mean[k]) / s.Std[k]
	}
	return out
}

// applyAll standardises a table.
func (s Scaler) applyAll(x [][]float64) [][]float64 {
	out := make([][]float64, len(x))
	for i := range x {
		out[i] = s.Apply(x[i])
	}
	return out
}
