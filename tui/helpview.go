package tui

import (
	"charm.land/bubbles/v2/key"
	tea "charm.land/bubbletea/v2"

	"jouletop/tui/canvas"
	"jouletop/tui/theme"
)

// helpRow is a key or a title of the help.
type helpRow struct {
	key, what string
	heading   bool
}

// helpPages lays the help's rows out: columns, rows a column, and pages.
func (m *Model) helpPages() (rows []helpRow, columns, high, pages int) {
	in := m.lay.help.Inset(2, 1)
	for _, g := range m.keys.groups() {
		rows = append(rows, helpRow{what: g.title, heading: true})
		for _, b := range g.keys {
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

// helpKey turns the pages of the open help; any other key closes it.
func (m *Model) helpKey(msg tea.KeyPressMsg) (taken bool) {
	_, _, _, pages := m.helpPages()
	switch s := msg.String(); {
	case s == "down" || s == "pgdown" || s == "right":
		m.helpPage = min(m.helpPage+1, pages-1)
	case s == "up" || s == "pgup" || s == "left":
		m.helpPage = max(m.helpPage-1, 0)
	default:
		m.helping, m.helpPage = false, 0
		return key.Matches(msg, m.keys.help, m.keys.esc, m.keys.quit)
	}
	return true
}

// drawHelp lists every key, from the key map.
func (m *Model) drawHelp() {
	c, r := m.frame, m.lay.help
	rows, columns, high, pages := m.helpPages()
	m.helpPage = min(m.helpPage, pages-1)
	title := "Keys"
	if m.opt.Version != "" {
		title += " · jouletop " + m.opt.Version
	}
	right := "Esc"
	if pages > 1 {
		right = "page " + fmtInt(m.helpPage+1) + " of " + fmtInt(pages) + ": ↓ ↑   Esc"
	}
	box(c, r, title, right)
	in := r.Inset(2, 1)
	width := in.W / columns
	keyWidth, _ := helpWidths(rows)
	for i, w := range rows[m.helpPage*columns*high:] {
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
