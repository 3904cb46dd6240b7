// Package canvas is a grid of terminal cells that panels are drawn on. Text is
// clipped at its edges and control characters are replaced, so nothing drawn can
// break a neighbour; a cell carries a style's number rather than colours, so the
// same picture comes out in every theme, as plain text or as SVG.
package canvas

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/charmbracelet/x/ansi"
)

// Style numbers a style of the theme; 0 is the terminal's own.
type Style uint16

// Cell is one character cell. A wide character's second cell has Width 0.
type Cell struct {
	R       rune
	Cluster uint16 // > 0: index+1 of a cluster of several runes
	S       Style
	Width   uint8
}

// Rect is a rectangle of cells.
type Rect struct{ X, Y, W, H int }

// Contains tells whether the cell x, y lies in r.
func (r Rect) Contains(x, y int) bool {
	return x >= r.X && x < r.X+r.W && y >= r.Y && y < r.Y+r.H
}

// Inset returns r without dx columns left and right and dy rows above and below.
func (r Rect) Inset(dx, dy int) Rect {
	return Rect{r.X + dx, r.Y + dy, max(r.W-2*dx, 0), max(r.H-2*dy, 0)}
}

// Canvas is a grid of cells. The zero value has none; see Reset.
type Canvas struct {
	W, H     int
	cells    []Cell
	clusters []string
}

// New returns a blank canvas.
func New(w, h int) *Canvas {
	c := &Canvas{}
	c.Reset(w, h)
	return c
}

// Reset makes the canvas w × h and blank.
func (c *Canvas) Reset(w, h int) {
	w, h = max(w, 0), max(h, 0)
	c.W, c.H = w, h
	if cap(c.cells) < w*h {
		c.cells = make([]Cell, w*h)
	}
	c.cells = c.cells[:w*h]
	c.clusters = c.clusters[:0]
	blank := Cell{R: ' ', Width: 1}
	for i := range c.cells {
		c.cells[i] = blank
	}
}

// Row returns the cells of row y, to read.
func (c *Canvas) Row(y int) []Cell { return c.cells[y*c.W : (y+1)*c.W] }

// At returns a cell, a blank one outside the canvas.
func (c *Canvas) At(x, y int) Cell {
	if x < 0 || y < 0 || x >= c.W || y >= c.H {
		return Cell{R: ' ', Width: 1}
	}
	return c.cells[y*c.W+x]
}

// Glyph returns the text of a cell of this canvas.
func (c *Canvas) Glyph(cell Cell) string {
	if cell.Cluster > 0 {
		return c.clusters[cell.Cluster-1]
	}
	return string(cell.R)
}

// Set puts a rune of width 1 at x, y; nothing outside the canvas.
func (c *Canvas) Set(x, y int, s Style, r rune) {
	if x < 0 || y < 0 || x >= c.W || y >= c.H {
		return
	}
	c.put(x, y, Cell{R: r, S: s, Width: 1})
}

// put writes a cell and blanks what is left of a wide character it cuts.
func (c *Canvas) put(x, y int, cell Cell) {
	row := c.Row(y)
	if row[x].Width == 0 && x > 0 && row[x-1].Width == 2 {
		row[x-1] = Cell{R: ' ', S: row[x-1].S, Width: 1}
	}
	last := x + int(cell.Width) - 1
	if last+1 < c.W && row[last].Width == 2 {
		row[last+1] = Cell{R: ' ', S: row[last+1].S, Width: 1}
	}
	row[x] = cell
	if cell.Width == 2 {
		row[x+1] = Cell{S: cell.S}
	}
}

// Paint changes the style of the cells of r, keeping their text.
func (c *Canvas) Paint(r Rect, s Style) {
	for y := max(r.Y, 0); y < min(r.Y+r.H, c.H); y++ {
		row := c.Row(y)
		for x := max(r.X, 0); x < min(r.X+r.W, c.W); x++ {
			row[x].S = s
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
			c.put(x, y, c.cell(cluster, w, s))
		}
		x += w
	}
	return x
}

