package difficulty

import (
	"math"
	"math/big"
	"math/rand/v2"
	"testing"

	"gonum.org/v1/gonum/mat"
)

// bigPearson is r by its definition in 300-bit arithmetic.
func bigPearson(x, y []float64) float64 {
	num := func(v float64) *big.Float { return new(big.Float).SetPrec(300).SetFloat64(v) }
	sum := func(f func(i int) *big.Float) *big.Float {
		s := num(0)
		for i := range x {
			s.Add(s, f(i))
		}
		return s
	}
	mul := func(a, b *big.Float) *big.Float { return num(0).Mul(a, b) }
	n := num(float64(len(x)))
	mx := num(0).Quo(sum(func(i int) *big.Float { return num(x[i]) }), n)
	my := num(0).Quo(sum(func(i int) *big.Float { return num(y[i]) }), n)
	dx := func(i int) *big.Float { return num(0).Sub(num(x[i]), mx) }
	dy := func(i int) *big.Float { return num(0).Sub(num(y[i]), my) }
	cov := sum(func(i int) *big.Float { return mul(dx(i), dy(i)) })
	vx := sum(func(i int) *big.Float { return mul(dx(i), dx(i)) })
	vy := sum(func(i int) *big.Float { return mul(dy(i), dy(i)) })
	r, _ := num(0).Quo(cov, num(0).Sqrt(mul(vx, vy))).Float64()
	return r
}

// residual is what least squares on z leaves of x, by QR.
func residual(x, z []float64) []float64 {
	n := len(x)
	design := mat.NewDense(n, 2, nil)
	for i := range n {
		design.Set(i, 0, 1)
		design.Set(i, 1, z[i])
	}
	var b mat.VecDense
	if err := b.SolveVec(design, mat.NewVecDense(n, x)); err != nil {
		panic(err)
	}
	out := make([]float64, n)
	for i := range n {
		out[i] = x[i] - b.AtVec(0) - b.AtVec(1)*z[i]
	}
	return out
}

func TestPearsonAgainstExactArithmetic(t *testing.T) {
	if r := Pearson([]float64{1, 2, 3, 4, 5}, []float64{2, 1, 4, 3, 5}); math.Abs(r-0.8) > 1e-12 {
		t.Errorf("r = %v, want 0.8 by hand", r)
	}
	rng := rand.New(rand.NewPCG(3, 4))
	for trial := range 50 {
		n := 3 + rng.IntN(200)
		// A large offset is what a one-pass formula loses its digits to.
		offset := math.Pow(10, float64(trial%7))
		x, y, z := make([]float64, n), make([]float64, n), make([]float64, n)
		for i := range n {
			z[i] = rng.NormFloat64()
			x[i] = offset + rng.NormFloat64() + 0.5*z[i]
			y[i] = -0.4*(x[i]-offset) + rng.NormFloat64() - 0.7*z[i]
		}
		if got, want := Pearson(x, y), bigPearson(x, y); math.Abs(got-want) > 1e-9 {
			t.Errorf("n %d, offset %g: r = %.12f, want %.12f", n, offset, got, want)
		}
		if n < 5 {
			continue
		}
		if got, want := PartialPearson(x, y, z), bigPearson(residual(x, z), residual(y, z)); math.Abs(got-want) > 1e-8 {
			t.Errorf("n %d, offset %g: partial r = %.12f, want %.12f", n, offset, got, want)
		}
	}
}

func TestPearsonWhereUndefined(t *testing.T) {
	nan := math.NaN()
	for name, r := range map[string]float64{
		"empty":           Pearson(nil, nil),
		"one pair":        Pearson([]float64{1}, []float64{2}),
		"constant":        Pearson([]float64{1, 1, 1}, []float64{1, 2, 3}),
		"one known pair":  Pearson([]float64{1, nan, 3}, []float64{nan, 2, 3}),
		"z determines x":  PartialPearson([]float64{1, 2, 3, 4}, []float64{1, 3, 2, 4}, []float64{2, 4, 6, 8}),
		"partial of none": PartialPearson(nil, nil, nil),
	} {
		if !math.IsNaN(r) {
			t.Errorf("%s: r = %v, want NaN", name, r)
		}
	}
	if r := Pearson([]float64{1, 2, nan, 4}, []float64{2, 4, 9, 8}); math.Abs(r-1) > 1e-12 {
		t.Errorf("r = %v over the known pairs, want 1", r)
	}
}

func TestMedianAndStd(t *testing.T) {
	nan := math.NaN()
	for _, tc := range []struct {
		x           []float64
		median, std float64
	}{
		{[]float64{3, 1, 2}, 2, math.Sqrt(2.0 / 3)},
		{[]float64{4, nan, 1, 3, 2}, 2.5, math.Sqrt(1.25)},
		{[]float64{nan}, nan, nan},
		{nil, nan, nan},
	} {
		if got := median(tc.x); got != tc.median && !(math.IsNaN(got) && math.IsNaN(tc.median)) {
			t.Errorf("median of %v: %v, want %v", tc.x, got, tc.median)
		}
		if got := std(tc.x); math.Abs(got-tc.std) > 1e-12 && !(math.IsNaN(got) && math.IsNaN(tc.std)) {
			t.Errorf("deviation of %v: %v, want %v", tc.x, got, tc.std)
		}
	}
}
