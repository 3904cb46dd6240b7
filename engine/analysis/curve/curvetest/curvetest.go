// Package curvetest has what tests of curves and of what is made of them share.
package curvetest

import (
	"math"
	"testing"

	"jouletop/engine/event"
)

// Point is a point with an energy and a latency.
func Point(mhz, repeat int, joules, seconds float64) event.PointDone {
	return event.PointDone{
		Point: event.Point{PointID: "p", GPU: "sim:x", Model: "llama-3.2-1b", Dataset: "truthfulqa", BatchSize: 1, RequestedSMMHz: mhz, Repeat: repeat, Queries: 10},
		PointResult: event.PointResult{
			AchievedSMMHz: float64(mhz), InputTokens: 13, OutputTokens: 100, PrefillS: 0.1 * seconds, DecodeS: 0.9 * seconds, LatencyS: seconds,
			Energy: event.Energy{EnergyJ: joules}, JoulesPerToken: joules / 100, MeanPowerW: joules / seconds, Quality: 0.2,
		},
	}
}

// Near fails the test where got is more than tol from want.
func Near(t *testing.T, what string, got, want, tol float64) {
	t.Helper()
	if !(math.Abs(got-want) <= tol) {
		t.Errorf("%s = %g, want %g", what, got, want)
	}
}