func (c *Canvas) cell(cluster string, w int, s Style) Cell {
	r, n := utf8.DecodeRuneInString(cluster)
	cell := Cell{R: r, S: s, Width: uint8(w)}
	if n < len(cluster) {
		if len(c.clusters) >= 1<<16-1 { // far more than a screen can hold
			return cell
		}
		c.clusters = append(c.clusters, cluster)
		cell.Cluster = uint16(len(c.clusters))
	}
	return cell
}

// valid returns text with its invalid bytes replaced.
func valid(text string) string {
	if utf8.ValidString(text) {
		return text
	}
	return strings.ToValidUTF8(text, "\ufffd")
}

// next takes the first grapheme cluster off text: what to show for it, and its
// width, 0 to 2. What a terminal might not draw in place (controls, invalid
// bytes, direction marks, marks without a letter, lone halves of a flag) is
// replaced or left out.
func next(text string) (cluster string, w int, rest string) {
	cluster, w = ansi.FirstGraphemeCluster(text, ansi.GraphemeWidth)
	if cluster == "" {
		return "", 0, ""
	}
	r, n := utf8.DecodeRuneInString(cluster)
	if n < len(cluster) && !wellFormed(cluster[n:]) {
		cluster = cluster[:n]
		w = ansi.StringWidth(cluster)
	}
	rest = text[len(cluster):]
	switch {
	case r == '\n' || r == '\t' || r == '\r':
		return " ", 1, rest
	case r < ' ' || r >= 0x7f && r < 0xa0 || r == utf8.RuneError:
		return "·", 1, rest
	case unicode.Is(unicode.Cf, r) || r == 0x2028 || r == 0x2029 || w <= 0:
		return "", 0, rest
	case unicode.Is(unicode.M, r), w > 2, w < 2 && regional(r):
		return "·", 1, rest
	}
	return cluster, w, rest
}

// wellFormed tells whether what follows a cluster's first rune is of letters,
// marks and joiners.
func wellFormed(s string) bool {
	for len(s) > 0 {
		r, n := utf8.DecodeRuneInString(s)
		if r == utf8.RuneError || r < ' ' || r >= 0x7f && r < 0xa0 {
			return false
		}
		s = s[n:]
	}
	return true
}

// regional tells of the letters that make flags in pairs.
func regional(r rune) bool { return r >= 0x1f1e6 && r <= 0x1f1ff }

// Width returns the columns that Text needs for text.
func Width(text string) int {
	w := 0
	text = valid(text)
	for text != "" {
		if b := text[0]; b < utf8.RuneSelf && (len(text) == 1 || text[1] < utf8.RuneSelf) {
			text = text[1:]
			if b == '\r' && text != "" && text[0] == '\n' {
				continue
			}
			w++
			continue
		}
		var n int
		_, n, text = next(text)
		w += n
	}
	return w
}

// Wrap breaks text into lines of at most w columns, at spaces where there are
// any and at line breaks always, and returns the last rows lines (all for 0).
func Wrap(text string, w, rows int) []string {
	if w <= 0 {
		return nil
	}
	text = valid(text)
	var lines []string
	for para := range strings.SplitSeq(strings.ReplaceAll(text, "\r\n", "\n"), "\n") {
		lines = append(lines, wrapLine(para, w)...)
	}
	if rows > 0 && len(lines) > rows {
		lines = lines[len(lines)-rows:]
	}
	return lines
}

