package chart_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"charm.land/lipgloss/v2"
	"github.com/charmbracelet/colorprofile"
	"github.com/charmbracelet/x/ansi"

	"jouletop/tui/canvas"
	"jouletop/tui/chart"
)

// numbered is a palette that tells styles apart by their numbers.
var numbered = func() canvas.Palette {
	var styles []lipgloss.Style
	for i := range 10 {
		styles = append(styles, lipgloss.NewStyle().Foreground(ansi.IndexedColor(100+i)))
	}
	return canvas.NewPalette(styles, colorprofile.TrueColor)
}()

func look(s canvas.Style) func(int) chart.Look {
	return func(int) chart.Look { return chart.Look{Style: s} }
}

func flat(n int, v float64) []float64 {
	out := make([]float64, n)
	for i := range out {
		out[i] = v
	}
	return out
}

// draw draws a profile on a canvas of w × h with a frame of x around its
// rectangle, and fails where a picture leaves it.
func draw(t *testing.T, p chart.Profile, w, h int) string {
	t.Helper()
	c := canvas.New(w+2, h+2, numbered)
	c.Fill(canvas.Rect{W: w + 2, H: h + 2}, 0, 'x')
	c.Fill(canvas.Rect{X: 1, Y: 1, W: w, H: h}, 0, ' ')
	p.Draw(c, canvas.Rect{X: 1, Y: 1, W: w, H: h})
	lines := strings.Split(strings.TrimSuffix(c.Plain(), "\n"), "\n")
	frame := strings.Repeat("x", w+2)
	if lines[0] != frame || lines[h+1] != frame {
		t.Errorf("%d×%d: drawn above or below the rectangle:\n%s", w, h, c.Plain())
	}
	for _, l := range lines[1 : h+1] {
		if !strings.HasPrefix(l, "x") || !strings.HasSuffix(l, "x") || canvas.Width(l) != w+2 {
			t.Errorf("%d×%d: drawn beside the rectangle: %q", w, h, l)
		}
	}
	return c.Plain()
}

// The hazards of asciigraph, each of which panics or misdraws when met bare.
func TestHazards(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	y := chart.Range{Min: 0, Max: 100, Step: 50}
	for _, tt := range []struct {
		name   string
		lines  []chart.Line
		y      chart.Range
		want   string // in the picture
		absent string
	}{
		{"no lines", nil, y, "nothing", "9223372036854775808"},
		{"an empty line", []chart.Line{{Values: nil, Look: look(0)}}, y, "nothing", "9223372036854775808"},
		{"all unknown", []chart.Line{{Values: flat(30, nan), Look: look(0)}}, y, "nothing", "9223372036854775808"},
		{"infinite", []chart.Line{{Values: flat(30, inf), Look: look(0)}}, y, "nothing", "Inf"},
		{"flat", []chart.Line{{Values: flat(30, 50), Look: look(0)}}, y, "100", "nothing"},
		{"flat at zero", []chart.Line{{Values: flat(30, 0), Look: look(0)}}, y, "────────", "nothing"},
		{"one value", []chart.Line{{Values: []float64{10}, Look: look(0)}}, y, "╴", "nothing"},
		{"beyond the range", []chart.Line{{Values: []float64{-500, 5000, -500, 5000}, Look: look(0)}}, y, "│", "nothing"},
		{"more values than columns", []chart.Line{{Values: flat(500, 50), Look: look(0)}}, y, "─", "nothing"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, size := range [][2]int{{40, 8}, {60, 9}, {12, 3}, {5, 2}, {1, 1}, {0, 0}} {
				p := chart.Profile{Lines: tt.lines, Y: tt.y, Empty: "nothing", XLabels: []string{"a", "b"}}
				got := draw(t, p, size[0], size[1])
				if size[0] < 40 {
					continue
				}
				if !strings.Contains(got, tt.want) || strings.Contains(got, tt.absent) {
					t.Errorf("want %q and not %q in\n%s", tt.want, tt.absent, got)
				}
			}
		})
	}
}

// Every row stands for its value, exactly: a value on a tick is drawn in the
// tick's row.
func TestRowsStandForTheirValues(t *testing.T) {
	for rows := 3; rows < 30; rows++ {
		y := chart.Range{Min: 200, Max: 2000, Step: 300}
		for _, tick := range y.Ticks() {
			c := canvas.New(40, rows, numbered)
			p := chart.Profile{Y: y, Lines: []chart.Line{{Values: flat(30, tick), Look: look(7)}}}
			r := canvas.Rect{W: 40, H: rows}
			p.Draw(c, r)
			plot := p.PlotRect(r)
			want := plot.Y + plot.H - 1 - y.Row(tick, plot.H)
			if cell := c.At(plot.X+10, want); cell.Content != "─" || cell.Style != numbered.Cell(7) {
				t.Fatalf("%d rows, %v: not in row %d:\n%s", rows, tick, want, c.Plain())
			}
		}
	}
}

