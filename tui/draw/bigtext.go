package draw

import "jouletop/tui/canvas"

// bigFont is 3 × 5 pixels a character, a row a number of three bits.
var bigFont = map[rune][5]uint8{
	'0': {7, 5, 5, 5, 7}, '1': {2, 6, 2, 2, 7}, '2': {7, 1, 7, 4, 7}, '3': {7, 1, 7, 1, 7}, '4': {5, 5, 7, 1, 1},
	'5': {7, 4, 7, 1, 7}, '6': {7, 4, 7, 5, 7}, '7': {7, 1, 1, 2, 2}, '8': {7, 5, 7, 5, 7}, '9': {7, 5, 7, 1, 7},
	'.': {0, 0, 0, 0, 2}, '+': {0, 2, 7, 2, 0}, '-': {0, 0, 7, 0, 0}, '–': {0, 0, 7, 0, 0}, '±': {2, 7, 2, 0, 7}, '%': {5, 1, 2, 4, 5},
	' ': {}, 'A': {2, 5, 7, 5, 5}, 'B': {6, 5, 6, 5, 6}, 'C': {3, 4, 4, 4, 3}, 'D': {6, 5, 5, 5, 6}, 'E': {7, 4, 6, 4, 7}, 'F': {7, 4, 6, 4, 4},
	'G': {3, 4, 5, 5, 3}, 'H': {5, 5, 7, 5, 5}, 'I': {7, 2, 2, 2, 7}, 'J': {1, 1, 1, 5, 2}, 'K': {5, 5, 6, 5, 5}, 'L': {4, 4, 4, 4, 7},
	'M': {5, 7, 7, 5, 5}, 'N': {6, 5, 5, 5, 5}, 'O': {7, 5, 5, 5, 7}, 'P': {6, 5, 6, 4, 4}, 'Q': {2, 5, 5, 6, 3}, 'R': {6, 5, 6, 5, 5},
	'S': {3, 4, 2, 1, 6}, 'T': {7, 2, 2, 2, 2}, 'U': {5, 5, 5, 5, 7}, 'V': {5, 5, 5, 5, 2}, 'W': {5, 5, 7, 7, 5}, 'X': {5, 5, 2, 5, 5},
	'Y': {5, 5, 2, 2, 2}, 'Z': {7, 1, 2, 4, 7},
}

// bigPixels are the columns and rows of a pixel in each size, from 1 on; of the first a
// pixel is half a row high.
var bigPixels = [...]struct{ w, h int }{2: {2, 1}, 3: {3, 2}, 4: {5, 3}}

// BigWidth is the columns that text takes, the gap after it too.
func BigWidth(text string, scale int) int {
	n := 0
	for _, r := range text {
		n += (bigColumns(r) + 1) * bigColumn(scale)
	}
	return n
}

// bigColumns are the pixels of a character in a row.
func bigColumns(r rune) int {
	switch r {
	case '.':
		return 1
	case ' ':
		return 2
	}
	return 3
}

// bigColumn is how many columns a pixel takes.
func bigColumn(scale int) int { return max(bigPixels[scale].w, 1) }

// BigRows is how many rows big text stands on.
func BigRows(scale int) int {
	if scale == 1 {
		return 3
	}
	return 5 * bigPixels[scale].h
}

// BigText writes text large, capitals and numbers, with its top left cell at x, y and returns the
// column after it.
func BigText(c *canvas.Canvas, x, y int, s canvas.Style, text string, scale int) int {
	wide, high := bigColumn(scale), bigPixels[scale].h
	for _, r := range text {
		glyph := bigFont[r] // blank where it has none
		width := bigColumns(r)
		if r == '.' {
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
					c.Fill(canvas.Rect{X: x + col*wide, Y: y + row*high, W: wide, H: high}, s, '█')
				}
			}
		}
		x += (width + 1) * wide
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
