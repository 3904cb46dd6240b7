// Package canvas draws text and signs into cells, and is a screen that Lip Gloss's layers
// and what it renders are drawn on too. Text is clipped at the edges and control characters
// are replaced, so nothing drawn can break a neighbour. What is drawn names a style by its
// number; the palette says what that looks like.
//
// Why not the cells of a [lipgloss.Canvas]: each takes 120 bytes, and a frame clears, draws
// and compares 12,000 of them several times a second, out of memory that no cache holds.
// Cells of 32 bytes made the whole dashboard an eighth cheaper (make bench-tui).
package canvas

import (
	"image"
	"slices"
	"strings"
	"unicode/utf8"
	"unique"

	"charm.land/lipgloss/v2"
	uv "github.com/charmbracelet/ultraviolet"
	"github.com/charmbracelet/x/ansi"
)

// Rect is a rectangle of cells.
type Rect struct{ X, Y, W, H int }

// Contains tells whether the cell x, y lies in r.
func (r Rect) Contains(x, y int) bool {
	return x >= r.X && x < r.X+r.W && y >= r.Y && y < r.Y+r.H
}

// Overlaps tells whether r and o have a cell in common.
func (r Rect) Overlaps(o Rect) bool {
	return r.X < o.X+o.W && o.X < r.X+r.W && r.Y < o.Y+o.H && o.Y < r.Y+r.H
}

// Inset returns r without dx columns left and right and dy rows above and below.
func (r Rect) Inset(dx, dy int) Rect {
	return Rect{r.X + dx, r.Y + dy, max(r.W-2*dx, 0), max(r.H-2*dy, 0)}
}

// Canvas is a grid of cells to draw in. It is a [uv.Screen].
type Canvas struct {
	W, H    int
	cells   []cell // row by row
	palette Palette
}

// cell is a sign of a canvas. The cells that a wide one covers have no width and no text.
type cell struct {
	text  string
	look  look
	width int
}

// look is a style as it is seen; equal ones are the same.
type look = unique.Handle[uv.Style]

var (
	plain = unique.Make(uv.Style{})
	blank = cell{" ", plain, 1}
)

// full is the cell as Lip Gloss knows it.
func (c *cell) full() uv.Cell { return uv.Cell{Content: c.text, Style: c.look.Value(), Width: c.width} }

// New returns a blank canvas.
func New(w, h int, p Palette) *Canvas {
	c := &Canvas{}
	c.Reset(w, h, p)
	return c
}

// Reset makes the canvas w × h and blank, to draw in the styles of p.
func (c *Canvas) Reset(w, h int, p Palette) {
	c.W, c.H, c.palette = max(w, 0), max(h, 0), p
	c.cells = slices.Grow(c.cells[:0], c.W*c.H)[:c.W*c.H]
	for i := range c.cells {
		c.cells[i] = blank
	}
}

// cell returns a cell, nil outside the canvas.
func (c *Canvas) cell(x, y int) *cell {
	if x < 0 || y < 0 || x >= c.W || y >= c.H {
		return nil
	}
	return &c.cells[y*c.W+x]
}

// At returns a cell, a blank one outside the canvas.
func (c *Canvas) At(x, y int) uv.Cell {
	if cell := c.cell(x, y); cell != nil {
		return cell.full()
	}
	return uv.EmptyCell
}

// CellAt implements [uv.Screen]: it returns a copy of a cell.
func (c *Canvas) CellAt(x, y int) *uv.Cell {
	cell := c.cell(x, y)
	if cell == nil {
		return nil
	}
	full := cell.full()
	return &full
}

// SetCell implements [uv.Screen].
func (c *Canvas) SetCell(x, y int, u *uv.Cell) {
	if u == nil {
		c.put(x, y, blank)
		return
	}
	c.put(x, y, cell{u.Content, unique.Make(u.Style), u.Width})
}

// Bounds implements [uv.Screen].
func (c *Canvas) Bounds() uv.Rectangle { return image.Rect(0, 0, c.W, c.H) }

