package plaintext

import (
	"math"
	"strconv"
)

// Significant writes v with n significant digits, "–" where it is unknown.
func Significant(v float64, n int) string {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return "–"
	}
	if v == 0 {
		return "0"
	}
	digits := n - 1 - int(math.Floor(math.Log10(math.Abs(v))))
	return strconv.FormatFloat(v, 'f', max(digits, 0), 64)
}

// Milliseconds writes a time in ms, "–" where it is unknown.
func Milliseconds(ms float64) string {
	if !(ms > 0) {
		return "–"
	}
	return Significant(ms, 3)
}
