package nulljson

import (
	"math"
)

// Known is x, or nil where it is unknown: JSON has no NaN.
func Known(x float64) *float64 {
	if math.IsNaN(x) || math.IsInf(x, 0) {
		return nil
	}
	return &x
}
