package tui

import (
	"strings"

	"charm.land/bubbles/v2/key"
	"charm.land/bubbles/v2/textinput"
	tea "charm.land/bubbletea/v2"

	"jouletop/tui/canvas"
	"jouletop/tui/theme"
)

// lineKind is what a typed line is for.
type lineKind int

const (
	lineMark lineKind = iota
	lineExport
	linePrompt
)

// lineInput is one line of text being typed in the last row.
type lineInput struct {
	kind  lineKind
	label string
	in    textinput.Model
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

func (m *Model) openLine(kind lineKind) tea.Cmd {
	if kind == linePrompt && !m.canRun() {
		return m.say(errNotHere.Error(), true)
	}
	labels := map[lineKind]string{
		lineMark: "note: ", lineExport: "export to (empty: a place of its own): ", linePrompt: "prompt: ",
	}
	m.line = &lineInput{kind: kind, label: labels[kind], in: newInput("")}
	return nil
}

// insert pastes; a line break becomes a blank, as the line is one.
func (l *lineInput) insert(text string) { insertText(&l.in, text) }

func insertText(in *textinput.Model, text string) {
	next, _ := in.Update(tea.PasteMsg{Content: strings.Join(strings.Fields(text), " ")})
	*in = next
}

func (m *Model) lineKey(msg tea.KeyPressMsg) tea.Cmd {
	l := m.line
	switch {
	case key.Matches(msg, m.keys.esc):
		m.line = nil
		return nil
	case key.Matches(msg, m.keys.enter):
		m.line = nil
		return m.lineDone(l.kind, strings.TrimSpace(l.in.Value()))
	}
	l.in, _ = l.in.Update(msg)
	return nil
}

func (m *Model) lineDone(kind lineKind, text string) tea.Cmd {
	switch kind {
	case lineMark:
		return m.do(func(c Controller) (string, error) { return "marked", c.Mark(text) })
	case lineExport:
		return m.do(func(c Controller) (string, error) {
			at, err := c.Export(text)
			return "exported to " + at, err
		})
	}
	if text == "" {
		return nil
	}
	return m.do(func(c Controller) (string, error) { return "prompt queued to run next", c.RunPrompt(text) })
}

func (l *lineInput) draw(c *canvas.Canvas, r canvas.Rect) {
	c.Fill(r, theme.Input, ' ')
	x := c.TextMax(r.X, r.Y, r.W/2, theme.Accent, l.label)
	drawInput(c, canvas.Rect{X: x, Y: r.Y, W: r.X + r.W - x, H: 1}, &l.in, true)
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
