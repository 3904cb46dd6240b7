package tui

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"charm.land/bubbles/v2/key"
	"charm.land/bubbles/v2/textinput"
	tea "charm.land/bubbletea/v2"

	"jouletop/tui/canvas"
	"jouletop/tui/theme"
)

// form asks for a job, a sweep or a comparison.
type form struct {
	title  string
	fields []*field
	at     int
	err    string
	submit func(f *form) (order, error)
	// asked: what it asks for is being looked at; it closes once that is accepted.
	asked bool
}

// command is something to ask of the controller.
type order func(c Controller) (string, error)

// field is one thing to choose or type.
type field struct {
	label   string
	hint    string
	options []Choice // nil: typed text
	many    bool     // several may be chosen
	chosen  []bool
	cursor  int
	in      textinput.Model
}

func choose(label string, options []Choice, many bool) *field {
	f := &field{label: label, options: options, many: many, chosen: make([]bool, len(options))}
	if len(options) > 0 {
		f.chosen[0] = true
	}
	return f
}

// prefer chooses the option of that name in place of the first, where it is there.
func (f *field) prefer(name string) {
	for i, o := range f.options {
		if o.Name == name {
			clear(f.chosen)
			f.chosen[i], f.cursor = true, i
		}
	}
}

func typed(label, value, hint string) *field {
	return &field{label: label, hint: hint, in: newInput(value)}
}

// values are the names chosen.
func (f *field) values() []string {
	var out []string
	for i, on := range f.chosen {
		if on {
			out = append(out, f.options[i].Name)
		}
	}
	return out
}

func (f *field) value() string {
	if f.options == nil {
		return strings.TrimSpace(f.in.Value())
	}
	if v := f.values(); len(v) > 0 {
		return v[0]
	}
	return ""
}

// number reads a field that must be a whole number of at least least.
func (f *field) number(least int) (int, error) {
	n, err := strconv.Atoi(f.value())
	if err != nil || n < least {
		return 0, fmt.Errorf("%s: %q is not a whole number of at least %d", f.label, f.value(), least)
	}
	return n, nil
}

// numbers reads a list of whole numbers of at least 1.
func (f *field) numbers() ([]int, error) {
	var out []int
	for part := range strings.SplitSeq(f.value(), ",") {
		n, err := strconv.Atoi(strings.TrimSpace(part))
		if err != nil || n < 1 {
			return nil, fmt.Errorf("%s: %q is not a list of whole numbers like 1,4,8", f.label, f.value())
		}
		out = append(out, n)
	}
	return out, nil
}

var (
	errNoModel   = errors.New("no model found: see jouletop models")
	errNoDataset = errors.New("choose a dataset")
	errSameSides = errors.New("choose two different policies to compare")
)

// openForm opens the form that fits the screen.
func (m *Model) openForm() tea.Cmd {
	if !m.canRun() {
		return m.say(errNotHere.Error(), true)
	}
	if !m.chosen && m.opt.Controller != nil {
		m.formWanted = true
		return m.say("finding what can be run…", false)
	}
	c := &m.choices
	batches := "1"
	if len(c.Batches) > 0 {
		batches = fmtInt(c.Batches[0])
	}
	models := choose("model", c.Models, m.tab == screenSweep || m.tab == screenCurves)
	data := choose("dataset", c.Datasets, m.tab != screenLive)
	if m.tab == screenCompare {
		data.prefer("truthfulqa") // an answer long enough for phases to matter
	}
	switch m.tab {
	case screenSweep, screenCurves:
		m.form = &form{title: "New sweep", submit: m.submitSweep, fields: []*field{
			models, data,
			typed("clocks", sweepClocks(c.Clocks), "MHz: 960,1200 or MIN:MAX:COUNT, all, paper"),
			typed("batch sizes", batches, "like 1,4,8"), typed("repeats", "3", ""),
			typed("queries", "8", "a point"), typed("max tokens", "100", "a request"),
		}}
	case screenCompare:
		a, b := comparePolicies(c)
		m.form = &form{title: "New comparison", submit: m.submitCompare, fields: []*field{
			typed("policy A", a, "none, fixed:MHZ, phase:PREFILL/DECODE, …"), typed("policy B", b, "the other side"),
			models, data, typed("batch size", batches, ""), typed("repeats", "3", ""),
			typed("queries", "8", "a repeat"), typed("max tokens", "100", "a request"),
		}}
	default:
		m.form = &form{title: "New job", submit: m.submitJob, fields: []*field{
			models, data, typed("batch size", batches, "prompts at once"),
			typed("queries", "32", "more than there are repeats them"), typed("max tokens", "100", "a request"),
		}}
	}
	return nil
}