// WidthMethod implements [uv.Screen].
func (c *Canvas) WidthMethod() uv.WidthMethod { return ansi.GraphemeWidth }

// Compose draws a layer of Lip Gloss's, or anything else that can be drawn.
func (c *Canvas) Compose(d uv.Drawable) { d.Draw(c, c.Bounds()) }

// Render returns the picture as styled text.
func (c *Canvas) Render() string {
	to := lipgloss.NewCanvas(c.W, c.H)
	for y := range c.H {
		for x := range c.W {
			if cell := c.At(x, y); cell.Width > 0 {
				to.SetCell(x, y, &cell)
			}
		}
	}
	return to.Render()
}

// Palette is what it is drawn in.
func (c *Canvas) Palette() Palette { return c.palette }

// Style is a style of the canvas's palette, for what Lip Gloss renders.
func (c *Canvas) Style(s Style) lipgloss.Style { return c.palette.style(s) }

// signs are the strings of what is drawn most, so that they need not be made.
var signs = func() (s [0x2900]string) {
	for r := range s {
		if r >= ' ' && r < 0x7f || r >= 0x2500 {
			s[r] = string(rune(r))
		}
	}
	return s
}()

func sign(r rune) string {
	if r >= 0 && int(r) < len(signs) && signs[r] != "" {
		return signs[r]
	}
	return string(r)
}

// Set puts a rune of width 1 at x, y; nothing outside the canvas.
func (c *Canvas) Set(x, y int, s Style, r rune) {
	c.put(x, y, cell{sign(r), c.palette.look(s), 1})
}

// put writes a cell; what is left of a wide character that it cuts becomes blank, and so
// does a wide one that the right edge cuts.
func (c *Canvas) put(x, y int, new cell) {
	was := c.cell(x, y)
	if was == nil {
		return
	}
	if was.width != 1 {
		c.cut(x, y)
	}
	if *was = new; new.width <= 1 {
		return
	}
	for i := range min(new.width, c.W-x) {
		switch {
		case x+new.width > c.W:
			*c.cell(x+i, y) = cell{" ", new.look, 1}
		case i > 0:
			*c.cell(x+i, y) = cell{look: plain}
		}
	}
}

// cut makes the wide character that has a part at x, y blank.
func (c *Canvas) cut(x, y int) {
	head := x
	for head > 0 && c.cell(head, y).width == 0 {
		head--
	}
	whole := *c.cell(head, y)
	if head+whole.width <= x {
		return // nothing is left of it
	}
	for i := range min(whole.width, c.W-head) {
		*c.cell(head+i, y) = cell{" ", whole.look, 1}
	}
}

// Paint changes the style of the cells of r, keeping their text.
func (c *Canvas) Paint(r Rect, s Style) {
	look := c.palette.look(s)
	for y := r.Y; y < r.Y+r.H; y++ {
		for x := r.X; x < r.X+r.W; x++ {
			if cell := c.cell(x, y); cell != nil && cell.width > 0 {
				cell.look = look
			}
		}
	}
}

// Fill fills r with a rune of width 1.
func (c *Canvas) Fill(r Rect, s Style, ch rune) {
	for y := r.Y; y < r.Y+r.H; y++ {
		for x := r.X; x < r.X+r.W; x++ {
			c.Set(x, y, s, ch)
		}
	}
}

// Text writes one line at x, y, clipped at the right edge, and returns the
// column after it. Line breaks and tabs become spaces.
func (c *Canvas) Text(x, y int, s Style, text string) int {
	return c.text(x, y, c.W, s, text)
}

// TextMax is Text in at most w columns; what does not fit ends in "…".
func (c *Canvas) TextMax(x, y, w int, s Style, text string) int {
	if Width(text) > w {
		if w <= 0 {
			return x
		}
		x = c.text(x, y, x+w-1, s, text)
		return c.text(x, y, x+1, s, "…")
	}
	return c.text(x, y, x+w, s, text)
}

// Right writes text so that it ends before column x.
func (c *Canvas) Right(x, y int, s Style, text string) {
	c.Text(x-Width(text), y, s, text)
}

