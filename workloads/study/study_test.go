package study

import (
	"math"
	"testing"
)

func TestPublishedNumbersAreThere(t *testing.T) {
	if got := Published("11", "energy_reduction_pct", "model", "Qwen2.5-32B", "batch", "8"); got != 44.1 {
		t.Errorf("table XI: %g", got)
	}
	if got := Published("16", "low_180_j", "model", "llama-3.2-1b"); got != 1.69 {
		t.Errorf("table XVI: %g", got)
	}
	if v := Published("11", "energy_reduction_pct", "model", "gpt-9", "batch", "1"); !math.IsNaN(v) {
		t.Errorf("an unknown model has %g", v)
	}
}