// sweepClocks proposes seven clocks over the whole range.
func sweepClocks(clocks []int) string {
	if len(clocks) < 2 {
		return "all"
	}
	return fmtInt(clocks[0]) + ":" + fmtInt(clocks[len(clocks)-1]) + ":7"
}

// comparePolicies proposes the highest clock against a phase-aware policy.
func comparePolicies(c *Choices) (a, b string) {
	a, b = "none", ""
	if n := len(c.Clocks); n > 0 {
		a = "fixed:" + fmtInt(c.Clocks[n-1])
	}
	for _, p := range c.Policies {
		if strings.HasPrefix(p, "phase:") {
			return a, p
		}
	}
	return a, b
}

func (m *Model) submitJob(f *form) (order, error) {
	v := f.fields
	job := Job{Model: v[0].value(), Dataset: v[1].value()}
	var err [3]error
	job.Batch, err[0] = v[2].number(1)
	job.Queries, err[1] = v[3].number(1)
	job.MaxTokens, err[2] = v[4].number(1)
	if e := needed(job.Model, job.Dataset, err[:]...); e != nil {
		return nil, e
	}
	return func(c Controller) (string, error) {
		return "job started: " + job.Model + " on " + job.Dataset, c.StartJob(job)
	}, nil
}

func (m *Model) submitSweep(f *form) (order, error) {
	v := f.fields
	plan := SweepPlan{Models: v[0].values(), Datasets: v[1].values(), Clocks: v[2].value()}
	var err [4]error
	plan.Batches, err[0] = v[3].numbers()
	plan.Repeats, err[1] = v[4].number(1)
	plan.Queries, err[2] = v[5].number(1)
	plan.MaxTokens, err[3] = v[6].number(1)
	if e := needed(v[0].value(), v[1].value(), err[:]...); e != nil {
		return nil, e
	}
	return func(c Controller) (string, error) { return "sweep started", c.StartSweep(plan) }, nil
}

func (m *Model) submitCompare(f *form) (order, error) {
	v := f.fields
	a, b := v[0].value(), v[1].value()
	if a == b || a == "" || b == "" {
		return nil, errSameSides
	}
	plan := SweepPlan{Policies: []string{a, b}, Models: v[2].values(), Datasets: v[3].values()}
	var err [4]error
	plan.Batches, err[0] = v[4].numbers()
	plan.Repeats, err[1] = v[5].number(1)
	plan.Queries, err[2] = v[6].number(1)
	plan.MaxTokens, err[3] = v[7].number(1)
	if e := needed(v[2].value(), v[3].value(), err[:]...); e != nil {
		return nil, e
	}
	m.compare.want(a, b)
	return func(c Controller) (string, error) { return "comparing " + a + " with " + b, c.StartSweep(plan) }, nil
}

