package chart

import (
	"math"
	"strconv"
)

// Range is a range of values with steps that read well.
type Range struct {
	Min, Max, Step float64
}

// Nice returns the smallest range of at most n steps of 1, 2 or 5 (times a power
// of ten) that holds lo to hi. Unknown or infinite bounds give 0 to 1.
func Nice(lo, hi float64, n int) Range {
	if math.IsNaN(lo) || math.IsNaN(hi) || math.IsInf(lo, 0) || math.IsInf(hi, 0) || lo > hi {
		return Range{0, 1, 1}
	}
	if hi == lo {
		pad := max(math.Abs(lo)*0.05, 0.5)
		if lo == 0 {
			pad = 1
		}
		lo, hi = lo-pad, hi+pad
	}
	n = max(n, 1)
	step := math.Pow(10, math.Floor(math.Log10((hi-lo)/float64(n))))
	for _, m := range []float64{1, 2, 2.5, 5, 10, 20, 25, 50} {
		s := step * m
		from, to := math.Floor(lo/s)*s, math.Ceil(hi/s)*s
		if math.Round((to-from)/s) <= float64(n) {
			return Range{from, to, s}
		}
	}
	return Range{lo, hi, hi - lo}
}

// NiceWithin is Nice between fixed bounds: only the step is chosen.
func NiceWithin(lo, hi float64, n int) Range {
	r := Nice(lo, hi, n)
	if !(lo < hi) {
		return r
	}
	return Range{lo, hi, r.Step}
}

// Row returns the row (0 at the bottom) of v in a picture of rows rows, clamped.
func (r Range) Row(v float64, rows int) int {
	return int(math.Round(r.scale(v, rows)))
}

// scale maps v to 0 … rows-1, clamped.
func (r Range) scale(v float64, rows int) float64 {
	s := (v - r.Min) / (r.Max - r.Min) * float64(rows-1)
	return min(max(s, 0), float64(rows-1))
}

// Ticks returns the multiples of the step within the range.
func (r Range) Ticks() []float64 {
	var t []float64
	if r.Step <= 0 {
		return t
	}
	for k := math.Ceil(r.Min/r.Step - 1e-9); k*r.Step <= r.Max+r.Step*1e-9 && len(t) < 100; k++ {
		t = append(t, k*r.Step)
	}
	return t
}

// Label writes a tick of the range with the decimals that its step needs.
func (r Range) Label(v float64) string {
	decimals := 0
	for s := r.Step; decimals < 6 && math.Abs(s-math.Round(s)) > 1e-6; s *= 10 {
		decimals++
	}
	if v == 0 {
		v = 0 // no negative zero
	}
	return strconv.FormatFloat(v, 'f', decimals, 64)
}