// A column's extremes reach their rows: a peak of one sample is not lost.
func TestExtremesAreDrawn(t *testing.T) {
	const w, h = 60, 12
	n := 50
	l := chart.Line{Values: flat(n, 1500), Low: flat(n, 1500), High: flat(n, 1500), Look: look(1), Band: func(int) canvas.Style { return 2 }}
	l.High[20], l.Low[30] = 1900, 300
	y := chart.Range{Min: 0, Max: 2000, Step: 500}
	c := canvas.New(w, h, numbered)
	p := chart.Profile{Y: y, Lines: []chart.Line{l}, Gutter: 5}
	r := canvas.Rect{W: w, H: h}
	p.Draw(c, r)
	plot := p.PlotRect(r)
	for _, at := range []struct {
		col int
		v   float64
	}{{20, 1900}, {30, 300}} {
		if cell := c.At(plot.X+at.col, plot.Y+plot.H-1-y.Row(at.v, plot.H)); cell.Content != "┊" || cell.Style != numbered.Cell(2) {
			t.Errorf("%v in column %d is not drawn:\n%s", at.v, at.col, c.Plain())
		}
	}
	if cell := c.At(plot.X+25, plot.Y); cell.Content != " " {
		t.Errorf("a stroke where there is no peak:\n%s", c.Plain())
	}
}

// Gaps stay gaps, and lines keep to their own style and shape.
func TestGapsAndLooks(t *testing.T) {
	v := flat(40, 50)
	for i := 10; i < 20; i++ {
		v[i] = math.NaN()
	}
	c := canvas.New(50, 6, numbered)
	p := chart.Profile{Y: chart.Range{Min: 0, Max: 100, Step: 50}, Lines: []chart.Line{
		{Values: v, Look: func(col int) chart.Look {
			if col < 20 {
				return chart.Look{Style: 3, Shape: chart.Heavy}
			}
			return chart.Look{Style: 4, Shape: chart.Double}
		}},
		{Values: flat(40, 0), Look: look(5)},
	}, Gutter: 4}
	r := canvas.Rect{W: 50, H: 6}
	p.Draw(c, r)
	plot := p.PlotRect(r)
	row := plot.Y + plot.H - 1 - p.Y.Row(50, plot.H)
	for col := range 40 {
		cell := c.At(plot.X+col, row)
		switch {
		case col > 10 && col < 19:
			if cell.Content != " " {
				t.Fatalf("column %d of the gap holds %q:\n%s", col, cell.Content, c.Plain())
			}
		case col < 9:
			if cell.Content != "━" || cell.Style != numbered.Cell(3) {
				t.Fatalf("column %d: %q in style %v", col, cell.Content, cell.Style)
			}
		case col > 20:
			if cell.Content != "═" || cell.Style != numbered.Cell(4) {
				t.Fatalf("column %d: %q in style %v", col, cell.Content, cell.Style)
			}
		}
		if bottom := c.At(plot.X+col, plot.Y+plot.H-1); bottom.Style != numbered.Cell(5) {
			t.Fatalf("column %d of the second line has style %v", col, bottom.Style)
		}
	}
}