func (c *Canvas) text(x, y, end int, s Style, text string) int {
	end = min(end, c.W)
	if y < 0 || y >= c.H {
		return x
	}
	text = valid(text)
	for text != "" && x < end {
		if b := text[0]; b < utf8.RuneSelf && (len(text) == 1 || text[1] < utf8.RuneSelf) {
			text = text[1:]
			if b == '\r' && text != "" && text[0] == '\n' {
				continue
			}
			r := rune(b)
			if b < ' ' || b == 0x7f {
				if r = '·'; b == '\n' || b == '\t' || b == '\r' {
					r = ' '
				}
			}
			c.Set(x, y, s, r)
			x++
			continue
		}
		var cluster string
		var w int
		cluster, w, text = next(text)
		if w == 0 {
			continue
		}
		if x+w > end {
			return x
		}
		if x >= 0 {
			c.put(x, y, cell{cluster, c.palette.look(s), w})
		}
		x += w
	}
	return x
}

// Copy puts src onto c with its top left cell at x, y, clipped, and marks the cells of c
// that it changes; changed may be nil.
func (c *Canvas) Copy(x, y int, src *Canvas, changed *Marks) {
	for sy := range src.H {
		for sx := 0; sx < src.W; sx++ {
			from := src.cell(sx, sy)
			was := c.cell(x+sx, y+sy)
			if was != nil && was.width == 1 && from.width == 1 {
				if *was != *from {
					*was = *from
					if changed != nil {
						changed.Put(x+sx, y+sy, true)
					}
				}
				continue
			}
			if from.width > 1 && (x+sx < 0 || x+sx+from.width > c.W) { // cut by the edge
				for i := range from.width {
					c.put(x+sx+i, y+sy, cell{" ", from.look, 1})
				}
			} else {
				c.put(x+sx, y+sy, *from)
			}
			wide := max(from.width, 1)
			if changed != nil { // with the other half of what it may have cut
				changed.Set(x+sx-1, x+sx+wide+1, y+sy)
			}
			sx += wide - 1
		}
	}
}

// Update makes the marked cells of c look as in src, which is as large, and calls each with
// their places; wide tells of a cell that a terminal may draw in another width.
func (c *Canvas) Update(src *Canvas, marked *Marks, each func(x, y int, wide bool)) {
	for y := range c.H {
		marked.Each(y, func(x int) {
			from := src.cell(x, y)
			*c.cell(x, y) = *from
			each(x, y, !from.certain())
		})
	}
}

// certain tells of a cell that every terminal draws one column wide.
func (c *cell) certain() bool {
	_, n := utf8.DecodeRuneInString(c.text)
	return c.width == 1 && n == len(c.text)
}

// Same tells whether a cell of c looks as the same one of o.
func (c *Canvas) Same(o *Canvas, x, y int) bool { return *c.cell(x, y) == *o.cell(x, y) }

// Take makes a cell of c that of src.
func (c *Canvas) Take(src *Canvas, x, y int) { *c.cell(x, y) = *src.cell(x, y) }

// Look is what a cell says and how: the style is the same as another's where it is equal.
func (c *Canvas) Look(x, y int) (text string, width int, style unique.Handle[uv.Style]) {
	at := c.cell(x, y)
	return at.text, at.width, at.look
}

// Print writes styled text, as Lip Gloss renders it, into r.
func (c *Canvas) Print(r Rect, text string) {
	uv.NewStyledString(text).Draw(c, image.Rect(r.X, r.Y, r.X+r.W, r.Y+r.H))
}

// Plain returns the picture as text without escapes, lines without blanks at
// their ends, each ended by a line break.
func (c *Canvas) Plain() string {
	var b strings.Builder
	for y := range c.H {
		var line strings.Builder
		for x := range c.W {
			line.WriteString(c.cell(x, y).text)
		}
		b.WriteString(strings.TrimRight(line.String(), " "))
		b.WriteByte('\n')
	}
	return b.String()
}
