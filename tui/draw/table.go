package draw

import (
	"slices"
	"strings"

	"jouletop/tui/canvas"
	"jouletop/tui/theme"
)

// Column is a column of a table of values of T.
type Column[T any] struct {
	Title string
	Unit  string // under the title
	Width int    // the least; negative: aligned left
	// Rank tells which columns are left out where there is no room for all: those
	// of the highest rank first, those of rank 0 never.
	Rank int
	Grow bool // as wide as its text needs, where there is room
	Text func(T) string
	// Num is what a row is sorted by in place of Text; NaN for unknown.
	Num func(T) float64
}

// Named is the title with its unit.
func (c Column[T]) Named() string {
	if c.Unit == "" {
		return c.Title
	}
	return c.Title + " " + c.Unit
}

func (c Column[T]) width() int { return max(c.Width, -c.Width) }

// Table is a table of values, a row each, under titles.
type Table[T any] struct {
	Columns []Column[T]
	Rows    int
	At      func(row int) T
	First   int // row shown first
	// Style is a cell's style; nil is the terminal's own for all.
	Style func(row, col int) canvas.Style
	// Head is a title's style; nil is muted for all.
	Head func(col int) canvas.Style
	Bare bool // without titles
	// Scroll: of the columns the first is shown, and those from Left on that find room,
	// whatever their ranks.
	Scroll bool
	Left   int

	Drawn []Place // of the columns, once it is rendered
}

// HeadRows are the rows above the first value: the titles, and the units where
// there are any.
func HeadRows[T any](columns []Column[T]) int {
	for _, c := range columns {
		if c.Unit != "" {
			return 2
		}
	}
	return 1
}

// shown are the numbers of the columns that find room in w.
func (t *Table[T]) shown(w int) []int {
	if t.Scroll {
		return t.scrolled(w)
	}
	rank := 0
	for _, c := range t.Columns {
		rank = max(rank, c.Rank)
	}
	for ; ; rank-- {
		var cols []int
		need := -1
		for i, c := range t.Columns {
			if c.Rank <= rank {
				cols = append(cols, i)
				need += c.width() + 1
			}
		}
		if need <= w || rank == 0 {
			return cols
		}
	}
}

// scrolled are the first column, and those from Left on that find room in w.
func (t *Table[T]) scrolled(w int) []int {
	var cols []int
	need := -1
	for i, c := range t.Columns {
		if i > 0 && i < t.Left {
			continue
		}
		if need += c.width() + 1; need > w && len(cols) > 0 {
			break
		}
		cols = append(cols, i)
	}
	return cols
}

// Shows tells whether a column finds room in w.
func (t *Table[T]) Shows(col, w int) bool { return slices.Contains(t.shown(w), col) }

// Place is where a column stands.
type Place struct{ Column, X, W int }

// Draw draws the table into r of c and returns the row after it: a row of titles, one of
// units where there are any, and as many values as there is room for. A column that
// leaves r is cut there; what finds no room in its column ends in "…". The cells are
// put straight onto c, which is a Lip Gloss canvas: rendered to text and read back, a
// table would cost a hundred times as much.
func (t *Table[T]) Draw(c *canvas.Canvas, r canvas.Rect) int {
	cols := t.shown(r.W)
	head, units := make([]string, len(cols)), make([]string, len(cols))
	above := 0
	if !t.Bare {
		above = 1
		for i, col := range cols {
			head[i], units[i] = t.Columns[col].Title, t.Columns[col].Unit
			if units[i] != "" {
				above = 2
			}
		}
	}
	var rows [][]string
	for row := t.First; row < t.Rows && len(rows) < r.H-above; row++ {
		cells := make([]string, len(cols))
		for i, col := range cols {
			cells[i] = t.Columns[col].Text(t.At(row))
		}
		rows = append(rows, cells)
	}
	widths := t.widths(cols, head, rows, r.W)
	t.Drawn = t.Drawn[:0]
	for i, x := 0, 0; i < len(cols); i++ {
		t.Drawn = append(t.Drawn, Place{cols[i], x, widths[i]})
		x += widths[i] + 1
	}
	y := r.Y
	line := func(texts []string, style func(col int) canvas.Style) {
		if y >= r.Y+r.H {
			return
		}
		for i, at := range t.Drawn {
			w := min(at.W, r.W-at.X)
			x := r.X + at.X
			if need := canvas.Width(texts[i]); t.Columns[at.Column].Width >= 0 && need < w {
				x, w = x+w-need, need
			}
			c.TextMax(x, y, w, style(at.Column), texts[i])
		}
		y++
	}
	if !t.Bare {
		line(head, t.head)
	}
	if above > 1 {
		line(units, func(int) canvas.Style { return theme.Faint })
	}
	for i, cells := range rows {
		line(cells, func(col int) canvas.Style {
			if t.Style == nil {
				return theme.Default
			}
			return t.Style(t.First+i, col)
		})
	}
	return y
}

// head is the style of a title.
func (t *Table[T]) head(col int) canvas.Style {
	if t.Head == nil {
		return theme.Muted
	}
	return t.Head(col)
}

// Render returns the table as text of w columns and at most h rows in the styles of c,
// for what Lip Gloss lays out.
func (t *Table[T]) Render(c *canvas.Canvas, w, h int) string {
	to := canvas.New(w, h, c.Palette())
	rows := t.Draw(to, canvas.Rect{W: w, H: h})
	lines := strings.Split(to.Render(), "\n")
	return strings.Join(lines[:min(rows, len(lines))], "\n")
}

// widths are the widths of columns, those that may grow as wide as their text as
// far as w has room for it.
func (t *Table[T]) widths(cols []int, head []string, rows [][]string, w int) []int {
	widths, spare := make([]int, len(cols)), w-len(cols)+1
	for i, col := range cols {
		widths[i] = t.Columns[col].width()
		spare -= widths[i]
	}
	for i, col := range cols {
		if !t.Columns[col].Grow {
			continue
		}
		need := canvas.Width(head[i])
		for _, row := range rows {
			need = max(need, canvas.Width(row[i]))
		}
		if by := min(need-widths[i], spare); by > 0 {
			widths[i] += by
			spare -= by
		}
	}
	return widths
}