// Points of a curve stand at their own x, evenly spaced or not, and between them
// the line runs straight.
func TestCurvePlacesXByValue(t *testing.T) {
	p := chart.XY{
		X: chart.Range{Min: 0, Max: 1000, Step: 250}, Y: chart.Range{Min: 0, Max: 10, Step: 5}, XUnit: "MHz", YUnit: "J",
		Curves: []chart.Curve{{Name: "m", X: []float64{1000, 100, 0}, Y: []float64{10, 0, 0}, Look: chart.Look{Style: 1}, Marker: '●'}},
		Marks:  []chart.Mark{{X: 500, Label: "cliff", Style: 2, Line: '┆'}, {X: 510, Label: "now 510", Style: 3, Line: '│'}},
	}
	c := canvas.New(70, 16, numbered)
	r := canvas.Rect{W: 70, H: 16}
	p.Draw(c, r)
	plot := p.PlotRect(r)
	for i, x := range p.Curves[0].X {
		y := plot.Y + plot.H - 1 - p.Y.Row(p.Curves[0].Y[i], plot.H)
		if cell := c.At(p.Column(x, plot), y); cell.Content != "●" {
			t.Errorf("no marker at %v:\n%s", x, c.Plain())
		}
	}
	// Half-way between 100 and 1000 the line is at half the height.
	mid := p.Column(540, plot)
	found := -1
	for y := range plot.H {
		if c.At(mid, plot.Y+y).Style == numbered.Cell(1) {
			found = plot.H - 1 - y
		}
	}
	if want := p.Y.Row(4.9, plot.H); found < want-1 || found > want+1 {
		t.Errorf("at 540 the line is in row %d, want about %d:\n%s", found, want, c.Plain())
	}
	got := c.Plain()
	for _, want := range []string{"cliff", "now 510", "┆", "250", "MHz", "J"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
}

// Whatever is asked, nothing panics and nothing is drawn outside.
func TestAnyPictureKeepsToItsRectangle(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 5))
	odd := []float64{math.NaN(), math.Inf(1), math.Inf(-1), 0, -1, 1e300, -1e300, 5e-324, 1e-9}
	value := func() float64 {
		if r.IntN(3) == 0 {
			return odd[r.IntN(len(odd))]
		}
		return r.Float64() * 2000
	}
	values := func() []float64 {
		v := make([]float64, r.IntN(80))
		for i := range v {
			v[i] = value()
		}
		return v
	}
	for range 1000 {
		w, h := r.IntN(90), r.IntN(25)
		y := chart.Nice(value(), value(), r.IntN(8))
		p := chart.Profile{Y: y, Unit: "W", XLabels: []string{"-10 s", "now"}, Empty: "nothing here yet"}
		for range r.IntN(4) {
			p.Lines = append(p.Lines, chart.Line{Values: values(), Low: values(), High: values(), Look: look(1), Band: func(int) canvas.Style { return 1 }})
		}
		draw(t, p, w, h)
		c := canvas.New(w, h, numbered)
		q := chart.XY{X: chart.Nice(value(), value(), 4), Y: y, XUnit: "MHz", YUnit: "J/token", Empty: "no points",
			Marks: []chart.Mark{{X: value(), Label: "cliff"}, {X: value(), Label: "EDP optimum 960"}}}
		for range r.IntN(4) {
			q.Curves = append(q.Curves, chart.Curve{X: values(), Y: values(), Marker: '●'})
		}
		q.Draw(c, canvas.Rect{W: w, H: h})
	}
}

func TestNice(t *testing.T) {
	for _, tt := range []struct {
		lo, hi float64
		n      int
		want   chart.Range
	}{
		{345, 1980, 4, chart.Range{Min: 0, Max: 2000, Step: 500}},
		{0, 714, 7, chart.Range{Min: 0, Max: 800, Step: 200}},
		{0.4, 0.9, 5, chart.Range{Min: 0.4, Max: 0.9, Step: 0.1}},
		{5, 5, 4, chart.Range{Min: 4.5, Max: 5.5, Step: 0.25}},
		{0, 0, 2, chart.Range{Min: -1, Max: 1, Step: 1}},
		{math.NaN(), 4, 2, chart.Range{Min: 0, Max: 1, Step: 1}},
	} {
		got := chart.Nice(tt.lo, tt.hi, tt.n)
		if fmt.Sprintf("%.6g", got) != fmt.Sprintf("%.6g", tt.want) {
			t.Errorf("Nice(%v, %v, %d) = %.6g, want %.6g", tt.lo, tt.hi, tt.n, got, tt.want)
		}
	}
	if got := (chart.Range{Min: 0, Max: 1, Step: 0.25}).Label(0.5); got != "0.50" {
		t.Errorf("label %q", got)
	}
}

// Values that stand alone take nothing from beside them and hide no line at their height.
func TestValuesThatStandAlone(t *testing.T) {
	nan := math.NaN()
	alone := []float64{nan, nan, 5, nan, 9, 9}
	draw := func(lines ...chart.Line) string {
		var c canvas.Canvas
		c.Reset(10, 6, numbered)
		p := chart.Profile{Y: chart.Range{Min: 0, Max: 10}, Gutter: 3, Lines: lines}
		p.Draw(&c, canvas.Rect{W: 10, H: 6})
		return c.Plain()
	}
	light := func(int) chart.Look { return chart.Look{} }
	heavy := func(int) chart.Look { return chart.Look{Shape: chart.Heavy} }
	got := draw(chart.Line{Values: flat(6, 5), Look: light}, chart.Line{Values: alone, Look: heavy, Apart: true})
	if !strings.Contains(got, "│──────") || strings.Count(got, "━") != 2 || !strings.Contains(got, "│    ━━") {
		t.Errorf("got\n%s", got)
	}
}
