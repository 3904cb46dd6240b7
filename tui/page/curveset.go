package page

import (
	"fmt"

	"jouletop/engine/event"
	"jouletop/tui/draw"
	"jouletop/tui/state"
	"jouletop/tui/view"
)

var markers = []rune("●▲■◆▼★")

// curveSet is this session's curves, and those of the session laid beside it.
type curveSet struct {
	curves  []state.Curve
	earlier int // curves from here on are the session's laid beside
}

// curvesOf returns the curves of a choice of points.
func curvesOf(c *view.Context, f state.CurveFilter) curveSet {
	own := c.State.Sweep.Curves(f)
	s := curveSet{curves: own, earlier: len(own)}
	if d := c.Beside; d != nil {
		s.curves = append(own[:len(own):len(own)], d.Results.Curves(f)...)
	}
	return s
}

// name is the model, with the batch size where there are several.
func (s curveSet) name(k state.Curve) string {
	for _, o := range s.curves {
		if o.BatchSize != k.BatchSize {
			return k.Model + " b" + draw.Int(k.BatchSize)
		}
	}
	return k.Model
}

// title is the i-th curve as the tables name it: with its marker, and where it is
// from.
func (s curveSet) title(i int) string {
	t := string(markers[i%len(markers)]) + " " + s.name(s.curves[i])
	if i >= s.earlier {
		t += " (beside)"
	}
	return t
}

// pointTitle names a point in a line.
func pointTitle(p event.Point) string {
	return fmt.Sprintf("%s · %s · batch %d · %s", p.Model, p.Dataset, p.BatchSize, pointClock(p))
}

func pointClock(p event.Point) string {
	if p.RequestedSMMHz > 0 {
		return draw.Int(p.RequestedSMMHz) + " MHz"
	}
	return p.Policy
}
