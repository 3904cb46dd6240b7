package panel

import (
	tea "charm.land/bubbletea/v2"

	"jouletop/tui/canvas"
	"jouletop/tui/draw"
	"jouletop/tui/theme"
	"jouletop/tui/view"
)

// Arm says what may be set once clock control is armed, and what comes of it, before it is.
type Arm struct {
	*view.Context
	arm    func() tea.Cmd
	first  int // line shown first
	closed bool
}

// NewArm returns the panel; arm arms.
func NewArm(c *view.Context, arm func() tea.Cmd) *Arm { return &Arm{Context: c, arm: arm} }

// Closed tells whether it is done with.
func (a *Arm) Closed() bool { return a.closed }

// Paste takes nothing, and leaves nothing to others.
func (a *Arm) Paste(string) bool { return true }

// Wheel scrolls.
func (a *Arm) Wheel(_, _, by int) bool {
	a.scroll(by)
	return true
}

var armKeys = struct{ arm, scroll view.Key }{
	arm:    view.Bind("Enter", "arm", "arm", "enter", "y"),
	scroll: view.Bind("↑ ↓", "read on", "scroll", "up", "down"),
}

// Own are the panel's keys.
func (a *Arm) Own() []view.Key { return []view.Key{armKeys.arm} }

// Hints are its keys.
func (a *Arm) Hints() []view.Key { return []view.Key{armKeys.arm, a.Keys.Close, armKeys.scroll} }

// Key arms, scrolls, or leaves all as it is.
func (a *Arm) Key(msg tea.KeyPressMsg) (tea.Cmd, bool) {
	switch {
	case armKeys.arm.Is(msg), a.Keys.Arm.Is(msg):
		a.closed = true
		return a.arm(), true
	case msg.String() == "up":
		a.scroll(-1)
	case msg.String() == "down":
		a.scroll(1)
	default:
		a.closed = true
	}
	return nil, true
}

func (a *Arm) scroll(by int) {
	r := a.area()
	a.first = min(max(a.first+by, 0), max(len(a.lines(r.W-4))-(r.H-4), 0))
}

// lines are the text in w columns.
func (a *Arm) lines(w int) []string { return canvas.Wrap(a.Choices.Arming, w, 0) }

func (a *Arm) area() canvas.Rect {
	w := min(a.Frame.W-4, 84)
	h := min(len(a.lines(w-4))+4, a.Frame.H-4)
	return canvas.Rect{X: (a.Frame.W - w) / 2, Y: max((a.Frame.H-h)/2, 1), W: w, H: h}
}

// Draw draws the panel over the page.
func (a *Arm) Draw(name string) {
	type key struct {
		text  string
		first int
	}
	r := a.area()
	a.Frame.Lay(name, r, key{a.Choices.Arming, a.first}, func() string {
		c := a.Frame.Canvas
		lines := a.lines(r.W - 4)
		shown, text := max(r.H-4, 0), ""
		for i := a.first; i < len(lines) && i-a.first < shown; i++ {
			text += lines[i] + "\n"
		}
		more := ""
		if a.first+shown < len(lines) {
			more = "   ↓ reads on"
		}
		return draw.Box(c, r.W, r.H, "Before knobs are set", "Esc", text+"\n"+c.Style(theme.Warn).Render("Enter arms, Esc leaves all as it is"+more))
	})
}
