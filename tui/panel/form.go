package panel

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"charm.land/bubbles/v2/textinput"
	"github.com/charmbracelet/x/ansi"

	"jouletop/engine/command"
	"jouletop/tui/canvas"
	"jouletop/tui/draw"
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
	plan   func() (command.Sweep, error) // what the fields come to; nil: nothing to say of it
	told   string                        // of the plan, by the controller
	doubt  string                        // what is wrong with it, by the controller
	turn   int                           // counts what the controller was asked
	// asked: what it asks for is being looked at; it closes once that is accepted.
	asked bool
}

// Order is something to ask of the controller; its answer is shown.
type Order func(c command.Controller) (string, error)

// NewForm returns a form; submit reads its fields, and its error stays in the form.
func NewForm(c *view.Context, title string, submit func() (Order, error), fields ...*Field) *Form {
	return &Form{Context: c, title: title, submit: submit, fields: fields}
}

// Plan has the form say what its fields come to, before anything is started.
func (f *Form) Plan(plan func() (command.Sweep, error)) *Form {
	f.plan = plan
	return f
}

// Open brings back what was typed last time, and asks what it comes to.
func (f *Form) Open() tea.Cmd {
	for _, fd := range f.fields {
		fd.proposed = fd.save()
		if was := f.Typed[f.title+"\n"+fd.label]; len(was) > 0 {
			fd.restore(was)
		}
	}
	return f.ask()
}

// keep keeps what is typed for the next time; what was proposed is proposed anew, as it
// may be another then.
func (f *Form) keep() {
	for _, fd := range f.fields {
		name := f.title + "\n" + fd.label
		if now := fd.save(); slices.Equal(now, fd.proposed) {
			delete(f.Typed, name)
		} else {
			f.Typed[name] = now
		}
	}
}

// Told is what the controller says of a form's plan.
type Told struct {
	form *Form
	turn int
	plan command.Sweep
	of   command.Forecast
	err  error
}

// Take shows it, unless the fields have changed meanwhile.
func (t Told) Take() {
	f := t.form
	if t.turn != f.turn {
		return
	}
	f.told, f.doubt = "", ""
	if t.err != nil {
		f.doubt = t.err.Error()
		return
	}
	f.told = planText(t.plan, t.of)
}

// ask asks the controller what the fields come to.
func (f *Form) ask() tea.Cmd {
	if f.plan == nil || f.Controller == nil {
		return nil
	}
	f.turn++
	f.told, f.doubt = "", ""
	plan, err := f.plan()
	if err != nil {
		return nil // the field says it
	}
	turn, c := f.turn, f.Controller
	return func() tea.Msg {
		of, err := c.Forecast(plan)
		return Told{f, turn, plan, of, err}
	}
}

// planText says what a plan comes to: 5 clocks × 2 models × 3 repeats = 30 points.
func planText(s command.Sweep, f command.Forecast) string {
	var parts []string
	part := func(n int, plural string) {
		if n == 1 {
			return
		}
		parts = append(parts, draw.Int(n)+" "+plural)
	}
	if len(s.Policies) > 0 {
		part(f.Settings, "policies")
	} else if len(s.Knobs) > 0 {
		part(f.Settings, "settings")
	} else {
		part(f.Settings, "clocks")
	}
	part(len(s.Models), "models")
	part(len(s.Datasets), "datasets")
	part(len(s.Batches), "batch sizes")
	part(max(s.Repeats, 1), "repeats")
	text := draw.Plural(f.Points, "point")
	if len(parts) > 0 {
		text = strings.Join(parts, " × ") + " = " + text
	}
	text += " of " + draw.Plural(f.Requests/max(f.Points, 1), "query")
	text = strings.Replace(text, "querys", "queries", 1)
	switch {
	case math.IsNaN(f.Seconds):
		text += ", for how long is not known: nothing like it has run here"
	case f.Rough:
		text += ", very roughly " + draw.About(f.Seconds)
	default:
		text += ", about " + draw.About(f.Seconds)
	}
	if s.Until != "" {
		text += ", and more repeats until ± " + s.Until
	}
	return text
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
		f.keep()
		f.closed = true
	case f.asked: // no more until there is an answer
	case s == "enter":
		return f.start(), true
	case s == "up", s == "shift+tab":
		f.at = (f.at + len(f.fields) - 1) % len(f.fields)
	case s == "down", s == "tab":
		f.at = (f.at + 1) % len(f.fields)
	case cur.key(msg):
		return f.ask(), true
	}
	return nil, true
}

