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
	points  uint64
	view    curvesView
	cursor  int
	beside  *SessionDetail
	axis    int
	seconds int64
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
	m.drawCurveLegend(c, &p, canvas.Rect{Y: y, W: c.W, H: c.H - y}, set)
}

// curveMarks are the current clock, and the first curve's cliff and optimum.
func (m *Model) curveMarks(axis int, set *curveSet) []chart.Mark {
	var marks []chart.Mark
	if len(set.marks) > 0 {
		k := set.marks[0]
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

// drawCurveLegend names the curves in the plot's upper right corner.
func (m *Model) drawCurveLegend(c *canvas.Canvas, p *chart.XY, r canvas.Rect, set *curveSet) {
	plot := p.PlotRect(r)
	if len(set.curves) == 0 || plot.H < 4 {
		return
	}
	for i, k := range set.curves {
		if i >= plot.H-2 {
			return
		}
		name := curveName(k, set)
		if i >= set.earlier {
			name += " (beside)"
		}
		w := canvas.Width(name) + 2
		if w > plot.W/2 {
			continue
		}
		x := plot.X + plot.W - w - 1
		s := theme.Curves[i%len(theme.Curves)]
		c.Text(x, plot.Y+i, s, " "+string(markers[i%len(markers)])+" "+name)
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

// drawCurveTable lists what the curves say.
func (m *Model) drawCurveTable(c *canvas.Canvas, set *curveSet) {
	y := heading(c, 0, "What the curves say", "")
	head := []string{"least J/token", "at MHz", "EDP opt. MHz", "cliff MHz", "saved against highest clock", "latency"}
	if c.W < 90 {
		head = []string{"J/token", "at MHz", "EDP MHz", "cliff", "saved", "latency"}
	}
	name := min(26, c.W/3)
	room := c.W - name - 2
	x := name + 2
	for _, h := range head {
		w := max(room/len(head)-1, 7)
		c.Right(x+w, y, theme.Muted, " "+fitWidth(h, w))
		x += w + 1
	}
	for i, k := range set.curves {
		row := y + 1 + i
		if row >= c.H {
			break
		}
		s := theme.Curves[i%len(theme.Curves)]
		n := curveName(k, set)
		if i >= set.earlier {
			n += " (beside)"
		}
		c.TextMax(1, row, name, s, string(markers[i%len(markers)])+" "+n)
		best, top := k.points[0], k.points[len(k.points)-1]
		for _, p := range k.points {
			if p.jpt < best.jpt {
				best = p
			}
		}
		mk := set.marks[i]
		values := []string{fmtSig(best.jpt), fmtFloat(best.achieved, 0), markText(mk.EDPMHz), markText(mk.CliffMHz), unknown, unknown}
		if len(k.points) > 1 {
			values[4], values[5] = fmtChange(top.jpt, best.jpt), fmtChange(top.latency, best.latency)
		}
		x := name + 2
		for _, v := range values {
			w := max(room/len(head)-1, 7)
			c.Right(x+w, row, theme.Default, v)
			x += w + 1
		}
	}
	if len(set.curves) == 0 {
		c.TextMax(1, y+1, c.W-2, theme.Muted, "nothing yet")
	}
}

func markText(mhz float64) string {
	if mhz <= 0 {
		return unknown
	}
	return fmtFloat(mhz, 0)
}

// fitWidth cuts text to w columns.
func fitWidth(text string, w int) string {
	if canvas.Width(text) <= w {
		return text
	}
	c := canvas.New(w, 1)
	c.TextMax(0, 0, w, 0, text)
	out := ""
	for _, cell := range c.Row(0) {
		if cell.Width > 0 {
			out += c.Glyph(cell)
		}
	}
	return out
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
