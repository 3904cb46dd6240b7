package account

import (
	"math"
	"testing"

	"jouletop/engine/event"
	"jouletop/gpu"
)

// A point whose power limit in force was another than was asked for is flagged, whatever
// is known of why.
func TestPointOfAnotherLimit(t *testing.T) {
	for _, tt := range []struct {
		inForce float64
		off     bool
	}{{400, false}, {399.6, false}, {350, true}, {450, true}, {math.NaN(), false}} {
		p := newPointAccount(event.PointStart{Point: event.Point{PointID: "p", Knobs: gpu.Setting{PowerW: 400}}})
		p.limits = map[string]float64{"g": tt.inForce}
		s := event.Sample{GPU: "g", Sample: gpu.UnknownSample()}
		s.SMMHz = 1980
		p.sample(s)
		d := p.result(1, nil)
		if d.Flags.Has(event.FlagClockOff) != tt.off || !math.IsNaN(tt.inForce) && d.AchievedLimitW != tt.inForce {
			t.Errorf("%g W in force: %g W, flags %q", tt.inForce, d.AchievedLimitW, d.Flags)
		}
	}
}