func wrapLine(para string, w int) []string {
	var lines []string
	start, space := 0, -1 // of the line; of its last space
	col, spaceCol := 0, 0
	for i := 0; i < len(para); {
		_, n, rest := next(para[i:])
		size := len(para) - i - len(rest)
		if para[i] == ' ' {
			space, spaceCol = i, col
		}
		if col+n > w {
			if space > start && para[i] != ' ' {
				lines = append(lines, para[start:space])
				start = space + 1
				col -= spaceCol + 1
			} else {
				lines = append(lines, para[start:i])
				start, col = i, 0
				if para[i] == ' ' {
					start, n = i+size, 0
				}
			}
			space = -1
		}
		col += n
		i += size
	}
	return append(lines, para[start:])
}

// Copy puts src onto c with its top left cell at x, y, clipped.
func (c *Canvas) Copy(x, y int, src *Canvas) {
	for sy := range src.H {
		if y+sy < 0 || y+sy >= c.H {
			continue
		}
		from, to := 0, src.W
		if x < 0 {
			from = -x
		}
		to = min(to, c.W-x)
		if from >= to {
			continue
		}
		row := src.Row(sy)[from:to]
		dst := c.Row(y + sy)[x+from : x+to]
		copy(dst, row)
		if len(src.clusters) > 0 {
			for i := range dst {
				if dst[i].Cluster > 0 {
					g := src.clusters[dst[i].Cluster-1]
					dst[i] = c.cell(g, int(dst[i].Width), dst[i].S)
				}
			}
		}
		// A wide character cut by the edge.
		if n := len(dst); n > 0 && dst[n-1].Width == 2 {
			dst[n-1] = Cell{R: ' ', S: dst[n-1].S, Width: 1}
		}
		if dst[0].Width == 0 {
			dst[0] = Cell{R: ' ', S: dst[0].S, Width: 1}
		}
		full := c.Row(y + sy)
		if e := x + to; e < c.W && full[e].Width == 0 {
			full[e] = Cell{R: ' ', S: full[e].S, Width: 1}
		}
		if b := x + from; b > 0 && full[b-1].Width == 2 {
			full[b-1] = Cell{R: ' ', S: full[b-1].S, Width: 1}
		}
	}
}

// Line returns row y as a string with escape sequences: sgr gives the sequence
// that starts a style ("" for the terminal's own). Blanks at the end that would
// not be seen are left out.
func (c *Canvas) Line(y int, sgr func(Style) string) string {
	var b strings.Builder
	row := c.Row(y)
	end := len(row)
	for end > 0 && row[end-1].R == ' ' && row[end-1].S == 0 {
		end--
	}
	b.Grow(end + 64)
	var s Style
	for _, cell := range row[:end] {
		if cell.Width == 0 {
			continue
		}
		if cell.S != s {
			if s != 0 {
				b.WriteString("\x1b[m")
			}
			b.WriteString(sgr(cell.S))
			s = cell.S
		}
		if cell.Cluster > 0 {
			b.WriteString(c.clusters[cell.Cluster-1])
		} else {
			b.WriteRune(cell.R)
		}
	}
	if s != 0 {
		b.WriteString("\x1b[m")
	}
	return b.String()
}

// Plain returns the picture as text without escapes, lines without blanks at
// their ends, each ended by a line break.
func (c *Canvas) Plain() string {
	var b strings.Builder
	for y := range c.H {
		var line strings.Builder
		for _, cell := range c.Row(y) {
			if cell.Width > 0 {
				line.WriteString(c.Glyph(cell))
			}
		}
		b.WriteString(strings.TrimRight(line.String(), " "))
		b.WriteByte('\n')
	}
	return b.String()
}

// SameRow tells whether row y is the same in both.
func (c *Canvas) SameRow(o *Canvas, y int) bool {
	if c.W != o.W || y >= c.H || y >= o.H {
		return false
	}
	a, b := c.Row(y), o.Row(y)
	for i := range a {
		if a[i].Cluster > 0 && b[i].Cluster > 0 {
			// The numbers of clusters are each canvas's own.
			if a[i].S != b[i].S || c.Glyph(a[i]) != o.Glyph(b[i]) {
				return false
			}
		} else if a[i] != b[i] {
			return false
		}
	}
	return true
}
