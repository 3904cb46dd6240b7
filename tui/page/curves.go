package page

import (
	"math"

	tea "charm.land/bubbletea/v2"

	"jouletop/engine/analysis/curve"
	"jouletop/tui/canvas"
	"jouletop/tui/chart"
	"jouletop/tui/draw"
	"jouletop/tui/panel"
	"jouletop/tui/state"
	"jouletop/tui/theme"
	"jouletop/tui/view"
)

// Curves shows energy, latency and EDP against the SM clock.
type Curves struct {
	Base
	filter state.CurveFilter
	axis   int // which picture is drawn where there is room for one
	sel    int // whose marks are drawn
	scale  scale
}

// scale is what the curves are drawn on.
type scale int

const (
	inUnits  scale = iota
	inShares       // of what it is at the highest clock, each
	byModel        // each fills the picture; the axis is the chosen one's
	scales
)

var curvesKeys = struct{ batch, dataset, curve, picture, scale view.Key }{
	batch:   view.Bind("b", "batch", "batch size of the curves", "b"),
	dataset: datasetKey(),
	curve:   upDown("choose", "choose a curve"),
	picture: leftRight("picture", "picture: energy, latency or EDP"),
	scale:   view.Bind("y", "scale", "curves in units, % of the highest clock's, or a scale each", "y"),
}

// Name stands on the tab.
func (p *Curves) Name() string { return "Curves" }

// Keys are the page's own.
func (p *Curves) Keys() []view.Key {
	k := &curvesKeys
	return []view.Key{k.curve, runAtKeys.runAt, runAtKeys.edp, k.scale, k.batch, k.dataset, k.picture}
}

// Hints are the keys on the last line.
func (p *Curves) Hints() []view.Key {
	k := &p.Context.Keys
	hints := []view.Key{runAtKeys.runAt, runAtKeys.edp, curvesKeys.scale, k.Job}
	if len(p.curveSet().curves) > 1 {
		hints = append([]view.Key{curvesKeys.curve}, hints...)
	}
	return append(hints, curvesKeys.batch, curvesKeys.dataset, k.Clock, k.Mark)
}

// Form asks for a sweep.
func (p *Curves) Form() *panel.Form { return sweepForm(p.Context) }

// Key chooses what the curves are of.
func (p *Curves) Key(msg tea.KeyPressMsg) tea.Cmd {
	k, points := &curvesKeys, &p.State.Sweep.Points
	switch {
	case k.batch.Is(msg):
		p.filter.Batch = next(append([]int{0}, points.Batches()...), p.filter.Batch)
	case k.dataset.Is(msg):
		p.filter.Dataset = next(append([]string{""}, points.Datasets()...), p.filter.Dataset)
	case k.scale.Is(msg):
		p.scale = (p.scale + 1) % scales
	case runAtKeys.runAt.Is(msg), runAtKeys.edp.Is(msg):
		return applyOptimum(p.Context, p.curveSet(), p.sel, runAtKeys.edp.Is(msg))
	case k.curve.Is(msg):
		p.sel = min(max(p.sel+step(msg), 0), max(len(p.curveSet().curves)-1, 0))
	case k.picture.Is(msg):
		p.axis = (p.axis + len(axes) + step(msg)) % len(axes)
	}
	return nil
}

func (p *Curves) curveSet() curveSet {
	p.filter.Slowdown = p.Status.MaxSlowdown
	return curvesOf(p.Context, p.filter)
}

// areas are the pictures of energy, latency and EDP, only the first where there is
// no room, and the table.
func (p *Curves) areas() (pictures [3]canvas.Rect, table canvas.Rect) {
	body := p.Body
	switch p.Size {
	case view.Compact:
		pictures[0], table = view.Cut(body, body.H-6)
	case view.Medium:
		var rest canvas.Rect
		pictures[0], rest = view.Cut(body, body.H/2)
		pictures[1], table = view.Cut(rest, rest.H-7)
		pictures[1], pictures[2] = view.Split(pictures[1], body.W/2, 1)
	case view.Wide:
		top, rest := view.Cut(body, body.H*56/100)
		pictures[0], table = view.Split(top, body.W*64/100, 1)
		pictures[1], pictures[2] = view.Split(rest, body.W/2, 1)
	}
	return pictures, table
}

