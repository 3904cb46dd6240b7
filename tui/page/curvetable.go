package page

import (
	"jouletop/engine/analysis/curve"
	"jouletop/tui/canvas"
	"jouletop/tui/draw"
	"jouletop/tui/theme"
)

// drawTable lists what the curves say, and below, where there is room, the
// chosen curve's points.
func (p *Curves) drawTable(c *canvas.Canvas, set curveSet) {
	hint := ""
	if len(set.curves) > 1 {
		hint = "↑ ↓ choose"
	}
	y := draw.Heading(c, 0, "What the curves say", hint)
	if len(set.curves) == 0 {
		c.TextMax(1, y, c.W-2, theme.Muted, "nothing yet")
		return
	}
	t := set.findings(len(set.curves))
	if n := len(set.curves); p.sel < n && n > 1 && y+1+p.sel < c.H {
		c.Set(0, y+1+p.sel, theme.Accent, '▸')
	}
	y = t.Draw(c, canvas.Rect{X: 1, Y: y, W: c.W - 1, H: c.H - y})
	p.drawPoints(c, y+1, set)
}

// findings is the table of what the first n curves say, a row each: where energy is
// least, and what that changes against the curve's highest clock.
func (s curveSet) findings(n int) *draw.Table[int] {
	change := func(i int, of func(curve.Clock) curve.Stat) string {
		k := s.curves[i]
		if len(k.Clocks) < 2 {
			return draw.Unknown
		}
		return draw.Change(of(k.Highest()).Mean, of(k.Least()).Mean)
	}
	t := &draw.Table[int]{Columns: []draw.Column[int]{
		{Title: "curve", Width: -18, Grow: true, Text: func(i int) string { return s.title(i) }},
		{Title: "least J/token", Width: 13, Text: func(i int) string { return draw.Sig(s.curves[i].Least().JoulesPerToken.Mean) }},
		{Title: "at MHz", Width: 7, Text: func(i int) string { return draw.Float(s.curves[i].Least().MHz, 0) }},
		{Title: "EDP MHz", Width: 8, Rank: 2, Text: func(i int) string { return markText(s.curves[i].EDPMHz) }},
		{Title: "cliff", Width: 6, Rank: 1, Text: func(i int) string { return markText(s.curves[i].CliffMHz) }},
		{Title: "energy", Width: 9, Text: func(i int) string { return change(i, axes[0].of) }},
		{Title: "latency", Width: 9, Text: func(i int) string { return change(i, axes[1].of) }},
		{Title: "vs MHz", Width: 6, Text: func(i int) string { return draw.Float(s.curves[i].Highest().MHz, 0) }},
	}, Rows: n, At: func(i int) int { return i }}
	t.Style = func(row, col int) canvas.Style {
		if col == 0 {
			return theme.Curves[row%len(theme.Curves)]
		}
		return theme.Default
	}
	return t
}

// drawPoints lists the chosen curve's points.
func (p *Curves) drawPoints(c *canvas.Canvas, y int, set curveSet) {
	if c.H-y < 4 {
		return
	}
	i := min(p.sel, len(set.curves)-1)
	k := set.curves[i]
	y = draw.Heading(c, y, string(markers[i%len(markers)])+" "+set.name(k), "means over the repeats")
	least := k.Least()
	t := draw.Table[curve.Clock]{Columns: clockColumns, Rows: len(k.Clocks), At: func(i int) curve.Clock { return k.Clocks[i] }}
	t.Style = func(row, _ int) canvas.Style {
		switch clock := k.Clocks[row]; {
		case !clock.Clean():
			return theme.Warn
		case clock.RequestedMHz == least.RequestedMHz:
			return theme.EDP
		}
		return theme.Default
	}
	t.Draw(c, canvas.Rect{X: 1, Y: y, W: c.W - 1, H: c.H - y})
}

// clockColumns are the table of a curve's points.
var clockColumns = []draw.Column[curve.Clock]{
	{Title: "MHz", Width: 9, Text: func(k curve.Clock) string { return draw.Float(k.MHz, 0) }},
	{Title: "J/token", Width: 9, Text: func(k curve.Clock) string { return draw.Sig(k.JoulesPerToken.Mean) }},
	{Title: "latency", Width: 9, Text: func(k curve.Clock) string { return draw.Seconds(k.Latency.Mean) }},
	{Title: "EDP J·s", Width: 9, Text: func(k curve.Clock) string { return draw.Sig(k.EDP.Mean) }},
	{Title: "token/s", Width: 9, Text: func(k curve.Clock) string { return draw.Sig(k.TokensPerS.Mean) }},
	{Title: "W", Width: 7, Text: func(k curve.Clock) string { return draw.Float(k.Power.Mean, 0) }},
	{Title: "n", Width: 6, Grow: true, Text: repeatsText},
}

// repeatsText counts the repeats that a clock's means are over, and those left out.
func repeatsText(k curve.Clock) string {
	n := draw.Int(k.Latency.N)
	if k.Flagged > 0 && k.Clean() {
		n += " of " + draw.Int(k.Latency.N+k.Flagged)
	}
	return n
}

func markText(mhz float64) string {
	if mhz <= 0 {
		return draw.Unknown
	}
	return draw.Float(mhz, 0)
}
