package tui

import (
	"fmt"
	"math"

	"charm.land/bubbles/v2/key"
	tea "charm.land/bubbletea/v2"

	"jouletop/engine/event"
	"jouletop/tui/canvas"
	"jouletop/tui/chart"
	"jouletop/tui/theme"
)

// curvesView is what the curves are drawn of.
type curvesView struct {
	batch   int // 0: all batch sizes, a curve each
	dataset string
	axis    int // which picture is drawn where there is room for one
	sel     int // whose marks are drawn
}

// axes are the pictures of the screen.
var axes = []struct {
	title, unit string
	of          func(clockMean) float64
}{
	{"Energy per token against SM clock", "J/token", func(p clockMean) float64 { return p.jpt }},
	{"Latency per request", "s", func(p clockMean) float64 { return p.latency }},
	{"EDP per request", "J·s", func(p clockMean) float64 { return p.edp }},
}

var markers = []rune("●▲■◆▼★")

func (v *curvesView) key(m *Model, msg tea.KeyPressMsg) {
	k := &m.keys
	switch {
	case key.Matches(msg, k.batch):
		v.batch = nextOf(append([]int{0}, batchesOf(m.st.sweep.done)...), v.batch)
	case key.Matches(msg, k.dataset):
		v.dataset = nextOf(append([]string{""}, datasetsOf(m.st.sweep.done)...), v.dataset)
	case key.Matches(msg, k.up):
		v.sel = max(v.sel-1, 0)
	case key.Matches(msg, k.down):
		v.sel = min(v.sel+1, max(len(m.curveSet().curves)-1, 0))
	case key.Matches(msg, k.back):
		v.axis = (v.axis + len(axes) - 1) % len(axes)
	case key.Matches(msg, k.forward):
		v.axis = (v.axis + 1) % len(axes)
	}
}

// nextOf returns the value after now, the first where it is not there.
func nextOf[T comparable](all []T, now T) T {
	for i, v := range all {
		if v == now {
			return all[(i+1)%len(all)]
		}
	}
	return all[0]
}

// curveSet is the curves on the screen with their marks.
type curveSet struct {
	curves  []curve
	marks   []CurveMarks
	earlier int // curves from here on are the session laid beside
}

func (m *Model) curveSet() curveSet {
	s := curveSet{curves: curvesOf(m.st.sweep.done, m.curves.batch, m.curves.dataset)}
	s.earlier = len(s.curves)
	if d := m.sessions.beside; d != nil {
		s.curves = append(s.curves, curvesOf(d.Points, m.curves.batch, m.curves.dataset)...)
	}
	s.marks = make([]CurveMarks, len(s.curves))
	if m.opt.Analyse != nil {
		for i, k := range s.curves {
			if len(k.points) >= 3 {
				s.marks[i] = m.opt.Analyse(k.curvePoints())
			}
		}
	}
	return s
}

type curvesKey struct {
	points uint64
	view   curvesView
	cursor int
	beside *SessionDetail
	axis   int
}

func (m *Model) drawCurves() {
	t := m.st.gpu(m.gpuID())
	k := curvesKey{points: m.st.ver.points, view: m.curves, cursor: t.sample.SMMHz, beside: m.sessions.beside}
	set := curveSet{}
	loaded := false
	load := func() *curveSet {
		if !loaded {
			set, loaded = m.curveSet(), true
		}
		return &set
	}
	for i, r := range m.lay.curves {
		k.axis = i
		if i == 0 && m.lay.curves[1].W == 0 {
			k.axis = m.curves.axis
		}
		axis := k.axis
		m.place("curve"+fmtInt(i), r, k, func(c *canvas.Canvas) { m.drawCurve(c, axis, load()) })
	}
	k.cursor = 0
	m.place("curvetable", m.lay.curveTable, k, func(c *canvas.Canvas) { m.drawCurveTable(c, load()) })
}

