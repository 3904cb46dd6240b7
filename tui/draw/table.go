package draw

import (
	"charm.land/lipgloss/v2"
	"charm.land/lipgloss/v2/table"

	"jouletop/tui/canvas"
	"jouletop/tui/theme"
)

// Column is a column of a table.
type Column struct {
	Title string
	Unit  string // under the title
	Width int    // negative: aligned left
}

func (c Column) width() int { return max(c.Width, -c.Width) }

// Table is rows of text under titles.
type Table struct {
	Columns []Column
	Rows    [][]string
	// Style is a cell's style; nil is the terminal's own for all.
	Style func(row, col int) canvas.Style
	// Plain leaves the titles out.
	Plain bool
}

// Draw draws the table into r of c: a row of titles, one of units where there are
// any, and as many rows as there is room for. A column that leaves r is cut there.
func (t *Table) Draw(c *canvas.Canvas, r canvas.Rect) {
	head := 0
	titles, units := make([]string, len(t.Columns)), make([]string, len(t.Columns))
	for i, col := range t.Columns {
		titles[i], units[i] = col.Title, col.Unit
		if col.Unit != "" {
			head = 1
		}
	}
	rows := make([][]string, 0, len(t.Rows)+1)
	if head > 0 {
		rows = append(rows, units)
	}
	room := r.H - 1 - head
	if t.Plain {
		room = r.H
	}
	for _, row := range t.Rows[:min(len(t.Rows), max(room, 0))] {
		clean := make([]string, len(row))
		for i, text := range row {
			clean[i] = canvas.Clean(text)
		}
		rows = append(rows, clean)
	}
	out := table.New().Rows(rows...).Wrap(false).
		BorderTop(false).BorderBottom(false).BorderLeft(false).BorderRight(false).BorderColumn(false).BorderHeader(false).
		StyleFunc(func(row, col int) lipgloss.Style {
			s := theme.Default
			switch {
			case row == table.HeaderRow:
				s = theme.Muted
			case row < head:
				s = theme.Faint
			case t.Style != nil:
				s = t.Style(row-head, col)
			}
			k := t.Columns[col]
			align := lipgloss.Right
			if k.Width < 0 {
				align = lipgloss.Left
			}
			return c.Style(s).Width(k.width() + 1).PaddingRight(1).Align(align)
		})
	if !t.Plain {
		out.Headers(titles...)
	}
	c.Print(r, out.String())
}

// Width is the columns that the table needs.
func (t *Table) Width() int {
	w := 0
	for _, c := range t.Columns {
		w += c.width() + 1
	}
	return max(w-1, 0)
}
