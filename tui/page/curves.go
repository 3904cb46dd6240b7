package page

import (
	"math"
	"sync"

	tea "charm.land/bubbletea/v2"

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
	batch   int    // 0: all batch sizes, a curve each
	dataset string // "": all
	axis    int    // which picture is drawn where there is room for one
	sel     int    // whose marks are drawn
}

var curvesKeys = struct{ batch, dataset, curve, picture view.Key }{
	batch:   view.Bind("b", "batch", "batch size of the curves", "b"),
	dataset: datasetKey(),
	curve:   upDown("choose", "choose a curve"),
	picture: leftRight("picture", "picture: energy, latency or EDP"),
}

// Name stands on the tab.
func (p *Curves) Name() string { return "Curves" }

// Keys are the page's own.
func (p *Curves) Keys() []view.Key {
	k := &curvesKeys
	return []view.Key{k.batch, k.dataset, k.curve, k.picture}
}

// Hints are the keys on the last line.
func (p *Curves) Hints() []view.Key {
	k := &p.Context.Keys
	hints := []view.Key{k.Clock, k.Job, curvesKeys.batch, curvesKeys.dataset, k.Mark}
	if len(p.curveSet().curves) > 1 {
		hints = append(hints, curvesKeys.curve)
	}
	return hints
}

// Form asks for a sweep.
func (p *Curves) Form() *panel.Form { return sweepForm(p.Context) }

// Key chooses what the curves are of.
func (p *Curves) Key(msg tea.KeyPressMsg) tea.Cmd {
	k, done := &curvesKeys, p.State.Sweep.Done
	switch {
	case k.batch.Is(msg):
		p.batch = next(append([]int{0}, state.BatchesOf(done)...), p.batch)
	case k.dataset.Is(msg):
		p.dataset = next(append([]string{""}, state.DatasetsOf(done)...), p.dataset)
	case k.curve.Is(msg):
		p.sel = min(max(p.sel+step(msg), 0), max(len(p.curveSet().curves)-1, 0))
	case k.picture.Is(msg):
		p.axis = (p.axis + len(axes) + step(msg)) % len(axes)
	}
	return nil
}

func (p *Curves) curveSet() curveSet { return curvesOf(p.Context, p.batch, p.dataset) }

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
		points             uint64
		batch, sel, cursor int
		dataset            string
		beside             *view.Earlier
		axis               int
	}
	k := key{p.State.Versions.Points, p.batch, p.sel, p.Telemetry().Sample.SMMHz, p.dataset, p.Beside, 0}
	set := sync.OnceValue(p.curveSet) // only where something is drawn anew
	pictures, table := p.areas()
	for i, r := range pictures {
		if k.axis = i; p.one() {
			k.axis = p.axis
		}
		axis := k.axis
		p.Frame.Place("curve"+draw.Int(i), r, k, func(c *canvas.Canvas) { p.drawCurve(c, axis, set()) })
	}
	k.cursor, k.axis = 0, 0
	p.Frame.Place("curvetable", table, k, func(c *canvas.Canvas) { p.drawTable(c, set()) })
}

// axes are the pictures of the screen.
var axes = []struct {
	title, unit string
	of          func(state.ClockMean) float64
}{
	{"Energy per token against SM clock", "J/token", func(p state.ClockMean) float64 { return p.JoulesPerToken }},
	{"Latency per request", "s", func(p state.ClockMean) float64 { return p.LatencyS }},
	{"EDP per request", "J·s", func(p state.ClockMean) float64 { return p.EDPJS }},
}

func (p *Curves) drawCurve(c *canvas.Canvas, axis int, set curveSet) {
	a := axes[axis]
	filter := "all datasets (d)"
	if p.dataset != "" {
		filter = p.dataset + " (d)"
	}
	if p.batch > 0 {
		filter += ", batch " + draw.Int(p.batch) + " (b)"
	} else {
		filter += ", all batch sizes (b)"
	}
	title := a.title
	if p.one() {
		title += " (← →)"
	}
	y := draw.Heading(c, 0, title, filter)
	if axis == 0 || p.one() {
		p.drawLegend(c, canvas.Width(title)+4, c.W-canvas.Width(filter)-4, set)
	}
	info := p.Info()
	xlo, xhi := float64(info.MinSM()), float64(info.MaxSM())
	ylo, yhi := math.NaN(), math.NaN()
	pic := chart.XY{XUnit: "MHz", YUnit: a.unit, Styles: chartStyles, Gutter: 8}
	for i, k := range set.curves {
		cv := chart.Curve{Name: k.Model, Marker: markers[i%len(markers)], Look: chart.Look{Style: theme.Curves[i%len(theme.Curves)]}}
		if i >= set.earlier {
			cv.Look.Shape = chart.Dashed
		}
		for _, pt := range k.Points {
			v := a.of(pt)
			cv.X, cv.Y = append(cv.X, pt.AchievedMHz), append(cv.Y, v)
			if math.IsNaN(v) {
				continue
			}
			if !(v >= ylo) {
				ylo = v
			}
			if !(v <= yhi) {
				yhi = v
			}
			if xhi == 0 || pt.AchievedMHz > xhi {
				xhi = pt.AchievedMHz
			}
			if xlo == 0 || pt.AchievedMHz < xlo {
				xlo = pt.AchievedMHz
			}
		}
		pic.Curves = append(pic.Curves, cv)
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
	pic.Empty = "no points yet: n plans a sweep, and each point appears here as it is measured"
	pic.Marks = p.marks(axis, set)
	pic.Draw(c, canvas.Rect{Y: y, W: c.W, H: c.H - y})
}

// marks are the current clock, and the chosen curve's cliff and optimum.
func (p *Curves) marks(axis int, set curveSet) []chart.Mark {
	var marks []chart.Mark
	if len(set.marks) > 0 {
		k := set.marks[min(p.sel, len(set.marks)-1)]
		if k.CliffMHz > 0 && axis == 0 {
			marks = append(marks, chart.Mark{X: k.CliffMHz, Label: "cliff " + draw.Float(k.CliffMHz, 0), Style: theme.Cliff, Line: '┆'})
		}
		if k.EDPMHz > 0 {
			marks = append(marks, chart.Mark{X: k.EDPMHz, Label: "EDP optimum " + draw.Float(k.EDPMHz, 0), Style: theme.EDP, Line: '┊'})
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
		name := string(markers[i%len(markers)]) + " " + curveName(k, set)
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
