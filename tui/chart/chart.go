// Package chart draws line charts on a canvas: profiles over time, and curves
// over unevenly spaced x. A profile's lines are asciigraph's; this package keeps its
// hazards away from callers: pictures have exactly the size of their rectangle
// with their labels in it, no data draws a sentence instead of a panic, flat data
// has its range, nothing is interpolated (each column has one value, and a
// column's extremes are drawn as well), and x is placed by value.
package chart

import (
	"math"
	"slices"
	"strings"

	"github.com/guptarohit/asciigraph"

	"jouletop/tui/canvas"
)

// Shape is how a line is drawn, beside its colour.
type Shape uint8

// The shapes.
const (
	Light Shape = iota
	Heavy
	Double
	Dashed
)

// asciigraph's glyphs, and those of each shape in the same order.
var glyphs = [...][]rune{
	Light:  []rune("─│╭╮╰╯╶╴"),
	Heavy:  []rune("━┃┏┓┗┛╺╸"),
	Double: []rune("═║╔╗╚╝══"),
	Dashed: []rune("╌╎┌┐└┘╌╌"),
}

func (s Shape) glyph(r rune) rune {
	for i, g := range glyphs[Light] {
		if g == r {
			return glyphs[s][i]
		}
	}
	return r
}

// Look is how a line looks in a column.
type Look struct {
	Style canvas.Style
	Shape Shape
}

// Line is one line over the columns of a picture.
type Line struct {
	Values []float64 // one a column; NaN is a gap
	Apart  bool      // each value stands alone, joined to no other, and only where no line stands at its height
	// Low and High, where not nil, are the column's extremes: where they are a
	// row or more away from the line a stroke reaches to them.
	Low, High []float64
	Look      func(col int) Look
	// Band is the style of the strokes to the extremes.
	Band func(col int) canvas.Style
}

// Styles are what the pictures' own parts are drawn in.
type Styles struct {
	Axis, Label, Grid canvas.Style
	Odd               canvas.Style // a point not to be trusted
}

// Profile is a picture over time.
type Profile struct {
	Lines []Line
	Y     Range
	Unit  string // of y, written at the top of the axis
	// XLabels stand under the picture: left, middle, right. None: no row for them.
	XLabels []string
	Empty   string // what to say where there is nothing to draw
	Styles  Styles
	Gutter  int // columns for y labels; 0 for what they need
}

// minimum size of a picture with axes.
const minCols, minRows = 4, 2

// PlotRect returns the cells of r that the lines are drawn in.
func (p *Profile) PlotRect(r canvas.Rect) canvas.Rect {
	g := p.gutter() + 1
	bottom := 0
	if len(p.XLabels) > 0 {
		bottom = 1
	}
	return canvas.Rect{X: r.X + g, Y: r.Y, W: r.W - g, H: r.H - bottom}
}

func (p *Profile) gutter() int {
	if p.Gutter > 0 {
		return p.Gutter
	}
	return GutterFor(p.Y, p.Unit)
}

// GutterFor returns the columns that a range's labels need.
func GutterFor(y Range, unit string) int {
	w := canvas.Width(unit)
	for _, t := range y.Ticks() {
		w = max(w, len(y.Label(t)))
	}
	return w
}

// Draw draws the picture into r of c. A rectangle too small for a picture stays
// empty.
func (p *Profile) Draw(c *canvas.Canvas, r canvas.Rect) {
	plot := p.PlotRect(r)
	if plot.W < minCols || plot.H < minRows {
		return
	}
	drawYAxis(c, plot, p.gutter(), p.Y, p.Unit, p.Styles)
	if len(p.XLabels) > 0 {
		drawXLabels(c, plot, p.XLabels, p.Styles.Label)
	}
	if !drawLines(c, plot, p.Lines, p.Y) && p.Empty != "" {
		drawEmpty(c, plot, p.Empty, p.Styles.Label)
	}
}

func drawEmpty(c *canvas.Canvas, plot canvas.Rect, text string, s canvas.Style) {
	lines := canvas.Wrap(text, plot.W-2, 0)
	if len(lines) > plot.H {
		lines = lines[:plot.H]
	}
	for i, l := range lines {
		x := plot.X + max((plot.W-canvas.Width(l))/2, 0)
		c.TextMax(x, plot.Y+(plot.H-len(lines))/2+i, plot.X+plot.W-x, s, l)
	}
}

// drawYAxis draws the labels left of plot, the unit in the top row.
func drawYAxis(c *canvas.Canvas, plot canvas.Rect, gutter int, y Range, unit string, st Styles) {
	x := plot.X - 1
	for row := range plot.H {
		c.Set(x, plot.Y+row, st.Axis, '│')
	}
	taken := plot.H
	for _, t := range y.Ticks() {
		row := plot.H - 1 - y.Row(t, plot.H)
		if row >= taken { // never two labels in a row
			continue
		}
		if row == 0 && unit != "" && plot.H > 3 {
			continue // the unit's row
		}
		taken = row
		c.Set(x, plot.Y+row, st.Axis, '┤')
		c.Right(x, plot.Y+row, st.Label, y.Label(t))
	}
	if unit != "" && plot.H > 3 {
		c.Right(x, plot.Y, st.Label, unit)
	}
}

func drawXLabels(c *canvas.Canvas, plot canvas.Rect, labels []string, s canvas.Style) {
	y := plot.Y + plot.H
	end := plot.X
	for i, l := range labels {
		w := canvas.Width(l)
		x := plot.X
		if n := len(labels) - 1; n > 0 {
			x = plot.X + (plot.W*i)/n - w*i/n
		}
		if x < end || x+w > plot.X+plot.W {
			continue
		}
		c.Text(x, y, s, l)
		end = x + w + 2
	}
}

