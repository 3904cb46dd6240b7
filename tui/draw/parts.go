package draw

import (
	"jouletop/tui/canvas"
	"jouletop/tui/theme"
)

// Heading draws a titled rule in the first row of c.
func Heading(c *canvas.Canvas, y int, title, right string) int {
	for x := range c.W {
		c.Set(x, y, theme.Faint, '─')
	}
	x := c.TextMax(1, y, c.W-2, theme.Title, " "+title+" ")
	if w := canvas.Width(right); right != "" && x+w+3 < c.W {
		c.Text(c.W-w-3, y, theme.Muted, " "+right+" ")
	}
	return y + 1
}

// Metric draws a figure: label left, value right-aligned before its unit, so
// that a number changing its length moves nothing.
func Metric(c *canvas.Canvas, y int, label, value, unit string, s canvas.Style) {
	const unitWidth = 8
	c.TextMax(0, y, c.W, theme.Muted, label)
	at := c.W - unitWidth
	c.Right(at, y, s, " "+value)
	c.TextMax(at+1, y, unitWidth-1, theme.Muted, unit)
}

// Gauge draws a bar of w cells filled to share (0 to 1).
func Gauge(c *canvas.Canvas, x, y, w int, share float64, s canvas.Style) {
	share = min(max(share, 0), 1)
	eighths := int(share*float64(w)*8 + 0.5)
	for i := range w {
		fill := min(max(eighths-i*8, 0), 8)
		switch {
		case fill == 8:
			c.Set(x+i, y, s, '█')
		case fill > 0:
			c.Set(x+i, y, s, []rune("▏▎▍▌▋▊▉")[fill-1])
		default:
			c.Set(x+i, y, theme.Faint, '░')
		}
	}
}

// Box draws a framed, blank rectangle over the screen.
func Box(c *canvas.Canvas, r canvas.Rect, title, right string) {
	c.Fill(r, theme.Default, ' ')
	for x := r.X + 1; x < r.X+r.W-1; x++ {
		c.Set(x, r.Y, theme.Accent, '─')
		c.Set(x, r.Y+r.H-1, theme.Accent, '─')
	}
	for y := r.Y + 1; y < r.Y+r.H-1; y++ {
		c.Set(r.X, y, theme.Accent, '│')
		c.Set(r.X+r.W-1, y, theme.Accent, '│')
	}
	for _, k := range []struct {
		x, y int
		r    rune
	}{{r.X, r.Y, '╭'}, {r.X + r.W - 1, r.Y, '╮'}, {r.X, r.Y + r.H - 1, '╰'}, {r.X + r.W - 1, r.Y + r.H - 1, '╯'}} {
		c.Set(k.x, k.y, theme.Accent, k.r)
	}
	c.TextMax(r.X+2, r.Y, r.W-4, theme.Title, " "+title+" ")
	if w := canvas.Width(right); right != "" && r.W > w+canvas.Width(title)+8 {
		c.Text(r.X+r.W-w-4, r.Y, theme.Muted, " "+right+" ")
	}
}
