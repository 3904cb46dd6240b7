package chart

import (
	"math"

	"jouletop/tui/canvas"
)

// dots are lines drawn in Braille, two dots across and four down a cell, so that a
// slope is a slope where a row is a tenth of the whole. asciigraph cannot: its lines
// go from row to row in steps.
type dots struct {
	plot canvas.Rect
	bits []uint8 // a cell of plot each
}

func newDots(plot canvas.Rect) *dots { return &dots{plot, make([]uint8, plot.W*plot.H)} }

// dotBits are a cell's dots, by row from the top and column.
var dotBits = [4][2]uint8{{0x01, 0x08}, {0x02, 0x10}, {0x04, 0x20}, {0x40, 0x80}}

// dash is how many dots of a dashed line are drawn and left out in turn.
const dash = 3

// line draws a straight line between two points given in cells of the plot, with the
// middle of its lower left cell at 0, 0.
func (d *dots) line(c *canvas.Canvas, x0, y0, x1, y1 float64, look Look) {
	fine := func(x, y float64) (float64, float64) {
		return (x+0.5)*2 - 0.5, float64(4*d.plot.H-1) - ((y+0.5)*4 - 0.5)
	}
	x0, y0 = fine(x0, y0)
	x1, y1 = fine(x1, y1)
	n := int(math.Ceil(max(math.Abs(x1-x0), math.Abs(y1-y0))))
	for i := range n + 1 {
		if look.Shape == Dashed && i/dash%2 == 1 {
			continue
		}
		at := float64(i) / float64(max(n, 1))
		x, y := int(math.Round(x0+(x1-x0)*at)), int(math.Round(y0+(y1-y0)*at))
		col, row := x/2, y/4
		if x < 0 || y < 0 || col >= d.plot.W || row >= d.plot.H {
			continue
		}
		cell := &d.bits[row*d.plot.W+col]
		*cell |= dotBits[y%4][x%2]
		c.Set(d.plot.X+col, d.plot.Y+row, look.Style, '\u2800'+rune(*cell))
	}
}
