package panel

import (
	"strings"

	"charm.land/bubbles/v2/key"
	"charm.land/bubbles/v2/viewport"
	tea "charm.land/bubbletea/v2"

	"jouletop/tui/canvas"
	"jouletop/tui/draw"
	"jouletop/tui/theme"
	"jouletop/tui/view"
)

// Shown asks the dashboard to lay a panel over the page.
type Shown struct{ Panel Panel }

// Show lays a panel over the page.
func Show(p Panel) tea.Cmd { return func() tea.Msg { return Shown{p} } }

// Details are named facts, a line each or more, that one can go through and copy.
type Details struct {
	*view.Context
	title  string
	pairs  [][2]string
	shown  viewport.Model
	closed bool
}

// NewDetails returns a panel of facts: a name and a text each.
func NewDetails(c *view.Context, title string, pairs [][2]string) *Details {
	d := &Details{Context: c, title: title, pairs: pairs, shown: viewport.New()}
	d.shown.KeyMap = viewport.KeyMap{
		Up: key.NewBinding(key.WithKeys("up")), Down: key.NewBinding(key.WithKeys("down")),
		PageUp: key.NewBinding(key.WithKeys("pgup")), PageDown: key.NewBinding(key.WithKeys("pgdown")),
	}
	return d
}

// Closed tells whether it is done with.
func (d *Details) Closed() bool { return d.closed }

// Paste takes nothing, and leaves nothing to others.
func (d *Details) Paste(string) bool { return true }

// Wheel scrolls.
func (d *Details) Wheel(_, _, by int) bool {
	d.layOut()
	d.shown.SetYOffset(d.shown.YOffset() + 3*by)
	return true
}

var copyKey = view.Bind("c", "copy", "copy all of it", "c")

// Own are the panel's keys.
func (d *Details) Own() []view.Key { return []view.Key{copyKey} }

// Hints are its keys.
func (d *Details) Hints() []view.Key { return []view.Key{d.Keys.Close, copyKey} }

// Key scrolls and copies; any other key closes it.
func (d *Details) Key(msg tea.KeyPressMsg) (tea.Cmd, bool) {
	k := &d.shown.KeyMap
	switch {
	case key.Matches(msg, k.Up, k.Down, k.PageUp, k.PageDown):
		d.layOut()
		d.shown, _ = d.shown.Update(msg)
	case msg.String() == "home":
		d.shown.GotoTop()
	case msg.String() == "end":
		d.layOut()
		d.shown.GotoBottom()
	case copyKey.Is(msg):
		var b strings.Builder
		for _, p := range d.pairs {
			b.WriteString(p[0] + "\t" + canvas.Clean(p[1]) + "\n")
		}
		return tea.Batch(tea.SetClipboard(b.String()), d.Say("copied", false)), true
	default:
		d.closed = true
	}
	return nil, true
}

func (d *Details) area() canvas.Rect {
	return center(d.Frame.W, d.Body, view.Pick(d.Size, d.Frame.W, 100, 120), view.Pick(d.Size, d.Body.H, 36, 48))
}

// layOut wraps the texts beside the names.
func (d *Details) layOut() {
	in, c := d.area().Inset(2, 1), d.Frame.Canvas
	wide := 0
	for _, p := range d.pairs {
		wide = max(wide, min(canvas.Width(p[0]), in.W/3))
	}
	var lines []string
	for _, p := range d.pairs {
		if p[1] == "" { // a heading
			lines = append(lines, c.Style(theme.Title).Render(canvas.Clean(p[0])))
			continue
		}
		name := p[0]
		for _, l := range canvas.Wrap(p[1], max(in.W-wide-2, 10), 0) {
			lines = append(lines, c.Style(theme.Muted).Render(draw.Pad(name, -wide))+"  "+c.Style(theme.Default).Render(canvas.Clean(l)))
			name = ""
		}
	}
	d.shown.SetWidth(in.W)
	d.shown.SetHeight(in.H)
	d.shown.SetContent(strings.Join(lines, "\n"))
}

// Draw draws it over the page.
func (d *Details) Draw(name string) {
	r := d.area()
	type key struct {
		of *Details
		at int
	}
	d.Frame.Lay(name, r, key{d, d.shown.YOffset()}, func() string {
		d.layOut()
		note := "Esc"
		if first, all, high := d.shown.YOffset(), d.shown.TotalLineCount(), d.shown.Height(); all > high {
			note = draw.Int(first+1) + "–" + draw.Int(min(first+high, all)) + " of " + draw.Int(all) + ": ↓ ↑   Esc"
		}
		return draw.Box(d.Frame.Canvas, r.W, r.H, d.title, note, d.shown.View())
	})
}
