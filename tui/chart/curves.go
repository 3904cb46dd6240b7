package chart

import (
	"cmp"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"jouletop/tui/canvas"
)

// sgr reads an escape sequence "\x1b[…m" at the start of s: its length, and its
// number in the 256-colour palette, -1 for another sequence.
func sgr(s string) (n, colour int) {
	end := strings.IndexByte(s, 'm')
	if end < 0 {
		return len(s), -1
	}
	if num, ok := strings.CutPrefix(s[:end], "\x1b[38;5;"); ok {
		if v, err := strconv.Atoi(num); err == nil {
			return end + 1, v
		}
	}
	return end + 1, -1
}

func decode(s string) (rune, int) { return utf8.DecodeRuneInString(s) }

// Curve is y over x, in any order of x.
type Curve struct {
	Name   string
	X, Y   []float64
	Half   []float64 // half-widths of Y's intervals, drawn as bars; NaN or none: not known
	Odd    []bool    // what is not to be trusted, drawn as ✗ in Styles.Odd; may be short
	Look   Look
	Marker rune
}

// Mark is a place on the x axis worth pointing out.
type Mark struct {
	X     float64
	Label string
	Style canvas.Style
	Line  rune // what the vertical is drawn with
	// Low and High are the ends of what may be the place, drawn on the axis; the same:
	// that is not known.
	Low, High float64
}

// XY is a picture of curves with x placed by its value.
type XY struct {
	Curves []Curve
	Marks  []Mark
	X, Y   Range
	XUnit  string
	YUnit  string
	Empty  string
	Styles Styles
	Gutter int
}

// PlotRect returns the cells of r that the curves are drawn in: below it stand
// the x axis and its labels, above it a row for the marks' labels.
func (p *XY) PlotRect(r canvas.Rect) canvas.Rect {
	g := p.Gutter
	if g == 0 {
		g = GutterFor(p.Y, p.YUnit)
	}
	g++
	top := 0
	if len(p.Marks) > 0 {
		top = 1
	}
	return canvas.Rect{X: r.X + g, Y: r.Y + top, W: r.W - g, H: r.H - 2 - top}
}

// Column returns the column of plot that x falls into, clamped.
func (p *XY) Column(x float64, plot canvas.Rect) int {
	return plot.X + p.X.Row(x, plot.W)
}

// Draw draws the picture into r of c.
func (p *XY) Draw(c *canvas.Canvas, r canvas.Rect) {
	plot := p.PlotRect(r)
	if plot.W < minCols || plot.H < minRows {
		return
	}
	drawYAxis(c, plot, plot.X-r.X-1, p.Y, p.YUnit, p.Styles)
	p.drawXAxis(c, plot)
	p.drawMarks(c, plot)
	d := newDots(plot)
	for _, k := range p.Curves {
		p.drawBars(c, d, k)
		pts := p.points(k, plot)
		for i := 1; i < len(pts); i++ {
			d.line(c, pts[i-1].x, pts[i-1].y, pts[i].x, pts[i].y, k.Look)
		}
	}
	any := false
	for _, k := range p.Curves {
		any = p.drawMarkers(c, plot, k) || any
	}
	if !any && p.Empty != "" {
		drawEmpty(c, plot, p.Empty, p.Styles.Label)
	}
}

// drawBars draws the intervals of a curve's points.
func (p *XY) drawBars(c *canvas.Canvas, d *dots, k Curve) {
	for i, half := range k.Half {
		if i >= len(k.X) || i >= len(k.Y) || !known(k.X[i]) || !known(k.Y[i]) || !known(half) || half <= 0 {
			continue
		}
		x := p.X.scale(k.X[i], d.plot.W)
		lo, hi := p.Y.scale(k.Y[i]-half, d.plot.H), p.Y.scale(k.Y[i]+half, d.plot.H)
		look := Look{Style: k.Look.Style}
		d.line(c, x, lo, x, hi, look)
		for _, end := range []float64{lo, hi} {
			d.line(c, x-0.5, end, x+0.5, end, look)
		}
	}
}

// point is a place in a plot, in cells from the lower left one.
type point struct{ x, y float64 }

// points are a curve's known points from left to right.
func (p *XY) points(k Curve, plot canvas.Rect) []point {
	pts := make([]point, 0, len(k.X))
	for i := range k.X {
		if i < len(k.Y) && known(k.X[i]) && known(k.Y[i]) {
			pts = append(pts, point{p.X.scale(k.X[i], plot.W), p.Y.scale(k.Y[i], plot.H)})
		}
	}
	slices.SortFunc(pts, func(a, b point) int { return cmp.Compare(a.x, b.x) })
	return pts
}

func known(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }

func (p *XY) drawMarkers(c *canvas.Canvas, plot canvas.Rect, k Curve) bool {
	any := false
	for i := range k.X {
		if i >= len(k.Y) || !known(k.X[i]) || !known(k.Y[i]) {
			continue
		}
		any = true
		style, marker := k.Look.Style, k.Marker
		if i < len(k.Odd) && k.Odd[i] {
			style, marker = p.Styles.Odd, '✗'
		}
		c.Set(p.Column(k.X[i], plot), plot.Y+plot.H-1-p.Y.Row(k.Y[i], plot.H), style, marker)
	}
	return any
}

func (p *XY) drawXAxis(c *canvas.Canvas, plot canvas.Rect) {
	y := plot.Y + plot.H
	c.Set(plot.X-1, y, p.Styles.Axis, '└')
	for x := range plot.W {
		c.Set(plot.X+x, y, p.Styles.Axis, '─')
	}
	unitAt := plot.X + plot.W - canvas.Width(p.XUnit)
	end := plot.X - 1
	for _, t := range p.X.Ticks() {
		x := p.Column(t, plot)
		c.Set(x, y, p.Styles.Axis, '┬')
		l := p.X.Label(t)
		at := x - len(l)/2
		at = max(at, plot.X)
		if at <= end || at+len(l) >= unitAt {
			continue
		}
		end = c.Text(at, y+1, p.Styles.Label, l)
	}
	c.Text(unitAt, y+1, p.Styles.Label, p.XUnit)
}

func abs(v int) int { return max(v, -v) }

// drawMarks draws the verticals, and their labels in the row above where they
// find room.
func (p *XY) drawMarks(c *canvas.Canvas, plot canvas.Rect) {
	type span struct{ from, to int }
	var taken []span
	for _, m := range p.Marks {
		if !known(m.X) || m.X < p.X.Min || m.X > p.X.Max {
			continue
		}
		x := p.Column(m.X, plot)
		for y := range plot.H {
			c.Set(x, plot.Y+y, m.Style, m.Line)
		}
		if m.Low < m.High {
			for at := p.Column(m.Low, plot); at <= p.Column(m.High, plot); at++ {
				c.Set(at, plot.Y+plot.H, m.Style, '━')
			}
		}
		w := canvas.Width(m.Label)
		places := []int{x - w/2, x, x - w + 1}
		for _, t := range taken {
			places = append(places, t.to+2, t.from-w-2)
		}
		for _, at := range places {
			at = min(max(at, plot.X), plot.X+plot.W-w)
			free := at >= plot.X && abs(at+w/2-x) <= 2*w
			for _, t := range taken {
				free = free && (at > t.to || at+w < t.from)
			}
			if free {
				c.Text(at, plot.Y-1, m.Style, m.Label)
				taken = append(taken, span{at, at + w})
				break
			}
		}
	}
}
