package panel

import (
	"strings"

	"charm.land/bubbles/v2/textinput"
	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"

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
		l.in, _ = l.in.Update(clean(msg))
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
func (l *Line) Draw(name string) {
	w := l.Frame.W
	label := ansi.Truncate(l.label, w/2, "…")
	content := l.Frame.Style(theme.Accent).Inherit(l.Frame.Style(theme.Input)).Render(label) + drawInput(l.Frame.Canvas, &l.in, w-canvas.Width(label), true)
	l.Frame.Lay(name, canvas.Rect{Y: l.Frame.H - 1, W: w, H: 1}, content, func() string { return content })
}

// maxPrompt is the most bytes of a typed prompt.
const maxPrompt = 64 << 10

// newInput returns an input that holds value.
func newInput(value string) textinput.Model {
	in := textinput.New()
	in.Prompt = ""
	in.CharLimit = maxPrompt
	in.SetValue(canvas.Clean(value))
	in.CursorEnd()
	in.Focus()
	return in
}

// clean is a key press whose text a terminal draws in place.
func clean(msg tea.KeyPressMsg) tea.KeyPressMsg {
	msg.Text = canvas.Clean(msg.Text)
	return msg
}

// insertText puts text in at the caret: one line of what a terminal draws in place.
func insertText(in *textinput.Model, text string) {
	next, _ := in.Update(tea.PasteMsg{Content: canvas.Clean(strings.Join(strings.Fields(text), " "))})
	*in = next
}

// drawInput is an input of w columns in the styles of c.
func drawInput(c *canvas.Canvas, in *textinput.Model, w int, focused bool) string {
	text := c.Style(theme.Input)
	look := textinput.StyleState{Text: text, Prompt: text, Placeholder: text, Suggestion: text}
	in.SetStyles(textinput.Styles{Focused: look, Blurred: look, Cursor: textinput.CursorStyle{Color: c.Style(theme.Caret).GetBackground()}})
	if focused {
		in.Focus()
	} else {
		in.Blur()
	}
	in.SetWidth(max(w-1, 1)) // and the caret
	in.SetCursor(in.Position())
	return text.Width(w).Render(ansi.Truncate(in.View(), max(w, 0), ""))
}
