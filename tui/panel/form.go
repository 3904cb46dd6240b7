package panel

import (
	"fmt"
	"jouletop/tui/draw"
	"strconv"
	"strings"

	"charm.land/bubbles/v2/textinput"
	"github.com/charmbracelet/x/ansi"

	"jouletop/engine/command"
	"jouletop/tui/canvas"
	"jouletop/tui/theme"
	"jouletop/tui/view"

	tea "charm.land/bubbletea/v2"
)

// Form asks for several things at once.
type Form struct {
	*view.Context
	title  string
	fields []*Field
	at     int
	err    string
	submit func() (Order, error)
	closed bool
	// asked: what it asks for is being looked at; it closes once that is accepted.
	asked bool
}

// Order is something to ask of the controller; its answer is shown.
type Order func(c command.Controller) (string, error)

// NewForm returns a form; submit reads its fields, and its error stays in the form.
func NewForm(c *view.Context, title string, submit func() (Order, error), fields ...*Field) *Form {
	return &Form{Context: c, title: title, submit: submit, fields: fields}
}

// Closed tells whether it is done with.
func (f *Form) Closed() bool { return f.closed }

// Wheel takes nothing, and leaves nothing to others.
func (f *Form) Wheel(int, int, int) bool { return true }

// Field is one thing to choose or type.
type Field struct {
	label   string
	hint    string
	options []command.Choice // nil: typed text
	many    bool             // several may be chosen
	chosen  []bool
	cursor  int
	in      textinput.Model
}

// Choose is a field to choose options in; the first is chosen.
func Choose(label string, options []command.Choice, many bool) *Field {
	f := &Field{label: label, options: options, many: many, chosen: make([]bool, len(options))}
	if len(options) > 0 {
		f.chosen[0] = true
	}
	return f
}

// Prefer chooses the option of that name in place of the first, where it is there.
func (f *Field) Prefer(name string) {
	for i, o := range f.options {
		if o.Name == name {
			clear(f.chosen)
			f.chosen[i], f.cursor = true, i
		}
	}
}

// Typed is a field to type into.
func Typed(label, value, hint string) *Field {
	return &Field{label: label, hint: hint, in: newInput(value)}
}

// Values are the names chosen.
func (f *Field) Values() []string {
	var out []string
	for i, on := range f.chosen {
		if on {
			out = append(out, f.options[i].Name)
		}
	}
	return out
}

// Value is the text typed, or the name chosen; "" for none.
func (f *Field) Value() string {
	if f.options == nil {
		return strings.TrimSpace(f.in.Value())
	}
	if v := f.Values(); len(v) > 0 {
		return v[0]
	}
	return ""
}

// Number reads a field that must be a whole number of at least least.
func (f *Field) Number(least int) (int, error) {
	n, err := strconv.Atoi(f.Value())
	if err != nil || n < least {
		return 0, fmt.Errorf("%s: %q is not a whole number of at least %d", f.label, f.Value(), least)
	}
	return n, nil
}

// Numbers reads a list of whole numbers of at least 1.
func (f *Field) Numbers() ([]int, error) {
	var out []int
	for part := range strings.SplitSeq(f.Value(), ",") {
		n, err := strconv.Atoi(strings.TrimSpace(part))
		if err != nil || n < 1 {
			return nil, fmt.Errorf("%s: %q is not a list of whole numbers like 1,4,8", f.label, f.Value())
		}
		out = append(out, n)
	}
	return out, nil
}

// Answer is the answer to what a form asked for.
type Answer struct {
	form *Form
	Msg  tea.Msg // what Do's command came to
}

// Answered closes the form where what it asked for was accepted; else the form
// stays, with the reason, and open is true.
func (a Answer) Answered(err error) (open bool) {
	f := a.form
	f.asked = false
	if f.closed = err == nil || f.closed; f.closed {
		return false
	}
	f.err = err.Error()
	return true
}

// Key takes every key.
func (f *Form) Key(msg tea.KeyPressMsg) (tea.Cmd, bool) {
	cur := f.fields[f.at]
	f.err = ""
	switch s := msg.String(); {
	case f.Keys.Close.Is(msg):
		f.closed = true
	case f.asked: // no more until there is an answer
	case s == "enter":
		ask, err := f.submit()
		if err != nil {
			f.err = err.Error()
			return nil, true
		}
		f.asked = true
		cmd := f.Do(ask)
		return func() tea.Msg { return Answer{f, cmd()} }, true
	case s == "up", s == "shift+tab":
		f.at = (f.at + len(f.fields) - 1) % len(f.fields)
	case s == "down", s == "tab":
		f.at = (f.at + 1) % len(f.fields)
	case cur.options == nil:
		cur.in.Focus()
		cur.in, _ = cur.in.Update(clean(msg))
	case s == "left":
		cur.step(-1)
	case s == "right":
		cur.step(1)
	case s == "space" && cur.many && len(cur.options) > 0:
		cur.chosen[cur.cursor] = !cur.chosen[cur.cursor]
	}
	return nil, true
}

