package grid

import (
	"jouletop/tui/canvas"
	"jouletop/tui/draw"
	"jouletop/tui/theme"
)

// Look is how a grid is drawn.
type Look[T any] struct {
	Title, Note string               // of its heading
	Empty       string               // in place of no rows
	Style       func(T) canvas.Style // of a row; nil: the terminal's own
}

// key stands for all that a drawn grid shows.
type key struct {
	version, stamp     uint64
	first, column, len int
	title, note        string
}

// Draw draws the grid into r of the frame, as the part of that name. Rows and titles can
// be clicked.
func (g *Grid[T]) Draw(f *draw.Frame, name string, r canvas.Rect, look Look[T]) {
	if r.W <= 0 || r.H <= 0 {
		return
	}
	head := draw.HeadRows(g.Columns)
	if high := max(r.H-1-head, 1); high != g.height {
		g.height = high
		g.stamp++
	}
	if g.held {
		g.clamp()
	}
	g.scrollTo(r.W - 1)
	k := key{g.rows.Version, g.stamp, g.first, g.column, g.rows.Len, look.Title, look.Note}
	f.Place(name, r, k, func(c *canvas.Canvas) {
		y := g.heading(c, look)
		if g.count() == 0 {
			c.TextMax(1, y, c.W-2, theme.Muted, g.nothing(look))
			return
		}
		t := g.table(look)
		if at := g.position(); at-g.first+y+head < c.H {
			c.Fill(canvas.Rect{Y: at - g.first + y + head, W: c.W, H: 1}, theme.Select, ' ')
		}
		t.Draw(c, canvas.Rect{X: 1, Y: y, W: c.W - 1, H: c.H - y})
		g.places = t.Drawn
	})
	for i := range min(g.height, g.count()-g.first) {
		f.Hit(canvas.Rect{X: r.X, Y: r.Y + 1 + head + i, W: r.W, H: 1}, func() { g.choose(g.first + i) })
	}
	for _, at := range g.places {
		f.Hit(canvas.Rect{X: r.X + 1 + at.X, Y: r.Y + 1, W: at.W, H: 1}, func() {
			g.toColumn(at.Column)
			g.SortBy(at.Column)
		})
	}
}

// nothing says why there is no row.
func (g *Grid[T]) nothing(look Look[T]) string {
	if g.rows.Len > 0 {
		return "no row has " + g.filter + " in it"
	}
	return look.Empty
}

// heading draws the title, and what is listed how.
func (g *Grid[T]) heading(c *canvas.Canvas, look Look[T]) int {
	title, note := look.Title, look.Note
	if n := g.count(); g.rows.Len > 0 {
		at := draw.Int(min(g.position()+1, n)) + " of " + draw.Int(n)
		if n < g.rows.Len {
			at += " (" + draw.Int(g.rows.Len) + " in all)"
		}
		if note != "" && canvas.Width(title)+canvas.Width(at)+canvas.Width(note)+12 < c.W {
			at += " · " + note
		}
		note = at
	}
	if g.typing == nil {
		if g.filter != "" {
			title += " with “" + g.filter + "”"
		}
		return draw.Heading(c, 0, title, note)
	}
	draw.Heading(c, 0, title, note)
	x := canvas.Width(title) + 4
	x = c.Text(x, 0, theme.Accent, "/")
	x = c.TextMax(x, 0, max(c.W/2, 8), theme.Input, g.filter)
	c.Text(x, 0, theme.Caret, " ")
	return 1
}

// table is the part of the rows that is shown.
func (g *Grid[T]) table(look Look[T]) *draw.Table[T] {
	columns := make([]draw.Column[T], len(g.Columns))
	copy(columns, g.Columns)
	if g.sorted != 0 {
		by, down := g.sortedBy()
		mark := "▴"
		if down {
			mark = "▾"
		}
		columns[by].Title += mark
	}
	t := &draw.Table[T]{Columns: columns, Rows: g.count(), First: g.first, Scroll: true, Left: g.left, At: func(at int) T { return g.rows.At(g.number(at)) }}
	chosen := g.position()
	t.Style = func(at, _ int) canvas.Style {
		switch {
		case at == chosen:
			return theme.Select
		case look.Style != nil:
			return look.Style(g.rows.At(g.number(at)))
		}
		return theme.Default
	}
	t.Head = func(col int) canvas.Style {
		if col == g.column {
			return theme.Accent
		}
		return theme.Muted
	}
	return t
}

// scrollTo scrolls so that the chosen column is shown in w.
func (g *Grid[T]) scrollTo(w int) {
	t := draw.Table[T]{Columns: g.Columns, Scroll: true}
	g.left = max(g.left, 1)
	if g.column > 0 {
		g.left = min(g.left, g.column)
	} else {
		g.left = 1
	}
	for t.Left = g.left; g.column > 0 && t.Left < g.column && !t.Shows(g.column, w); t.Left++ {
	}
	g.left = t.Left
}
