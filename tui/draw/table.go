package draw

import (
	"charm.land/lipgloss/v2"
	"charm.land/lipgloss/v2/table"
	"github.com/charmbracelet/x/ansi"

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

// Draw draws the table into r of c and returns the row after it. A column that leaves
// r is cut there.
func (t *Table[T]) Draw(c *canvas.Canvas, r canvas.Rect) int {
	text := t.Render(c, r.W, r.H)
	c.Print(r, text)
	return r.Y + lipgloss.Height(text)
}

// Render returns the table in the styles of c: a row of titles, one of units where
// there are any, and as many values as there is room for. What finds no room in its
// column ends in "…".
func (t *Table[T]) Render(c *canvas.Canvas, w, h int) string {
	cols := t.shown(w)
	head := make([]string, len(cols))
	units, any := make([]string, len(cols)), 0
	for i, col := range cols {
		head[i], units[i] = t.Columns[col].Title, t.Columns[col].Unit
		if units[i] != "" {
			any = 1
		}
	}
	rows := make([][]string, 0, max(h, 0))
	room := h - 1
	if t.Bare {
		any, room = 0, h
	}
	if any > 0 {
		rows = append(rows, units)
	}
	for row := t.First; row < t.Rows && len(rows) < room; row++ {
		cells := make([]string, len(cols))
		for i, col := range cols {
			cells[i] = canvas.Clean(t.Columns[col].Text(t.At(row)))
		}
		rows = append(rows, cells)
	}
	widths := t.widths(cols, head, rows, w)
	for _, row := range append(rows, head) {
		for i := range row {
			row[i] = ansi.Truncate(row[i], widths[i], "…")
		}
	}
	looks := map[[2]int]lipgloss.Style{} // by style and column: the same for many cells
	out := table.New().Rows(rows...).Wrap(false).
		BorderTop(false).BorderBottom(false).BorderLeft(false).BorderRight(false).BorderColumn(false).BorderHeader(false).
		StyleFunc(func(row, i int) lipgloss.Style {
			col := cols[i]
			s := theme.Default
			switch {
			case row == table.HeaderRow && t.Head != nil:
				s = t.Head(col)
			case row == table.HeaderRow:
				s = theme.Muted
			case row < any:
				s = theme.Faint
			case t.Style != nil:
				s = t.Style(t.First+row-any, col)
			}
			look, ok := looks[[2]int{int(s), i}]
			if ok {
				return look
			}
			align := lipgloss.Right
			if t.Columns[col].Width < 0 {
				align = lipgloss.Left
			}
			look = c.Style(s).Width(widths[i]).Align(align)
			if i < len(cols)-1 {
				look = look.Width(widths[i] + 1).PaddingRight(1)
			}
			looks[[2]int{int(s), i}] = look
			return look
		})
	if !t.Bare {
		out.Headers(head...)
	}
	return out.String()
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
