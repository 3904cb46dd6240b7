package progress

import (
	"bytes"
	"testing"

	"jouletop/engine/event"
)

// TestFailedPointIsSaidOnce: the run's own error tells of a single point of which
// nothing came; what else fails is told where it does.
func TestFailedPointIsSaidOnce(t *testing.T) {
	for _, c := range []struct {
		name   string
		points int
		good   bool
		told   string
	}{
		{"the only point, nothing came of it", 1, false, ""},
		{"the only point, some of it failed", 1, true, "point p1: 1 of 2 requests failed: too long\n"},
		{"one of several", 2, false, "point p1 failed: too long\n"},
	} {
		var out bytes.Buffer
		p := &progress{out: &out}
		p.apply(event.RunStart{Points: c.points})
		if c.good {
			p.apply(event.RequestDone{})
		}
		p.apply(event.RequestDone{Request: event.Request{Err: "too long"}})
		done := event.PointDone{Point: event.Point{PointID: "p1"}}
		done.PointResult.Err = "too long"
		p.apply(done)
		if out.String() != c.told {
			t.Errorf("%s: told %q", c.name, out.String())
		}
	}
}
