package draw

import "jouletop/tui/canvas"

// bigFont is 3 × 5 pixels a character, a row a number of three bits.
var bigFont = map[rune][5]uint8{
	'0': {7, 5, 5, 5, 7}, '1': {2, 6, 2, 2, 7}, '2': {7, 1, 7, 4, 7}, '3': {7, 1, 7, 1, 7}, '4': {5, 5, 7, 1, 1},
	'5': {7, 4, 7, 1, 7}, '6': {7, 4, 7, 5, 7}, '7': {7, 1, 1, 2, 2}, '8': {7, 5, 7, 5, 7}, '9': {7, 5, 7, 1, 7},
	'.': {0, 0, 0, 0, 2}, '+': {0, 2, 7, 2, 0}, '-': {0, 0, 7, 0, 0}, '–': {0, 0, 7, 0, 0}, 'M': {5, 7, 7, 5, 5},
}

// BigScale returns the largest size in which text fits w columns and h rows: 3
// (a pixel is three columns and two rows), 2 (two columns and one row), or 1 (one
// column and half a row).
func BigScale(w, h int, text string) int {
	for scale := 3; scale > 1; scale-- {
		if bigWidth(text, scale) <= w && BigRows(scale) <= h {
			return scale
		}
	}
	return 1
}

// bigWidth is the columns that text takes.
func bigWidth(text string, scale int) int {
	n := 0
	for _, r := range text {
		n += 4 * scale
		if r == '.' {
			n -= 2 * scale
		}
	}
	return n
}

// BigRows is how many rows big text stands on.
func BigRows(scale int) int { return [...]int{1: 3, 2: 5, 3: 10}[scale] }

// BigText writes text large with its top left cell at x, y and returns the
// column after it.
func BigText(c *canvas.Canvas, x, y int, s canvas.Style, text string, scale int) int {
	for _, r := range text {
		glyph, ok := bigFont[r]
		if !ok {
			x += scale
			continue
		}
		width := 3
		if r == '.' {
			width = 1
			for i := range glyph {
				glyph[i] <<= 1
			}
		}
		for col := range width {
			bit := uint8(4 >> col)
			if scale == 1 {
				halfColumn(c, x+col, y, s, glyph, bit)
				continue
			}
			for row, bits := range glyph {
				if bits&bit != 0 {
					c.Fill(canvas.Rect{X: x + col*scale, Y: y + row*(scale-1), W: scale, H: scale - 1}, s, '█')
				}
			}
		}
		x += width*scale + scale
	}
	return x
}

// halfColumn writes a column of pixels, two a cell.
func halfColumn(c *canvas.Canvas, x, y int, s canvas.Style, glyph [5]uint8, bit uint8) {
	for row := 0; row < 5; row += 2 {
		up := glyph[row]&bit != 0
		down := row+1 < 5 && glyph[row+1]&bit != 0
		switch {
		case up && down:
			c.Set(x, y+row/2, s, '█')
		case up:
			c.Set(x, y+row/2, s, '▀')
		case down:
			c.Set(x, y+row/2, s, '▄')
		}
	}
}
