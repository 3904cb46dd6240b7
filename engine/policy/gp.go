package policy

import (
	"math"

	"gonum.org/v1/gonum/mat"
)

// gaussian is a Gaussian process regression on a handful of points: a prior of
// what a curve looks like (its kernel), made sharper by noisy measurements.
// See Rasmussen and Williams, Gaussian Processes for Machine Learning, 2006,
// algorithm 2.1.
type gaussian struct {
	kernel func(a, b float64) float64
	mean   func(x float64) float64 // prior mean

	x      []float64
	chol   mat.Cholesky
	weight *mat.VecDense // (K + noise)⁻¹ (y − mean)
}

// fit takes points (x, y) with the variance of each y's noise; false when the
// numbers cannot be worked with.
func (g *gaussian) fit(x, y, variance []float64) bool {
	n := len(x)
	k := mat.NewSymDense(n, nil)
	r := mat.NewVecDense(n, nil)
	for i := range n {
		for j := i; j < n; j++ {
			v := g.kernel(x[i], x[j])
			if i == j {
				v += variance[i] + 1e-9
			}
			k.SetSym(i, j, v)
		}
		r.SetVec(i, y[i]-g.mean(x[i]))
	}
	g.x = x
	if !g.chol.Factorize(k) {
		return false
	}
	g.weight = mat.NewVecDense(n, nil)
	return g.chol.SolveVecTo(g.weight, r) == nil
}

// difference returns the mean and standard deviation of curve(a) − curve(b). In
// it what is common to the whole curve (the unit of work) cancels out.
func (g *gaussian) difference(a, b float64) (mean, sd float64) {
	n := len(g.x)
	k := mat.NewVecDense(n, nil)
	for i, x := range g.x {
		k.SetVec(i, g.kernel(a, x)-g.kernel(b, x))
	}
	var s mat.VecDense
	if g.chol.SolveVecTo(&s, k) != nil {
		return math.NaN(), math.Inf(1)
	}
	mean = g.mean(a) - g.mean(b) + mat.Dot(k, g.weight)
	v := g.kernel(a, a) - 2*g.kernel(a, b) + g.kernel(b, b) - mat.Dot(k, &s)
	return mean, math.Sqrt(math.Max(v, 0))
}

// curvePrior is the prior of a curve over u = ln(f/top): a level that is not
// known, a slope and a bend with the given mean and standard deviation, and
// wiggles of a standard deviation and a length in u.
type curvePrior struct {
	slope, slopeSD float64
	bend, bendSD   float64
	wiggle, length float64
}

func (p curvePrior) process() *gaussian {
	const level = 9 // variance: the unit of work may be anything
	return &gaussian{
		mean: func(u float64) float64 { return p.slope*u + p.bend*u*u },
		kernel: func(a, b float64) float64 {
			d := (a - b) / p.length
			return level + p.slopeSD*p.slopeSD*a*b + p.bendSD*p.bendSD*a*a*b*b + p.wiggle*p.wiggle*math.Exp(-d*d/2)
		},
	}
}