func (m *Model) drawCurve(c *canvas.Canvas, axis int, set *curveSet) {
	a := axes[axis]
	filter := "all datasets (d)"
	if m.curves.dataset != "" {
		filter = m.curves.dataset + " (d)"
	}
	if m.curves.batch > 0 {
		filter += ", batch " + fmtInt(m.curves.batch) + " (b)"
	} else {
		filter += ", all batch sizes (b)"
	}
	title := a.title
	if m.lay.curves[1].W == 0 {
		title += " (← →)"
	}
	y := heading(c, 0, title, filter)
	if axis == 0 || m.lay.curves[1].W == 0 {
		m.drawLegend(c, canvas.Width(title)+4, c.W-canvas.Width(filter)-4, set)
	}
	info := m.opt.info(m.gpuID())
	xlo, xhi := float64(info.MinSM()), float64(info.MaxSM())
	ylo, yhi := math.NaN(), math.NaN()
	p := chart.XY{XUnit: "MHz", YUnit: a.unit, Styles: chartStyles, Gutter: 8}
	for i, k := range set.curves {
		cv := chart.Curve{Name: k.model, Marker: markers[i%len(markers)], Look: chart.Look{Style: theme.Curves[i%len(theme.Curves)]}}
		if i >= set.earlier {
			cv.Look.Shape = chart.Dashed
		}
		for _, pt := range k.points {
			v := a.of(pt)
			cv.X, cv.Y = append(cv.X, pt.achieved), append(cv.Y, v)
			if math.IsNaN(v) {
				continue
			}
			if !(v >= ylo) {
				ylo = v
			}
			if !(v <= yhi) {
				yhi = v
			}
			if xhi == 0 || pt.achieved > xhi {
				xhi = pt.achieved
			}
			if xlo == 0 || pt.achieved < xlo {
				xlo = pt.achieved
			}
		}
		p.Curves = append(p.Curves, cv)
	}
	if xhi <= xlo {
		xhi = xlo + 1
	}
	p.X = chart.NiceWithin(xlo, xhi, max(c.W/14, 2))
	p.Y = chart.Nice(0, 1, 2)
	if !math.IsNaN(ylo) {
		lo := ylo - (yhi-ylo)*0.1
		if ylo < (yhi-ylo)*1.5 {
			lo = 0
		}
		p.Y = chart.Nice(max(lo, 0), yhi, max((c.H-5)/2, 2))
	}
	p.Empty = "no points yet: n plans a sweep, and each point appears here as it is measured"
	p.Marks = m.curveMarks(axis, set)
	p.Draw(c, canvas.Rect{Y: y, W: c.W, H: c.H - y})
}

// curveMarks are the current clock, and the chosen curve's cliff and optimum.
func (m *Model) curveMarks(axis int, set *curveSet) []chart.Mark {
	var marks []chart.Mark
	if len(set.marks) > 0 {
		k := set.marks[min(m.curves.sel, len(set.marks)-1)]
		if k.CliffMHz > 0 && axis == 0 {
			marks = append(marks, chart.Mark{X: k.CliffMHz, Label: "cliff " + fmtFloat(k.CliffMHz, 0), Style: theme.Cliff, Line: '┆'})
		}
		if k.EDPMHz > 0 {
			marks = append(marks, chart.Mark{X: k.EDPMHz, Label: "EDP optimum " + fmtFloat(k.EDPMHz, 0), Style: theme.EDP, Line: '┊'})
		}
	}
	if mhz := m.st.gpu(m.gpuID()).sample.SMMHz; mhz > 0 {
		marks = append(marks, chart.Mark{X: float64(mhz), Label: "now " + fmtInt(mhz), Style: theme.Cursor, Line: '│'})
	}
	return marks
}

// drawLegend names the curves in the heading, from column x on, as far as there
// is room before end.
func (m *Model) drawLegend(c *canvas.Canvas, x, end int, set *curveSet) {
	for i, k := range set.curves {
		name := string(markers[i%len(markers)]) + " " + curveName(k, set)
		if i >= set.earlier {
			name += " (beside)"
		}
		if i == m.curves.sel && len(set.curves) > 1 {
			name = "▸" + name
		}
		if x+canvas.Width(name)+2 > end {
			return
		}
		x = c.Text(x, 0, theme.Curves[i%len(theme.Curves)], " "+name+" ")
	}
}