// one tells whether there is room for one picture only.
func (p *Curves) one() bool { return p.Size == view.Compact }

// Draw draws the page.
func (p *Curves) Draw() {
	type key struct {
		points            uint64
		filter            state.CurveFilter
		sel, cursor, axis int
		scale             scale
		beside            *view.Earlier
	}
	p.filter.Slowdown = p.Status.MaxSlowdown
	k := key{points: p.State.Versions.Points, filter: p.filter, scale: p.scale, sel: p.sel, cursor: p.Telemetry().Sample.SMMHz, beside: p.Beside}
	pictures, table := p.areas()
	for i, r := range pictures {
		if k.axis = i; p.one() {
			k.axis = p.axis
		}
		axis := k.axis
		p.Frame.Place("curve"+draw.Int(i), r, k, func(c *canvas.Canvas) { p.drawCurve(c, axis, p.curveSet()) })
	}
	k.cursor, k.axis = 0, 0
	p.Frame.Place("curvetable", table, k, func(c *canvas.Canvas) { p.drawTable(c, p.curveSet()) })
}

// axes are the pictures of the screen.
var axes = []struct {
	title, unit string
	of          func(curve.Clock) curve.Stat
}{
	{"Energy per token against SM clock", "J/token", func(k curve.Clock) curve.Stat { return k.JoulesPerToken }},
	{"Latency per request", "s", func(k curve.Clock) curve.Stat { return k.Latency }},
	{"EDP per request", "J·s", func(k curve.Clock) curve.Stat { return k.EDP }},
}

func (p *Curves) drawCurve(c *canvas.Canvas, axis int, set curveSet) {
	a := axes[axis]
	in := p.bracketed
	filter := "all datasets" + in(curvesKeys.dataset)
	if p.filter.Dataset != "" {
		filter = p.filter.Dataset + in(curvesKeys.dataset)
	}
	if p.filter.Batch > 0 {
		filter += ", batch " + draw.Int(p.filter.Batch) + in(curvesKeys.batch)
	} else {
		filter += ", all batch sizes" + in(curvesKeys.batch)
	}
	title := a.title
	if p.one() {
		title += " (← →)"
	}
	unit := a.unit
	chosen := min(p.sel, len(set.curves)-1)
	switch {
	case p.scale == inShares:
		unit = "%"
		filter = "% of the highest clock" + in(curvesKeys.scale) + ", " + filter
	case p.scale == byModel && chosen >= 0:
		filter = "each on its own scale" + in(curvesKeys.scale) + ", the axis is of " + set.title(chosen)
	}
	if canvas.Width(title)+canvas.Width(filter)+10 > c.W { // the names say more
		filter = ""
	}
	y := draw.Heading(c, 0, title, filter)
	if axis == 0 || p.one() {
		p.drawLegend(c, canvas.Width(title)+4, c.W-canvas.Width(filter)-4, set)
	}
	info := p.Info()
	xlo, xhi := float64(info.MinSM()), float64(info.MaxSM())
	ylo, yhi := math.NaN(), math.NaN()
	pic := chart.XY{XUnit: "MHz", YUnit: unit, Styles: chartStyles, Gutter: 8}
	for i, k := range set.curves {
		cv := chart.Curve{Name: k.Model, Marker: markers[i%len(markers)], Look: chart.Look{Style: theme.Curves[i%len(theme.Curves)]}}
		if i >= set.earlier {
			cv.Look.Shape = chart.Dashed
		}
		for _, clock := range k.Clocks {
			at := a.of(clock)
			if p.scale == inShares {
				at = curve.Share(at, a.of(k.Highest()))
			}
			cv.X, cv.Y, cv.Half, cv.Odd = append(cv.X, clock.MHz), append(cv.Y, at.Mean), append(cv.Half, at.Half), append(cv.Odd, !clock.Clean())
			if math.IsNaN(at.Mean) {
				continue
			}
			if xhi == 0 || clock.MHz > xhi {
				xhi = clock.MHz
			}
			if xlo == 0 || clock.MHz < xlo {
				xlo = clock.MHz
			}
		}
		pic.Curves = append(pic.Curves, cv)
	}
	if p.scale == byModel && chosen >= 0 {
		pic.Curves = ownScales(pic.Curves, chosen)
	}
	for _, cv := range pic.Curves {
		if lo, hi := extent(cv); !math.IsNaN(lo) {
			ylo, yhi = least(ylo, lo), -least(-yhi, -hi)
		}
	}
	if xhi <= xlo {
		xhi = xlo + 1
	}
	pic.X = chart.NiceWithin(xlo, xhi, max(c.W/14, 2))
	pic.Y = chart.Nice(0, 1, 2)
	if !math.IsNaN(ylo) {
		lo := ylo - (yhi-ylo)*0.1
		if ylo < (yhi-ylo)*1.5 {
			lo = 0
		}
		pic.Y = chart.Nice(max(lo, 0), yhi, max((c.H-5)/2, 2))
	}
	pic.Empty = "no points yet: " + p.Label(p.Context.Keys.Job) + " plans a sweep, and each point appears here as it is measured"
	pic.Marks = p.marks(axis, set)
	pic.Draw(c, canvas.Rect{Y: y, W: c.W, H: c.H - y})
}

