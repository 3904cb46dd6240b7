package page

import (
	"strconv"

	"jouletop/engine/analysis/curve"
	"jouletop/tui/canvas"
	"jouletop/tui/draw"
	"jouletop/tui/theme"
)

// drawTable lists what the curves say, and below, where there is room, the
// chosen curve's points.
func (p *Curves) drawTable(c *canvas.Canvas, set curveSet) {
	hint := boundText(p.Status.MaxSlowdown)
	if len(set.curves) > 1 {
		hint += " · ↑ ↓ choose"
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

// findings is the table of what the first n curves say, a row each: the clock to run at
// and the others worth knowing, with those that cannot be told from them, and what the
// first changes against the curve's highest clock.
func (s curveSet) findings(n int) *draw.Table[int] {
	change := func(i int, of func(curve.Change) curve.Stat) string {
		k := s.curves[i]
		if len(k.RunAt.Alike) == 0 || k.RunAt.RequestedMHz == k.Highest().RequestedMHz {
			return draw.Unknown
		}
		by := of(k.RunAt.Against(k.Highest()))
		return draw.Percent(by.Mean, by.Half)
	}
	energy := func(c curve.Change) curve.Stat {
		c.EnergyDown.Mean = -c.EnergyDown.Mean
		return c.EnergyDown
	}
	t := &draw.Table[int]{Columns: []draw.Column[int]{
		{Title: "curve", Width: -16, Grow: true, Text: func(i int) string { return s.title(i) }},
		{Title: "run at MHz", Width: 16, Text: func(i int) string { return optimumText(s.curves[i].RunAt) }},
		{Title: "energy", Width: 14, Text: func(i int) string { return change(i, energy) }},
		{Title: "latency", Width: 13, Text: func(i int) string {
			return change(i, func(c curve.Change) curve.Stat { return c.Latency })
		}},
		{Title: "vs MHz", Width: 6, Text: func(i int) string { return draw.Float(s.curves[i].Highest().MHz, 0) }},
		{Title: "J/token", Width: 15, Rank: 2, Text: func(i int) string {
			k := s.curves[i].RunAt.JoulesPerToken
			if len(s.curves[i].RunAt.Alike) == 0 {
				return draw.Unknown
			}
			return draw.PlusMinus(k.Mean, k.Half)
		}},
		{Title: "EDP MHz", Width: 16, Rank: 1, Text: func(i int) string { return optimumText(s.curves[i].EDP) }},
		{Title: "cliff MHz", Width: 16, Rank: 3, Text: func(i int) string { return cliffText(s.curves[i].Cliff) }},
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
	y = draw.Heading(c, y, string(markers[i%len(markers)])+" "+set.name(k), "means over the repeats ± 95 %")
	t := draw.Table[curve.Clock]{Columns: clockColumns, Rows: len(k.Clocks), At: func(i int) curve.Clock { return k.Clocks[i] }}
	t.Style = func(row, _ int) canvas.Style {
		switch clock := k.Clocks[row]; {
		case !clock.Clean():
			return theme.Warn
		case clock.RequestedMHz == k.RunAt.RequestedMHz:
			return theme.RunAt
		}
		return theme.Default
	}
	t.Draw(c, canvas.Rect{X: 1, Y: y, W: c.W - 1, H: c.H - y})
}

// clockColumns are the table of a curve's points.
var clockColumns = []draw.Column[curve.Clock]{
	{Title: "MHz", Width: 9, Text: func(k curve.Clock) string { return draw.Float(k.MHz, 0) }},
	{Title: "J/token", Width: 16, Text: func(k curve.Clock) string { return draw.PlusMinus(k.JoulesPerToken.Mean, k.JoulesPerToken.Half) }},
	{Title: "latency s", Width: 17, Text: func(k curve.Clock) string { return draw.PlusMinus(k.Latency.Mean, k.Latency.Half) }},
	{Title: "EDP J·s", Width: 15, Rank: 1, Text: func(k curve.Clock) string { return draw.PlusMinus(k.EDP.Mean, k.EDP.Half) }},
	{Title: "token/s", Width: 9, Text: func(k curve.Clock) string { return draw.Sig(k.TokensPerS.Mean) }},
	{Title: "W", Width: 7, Text: func(k curve.Clock) string { return draw.Float(k.Power.Mean, 0) }},
	{Title: "n", Width: 6, Text: repeatsText},
	{Title: "flags", Width: -10, Rank: 1, Grow: true, Text: func(k curve.Clock) string { return string(k.Flags) }},
}

// repeatsText counts the repeats that a clock's means are over, and those left out.
func repeatsText(k curve.Clock) string {
	n := draw.Int(k.Latency.N)
	if k.Flagged > 0 && k.Clean() {
		n += " of " + draw.Int(k.Latency.N+k.Flagged)
	}
	return n
}

// cliffText is a cliff with its interval.
func cliffText(c curve.Cliff) string {
	if c.MHz <= 0 {
		return draw.Unknown
	}
	return draw.Float(c.MHz, 0) + " (" + draw.Float(c.LowMHz, 0) + "–" + draw.Float(c.HighMHz, 0) + ")"
}

// boundText says what the clock to run at is.
func boundText(slowdown float64) string {
	return "least energy, at most " + strconv.FormatFloat(100*slowdown, 'g', 3, 64) + " % slower"
}
