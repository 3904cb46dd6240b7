package page

import (
	"fmt"

	"jouletop/engine/event"
	"jouletop/tui/draw"
	"jouletop/tui/state"
	"jouletop/tui/view"
)

var markers = []rune("●▲■◆▼★")

// curveSet is curves with their marks.
type curveSet struct {
	curves  []state.Curve
	marks   []state.CurveMarks
	earlier int // curves from here on are the session's laid beside
}

// curvesOf returns the curves of a batch size and dataset; 0 and "" are all.
func curvesOf(c *view.Context, batch int, dataset string) curveSet {
	s := curveSet{curves: state.CurvesOf(c.State.Sweep.Done, batch, dataset)}
	s.earlier = len(s.curves)
	if d := c.Beside; d != nil {
		s.curves = append(s.curves, state.CurvesOf(d.Points, batch, dataset)...)
	}
	s.marks = make([]state.CurveMarks, len(s.curves))
	if c.Analyse != nil {
		for i, k := range s.curves {
			if len(k.Points) >= 3 {
				s.marks[i] = c.Analyse(k.CurvePoints())
			}
		}
	}
	return s
}

// curveName is the model, with the batch size where there are several.
func curveName(k state.Curve, set curveSet) string {
	for _, o := range set.curves {
		if o.Batch != k.Batch {
			return k.Model + " b" + draw.Int(k.Batch)
		}
	}
	return k.Model
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
