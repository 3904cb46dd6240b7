package page

import (
	"fmt"

	tea "charm.land/bubbletea/v2"

	"jouletop/engine/analysis/curve"
	"jouletop/engine/command"
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

// name is the model, with the batch size and the draft depth where there are several.
func (s curveSet) name(k state.Curve) string {
	name := k.Model
	for _, o := range s.curves {
		if o.BatchSize != k.BatchSize {
			name += " b" + draw.Int(k.BatchSize)
			break
		}
	}
	for _, o := range s.curves {
		if o.Drafting != k.Drafting {
			name += " d" + draw.Int(k.DraftDepth)
			break
		}
	}
	return name
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

// runAtKeys set the clock that the curves say.
var runAtKeys = struct{ runAt, edp view.Key }{
	runAt: view.Bind("u", "use clock", "use the clock to run at: least energy within the latency bound", "u"),
	edp:   view.Bind("U", "use EDP", "use the clock of the least energy-delay product", "U"),
}

// applyOptimum sets the clock that is best on the i-th curve: by energy within the
// latency bound, or by EDP.
func applyOptimum(c *view.Context, s curveSet, i int, edp bool) tea.Cmd {
	if i >= len(s.curves) {
		return c.Say("no curve yet: "+c.Label(c.Keys.Job)+" plans a sweep", true)
	}
	k := s.curves[i]
	o, what := k.RunAt, "least energy"
	if edp {
		o, what = k.EDP, "EDP optimum"
	}
	if len(o.Alike) == 0 {
		return c.Say(s.name(k)+": too few clocks to choose one by", true)
	}
	mhz := o.RequestedMHz
	said := draw.Int(mhz) + " MHz set: " + what + " of " + s.name(k)
	if change := o.Against(k.Highest()); mhz != k.Highest().RequestedMHz {
		said += ", energy " + draw.Percent(-change.EnergyDown.Mean, change.EnergyDown.Half) + ", latency " + draw.Percent(change.Latency.Mean, change.Latency.Half)
	}
	return c.Do(func(c command.Controller) (string, error) { return said, c.SetClock("", mhz) })
}

// optimumText is a clock with the range of those that cannot be told from it.
func optimumText(o curve.Optimum) string {
	switch {
	case len(o.Alike) == 0:
		return draw.Unknown
	case o.Low() == o.High():
		return draw.Int(o.RequestedMHz)
	}
	return draw.Int(o.RequestedMHz) + " (" + draw.Int(o.Low()) + "–" + draw.Int(o.High()) + ")"
}

// pointTitle names a point in a line.
func pointTitle(p event.Point) string {
	title := fmt.Sprintf("%s · %s · batch %d · %s", p.Model, p.Dataset, p.BatchSize, pointClock(p))
	if p.Draft != "" {
		title += " · draft " + p.DraftText()
	}
	return title
}

func pointClock(p event.Point) string {
	if p.RequestedSMMHz > 0 {
		return draw.Int(p.RequestedSMMHz) + " MHz"
	}
	return p.Policy
}