// drawLines draws the lines into plot and tells whether there was anything.
func drawLines(c *canvas.Canvas, plot canvas.Rect, lines []Line, y Range) bool {
	data := make([][]float64, 0, len(lines))
	index := make([]int, 0, len(lines))
	for i, l := range lines {
		if s := scaled(l.Values, plot.W, plot.H, y); s != nil && !l.Apart {
			data = append(data, s)
			index = append(index, i)
		}
	}
	if len(data) == 0 {
		return false
	}
	for i := range index {
		drawBand(c, plot, lines[index[i]], data[i], y)
	}
	options := []asciigraph.Option{
		asciigraph.Height(plot.H - 1), asciigraph.LowerBound(0), asciigraph.UpperBound(float64(plot.H - 1)),
		asciigraph.YAxisValueFormatter(func(float64) string { return "" }),
	}
	if len(data) > 1 {
		colours := make([]asciigraph.AnsiColor, len(data))
		for i := range colours {
			colours[i] = asciigraph.AnsiColor(firstColour + i)
		}
		options = append(options, asciigraph.SeriesColors(colours...))
	}
	text := asciigraph.PlotMany(data, options...)
	copyGraph(c, plot, text, func(series, col int) (Look, bool) {
		return lines[index[series]].Look(col), !math.IsNaN(data[series][col])
	})
	for _, l := range lines {
		if l.Apart {
			drawApart(c, plot, l, data, y)
		}
	}
	return true
}

// drawApart draws a stroke for each value. asciigraph would begin a line in the column
// before, over what stands there. joined are the lines that are drawn already, in rows.
func drawApart(c *canvas.Canvas, plot canvas.Rect, l Line, joined [][]float64, y Range) {
	for x, v := range l.Values[:min(len(l.Values), plot.W)] {
		if math.IsNaN(v) {
			continue
		}
		row := y.Row(v, plot.H)
		if slices.ContainsFunc(joined, func(line []float64) bool { return math.Round(line[x]) == float64(row) }) {
			continue
		}
		k := l.Look(x)
		c.Set(plot.X+x, plot.Y+plot.H-1-row, k.Style, k.Shape.glyph('─'))
	}
}

// firstColour is the 256-colour number that stands for the first series in
// asciigraph's output; the numbers below are written in other forms.
const firstColour = 16

// graphOffset is the width of asciigraph's own axis with empty labels.
const graphOffset = 3

// scaled maps the values to rows, with one more at the end (asciigraph draws
// the steps between values); nil where there is nothing to draw.
func scaled(v []float64, cols, rows int, y Range) []float64 {
	if len(v) > cols {
		v = v[len(v)-cols:]
	}
	s := make([]float64, cols+1)
	any := false
	for i := range s {
		s[i] = math.NaN()
		if j := min(i, len(v)-1); j >= 0 && i <= len(v) && !math.IsNaN(v[j]) && !math.IsInf(v[j], 0) {
			s[i], any = y.scale(v[j], rows), true
		}
	}
	if !any {
		return nil
	}
	return s
}

func drawBand(c *canvas.Canvas, plot canvas.Rect, l Line, line []float64, y Range) {
	if l.Band == nil {
		return
	}
	for x := range plot.W {
		if x >= len(l.Low) || x >= len(l.High) || math.IsNaN(line[x]) {
			continue
		}
		// What the line itself passes on its way is no extreme.
		lo, hi := rowsAround(line, x)
		from, to := lo, hi
		if v := l.Low[x]; !math.IsNaN(v) {
			from = min(from, y.Row(v, plot.H))
		}
		if v := l.High[x]; !math.IsNaN(v) {
			to = max(to, y.Row(v, plot.H))
		}
		for row := from; row <= to; row++ {
			if row < lo || row > hi {
				c.Set(plot.X+x, plot.Y+plot.H-1-row, l.Band(x), '┊')
			}
		}
	}
}

// rowsAround returns the rows between which the line moves from the column
// before x to the one after.
func rowsAround(line []float64, x int) (lo, hi int) {
	lo = int(math.Round(line[x]))
	hi = lo
	for _, i := range []int{x - 1, x + 1} {
		if i >= 0 && i < len(line) && !math.IsNaN(line[i]) {
			r := int(math.Round(line[i]))
			lo, hi = min(lo, r), max(hi, r)
		}
	}
	return lo, hi
}

// copyGraph puts asciigraph's text onto the canvas without its axis, and without
// the caps that it sets in the column before a line begins.
func copyGraph(c *canvas.Canvas, plot canvas.Rect, text string, look func(series, col int) (Look, bool)) {
	y := 0
	for line := range strings.SplitSeq(text, "\n") {
		if y >= plot.H {
			return
		}
		series, col := 0, -graphOffset
		for i := 0; i < len(line); {
			if line[i] == '\x1b' {
				n, colour := sgr(line[i:])
				if colour >= firstColour {
					series = colour - firstColour
				}
				i += n
				continue
			}
			r, n := decode(line[i:])
			if col >= 0 && col < plot.W && r != ' ' {
				if k, there := look(series, col); there {
					c.Set(plot.X+col, plot.Y+y, k.Style, k.Shape.glyph(r))
				}
			}
			col++
			i += n
		}
		y++
	}
}
