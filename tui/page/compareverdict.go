package page

import (
	"math"
	"strings"

	"jouletop/engine/analysis/paired"
	"jouletop/engine/analysis/verdict"
	"jouletop/tui/canvas"
	"jouletop/tui/draw"
	"jouletop/tui/theme"
	"jouletop/tui/view"
)

// large is one of the two figures that are read from afar.
type large struct {
	paired.Figure
	label, less, more string
	of                func(float64) string // its value with its unit
}

// word is the verdict in capitals: in full, and in short.
func (l *large) word() (full, short string) {
	switch l.Word() {
	case verdict.Lower:
		return l.less, l.less
	case verdict.Higher:
		return l.more, l.more
	case verdict.Unresolved:
		return "NO DIFFERENCE RESOLVED", "NOT RESOLVED"
	}
	return "NOT KNOWN YET", "NOT KNOWN"
}

// verdictStyle has a colour for a difference that is resolved, and for no other.
func verdictStyle(d verdict.Difference) canvas.Style {
	switch d.Word() {
	case verdict.Lower:
		return theme.Good
	case verdict.Higher:
		return theme.Warn
	}
	return theme.Strong
}

// drawVerdict draws by how much B differs from A.
func (p *Compare) drawVerdict(c *canvas.Canvas, x *paired.Comparison, progress string) {
	of := progress
	if of == "" {
		of = workText(x)
	}
	title := x.B.Name + " against " + x.A.Name
	noted := progress == "" && canvas.Width(title)+canvas.Width(of)+8 <= c.W
	y := draw.Heading(c, 0, title, of)
	if x.Queries == 0 {
		c.TextMax(2, y+1, c.W-4, theme.Default, "No query has been answered under both yet.")
		return
	}
	last := c.H - 2 // the sentence, and what it is of
	if len(x.Mismatches) > 0 {
		p.drawRefused(c, y, last, x.Mismatches)
	} else {
		p.drawLarge(c, y, last, x)
		c.TextMax(2, last, c.W-4, theme.Title, x.InShort())
	}
	var notes []string
	switch {
	case progress != "":
		notes = append(notes, workText(x)+" so far")
	case !noted:
		notes = append(notes, workText(x))
	}
	if p.IsSimulated() {
		notes = append(notes, "SIMULATED: a model's savings, no measurement")
	}
	if x.Unresolved > 0 {
		notes = append(notes, "energy of "+draw.Int(x.Unresolved)+" unresolved")
	}
	notes = append(notes, "± is half of a 95 % interval")
	c.TextMax(2, last+1, c.W-4, theme.Muted, strings.Join(notes, " · "))
}

// workText says what is compared: 8 queries × 3 repeats.
func workText(x *paired.Comparison) string {
	text := draw.Int(x.Queries) + " queries"
	if x.Queries == 1 {
		text = "1 query"
	}
	if a, b := x.Repeats(); a != b {
		return text + " × " + draw.Int(a) + " and " + draw.Plural(b, "repeat")
	} else {
		return text + " × " + draw.Plural(a, "repeat")
	}
}

// drawRefused says why the two cannot be compared.
func (p *Compare) drawRefused(c *canvas.Canvas, y, end int, why []string) {
	const word = "NOT COMPARABLE"
	scale := 0
	for s := view.Pick(p.Size, 1, 2, 3); s > 0 && scale == 0; s-- {
		if draw.BigWidth(word, s) <= c.W-4 && draw.BigRows(s) <= (end-y)/2 {
			scale = s
		}
	}
	if scale > 0 {
		draw.BigText(c, 2, y+1, theme.Strong, word, scale)
		y += draw.BigRows(scale) + 2
	}
	for _, m := range why {
		for _, l := range canvas.Wrap(m, c.W-4, 0) {
			if y < end {
				c.Text(2, y, theme.Default, l)
			}
			y++
		}
	}
	c.TextMax(2, end, c.W-4, theme.Title, "Not comparable: more than the clock differs")
}

// drawLarge draws the saving and the slowdown in digits as large as find room, one size
// for both, that end in the same column.
func (p *Compare) drawLarge(c *canvas.Canvas, y, end int, x *paired.Comparison) {
	energy, _ := x.Figure(paired.Energy)
	late, _ := x.Figure(paired.Latency)
	parts := []large{
		{energy, "energy a query", "LESS ENERGY", "MORE ENERGY", func(v float64) string { return draw.Sig(v) + " J" }},
		{late, "latency", "FASTER", "SLOWER", draw.Seconds},
	}
	w := (c.W - 3) / len(parts)
	most := view.Pick(p.Size, 2, 3, 4)
	scale, sub := most, 1
	for ; scale > 1; scale-- {
		sub = max(scale/2, 1)
		fits := draw.BigRows(scale)+2 <= end-y
		for _, l := range parts {
			number, half := l.digits()
			fits = fits && draw.BigWidth(number, scale)+scale+draw.BigWidth(half, sub) <= w
		}
		if fits {
			break
		}
	}
	sub = max(scale/2, 1)
	widest := 0
	for _, l := range parts {
		number, _ := l.digits()
		widest = max(widest, draw.BigWidth(number, scale))
	}
	rows := draw.BigRows(scale)
	for i, l := range parts {
		left := 2 + i*(w+1)
		s := verdictStyle(l.Difference)
		values := l.of(l.A) + " → " + l.of(l.B)
		if canvas.Width(l.label)+canvas.Width(values)+2 <= w {
			values = l.label + ": " + values
		}
		c.TextMax(left, y, w, theme.Muted, values)
		number, half := l.digits()
		at := draw.BigText(c, left+widest-draw.BigWidth(number, scale), y+1, s, number, scale)
		draw.BigText(c, at+scale, y+1+rows-draw.BigRows(sub), s, half, sub)
		full, short := l.word()
		p.drawWord(c, canvas.Rect{X: left, Y: y + 2 + rows, W: w, H: end - y - 3 - rows}, s, l.Difference, full, short)
	}
}

// drawWord writes the verdict's word under its digits, large where there is room.
func (p *Compare) drawWord(c *canvas.Canvas, r canvas.Rect, s canvas.Style, d verdict.Difference, full, short string) {
	for _, word := range []string{full, short} {
		for scale := 2; scale > 0; scale-- {
			if draw.BigWidth(word, scale) <= r.W && draw.BigRows(scale) <= r.H {
				draw.BigText(c, r.X, r.Y, s, word, scale)
				return
			}
		}
	}
	text := d.String() + ": " + d.Word()
	if d.Word() == verdict.Unknown {
		text = d.String() + ": how sure is not known"
	}
	c.TextMax(r.X, r.Y-1, r.W, s, text)
}

// digits are the large ones: the change in percent with its sign, and its interval.
func (l *large) digits() (number, half string) {
	if math.IsNaN(l.Mean) {
		return "–", ""
	}
	number, half = l.Rounded()
	if l.Mean > 0 && number != "0" {
		number = "+" + number
	}
	if half == "" {
		return number, "%"
	}
	return number, "±" + half + "%"
}