// curveName is the model, with the batch size where there are several.
func curveName(k curve, set *curveSet) string {
	for _, o := range set.curves {
		if o.batch != k.batch {
			return k.model + " b" + fmtInt(k.batch)
		}
	}
	return k.model
}

// drawCurveTable lists what the curves say, and below, where there is room, the
// chosen curve's points.
func (m *Model) drawCurveTable(c *canvas.Canvas, set *curveSet) {
	hint := ""
	if len(set.curves) > 1 {
		hint = "↑ ↓ choose"
	}
	y := heading(c, 0, "What the curves say", hint)
	if len(set.curves) == 0 {
		c.TextMax(1, y, c.W-2, theme.Muted, "nothing yet")
		return
	}
	widths := []int{8, 8, 8, 8, 9, 9}
	head := []string{"J/token", "at MHz", "EDP MHz", "cliff", "energy", "latency"}
	name := max(c.W-len(widths)*9-3, 10)
	row := func(y int, s canvas.Style, values []string) {
		x := name + 2
		for i, v := range values {
			c.Right(x+widths[i], y, s, v)
			x += widths[i] + 1
		}
	}
	c.TextMax(1, y, name, theme.Muted, "least energy per token")
	row(y, theme.Muted, head)
	y++
	for i, k := range set.curves {
		if y >= c.H {
			return
		}
		n := curveName(k, set)
		if i >= set.earlier {
			n += " (beside)"
		}
		c.TextMax(1, y, name, theme.Curves[i%len(theme.Curves)], string(markers[i%len(markers)])+" "+n)
		if i == m.curves.sel && len(set.curves) > 1 {
			c.Set(0, y, theme.Accent, '▸')
		}
		best, top := k.least(), k.points[len(k.points)-1]
		mk := set.marks[i]
		values := []string{fmtSig(best.jpt), fmtFloat(best.achieved, 0), markText(mk.EDPMHz), markText(mk.CliffMHz), unknown, unknown}
		if len(k.points) > 1 {
			values[4], values[5] = fmtChange(top.jpt, best.jpt), fmtChange(top.latency, best.latency)
		}
		row(y, theme.Default, values)
		y++
	}
	if y < c.H {
		c.TextMax(1, y, c.W-2, theme.Muted, "changes are against each curve's highest clock")
	}
	m.drawCurvePoints(c, y+2, set)
}

// drawCurvePoints lists the chosen curve's points.
func (m *Model) drawCurvePoints(c *canvas.Canvas, y int, set *curveSet) {
	if c.H-y < 4 {
		return
	}
	i := min(m.curves.sel, len(set.curves)-1)
	k := set.curves[i]
	y = heading(c, y, string(markers[i%len(markers)])+" "+curveName(k, set), "means over the repeats")
	head := []string{"MHz", "J/token", "latency", "EDP J·s", "token/s", "W", "n"}
	w := min((c.W-2)/len(head), 11)
	for j, h := range head {
		c.Right(1+(j+1)*w, y, theme.Muted, h)
	}
	least := k.least()
	for _, p := range k.points {
		if y++; y >= c.H {
			return
		}
		s := theme.Default
		if p.requested == least.requested {
			s = theme.EDP
		}
		for j, v := range []string{fmtFloat(p.achieved, 0), fmtSig(p.jpt), fmtSeconds(p.latency), fmtSig(p.edp), fmtSig(p.rate), fmtFloat(p.power, 0), fmtInt(p.n)} {
			c.Right(1+(j+1)*w, y, s, v)
		}
	}
}

// least returns the point of the least energy per token.
func (k curve) least() clockMean {
	best := k.points[0]
	for _, p := range k.points {
		if p.jpt < best.jpt {
			best = p
		}
	}
	return best
}

func markText(mhz float64) string {
	if mhz <= 0 {
		return unknown
	}
	return fmtFloat(mhz, 0)
}

// pointTitle names a point in a line.
func pointTitle(p event.Point) string {
	return fmt.Sprintf("%s · %s · batch %d · %s", p.Model, p.Dataset, p.BatchSize, pointClock(p))
}

func pointClock(p event.Point) string {
	if p.RequestedSMMHz > 0 {
		return fmtInt(p.RequestedSMMHz) + " MHz"
	}
	return p.Policy
}
