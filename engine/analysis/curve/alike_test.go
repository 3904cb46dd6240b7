package curve_test

import (
	"slices"
	"testing"

	"jouletop/engine/analysis/curve"
	"jouletop/engine/analysis/curve/curvetest"
	"jouletop/engine/event"
)

// The best clock comes with those that the repeats cannot tell from it, and with no
// others: not with those that are slower than asked for, nor with what throttled.
func TestOptimaSayWhatTheyCannotTellApart(t *testing.T) {
	var points []event.PointDone
	for _, k := range []struct {
		mhz             int
		joules, seconds float64
	}{{600, 80, 1.50}, {900, 81, 1.02}, {1200, 81.5, 1.01}, {1500, 90, 1.005}, {1800, 81.2, 1.002}, {1980, 120, 1}} {
		for r, off := range []float64{-0.5, 0, 0.5} {
			p := curvetest.Point(k.mhz, r+1, k.joules+off, k.seconds)
			if k.mhz == 1800 {
				p.Flags = p.Flags.With(event.FlagThrottled)
			}
			points = append(points, p)
		}
	}
	c := curve.Of(points)[0]
	o, ok := c.RunAt(0.03)
	if !ok || o.RequestedMHz != 900 || !slices.Equal(o.Alike, []int{900, 1200}) || o.Low() != 900 || o.High() != 1200 {
		t.Errorf("run at %d, alike %v", o.RequestedMHz, o.Alike)
	}
	if o, ok = c.EDPOptimum(); !ok || !slices.Equal(o.Alike, []int{900, 1200}) {
		t.Errorf("EDP %d, alike %v", o.RequestedMHz, o.Alike)
	}
	// Without repeats half a percent each is what two clocks must differ by.
	c = curve.Of([]event.PointDone{curvetest.Point(900, 1, 100, 1), curvetest.Point(1200, 1, 100.5, 1), curvetest.Point(1500, 1, 101, 1)})[0]
	if o, _ = c.RunAt(0.03); !slices.Equal(o.Alike, []int{900, 1200}) {
		t.Errorf("without repeats %v", o.Alike)
	}
	if _, ok = (curve.Curve{}).RunAt(0.03); ok {
		t.Error("of nothing")
	}
}
