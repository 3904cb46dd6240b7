package panel

import (
	"math"
	"slices"
	"strings"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"

	"jouletop/engine/command"
	"jouletop/tui/canvas"
	"jouletop/tui/draw"
	"jouletop/tui/theme"
	"jouletop/tui/view"
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
	if at, _ := f.wrong(); at >= 0 {
		return nil
	}
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
	case f.Unknown > 0:
		text += ", about " + draw.About(f.Seconds) + " for " + draw.Int(f.Points-f.Unknown) + " of them; nothing like the others has run here"
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

// wrong is the first field that is wrong, and what is wrong with it; -1 for none.
func (f *Form) wrong() (at int, what string) {
	for i, fd := range f.fields {
		if wrong := fd.wrong(); wrong != "" {
			return i, fd.label + ": " + wrong
		}
	}
	return -1, ""
}

// start submits the form, or goes to the field that is wrong.
func (f *Form) start() tea.Cmd {
	if at, wrong := f.wrong(); at >= 0 {
		f.at, f.err = at, wrong
		return nil
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
	shown := min(len(f.fields), max(in.H-noteRows-1, 1))
	first := min(max(f.at-shown/2, 0), len(f.fields)-shown) // the others are scrolled to
	for i, fd := range f.fields[first : first+shown] {
		mark, s := " ", theme.Muted
		switch {
		case i == 0 && first > 0:
			mark = "↑"
		case i == shown-1 && first+shown < len(f.fields):
			mark = "↓"
		}
		if i += first; i == f.at {
			mark, s = "▸", theme.Accent
		}
		rows = append(rows, c.Style(s).Render(mark+" "+draw.Pad(fd.label, -labels))+" "+fd.view(c, in.W-labels-3, i == f.at))
	}
	for len(rows) < in.H-noteRows {
		rows = append(rows, "")
	}
	for _, l := range f.notes(c, in.W-2) {
		rows = append(rows, "  "+l)
	}
	content := strings.Join(rows, "\n")
	f.Frame.Lay(name, r, content, func() string { return draw.Box(c, r.W, r.H, f.title, "Esc", content) })
	for i := range shown {
		f.Frame.Hit(canvas.Rect{X: in.X, Y: in.Y + 1 + i, W: in.W, H: 1}, func() { f.at = first + i })
	}
}

// noteRows are the last rows: what is wrong, or what the fields come to and what the
// chosen option is.
const noteRows = 3

func (f *Form) notes(c *canvas.Canvas, w int) []string {
	var lines []string
	put := func(text string, s canvas.Style, most int) {
		all := canvas.Wrap(text, w, 0)
		if len(all) > most {
			all[most-1] = ansi.Truncate(all[most-1]+" "+all[most], w-1, "") + "…"
		}
		for _, l := range all[:min(len(all), most)] {
			lines = append(lines, c.Style(s).Render(ansi.Truncate(canvas.Clean(l), w, "…")))
		}
		for len(lines) < most {
			lines = append(lines, "")
		}
	}
	switch cur := f.fields[f.at]; {
	case f.err != "":
		put(f.err, theme.Bad, noteRows)
	case cur.wrong() != "":
		put(cur.label+": "+cur.wrong(), theme.Bad, noteRows)
	case f.asked:
		put("looking at it…", theme.Muted, noteRows)
	case f.doubt != "":
		put(f.doubt, theme.Warn, noteRows)
	default:
		put(f.told, theme.Good, noteRows-1)
		note := ""
		if len(cur.options) > 0 {
			note = cur.options[cur.cursor].Note
			if cur.open && note == "" {
				note = "←→ choose, or type " + cur.hint
			}
		}
		lines = append(lines, c.Style(theme.Muted).Render(ansi.Truncate(canvas.Clean(note), w, "…")))
	}
	return lines
}
