package panel

import (
	"jouletop/tui/draw"

	"jouletop/tui/canvas"
	"jouletop/tui/theme"
	"jouletop/tui/view"

	tea "charm.land/bubbletea/v2"
)

// helpRow is a key or a title of the help.
type helpRow struct {
	key, what string
	heading   bool
}

// Help lists every key.
type Help struct {
	*view.Context
	groups []view.KeyGroup
	page   int
	closed bool
}

// NewHelp returns the help of the keys of groups.
func NewHelp(c *view.Context, groups []view.KeyGroup) *Help {
	return &Help{Context: c, groups: groups}
}

// Closed tells whether it is done with.
func (h *Help) Closed() bool { return h.closed }

// Paste takes nothing, and leaves nothing to others.
func (h *Help) Paste(string) bool { return true }

// Wheel turns the pages.
func (h *Help) Wheel(_, _, by int) bool {
	h.turn(by)
	return true
}

// Hints are the keys that leave.
func (h *Help) Hints() []view.Key { return []view.Key{h.Keys.Close, h.Keys.Quit} }

// turn goes on by so many pages.
func (h *Help) turn(by int) {
	_, _, _, pages := h.pages()
	h.page = min(max(h.page+by, 0), pages-1)
}

func (h *Help) area() canvas.Rect {
	return center(h.Frame.W, h.Body, view.Pick(h.Size, h.Frame.W, 112, 120), view.Pick(h.Size, h.Body.H, 36, 40))
}

// center is a rectangle of w × h in the middle of the screen, as far as there is
// room between its first and last rows.
func center(width int, body canvas.Rect, w, h int) canvas.Rect {
	w, h = min(w, width), min(h, body.H)
	return canvas.Rect{X: (width - w) / 2, Y: body.Y + (body.H-h)/2, W: w, H: h}
}

// pages lays the help's rows out: columns, rows a column, and pages.
func (h *Help) pages() (rows []helpRow, columns, high, pages int) {
	in := h.area().Inset(2, 1)
	for _, g := range h.groups {
		rows = append(rows, helpRow{what: g.Title, heading: true})
		for _, b := range g.Keys {
			rows = append(rows, helpRow{key: b.Help().Key, what: b.Help().Desc})
		}
	}
	_, width := helpWidths(rows)
	columns = max(in.W/width, 1)
	high = max(in.H, 1)
	pages = (len(rows) + columns*high - 1) / (columns * high)
	if pages == 1 { // columns of equal height
		high = (len(rows) + columns - 1) / columns
	}
	return rows, columns, high, pages
}

// helpWidths are the widths that the keys need and, with what they do, a column:
// nothing is cut.
func helpWidths(rows []helpRow) (keys, column int) {
	words := 0
	for _, r := range rows {
		keys = max(keys, canvas.Width(r.key))
		if !r.heading {
			words = max(words, canvas.Width(r.what))
		}
	}
	return keys, keys + 1 + words + 2
}

// Key turns the pages; any other key closes the help, and those that do not mean
// only that go on to what lies below.
func (h *Help) Key(msg tea.KeyPressMsg) (tea.Cmd, bool) {
	switch s := msg.String(); {
	case s == "down" || s == "pgdown" || s == "right":
		h.turn(1)
	case s == "up" || s == "pgup" || s == "left":
		h.turn(-1)
	default:
		h.closed = true
		return nil, h.Keys.Help.Is(msg) || h.Keys.Close.Is(msg) || h.Keys.Quit.Is(msg)
	}
	return nil, true
}

// Draw lists the keys.
func (h *Help) Draw() {
	c, r := h.Frame.Canvas, h.area()
	rows, columns, high, pages := h.pages()
	h.page = min(h.page, pages-1)
	title := "Keys"
	if h.Version != "" {
		title += " · jouletop " + h.Version
	}
	right := "Esc"
	if pages > 1 {
		right = "page " + draw.Int(h.page+1) + " of " + draw.Int(pages) + ": ↓ ↑   Esc"
	}
	draw.Box(c, r, title, right)
	in := r.Inset(2, 1)
	width := in.W / columns
	keyWidth, _ := helpWidths(rows)
	for i, w := range rows[h.page*columns*high:] {
		x, y := in.X+i/high*width, in.Y+i%high
		if i/high >= columns {
			return
		}
		if w.heading {
			c.TextMax(x, y, width-1, theme.Title, w.what)
			continue
		}
		c.TextMax(x, y, keyWidth, theme.Accent, w.key)
		c.TextMax(x+keyWidth+1, y, width-keyWidth-2, theme.Default, w.what)
	}
}