// start submits the form, or goes to the field that is wrong.
func (f *Form) start() tea.Cmd {
	for i, fd := range f.fields {
		if wrong := fd.wrong(); wrong != "" {
			f.at, f.err = i, fd.label+": "+wrong
			return nil
		}
	}
	ask, err := f.submit()
	if err != nil {
		f.err = err.Error()
		return nil
	}
	f.keep()
	f.asked = true
	cmd := f.Do(ask)
	return func() tea.Msg { return Answer{f, cmd()} }
}

// key takes a key press, and tells whether it changed the field.
func (f *Field) key(msg tea.KeyPressMsg) bool {
	s := msg.String()
	letter := msg.Text != "" && (s != "space" || f.typed() != "")
	switch {
	case f.options == nil && !f.open, f.open && (letter || f.typed() != "" && (s == "backspace" || s == "delete" || s == "home" || s == "end")):
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

// Paste takes text into the field being typed.
func (f *Form) Paste(text string) bool {
	if cur := f.fields[f.at]; cur.options == nil || cur.open {
		cur.in.Focus()
		insertText(&cur.in, text)
	}
	return true
}

// Hints are its keys.
func (f *Form) Hints() []view.Key {
	return []view.Key{
		f.Keys.Close, view.Bind("Enter", "start", "", "enter"), view.Bind("↑↓", "field", "", "up"), view.Bind("←→", "choose", "", "left"),
		view.Bind("Space", "take or leave", "", "space"), view.Bind("letters", "type", "", "a"),
	}
}

// labels is the width of the fields' labels.
const labels = 12

// Draw draws the form over the page.
func (f *Form) Draw(name string) {
	c := f.Frame.Canvas
	r := center(c.W, f.Body, view.Pick(f.Size, 74, 84, 96), 16)
	r.H = min(len(f.fields)+7, f.Body.H)
	r.Y = f.Body.Y + (f.Body.H-r.H)/2
	in := r.Inset(2, 1)
	rows := []string{""}
	shown := f.fields[:min(len(f.fields), max(in.H-4, 0))]
	for i, fd := range shown {
		mark, s := " ", theme.Muted
		if i == f.at {
			mark, s = "▸", theme.Accent
		}
		rows = append(rows, c.Style(s).Render(mark+" "+draw.Pad(fd.label, -labels))+" "+fd.view(c, in.W-labels-3, i == f.at))
	}
	for len(rows) < in.H-3 {
		rows = append(rows, "")
	}
	for _, l := range f.planLines(c, in.W-2) {
		rows = append(rows, "  "+l)
	}
	rows = append(rows, "  "+f.note(c, in.W-2))
	content := strings.Join(rows, "\n")
	f.Frame.Lay(name, r, content, func() string { return draw.Box(c, r.W, r.H, f.title, "Esc", content) })
	for i := range shown {
		f.Frame.Hit(canvas.Rect{X: in.X, Y: in.Y + 1 + i, W: in.W, H: 1}, func() { f.at = i })
	}
}

// planLines say in two rows what the fields come to, or why they come to nothing.
func (f *Form) planLines(c *canvas.Canvas, w int) []string {
	text, s := f.told, theme.Good
	if f.doubt != "" {
		text, s = f.doubt, theme.Warn
	}
	lines := append(canvas.Wrap(text, w, 0), "", "")[:2]
	for i, l := range lines {
		lines[i] = c.Style(s).Render(ansi.Truncate(canvas.Clean(l), w, "…"))
	}
	return lines
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
		if cur.open && text == "" {
			text = "←→ choose, or type " + cur.hint
		}
	}
	return c.Style(s).Render(ansi.Truncate(canvas.Clean(text), w, "…"))
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
