// Package shot writes a drawn screen as a picture or as text.
package shot

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"jouletop/tui/canvas"
	"jouletop/tui/theme"
)

// Size of a cell in the SVG, px: a monospaced font's usual proportions.
const (
	cellW  = 8.4
	cellH  = 17.0
	fontPx = 14
	margin = 14.0
)

// Text writes the screen as plain text.
func Text(w io.Writer, c *canvas.Canvas) error {
	_, err := io.WriteString(w, c.Plain())
	if err != nil {
		return fmt.Errorf("write screen: %w", err)
	}
	return nil
}

// ANSI writes the screen as text with escape sequences.
func ANSI(w io.Writer, c *canvas.Canvas) error {
	if _, err := io.WriteString(w, c.Render()+"\n"); err != nil {
		return fmt.Errorf("write screen: %w", err)
	}
	return nil
}

// SVG writes the screen as a picture. Every cell is placed by itself where the
// font could shift it, so that boxes and lines join in any monospaced font.
func SVG(w io.Writer, c *canvas.Canvas, t *theme.Theme, title string) error {
	fg, bg := t.Ground()
	width, height := float64(c.W)*cellW+2*margin, float64(c.H)*cellH+2*margin
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %.1f %.1f" width="%.0f" height="%.0f" role="img">`+"\n",
		width, height, width, height)
	fmt.Fprintf(&b, "<title>%s</title>\n", escape(title))
	fmt.Fprintf(&b, `<rect width="100%%" height="100%%" rx="8" fill="%s"/>`+"\n", bg)
	fmt.Fprintf(&b, `<g font-family="'DejaVu Sans Mono','Menlo','Consolas','Liberation Mono',monospace" font-size="%d" fill="%s" xml:space="preserve">`+"\n", fontPx, fg)
	for y := range c.H {
		backgrounds(&b, c, t, y)
	}
	for y := range c.H {
		texts(&b, c, t, y)
	}
	b.WriteString("</g>\n</svg>\n")
	if _, err := io.WriteString(w, b.String()); err != nil {
		return fmt.Errorf("write picture: %w", err)
	}
	return nil
}

func backgrounds(b *strings.Builder, c *canvas.Canvas, t *theme.Theme, y int) {
	for x := 0; x < c.W; {
		_, bg, _ := t.Ink(c.At(x, y).Style)
		end := x + 1
		for end < c.W && c.At(end, y).Style == c.At(x, y).Style {
			end++
		}
		if bg != "" {
			fmt.Fprintf(b, `<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" fill="%s"/>`+"\n",
				margin+float64(x)*cellW, margin+float64(y)*cellH, float64(end-x)*cellW+0.3, cellH+0.3, bg)
		}
		x = end
	}
}

func texts(b *strings.Builder, c *canvas.Canvas, t *theme.Theme, y int) {
	base := margin + float64(y)*cellH + cellH*0.75
	blank := func(x int) bool { return c.At(x, y).Content == " " || braille(c.At(x, y).Content) != 0 }
	for x := 0; x < c.W; {
		if blank(x) || c.At(x, y).Width == 0 {
			drawDots(b, c, t, x, y)
			x++
			continue
		}
		s := c.At(x, y).Style
		// A cell of the same style; the second of a wide one belongs to the first.
		same := func(x int) bool { return x < c.W && (c.At(x, y).Style == s || c.At(x, y).Width == 0) }
		end := x
		var text, at strings.Builder
		for same(end) && (!blank(end) || same(end+1) && !blank(end+1)) {
			if cell := c.At(end, y); cell.Width > 0 {
				if text.Len() > 0 {
					at.WriteByte(' ')
				}
				fmt.Fprintf(&at, "%.1f", margin+float64(end)*cellW)
				text.WriteString(cell.Content)
			}
			end++
		}
		fg, _, bold := t.Ink(s)
		attr := ""
		if fg != "" {
			attr = ` fill="` + fg + `"`
		}
		if bold {
			attr += ` font-weight="bold"`
		}
		fmt.Fprintf(b, `<text x="%s" y="%.1f"%s>%s</text>`+"\n", at.String(), base, attr, escape(text.String()))
		x = max(end, x+1)
	}
}

// braille are the dots of a Braille cell as Unicode numbers them; 0 for any other text.
func braille(text string) rune {
	r, _ := utf8.DecodeRuneInString(text)
	if r < 0x2800 || r > 0x28ff {
		return 0
	}
	return r - 0x2800
}

// drawDots draws a Braille cell, so that lines join whether or not the font knows it.
func drawDots(b *strings.Builder, c *canvas.Canvas, t *theme.Theme, x, y int) {
	bits := braille(c.At(x, y).Content)
	if bits == 0 {
		return
	}
	places := [8][2]float64{{0, 0}, {0, 1}, {0, 2}, {1, 0}, {1, 1}, {1, 2}, {0, 3}, {1, 3}} // column and row
	fg, _, _ := t.Ink(c.At(x, y).Style)
	if fg == "" {
		fg, _ = t.Ground()
	}
	fmt.Fprintf(b, `<path fill="%s" d="`, fg)
	for i, p := range places {
		if bits&(1<<i) != 0 {
			fmt.Fprintf(b, "M%.1f %.1fh2v2h-2z", margin+(float64(x)+0.25+0.5*p[0])*cellW-1, margin+(float64(y)+0.125+0.25*p[1])*cellH-1)
		}
	}
	b.WriteString(`"/>` + "\n")
}

var escapes = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;")

func escape(s string) string { return escapes.Replace(s) }
