package difficulty

import (
	"errors"
	"math"
	"math/rand/v2"
	"testing"
)

// TestLogisticAgainstScalarSolution fits a problem whose solution can be
// derived: x is ±1, half of each, and n·a of the n labels agree with the sign
// of x on either side alike. By symmetry the intercept is 0, and setting the
// derivative of ½w² + C n [a log(1+e^−w) + (1−a) log(1+e^w)] to 0 gives
// w = C n (a − σ(w)), whose one root is found by bisection.
func TestLogisticAgainstScalarSolution(t *testing.T) {
	for _, tc := range []struct {
		n, agree int // of n rows, agree have their label on the side of x
		c        float64
	}{
		{8, 6, 1}, {40, 30, 1}, {40, 40, 1}, {40, 20, 1}, {100, 90, 0.01}, {100, 90, 1000},
	} {
		var x [][]float64
		var y []bool
		for i := range tc.n {
			side := i%2 == 0
			v := -1.0
			if side {
				v = 1
			}
			agrees := i/2 < tc.agree/2
			x, y = append(x, []float64{v}), append(y, side == agrees)
		}
		a := float64(tc.agree) / float64(tc.n)
		lo, hi := -100.0, 100.0
		for range 200 {
			mid := (lo + hi) / 2
			if mid-tc.c*float64(tc.n)*(a-sigmoid(mid)) > 0 {
				hi = mid
			} else {
				lo = mid
			}
		}
		fit, err := FitLogistic(x, y, tc.c)
		if err != nil {
			t.Fatal(err)
		}
		if math.Abs(fit.Weights[0]-lo) > 1e-8 || math.Abs(fit.Intercept) > 1e-8 {
			t.Errorf("n %d, %d agree, C %g: w %.10f, b %.2g, want w %.10f, b 0",
				tc.n, tc.agree, tc.c, fit.Weights[0], fit.Intercept, lo)
		}
	}
}

// TestLogisticAgainstGradientDescent compares with plain gradient descent on
// the same objective, written out anew and run until it no longer moves.
func TestLogisticAgainstGradientDescent(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 7))
	const n, k, c = 60, 3, 1.0
	x, y := make([][]float64, n), make([]bool, n)
	for i := range n {
		x[i] = []float64{rng.NormFloat64(), rng.NormFloat64(), rng.NormFloat64()}
		y[i] = rng.Float64() < 1/(1+math.Exp(-(0.7+1.5*x[i][0]-0.8*x[i][1])))
	}
	w := make([]float64, k+1)
	for range 20_000 {
		g := make([]float64, k+1)
		copy(g[1:], w[1:])
		for i := range n {
			z := w[0]
			for m := range k {
				z += w[m+1] * x[i][m]
			}
			e := 1/(1+math.Exp(-z)) - 1
			if !y[i] {
				e++
			}
			g[0] += c * e
			for m := range k {
				g[m+1] += c * e * x[i][m]
			}
		}
		moved := 0.0
		for m := range w {
			w[m] -= 0.02 * g[m]
			moved = max(moved, math.Abs(g[m]))
		}
		if moved < 1e-12 {
			break
		}
	}
	fit, err := FitLogistic(x, y, c)
	if err != nil {
		t.Fatal(err)
	}
	got := append([]float64{fit.Intercept}, fit.Weights...)
	for m := range w {
		if math.Abs(got[m]-w[m]) > 1e-8 {
			t.Errorf("coefficient %d: %.10f, gradient descent %.10f", m, got[m], w[m])
		}
	}
}

// A separable problem with a near-useless penalty is where a plain Newton step
// overshoots.
func TestLogisticSeparable(t *testing.T) {
	x := [][]float64{{-3}, {-2}, {-1}, {1}, {2}, {300}}
	y := []bool{false, false, false, true, true, true}
	fit, err := FitLogistic(x, y, 1e6)
	if err != nil {
		t.Fatal(err)
	}
	for i := range x {
		if (fit.Probability(x[i]) > 0.5) != y[i] {
			t.Errorf("row %d: p %v for label %v", i, fit.Probability(x[i]), y[i])
		}
	}
}

func TestLogisticRefuses(t *testing.T) {
	one := [][]float64{{1}, {2}}
	for name, f := range map[string]func() error{
		"no rows":   func() error { _, err := FitLogistic(nil, nil, 1); return err },
		"one class": func() error { _, err := FitLogistic(one, []bool{true, true}, 1); return err },
		"lengths":   func() error { _, err := FitLogistic(one, []bool{true}, 1); return err },
	} {
		if err := f(); !errors.Is(err, ErrTooFew) {
			t.Errorf("%s: %v, want ErrTooFew", name, err)
		}
	}
	if _, err := FitLogistic(one, []bool{true, false}, 0); err == nil {
		t.Error("C = 0 accepted")
	}
	if _, err := FitLogistic([][]float64{{math.NaN()}, {1}}, []bool{true, false}, 1); err == nil {
		t.Error("NaN accepted")
	}
}

func TestScaler(t *testing.T) {
	x := [][]float64{{1, 5}, {3, 5}}
	s := FitScaler(x)
	for i, want := range [][]float64{{-1, 0}, {1, 0}} {
		if got := s.Apply(x[i]); got[0] != want[0] || got[1] != want[1] {
			t.Errorf("row %d: %v, want %v", i, got, want)
		}
	}
}

func TestStratifiedFolds(t *testing.T) {
	for _, tc := range []struct{ n, easy, k int }{{100, 49, 5}, {23, 7, 5}, {10, 5, 5}, {3817, 1870, 5}} {
		y := make([]bool, tc.n)
		for i := range tc.easy {
			y[i*tc.n/tc.easy] = true
		}
		fold := StratifiedFolds(y, tc.k, Seed)
		size, easy := make([]int, tc.k), make([]int, tc.k)
		for i, f := range fold {
			size[f]++
			if y[i] {
				easy[f]++
			}
		}
		for f := range tc.k {
			if size[f] < tc.n/tc.k || size[f] > (tc.n+tc.k-1)/tc.k ||
				easy[f] < tc.easy/tc.k || easy[f] > (tc.easy+tc.k-1)/tc.k {
				t.Errorf("%d rows, %d easy: fold %d has %d rows, %d easy", tc.n, tc.easy, f, size[f], easy[f])
			}
		}
		for i, f := range StratifiedFolds(y, tc.k, Seed) {
			if fold[i] != f {
				t.Fatalf("row %d: fold %d, then %d with the same seed", i, fold[i], f)
			}
		}
	}
}

func TestCrossValidate(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	const n = 400
	x, clear, coin := make([][]float64, n), make([]bool, n), make([]bool, n)
	for i := range n {
		x[i] = []float64{rng.NormFloat64(), 1000 * rng.NormFloat64()}
		clear[i] = x[i][0] > 0
		coin[i] = rng.IntN(2) == 0
	}
	if a, err := CrossValidate(x, clear, 5, 1, Seed); err != nil || a < 0.97 {
		t.Errorf("separable labels: accuracy %v, %v; want at least 0.97", a, err)
	}
	if a, err := CrossValidate(x, coin, 5, 1, Seed); err != nil || a < 0.4 || a > 0.6 {
		t.Errorf("labels by coin: accuracy %v, %v; want about 0.5", a, err)
	}
	if _, err := CrossValidate(x[:4], clear[:4], 5, 1, Seed); !errors.Is(err, ErrTooFew) {
		t.Errorf("four rows in five folds: %v, want ErrTooFew", err)
	}
}