// step moves among the options; where one alone can be chosen it is.
func (f *Field) step(by int) {
	n := len(f.options)
	if n == 0 {
		return
	}
	f.cursor = (f.cursor + by + n) % n
	if !f.many {
		clear(f.chosen)
		f.chosen[f.cursor] = true
	}
}

// Paste takes text into the field being typed.
func (f *Form) Paste(text string) bool {
	if cur := f.fields[f.at]; cur.options == nil {
		cur.in.Focus()
		insertText(&cur.in, text)
	}
	return true
}

// Hints are its keys.
func (f *Form) Hints() []view.Key {
	return []view.Key{
		view.Bind("Enter", "start", "", "enter"), view.Bind("↑↓", "field", "", "up"), view.Bind("←→", "choose", "", "left"),
		view.Bind("Space", "take or leave", "", "space"), f.Keys.Close,
	}
}

// labels is the width of the fields' labels.
const labels = 12

// Draw draws the form over the page.
func (f *Form) Draw(name string) {
	c := f.Frame.Canvas
	r := center(c.W, f.Body, view.Pick(f.Size, 74, 84, 96), 16)
	r.H = min(len(f.fields)+5, r.H)
	in := r.Inset(2, 1)
	rows := []string{""}
	shown := f.fields[:min(len(f.fields), max(in.H-2, 0))]
	for i, fd := range shown {
		mark, s := " ", theme.Muted
		if i == f.at {
			mark, s = "▸", theme.Accent
		}
		rows = append(rows, c.Style(s).Render(mark+" "+draw.Pad(fd.label, -labels))+" "+fd.view(c, in.W-labels-3, i == f.at))
	}
	for len(rows) < in.H-1 {
		rows = append(rows, "")
	}
	rows = append(rows, "  "+f.note(c, in.W-2))
	content := strings.Join(rows, "\n")
	f.Frame.Lay(name, r, content, func() string { return draw.Box(c, r.W, r.H, f.title, "Esc", content) })
	for i := range shown {
		f.Frame.Hit(canvas.Rect{X: in.X, Y: in.Y + 1 + i, W: in.W, H: 1}, func() { f.at = i })
	}
}

// note is the last row: what is wrong, or what the chosen option is.
func (f *Form) note(c *canvas.Canvas, w int) string {
	text, s := "", theme.Muted
	switch cur := f.fields[f.at]; {
	case f.err != "":
		text, s = f.err, theme.Bad
	case f.asked:
		text = "looking at it…"
	case len(cur.options) > 0:
		text = cur.options[cur.cursor].Note
	}
	return c.Style(s).Render(ansi.Truncate(canvas.Clean(text), w, "…"))
}

// view is the field's value in w columns.
func (f *Field) view(c *canvas.Canvas, w int, focused bool) string {
	if f.options != nil {
		return ansi.Truncate(f.viewOptions(c, w, focused), w, "…")
	}
	hint := ansi.Truncate(f.hint, w/2, "…")
	return drawInput(c, &f.in, w-canvas.Width(hint)-1, focused) + " " + c.Style(theme.Muted).Render(hint)
}

// viewOptions are the options in one row, those around the cursor.
func (f *Field) viewOptions(c *canvas.Canvas, w int, focused bool) string {
	if len(f.options) == 0 {
		return c.Style(theme.Warn).Render("none found")
	}
	from, used := f.cursor, 0
	for i := f.cursor; i >= 0; i-- {
		used += canvas.Width(f.options[i].Name) + 5
		if used > w*2/3 && i != f.cursor {
			break
		}
		from = i
	}
	var b strings.Builder
	if from > 0 {
		b.WriteString(c.Style(theme.Muted).Render("‹"))
	}
	for i := from; i < len(f.options); i++ {
		s := theme.Muted
		mark := "○ "
		if f.many {
			mark = "☐ "
		}
		if f.chosen[i] {
			s, mark = theme.Strong, "● "
			if f.many {
				mark = "☑ "
			}
		}
		if focused && i == f.cursor {
			s = theme.Select
		}
		b.WriteString(c.Style(s).Render(mark+canvas.Clean(f.options[i].Name)) + "  ")
	}
	return b.String()
}
