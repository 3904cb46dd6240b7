package panel

import (
	"strings"

	"charm.land/bubbles/v2/key"
	"charm.land/bubbles/v2/textarea"
	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"

	"jouletop/tui/canvas"
	"jouletop/tui/draw"
	"jouletop/tui/theme"
	"jouletop/tui/view"
)

// prompts is where the prompts that were run are kept (see view.Context.Typed), the
// newest last; draft where one that was left is.
const (
	prompts     = "prompts"
	draft       = "prompt left"
	keepPrompts = 100
)

// Prompt asks for a prompt of the operator's own, of one line or more.
type Prompt struct {
	*view.Context
	done   func(text string) tea.Cmd
	in     textarea.Model
	at     int // of the prompts kept; their number: the one being typed
	mine   string
	closed bool
}

// NewPrompt asks for a prompt, which begins with text, or with the one that was left
// unsent; done is given what was typed.
func NewPrompt(c *view.Context, text string, done func(text string) tea.Cmd) *Prompt {
	p := &Prompt{Context: c, done: done, in: textarea.New(), at: len(c.Typed[prompts])}
	p.in.ShowLineNumbers, p.in.Prompt, p.in.CharLimit, p.in.MaxHeight = false, "", maxPrompt, 0
	p.in.KeyMap.InsertNewline = key.NewBinding(key.WithKeys("alt+enter", "ctrl+j", "shift+enter"))
	p.in.Focus()
	if left := c.Typed[draft]; text == "" && len(left) > 0 {
		text = left[0]
	}
	p.in.SetHeight(p.most())
	p.in.SetValue(lines(text))
	return p
}

// most is how many rows of a prompt are shown at most.
func (p *Prompt) most() int { return max(p.Body.H/2-2, 1) }

// lines is text as a terminal draws it in place, its lines kept.
func lines(text string) string {
	var out []string
	for l := range strings.SplitSeq(strings.ReplaceAll(text, "\r\n", "\n"), "\n") {
		out = append(out, canvas.Clean(strings.ReplaceAll(l, "\t", " ")))
	}
	return strings.TrimRight(strings.Join(out, "\n"), "\n")
}

// Closed tells whether it is done with.
func (p *Prompt) Closed() bool { return p.closed }

// Wheel takes nothing, and leaves nothing to others.
func (p *Prompt) Wheel(int, int, int) bool { return true }

// Paste takes text, its line breaks too.
func (p *Prompt) Paste(text string) bool {
	p.in.InsertString(lines(text))
	return true
}

// Hints are its keys.
func (p *Prompt) Hints() []view.Key {
	return []view.Key{
		p.Keys.Close, view.Bind("Enter", "run next", "", "enter"), view.Bind("Ctrl+J", "new line", "", "ctrl+j"), view.Bind("↑ ↓", "earlier prompts", "", "up"),
	}
}

// Key takes every key.
func (p *Prompt) Key(msg tea.KeyPressMsg) (tea.Cmd, bool) {
	switch s := msg.String(); {
	case p.Keys.Close.Is(msg):
		p.closed = true
		p.Typed[draft] = []string{p.in.Value()}
	case s == "enter":
		text := strings.TrimSpace(p.in.Value())
		p.closed = true
		if text == "" {
			return nil, true
		}
		delete(p.Typed, draft)
		if kept := p.Typed[prompts]; len(kept) == 0 || kept[len(kept)-1] != text {
			p.Typed[prompts] = append(kept[max(len(kept)-keepPrompts+1, 0):len(kept):len(kept)], text)
		}
		return p.done(text), true
	case s == "up" && p.in.Line() == 0:
		p.recall(-1)
	case s == "down" && p.in.Line() == p.in.LineCount()-1:
		p.recall(1)
	default:
		msg.Text = canvas.Clean(msg.Text)
		p.in, _ = p.in.Update(msg)
	}
	return nil, true
}

// recall brings an earlier or a later prompt.
func (p *Prompt) recall(by int) {
	kept := p.Typed[prompts]
	to := min(max(p.at+by, 0), len(kept))
	if to == p.at {
		return
	}
	if p.at == len(kept) {
		p.mine = p.in.Value()
	}
	p.at = to
	if to == len(kept) {
		p.in.SetValue(p.mine)
	} else {
		p.in.SetValue(lines(kept[to]))
	}
}

// Draw draws the prompt at the foot of the page.
func (p *Prompt) Draw(name string) {
	c := p.Frame.Canvas
	width := p.Frame.W - 4
	look := textarea.StyleState{Base: c.Style(theme.Input), Text: c.Style(theme.Input), CursorLine: c.Style(theme.Input), Prompt: c.Style(theme.Input), Placeholder: c.Style(theme.Muted), EndOfBuffer: c.Style(theme.Input)}
	p.in.SetStyles(textarea.Styles{Focused: look, Blurred: look, Cursor: textarea.CursorStyle{Color: c.Style(theme.Caret).GetBackground()}})
	p.in.SetWidth(width)
	// The rows that may be there are, so that none scrolls away while there is room; those
	// that hold nothing are left out.
	p.in.SetHeight(p.most())
	rows := strings.Split(p.in.View(), "\n")
	shown := min(max(p.in.LineCount(), 1), len(rows))
	for i, row := range rows {
		if strings.TrimSpace(ansi.Strip(row)) != "" {
			shown = max(shown, i+1)
		}
	}
	r := canvas.Rect{Y: p.Body.Y + p.Body.H - shown - 2, W: p.Frame.W, H: shown + 2}
	title := "Prompt"
	if n := len(p.Typed[prompts]); n > 0 && p.at < n {
		title += " " + draw.Int(p.at+1) + " of " + draw.Int(n)
	}
	content := strings.Join(rows[:shown], "\n")
	p.Frame.Lay(name, r, content+title, func() string { return draw.Box(c, r.W, r.H, title, "Esc", content) })
}
