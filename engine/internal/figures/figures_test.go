package figures

import (
	"math"
	"strings"
	"testing"
)

func TestSheet(t *testing.T) {
	var b strings.Builder
	s := Sheet{Out: &b}
	s.Check("good", 2, "s", 0, 3)
	if s.Short {
		t.Error("a figure within its bounds is short")
	}
	s.Check("unknown", math.NaN(), "s", 0, 3)
	if !s.Short || strings.Count(b.String(), "SHORT") != 1 || strings.Count(b.String(), " ok\n") != 1 {
		t.Errorf("%t\n%s", s.Short, b.String())
	}
}

func TestRatios(t *testing.T) {
	x, y := []float64{1, 2, 4, 8, 16}, []float64{2, 4, 8, 16, 32}
	if r, half := PairedRatio(x, y); math.Abs(r-2) > 1e-12 || half > 1e-9 {
		t.Errorf("%g ± %g", r, half)
	}
	if r, low, high := MedianRatio(x, y); r != 2 || low != 2 || high != 2 {
		t.Errorf("%g, %g to %g", r, low, high)
	}
	if _, _, err := Run("false", "it", "fails"); err == nil || !strings.HasPrefix(err.Error(), "it fails: ") {
		t.Errorf("%v", err)
	}
	if out, took, err := Run("echo", "hello"); err != nil || string(out) != "hello\n" || !(took.WallS > 0) || !(took.PeakMB > 0) {
		t.Errorf("%q %+v %v", out, took, err)
	}
}
