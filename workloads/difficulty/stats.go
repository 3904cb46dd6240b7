package difficulty

import (
	"math"
	"slices"

	"gonum.org/v1/gonum/stat"
)

// Pearson is the correlation coefficient of x and y, -1 to 1, over the pairs
// in which neither is NaN; NaN if fewer than two such pairs are left or one
// side doesn't vary.
func Pearson(x, y []float64) float64 {
	x, y = pairs(x, y)
	if len(x) < 2 || constant(x) || constant(y) {
		return math.NaN()
	}
	return max(-1, min(1, stat.Correlation(x, y, nil)))
}

// PartialPearson is the correlation of x and y with the linear influence of z
// on both taken out:
//
//	r = (r_xy − r_xz r_yz) / √((1 − r_xz²)(1 − r_yz²))
//
// over the triples without NaN; NaN where it is undefined, as when z
// determines x or y.
func PartialPearson(x, y, z []float64) float64 {
	var a, b, c []float64
	for i := range x {
		if !math.IsNaN(x[i]) && !math.IsNaN(y[i]) && !math.IsNaN(z[i]) {
			a, b, c = append(a, x[i]), append(b, y[i]), append(c, z[i])
		}
	}
	xy, xz, yz := Pearson(a, b), Pearson(a, c), Pearson(b, c)
	left := (1 - xz*xz) * (1 - yz*yz)
	if !(left > 1e-12) {
		return math.NaN()
	}
	return max(-1, min(1, (xy-xz*yz)/math.Sqrt(left)))
}

func pairs(x, y []float64) (a, b []float64) {
	a, b = make([]float64, 0, len(x)), make([]float64, 0, len(x))
	for i := range x {
		if !math.IsNaN(x[i]) && !math.IsNaN(y[i]) {
			a, b = append(a, x[i]), append(b, y[i])
		}
	}
	return a, b
}

func constant(x []float64) bool {
	for _, v := range x {
		if v != x[0] {
			return false
		}
	}
	return true
}

// known are the values that are not NaN.
func known(x []float64) []float64 {
	return slices.DeleteFunc(slices.Clone(x), math.IsNaN)
}

// mean is the mean of the known values; NaN if there are none.
func mean(x []float64) float64 {
	x = known(x)
	if len(x) == 0 {
		return math.NaN()
	}
	return stat.Mean(x, nil)
}

// std is the population's standard deviation of the known values; NaN if there
// are none.
func std(x []float64) float64 {
	x = known(x)
	if len(x) == 0 {
		return math.NaN()
	}
	return math.Sqrt(stat.PopVariance(x, nil))
}

// median of the known values; NaN if there are none.
func median(x []float64) float64 {
	x = known(x)
	if len(x) == 0 {
		return math.NaN()
	}
	slices.Sort(x)
	if n := len(x); n%2 == 0 {
		return (x[n/2-1] + x[n/2]) / 2
	}
	return x[len(x)/2]
}
