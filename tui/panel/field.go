package panel

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"charm.land/bubbles/v2/textinput"
	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"

	"jouletop/engine/command"
	"jouletop/tui/canvas"
	"jouletop/tui/theme"
)

// Field is one thing to choose or type.
type Field struct {
	label   string
	hint    string
	options []command.Choice // nil: typed text
	many    bool             // several may be chosen
	chosen  []bool
	cursor  int
	in      textinput.Model
	open    bool // what is not listed may be typed
	// proposed is what stood in it at first.
	proposed []string
	check    func() error // what is wrong with it as it stands; nil: nothing can be
}

// Choose is a field to choose options in; the first is chosen.
func Choose(label string, options []command.Choice, many bool) *Field {
	f := &Field{label: label, options: options, many: many, chosen: make([]bool, len(options))}
	if len(options) > 0 {
		f.chosen[0] = true
	}
	return f
}

// Open lets what is not listed be typed, such as a file.
func (f *Field) Open(hint string) *Field {
	f.open, f.hint, f.in = true, hint, newInput("")
	return f
}

// Check has the field say what is wrong with it while it is typed.
func (f *Field) Check(check func() error) *Field {
	f.check = check
	return f
}

// wrong says what is wrong with the field; "" for nothing.
func (f *Field) wrong() string {
	if f.check != nil {
		if err := f.check(); err != nil {
			_, text, ok := strings.Cut(err.Error(), ": ")
			if !ok {
				text = err.Error()
			}
			return text
		}
	}
	return ""
}

// typed is what is typed beside the options.
func (f *Field) typed() string {
	if !f.open {
		return ""
	}
	return strings.TrimSpace(f.in.Value())
}

// save returns what stands in the field, for restore.
func (f *Field) save() []string {
	if f.options == nil && !f.open {
		return []string{f.in.Value()}
	}
	return append([]string{f.typed()}, f.names()...)
}

func (f *Field) restore(was []string) {
	f.in.SetValue(canvas.Clean(was[0]))
	f.in.CursorEnd()
	if f.options == nil {
		return
	}
	there := func(o command.Choice) bool { return slices.Contains(was[1:], o.Name) }
	if len(was) > 1 && !slices.ContainsFunc(f.options, there) {
		return // what was chosen is no more
	}
	for i, o := range f.options {
		if f.chosen[i] = there(o); f.chosen[i] {
			f.cursor = i
		}
	}
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

// Values are the names chosen, and what was typed beside them.
func (f *Field) Values() []string {
	if t := f.typed(); t != "" {
		if !f.many {
			return []string{t}
		}
		return append(f.names(), strings.FieldsFunc(t, func(r rune) bool { return r == ',' })...)
	}
	return f.names()
}

// names are the options chosen.
func (f *Field) names() []string {
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
	if f.options == nil && !f.open {
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

// key takes a key press, and tells whether it changed the field.
func (f *Field) key(msg tea.KeyPressMsg) bool {
	s := msg.String()
	letter := msg.Text != "" && (s != "space" || f.typed() != "")
	switch {
	case f.options == nil && !f.open, f.open && (letter || f.typed() != "" && s != "left" && s != "right"):
		was := f.in.Value()
		f.in.Focus()
		f.in, _ = f.in.Update(clean(msg))
		return f.in.Value() != was
	case s == "left":
		f.step(-1)
	case s == "right":
		f.step(1)
	case s == "space" && f.many && len(f.options) > 0:
		f.chosen[f.cursor] = !f.chosen[f.cursor]
	default:
		return false
	}
	return true
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

// view is the field's value in w columns.
func (f *Field) view(c *canvas.Canvas, w int, focused bool) string {
	if f.options != nil || f.open {
		if f.typed() == "" {
			return ansi.Truncate(f.viewOptions(c, w, focused), w, "…")
		}
		half := w / 2
		if !f.many {
			half = w
		}
		return drawInput(c, &f.in, half, focused) + " " + ansi.Truncate(f.viewOptions(c, w-half-1, false), max(w-half-1, 0), "…")
	}
	hint, look := f.hint, theme.Muted
	if wrong := f.wrong(); wrong != "" {
		hint, look = wrong, theme.Bad
	}
	room := w - canvas.Width(f.in.Value()) - 3 // what was typed comes first
	if look == theme.Bad {
		room = max(room, w/2)
	}
	if room < 8 {
		hint = ""
	}
	hint = ansi.Truncate(hint, max(room, 0), "…")
	return drawInput(c, &f.in, w-canvas.Width(hint)-1, focused) + " " + c.Style(look).Render(hint)
}

// viewOptions are the options in one row, those around the cursor.
func (f *Field) viewOptions(c *canvas.Canvas, w int, focused bool) string {
	if len(f.options) == 0 {
		if f.open {
			return c.Style(theme.Warn).Render("none found: type " + f.hint)
		}
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