// extent is what a curve and its bars go from and to; NaN where nothing is known.
func extent(cv chart.Curve) (lo, hi float64) {
	lo, hi = math.NaN(), math.NaN()
	for i, y := range cv.Y {
		if math.IsNaN(y) {
			continue
		}
		half := cv.Half[i]
		if math.IsNaN(half) || half > y { // a bar longer than the point is high says nothing more
			half = 0
		}
		lo, hi = least(lo, y-half), -least(-hi, -y-half)
	}
	return lo, hi
}

// least is the lesser of a, which may be unknown, and b.
func least(a, b float64) float64 {
	if a <= b {
		return a
	}
	return b
}

// ownScales draws each curve over as much of the picture as the chosen one takes: shapes
// can be compared that way, of which one would be flat beside the other.
func ownScales(curves []chart.Curve, chosen int) []chart.Curve {
	lo, hi := extent(curves[chosen])
	if !(hi > lo) {
		return curves
	}
	out := make([]chart.Curve, len(curves))
	for i, cv := range curves {
		from, to := extent(cv)
		if i != chosen && to > from {
			by := (hi - lo) / (to - from)
			y, half := make([]float64, len(cv.Y)), make([]float64, len(cv.Y))
			for k := range cv.Y {
				y[k], half[k] = lo+(cv.Y[k]-from)*by, cv.Half[k]*by
			}
			cv.Y, cv.Half = y, half
		}
		out[i] = cv
	}
	return out
}

// marks are the current clock, and the chosen curve's cliff and optimum.
func (p *Curves) marks(axis int, set curveSet) []chart.Mark {
	var marks []chart.Mark
	if len(set.curves) > 0 {
		k := set.curves[min(p.sel, len(set.curves)-1)]
		at := func(o curve.Optimum, label string, style canvas.Style, line rune) {
			if len(o.Alike) > 0 {
				marks = append(marks, chart.Mark{X: o.MHz, Label: label + " " + optimumText(o), Style: style, Line: line, Low: float64(o.Low()), High: float64(o.High())})
			}
		}
		at(k.RunAt, "run at", theme.RunAt, '┇')
		if k.EDP.RequestedMHz != k.RunAt.RequestedMHz {
			at(k.EDP, "EDP", theme.EDP, '┊')
		}
		if k.Cliff.MHz > 0 && axis == 0 {
			marks = append(marks, chart.Mark{X: k.Cliff.MHz, Label: "cliff " + draw.Float(k.Cliff.MHz, 0), Style: theme.Cliff, Line: '┆'})
		}
	}
	if mhz := p.Telemetry().Sample.SMMHz; mhz > 0 {
		marks = append(marks, chart.Mark{X: float64(mhz), Label: "now " + draw.Int(mhz), Style: theme.Cursor, Line: '│'})
	}
	return marks
}

// drawLegend names the curves in the heading, from column x on, as far as there
// is room before end.
func (p *Curves) drawLegend(c *canvas.Canvas, x, end int, set curveSet) {
	for i, k := range set.curves {
		name := string(markers[i%len(markers)]) + " " + set.name(k)
		if i >= set.earlier {
			name += " (beside)"
		}
		if i == p.sel && len(set.curves) > 1 {
			name = "▸" + name
		}
		if x+canvas.Width(name)+2 > end {
			return
		}
		x = c.Text(x, 0, theme.Curves[i%len(theme.Curves)], " "+name+" ")
	}
}