func needed(model, dataset string, errs ...error) error {
	if model == "" {
		return errNoModel
	}
	if dataset == "" {
		return errNoDataset
	}
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// formMsg is the answer to what a form asked for.
type formMsg struct {
	form   *form
	answer tea.Msg // a commandMsg, or nil where there is nobody to ask
}

// formAnswered closes a form that was accepted; else it stays, with the reason.
func (m *Model) formAnswered(msg formMsg) tea.Cmd {
	m.dirty = true
	done, ok := msg.answer.(commandMsg)
	if m.form == msg.form {
		if msg.form.asked = false; ok && done.err != nil {
			msg.form.err = done.err.Error()
			m.pending--
			return nil
		}
		m.form = nil
	}
	if !ok {
		return nil
	}
	m.pending--
	return m.commandDone(doneMsg(done))
}

func (m *Model) formKey(msg tea.KeyPressMsg) tea.Cmd {
	f := m.form
	cur := f.fields[f.at]
	f.err = ""
	switch s := msg.String(); {
	case key.Matches(msg, m.keys.esc):
		m.form = nil
	case f.asked: // no more until there is an answer
	case s == "enter":
		ask, err := f.submit(f)
		if err != nil {
			f.err = err.Error()
			return nil
		}
		f.asked = true
		cmd := m.do(ask)
		return func() tea.Msg { return formMsg{f, cmd()} }
	case s == "up", s == "shift+tab":
		f.at = (f.at + len(f.fields) - 1) % len(f.fields)
	case s == "down", s == "tab":
		f.at = (f.at + 1) % len(f.fields)
	case cur.options == nil:
		cur.in, _ = cur.in.Update(msg)
	case s == "left":
		cur.step(-1)
	case s == "right":
		cur.step(1)
	case s == "space" && cur.many && len(cur.options) > 0:
		cur.chosen[cur.cursor] = !cur.chosen[cur.cursor]
	}
	return nil
}

// step moves among the options; where one alone can be chosen it is.
func (f *field) step(by int) {
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

func (f *form) insert(text string) {
	if cur := f.fields[f.at]; cur.options == nil {
		insertText(&cur.in, text)
	}
}

func (f *form) hints(k *keyMap) []key.Binding {
	return []key.Binding{
		bind("Enter", "start", "enter"), bind("↑↓", "field", "up"), bind("←→", "choose", "left"),
		bind("Space", "take or leave", "space"), k.esc,
	}
}

func (m *Model) drawForm() {
	f, c := m.form, m.frame
	r := m.lay.form
	r.H = min(len(f.fields)+5, r.H)
	box(c, r, f.title, "Esc")
	in := r.Inset(2, 1)
	labels := 12
	for i, fd := range f.fields {
		y := in.Y + 1 + i
		if y >= in.Y+in.H-1 {
			break
		}
		s := theme.Muted
		if i == f.at {
			s = theme.Accent
			c.Text(in.X-1, y, s, "▸")
		}
		c.Text(in.X+1, y, s, fd.label)
		value := canvas.Rect{X: in.X + labels + 2, Y: y, W: in.W - labels - 2, H: 1}
		if fd.options == nil {
			hint := min(canvas.Width(fd.hint), value.W/2)
			drawInput(c, canvas.Rect{X: value.X, Y: y, W: value.W - hint - 1, H: 1}, &fd.in, i == f.at)
			c.TextMax(value.X+value.W-hint, y, hint, theme.Muted, fd.hint)
		} else {
			fd.draw(c, value, i == f.at)
		}
		m.rowHit(canvas.Rect{X: in.X, Y: y, W: in.W, H: 1}, func() { f.at = i })
	}
	y := r.Y + r.H - 2
	switch cur := f.fields[f.at]; {
	case f.err != "":
		c.TextMax(in.X+1, y, in.W-1, theme.Bad, f.err)
	case f.asked:
		c.TextMax(in.X+1, y, in.W-1, theme.Muted, "looking at it…")
	case len(cur.options) > 0:
		c.TextMax(in.X+1, y, in.W-1, theme.Muted, cur.options[cur.cursor].Note)
	}
}

// draw draws the options in one row, those around the cursor.
func (f *field) draw(c *canvas.Canvas, r canvas.Rect, focused bool) {
	if len(f.options) == 0 {
		c.TextMax(r.X, r.Y, r.W, theme.Warn, "none found")
		return
	}
	from, used := f.cursor, 0
	for i := f.cursor; i >= 0; i-- {
		used += canvas.Width(f.options[i].Name) + 5
		if used > r.W*2/3 && i != f.cursor {
			break
		}
		from = i
	}
	x, end := r.X, r.X+r.W
	if from > 0 {
		x = c.Text(x, r.Y, theme.Muted, "‹")
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
		text := mark + f.options[i].Name
		if x+canvas.Width(text) >= end {
			c.TextMax(x, r.Y, end-x, s, text)
			return
		}
		x = c.Text(x, r.Y, s, text) + 2
	}
}
