package page

import (
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
		n := curveName(k, set)
		if i >= set.earlier {
			n += " (beside)"
		}
		c.TextMax(1, y, name, theme.Curves[i%len(theme.Curves)], string(markers[i%len(markers)])+" "+n)
		if i == p.sel && len(set.curves) > 1 {
			c.Set(0, y, theme.Accent, '▸')
		}
		best, top := k.Least(), k.Points[len(k.Points)-1]
		mk := set.marks[i]
		values := []string{draw.Sig(best.JoulesPerToken), draw.Float(best.AchievedMHz, 0), markText(mk.EDPMHz), markText(mk.CliffMHz), draw.Unknown, draw.Unknown}
		if len(k.Points) > 1 {
			values[4], values[5] = draw.Change(top.JoulesPerToken, best.JoulesPerToken), draw.Change(top.LatencyS, best.LatencyS)
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
	y = draw.Heading(c, y, string(markers[i%len(markers)])+" "+curveName(k, set), "means over the repeats")
	head := []string{"MHz", "J/token", "latency", "EDP J·s", "token/s", "W", "n"}
	w := min((c.W-2)/len(head), 11)
	for j, h := range head {
		c.Right(1+(j+1)*w, y, theme.Muted, h)
	}
	least := k.Least()
	for _, pt := range k.Points {
		if y++; y >= c.H {
			return
		}
		s := theme.Default
		if pt.RequestedMHz == least.RequestedMHz {
			s = theme.EDP
		}
		for j, v := range []string{draw.Float(pt.AchievedMHz, 0), draw.Sig(pt.JoulesPerToken), draw.Seconds(pt.LatencyS), draw.Sig(pt.EDPJS), draw.Sig(pt.TokensPerS), draw.Float(pt.PowerW, 0), draw.Int(pt.N)} {
			c.Right(1+(j+1)*w, y, s, v)
		}
	}
}

func markText(mhz float64) string {
	if mhz <= 0 {
		return draw.Unknown
	}
	return draw.Float(mhz, 0)
}
