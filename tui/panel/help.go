package panel

import (
	"strings"

	"charm.land/bubbles/v2/key"
	"charm.land/bubbles/v2/viewport"
	tea "charm.land/bubbletea/v2"
	"charm.land/lipgloss/v2"

	"jouletop/tui/canvas"
	"jouletop/tui/draw"
	"jouletop/tui/theme"
	"jouletop/tui/view"
)

// Help lists every key.
type Help struct {
	*view.Context
	groups []view.KeyGroup
	shown  viewport.Model
	closed bool
}

// NewHelp returns the help of the keys of groups.
func NewHelp(c *view.Context, groups []view.KeyGroup) *Help {
	h := &Help{Context: c, groups: groups, shown: viewport.New()}
	h.shown.KeyMap = viewport.KeyMap{
		Up: key.NewBinding(key.WithKeys("up")), Down: key.NewBinding(key.WithKeys("down")),
		PageUp: key.NewBinding(key.WithKeys("pgup", "left")), PageDown: key.NewBinding(key.WithKeys("pgdown", "right")),
	}
	return h
}

// Closed tells whether it is done with.
func (h *Help) Closed() bool { return h.closed }

// Paste takes nothing, and leaves nothing to others.
func (h *Help) Paste(string) bool { return true }

// Wheel scrolls.
func (h *Help) Wheel(_, _, by int) bool {
	h.layOut()
	h.shown.SetYOffset(h.shown.YOffset() + 3*by)
	return true
}

// Hints are the keys that leave.
func (h *Help) Hints() []view.Key { return []view.Key{h.Keys.Close} }

func (h *Help) area() canvas.Rect {
	return center(h.Frame.W, h.Body, view.Pick(h.Size, h.Frame.W, 112, 164), view.Pick(h.Size, h.Body.H, 36, 48))
}

// center is a rectangle of w × h in the middle of the screen, as far as there is
// room between its first and last rows.
func center(width int, body canvas.Rect, w, h int) canvas.Rect {
	w, h = min(w, width), min(h, body.H)
	return canvas.Rect{X: (width - w) / 2, Y: body.Y + (body.H-h)/2, W: w, H: h}
}

// columnWidth is the least width of a column of keys in which few sentences break.
const columnWidth = 50

// layOut gives the keys the columns that there is room for, of about the same height.
func (h *Help) layOut() {
	in := h.area().Inset(2, 1)
	c := h.Frame.Canvas
	n := max(in.W/columnWidth, 1)
	wide, keys := in.W/n, 0
	for _, g := range h.groups {
		for _, k := range g.Keys {
			keys = max(keys, canvas.Width(k.Help().Key))
		}
	}
	groups, rows := make([][]string, len(h.groups)), 0
	for i, g := range h.groups {
		groups[i] = []string{c.Style(theme.Title).Render(g.Title)}
		for _, k := range g.Keys {
			name := k.Help().Key
			for _, l := range canvas.Wrap(k.Help().Desc, wide-keys-2, 0) {
				groups[i] = append(groups[i], c.Style(theme.Accent).Render(draw.Pad(name, -keys))+" "+c.Style(theme.Default).Render(l))
				name = ""
			}
		}
		rows += len(groups[i])
	}
	var columns [][]string
	var column []string
	for _, g := range groups {
		if len(column) > 0 && (len(column)+len(g)/2)*n > rows && len(columns) < n-1 {
			columns, column = append(columns, column), nil
		}
		column = append(column, g...)
	}
	columns = append(columns, column)
	style := lipgloss.NewStyle().Width(wide)
	blocks := make([]string, len(columns))
	for i, lines := range columns {
		blocks[i] = style.Render(strings.Join(lines, "\n"))
	}
	h.shown.SetWidth(in.W)
	h.shown.SetHeight(in.H)
	h.shown.SetContent(lipgloss.JoinHorizontal(lipgloss.Top, blocks...))
}

// Key scrolls; any other key closes the help, and those that do not mean only that go
// on to what lies below.
func (h *Help) Key(msg tea.KeyPressMsg) (tea.Cmd, bool) {
	if k := &h.shown.KeyMap; key.Matches(msg, k.Up, k.Down, k.PageUp, k.PageDown) {
		h.layOut()
		h.shown, _ = h.shown.Update(msg)
		return nil, true
	}
	switch msg.String() {
	case "home":
		h.shown.GotoTop()
		return nil, true
	case "end":
		h.layOut()
		h.shown.GotoBottom()
		return nil, true
	}
	h.closed = true
	return nil, h.Keys.Help.Is(msg) || h.Keys.Close.Is(msg) || h.Keys.Quit.Is(msg)
}

// Draw lists the keys.
func (h *Help) Draw(name string) {
	r := h.area()
	type key struct {
		of *Help
		at int
	}
	h.Frame.Lay(name, r, key{h, h.shown.YOffset()}, func() string {
		h.layOut()
		title, note := "Keys", h.note()
		if long := title + " · jouletop " + h.Version; h.Version != "" && canvas.Width(long+note)+10 <= r.W {
			title = long
		}
		return draw.Box(h.Frame.Canvas, r.W, r.H, title, note, h.shown.View())
	})
}

// note says how to leave, and which part is shown where not all is.
func (h *Help) note() string {
	if first, all, high := h.shown.YOffset(), h.shown.TotalLineCount(), h.shown.Height(); all > high {
		return draw.Int(first+1) + "–" + draw.Int(min(first+high, all)) + " of " + draw.Int(all) + ": ↓ ↑   Esc"
	}
	return "Esc"
}
