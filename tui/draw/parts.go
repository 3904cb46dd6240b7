package draw

import (
	"math"
	"strings"

	"charm.land/bubbles/v2/help"
	"charm.land/bubbles/v2/key"
	"charm.land/lipgloss/v2"
	"github.com/charmbracelet/x/ansi"

	"jouletop/tui/canvas"
	"jouletop/tui/theme"
)

// Heading draws a titled rule in the first row of c.
func Heading(c *canvas.Canvas, y int, title, right string) int {
	for x := range c.W {
		c.Set(x, y, theme.Faint, '─')
	}
	x := c.TextMax(1, y, c.W-2, theme.Title, " "+title+" ")
	if w := canvas.Width(right); right != "" && x+w+3 < c.W {
		c.Text(c.W-w-3, y, theme.Muted, " "+right+" ")
	}
	return y + 1
}

// Metric draws a figure: label left, value right-aligned before its unit, so
// that a number changing its length moves nothing.
func Metric(c *canvas.Canvas, y int, label, value, unit string, s canvas.Style) {
	const unitWidth = 8
	c.TextMax(0, y, c.W, theme.Muted, label)
	at := c.W - unitWidth
	c.Right(at, y, s, " "+value)
	c.TextMax(at+1, y, unitWidth-1, theme.Muted, unit)
}

// Gauge draws a bar of w cells filled to share (0 to 1).
func Gauge(c *canvas.Canvas, x, y, w int, share float64, s canvas.Style) {
	c.Fill(canvas.Rect{X: x, Y: y, W: w, H: 1}, theme.Faint, '░')
	c.Text(x, y, s, Bar(w, share))
}

// Bar is a bar of at most w cells, as long as share (0 to 1; NaN: unknown) says.
func Bar(w int, share float64) string {
	if math.IsNaN(share) {
		return ""
	}
	eighths := int(min(max(share, 0), 1)*float64(max(w, 0))*8 + 0.5)
	bar := strings.Repeat("█", eighths/8)
	if eighths%8 > 0 {
		bar += string([]rune("▏▎▍▌▋▊▉")[eighths%8-1])
	}
	return bar
}

// Box is content in a rounded border of w columns and h rows, with its title and a
// note in the upper edge, in the styles of c.
func Box(c *canvas.Canvas, w, h int, title, note, content string) string {
	edge := lipgloss.RoundedBorder()
	line := lipgloss.NewStyle().Foreground(c.Style(theme.Accent).GetForeground())
	box := lipgloss.NewStyle().Border(edge).BorderForeground(line.GetForeground()).Padding(0, 1).Width(w).Height(h).Render(content)
	title = ansi.Truncate(" "+canvas.Clean(title)+" ", max(w-4, 0), "…")
	if note = " " + note + " "; canvas.Width(title)+canvas.Width(note)+6 > w {
		note = ""
	}
	rest := strings.Repeat(edge.Top, max(w-4-canvas.Width(title)-canvas.Width(note), 0))
	top := line.Render(edge.TopLeft+edge.Top) + c.Style(theme.Title).Render(title) + line.Render(rest) +
		c.Style(theme.Muted).Render(note) + line.Render(edge.Top+edge.TopRight)
	_, below, _ := strings.Cut(box, "\n")
	return top + "\n" + below
}

// keymap is Bubbles' view of keys in the styles of c.
func keymap(c *canvas.Canvas) help.Model {
	h := help.New()
	h.ShortSeparator = "  "
	k, d := c.Style(theme.Accent), c.Style(theme.Muted)
	h.Styles = help.Styles{Ellipsis: d, ShortKey: k, ShortDesc: d, ShortSeparator: d}
	return h
}

// Hints are keys in a line: as many of the first as find room in w columns, whole.
func Hints(c *canvas.Canvas, keys []key.Binding, w int) string {
	all := keymap(c)
	for n := len(keys); n > 0; n-- {
		text := all.ShortHelpView(keys[:n])
		if n < len(keys) {
			text += c.Style(theme.Muted).Render(" …")
		}
		if lipgloss.Width(text) <= w {
			return text
		}
	}
	return ""
}
