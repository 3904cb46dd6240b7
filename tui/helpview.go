package tui

import (
	"jouletop/tui/theme"
)

// drawHelp lists every key, from the key map, in as many columns as fit.
func (m *Model) drawHelp() {
	c, r := m.frame, m.lay.help
	title := "Keys"
	if m.opt.Version != "" {
		title += " · jouletop " + m.opt.Version
	}
	box(c, r, title, "Esc")
	in := r.Inset(2, 1)
	columns := max(in.W/38, 1)
	width := in.W / columns
	type row struct {
		key, what string
		heading   bool
	}
	var rows []row
	for _, g := range m.keys.groups() {
		rows = append(rows, row{what: g.title, heading: true})
		for _, b := range g.keys {
			rows = append(rows, row{key: b.Help().Key, what: b.Help().Desc})
		}
	}
	// Columns of equal height; where even so there is no room, blanks go first.
	high := max((len(rows)+columns-1)/columns, 1)
	for high > in.H && columns < 3 {
		columns++
		width = in.W / columns
		high = (len(rows) + columns - 1) / columns
	}
	for i, w := range rows {
		x, y := in.X+i/high*width, in.Y+i%high
		if y >= in.Y+in.H {
			continue
		}
		if w.heading {
			c.TextMax(x, y, width-1, theme.Title, w.what)
			continue
		}
		keyWidth := min(13, width/3)
		if m.lay.class == compact {
			keyWidth = 7
		}
		c.TextMax(x, y, keyWidth, theme.Accent, w.key)
		c.TextMax(x+keyWidth+1, y, width-keyWidth-2, theme.Default, w.what)
	}
}
