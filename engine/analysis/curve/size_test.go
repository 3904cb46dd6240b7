package curve

import (
	"math"
	"testing"
)

func TestBillions(t *testing.T) {
	for name, want := range map[string]float64{"llama-3.2-1b": 1, "qwen2.5:14b": 14, "llama-135m": 0.135, "Qwen2.5-0.5B-Instruct-Q4_K_M": 0.5, "mymodel": math.NaN()} {
		if got := Billions(name); got != want && !(math.IsNaN(got) && math.IsNaN(want)) {
			t.Errorf("%s: %g, want %g", name, got, want)
		}
	}
}
