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
		n := set.name(k)
		if i >= set.earlier {
			n += " (beside)"
		}
		c.TextMax(1, y, name, theme.Curves[i%len(theme.Curves)], string(markers[i%len(markers)])+" "+n)
		if i == p.sel && len(set.curves) > 1 {
			c.Set(0, y, theme.Accent, '▸')
		}
		best, top := k.Least(), k.Highest()
		values := []string{draw.Sig(best.JoulesPerToken.Mean), draw.Float(best.MHz, 0), markText(k.EDPMHz), markText(k.CliffMHz), draw.Unknown, draw.Unknown}
		if len(k.Clocks) > 1 {
			values[4], values[5] = draw.Change(top.JoulesPerToken.Mean, best.JoulesPerToken.Mean), draw.Change(top.Latency.Mean, best.Latency.Mean)
		}
		row(y, theme.Default, values)
		y++
	}
	if y < c.H {
		c.TextMax(1, y, c.W-2, theme.Muted, "changes are against each curve's highest clock")
	}
	p.drawPoints(c, y+2, set)
}

// drawPoints lists the chosen curve's points.
func (p *Curves) drawPoints(c *canvas.Canvas, y int, set curveSet) {
	if c.H-y < 4 {
		return
	}
	i := min(p.sel, len(set.curves)-1)
	k := set.curves[i]
	y = draw.Heading(c, y, string(markers[i%len(markers)])+" "+set.name(k), "means over the repeats")
	head := []string{"MHz", "J/token", "latency", "EDP J·s", "token/s", "W", "n"}
	w := min((c.W-2)/len(head), 11)
	for j, h := range head {
		c.Right(1+(j+1)*w, y, theme.Muted, h)
	}
	least := k.Least()
	for _, clock := range k.Clocks {
		if y++; y >= c.H {
			return
		}
		s := theme.Default
		switch {
		case !clock.Clean():
			s = theme.Warn
		case clock.RequestedMHz == least.RequestedMHz:
			s = theme.EDP
		}
		for j, v := range []string{
			draw.Float(clock.MHz, 0), draw.Sig(clock.JoulesPerToken.Mean), draw.Seconds(clock.Latency.Mean), draw.Sig(clock.EDP.Mean),
			draw.Sig(clock.TokensPerS.Mean), draw.Float(clock.Power.Mean, 0), repeatsText(clock),
		} {
			c.Right(1+(j+1)*w, y, s, v)
		}
	}
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
