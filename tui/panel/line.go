package panel

import (
	"strings"

	"charm.land/bubbles/v2/textinput"
	tea "charm.land/bubbletea/v2"

	"jouletop/tui/canvas"
	"jouletop/tui/theme"
	"jouletop/tui/view"
)

// Line is one line of text being typed in the last row.
type Line struct {
	*view.Context
	label  string
	done   func(text string) tea.Cmd
	in     textinput.Model
	closed bool
}

// NewLine asks for a line; done is given what was typed.
func NewLine(c *view.Context, label string, done func(text string) tea.Cmd) *Line {
	return &Line{Context: c, label: label, done: done, in: newInput("")}
}

// Key takes every key.
func (l *Line) Key(msg tea.KeyPressMsg) (tea.Cmd, bool) {
	switch {
	case l.Keys.Close.Is(msg):
		l.closed = true
	case msg.String() == "enter":
		l.closed = true
		return l.done(strings.TrimSpace(l.in.Value())), true
	default:
		l.in, _ = l.in.Update(msg)
	}
	return nil, true
}

// Paste takes text; a line break becomes a blank, as the line is one.
func (l *Line) Paste(text string) bool {
	insertText(&l.in, text)
	return true
}

// Wheel takes nothing, and leaves nothing to others.
func (l *Line) Wheel(int, int, int) bool { return true }

// Hints are none: the line stands where they would.
func (l *Line) Hints() []view.Key { return nil }

// Closed tells whether it is done with.
func (l *Line) Closed() bool { return l.closed }

// Draw draws the line in the last row.
func (l *Line) Draw() {
	c := l.Frame.Canvas
	r := canvas.Rect{Y: c.H - 1, W: c.W, H: 1}
	c.Fill(r, theme.Input, ' ')
	x := c.TextMax(r.X, r.Y, r.W/2, theme.Accent, l.label)
	drawInput(c, canvas.Rect{X: x, Y: r.Y, W: r.X + r.W - x, H: 1}, &l.in, true)
}

// maxPrompt is the most bytes of a typed prompt.
const maxPrompt = 64 << 10

// newInput returns an input that is drawn by us alone.
func newInput(value string) textinput.Model {
	in := textinput.New()
	in.CharLimit = maxPrompt
	in.SetValue(value)
	in.CursorEnd()
	in.Focus()
	return in
}

func insertText(in *textinput.Model, text string) {
	next, _ := in.Update(tea.PasteMsg{Content: strings.Join(strings.Fields(text), " ")})
	*in = next
}

// drawInput draws an input's text so that the caret stays in sight.
func drawInput(c *canvas.Canvas, r canvas.Rect, in *textinput.Model, focused bool) {
	c.Fill(r, theme.Input, ' ')
	runes := []rune(in.Value())
	pos := min(in.Position(), len(runes))
	// Only what can be seen is looked at: a pasted prompt may be long.
	from := max(pos-r.W, 0)
	for canvas.Width(string(runes[from:pos])) >= r.W && from < pos {
		from++
	}
	x := c.TextMax(r.X, r.Y, max(r.W-1, 0), theme.Input, string(runes[from:pos]))
	after := string(runes[pos:min(pos+r.W+1, len(runes))])
	end := c.TextMax(x, r.Y, r.X+r.W-x, theme.Input, after)
	if focused {
		w := 1
		if end > x {
			w = max(canvas.Width(string(runes[pos:pos+1])), 1)
		}
		c.Paint(canvas.Rect{X: x, Y: r.Y, W: w, H: 1}, theme.Caret)
	}
}
