package policy

import (
	"math"
	"math/rand/v2"
)

// roofline is what is known of how latency depends on the clock: draws from the
// posterior of the curve, given noisy measurements.
//
// A run is a mix of kernels. Each is bound by memory above some clock and by
// computation below it (Williams, Waterman, Patterson 2009), so in x = top/f
// its time is flat and then linear, and the run's is
//
//	L(x) = c₀ + Σⱼ cⱼ·max(0, x − xⱼ),  all c ≥ 0:
//
// rising and convex, at most in proportion to x. The c are drawn by Gibbs
// sampling, each from a normal distribution cut off at 0 (exponential prior,
// normal noise). The generator's seed is fixed: the same trials give the same
// draws.
type roofline struct {
	knots []float64
	draws [][]float64 // c₀, c₁, … of each draw
}

// Of the chain, the first draws are thrown away and every few kept.
const (
	chainLength = 2400
	chainBurn   = 400
	chainKeep   = 5
)

// The prior's means of the cⱼ, for a latency of 1 at the top: of what is bound
// by computation at every clock, and of what turns so at each knot.
const (
	meanCompute = 0.15
	meanTurn    = 0.03
)

// fitRoofline takes latencies y at x = top/f with the standard deviation of
// each; lowest is the largest x of interest.
func fitRoofline(x, y, sd []float64, lowest float64) *roofline {
	r := &roofline{knots: []float64{1}}
	for k := 1.08; k < lowest; k *= 1.2 {
		r.knots = append(r.knots, k)
	}
	n, p := len(x), len(r.knots)+1
	scale := 0.0
	for _, v := range y {
		scale = math.Max(scale, v)
	}
	basis := make([][]float64, p) // by coefficient, then by measurement
	for j := range basis {
		basis[j] = make([]float64, n)
		for i := range n {
			basis[j][i] = r.basis(j, x[i])
		}
	}
	c := make([]float64, p)
	left := make([]float64, n) // y less the curve
	c[0] = scale
	for i := range n {
		left[i] = y[i] - c[0]
	}
	rng := rand.New(rand.NewPCG(2009, uint64(n)))
	for step := range chainLength {
		for j := range p {
			var a, b float64 // precision, and precision times mean
			for i := range n {
				w := basis[j][i] / (sd[i] * sd[i])
				a += w * basis[j][i]
				b += w * (left[i] + c[j]*basis[j][i])
			}
			switch {
			case j == 1:
				b -= 1 / (meanCompute * scale)
			case j > 1:
				b -= 1 / (meanTurn * scale)
			}
			v := positive(rng, a, b)
			for i := range n {
				left[i] -= (v - c[j]) * basis[j][i]
			}
			c[j] = v
		}
		if step >= chainBurn && step%chainKeep == 0 {
			r.draws = append(r.draws, append([]float64(nil), c...))
		}
	}
	return r
}

func (r *roofline) basis(j int, x float64) float64 {
	if j == 0 {
		return 1
	}
	return math.Max(0, x-r.knots[j-1])
}

// slowdowns returns L(x)/L(1) − 1 of every draw.
func (r *roofline) slowdowns(x float64) []float64 {
	out := make([]float64, len(r.draws))
	for d, c := range r.draws {
		l := 0.0
		for j, v := range c {
			l += v * r.basis(j, x)
		}
		out[d] = l/c[0] - 1
	}
	return out
}

// positive draws from the density ∝ exp(−a·v²/2 + b·v) over v ≥ 0. With a = 0
// it is exponential.
func positive(rng *rand.Rand, a, b float64) float64 {
	if a <= 0 {
		return rng.ExpFloat64() / math.Max(-b, 1e-9)
	}
	sd := 1 / math.Sqrt(a)
	low := -b * sd // the cut in standard deviations above the mean b/a
	if low < 0.5 {
		for {
			if z := rng.NormFloat64(); z >= low {
				return math.Max(0, b/a+sd*z)
			}
		}
	}
	// Robert 1995: an exponential envelope for the tail.
	rate := (low + math.Sqrt(low*low+4)) / 2
	for {
		z := low + rng.ExpFloat64()/rate
		if d := z - rate; rng.Float64() <= math.Exp(-d*d/2) {
			return math.Max(0, b/a+sd*z)
		}
	}
}
