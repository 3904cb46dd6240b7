package panel

import (
	"fmt"
	"math"
	"slices"

	tea "charm.land/bubbletea/v2"

	"jouletop/engine/command"
	"jouletop/tui/canvas"
	"jouletop/tui/draw"
	"jouletop/tui/theme"
	"jouletop/tui/view"
)

// Jobs shows the jobs that run and wait, in their order, to move and cancel them.
type Jobs struct {
	*view.Context
	id     int // of the chosen one; 0: the first
	closed bool
}

// NewJobs returns the panel of the jobs.
func NewJobs(c *view.Context) *Jobs { return &Jobs{Context: c} }

// JobKeys are its keys, for the help.
func JobKeys() view.KeyGroup {
	k := &jobKeys
	return view.KeyGroup{Title: "Jobs", Keys: []view.Key{k.sooner, k.later, k.cancel}}
}

var jobKeys = struct{ sooner, later, cancel view.Key }{
	sooner: view.Bind("+", "sooner", "a waiting job one place sooner", "+", "shift+up"),
	later:  view.Bind("-", "later", "a waiting job one place later", "-", "shift+down"),
	cancel: view.Bind("Del", "cancel", "cancel a job; one that runs ends after its batch", "delete", "backspace", "x"),
}

// Closed tells whether it is done with.
func (p *Jobs) Closed() bool { return p.closed }

// Paste takes nothing, and leaves nothing to others.
func (p *Jobs) Paste(string) bool { return true }

// Wheel chooses.
func (p *Jobs) Wheel(_, _, by int) bool {
	p.choose(p.at() + by)
	return true
}

// Own are the panel's keys.
func (p *Jobs) Own() []view.Key { return JobKeys().Keys }

// Hints are its keys.
func (p *Jobs) Hints() []view.Key {
	k := &jobKeys
	return []view.Key{p.Keys.Close, view.Bind("↑ ↓", "job", "", "up"), k.sooner, k.later, k.cancel, p.Keys.Job}
}

// at is the place of the chosen job.
func (p *Jobs) at() int {
	return max(slices.IndexFunc(p.Status.Queue, func(q command.Queued) bool { return q.ID == p.id }), 0)
}

func (p *Jobs) choose(at int) {
	if n := len(p.Status.Queue); n > 0 {
		p.id = p.Status.Queue[min(max(at, 0), n-1)].ID
	}
}

// Key moves and cancels; what it does not know closes it and goes on.
func (p *Jobs) Key(msg tea.KeyPressMsg) (tea.Cmd, bool) {
	k := &jobKeys
	var chosen command.Queued
	if q := p.Status.Queue; len(q) > 0 {
		chosen = q[p.at()]
	}
	move := func(by int, way string) (tea.Cmd, bool) {
		if chosen.Running || chosen.ID == 0 {
			return p.Say("only a job that waits can be moved", true), true
		}
		p.id = chosen.ID
		return p.Do(func(c command.Controller) (string, error) { return chosen.Name + ": " + way, c.MoveJob(chosen.ID, by) }), true
	}
	switch s := msg.String(); {
	case s == "up":
		p.choose(p.at() - 1)
	case s == "down":
		p.choose(p.at() + 1)
	case k.sooner.Is(msg):
		return move(-1, "sooner")
	case k.later.Is(msg):
		return move(1, "later")
	case k.cancel.Is(msg):
		if chosen.ID == 0 {
			return p.Say("no job to cancel", true), true
		}
		said := "cancelled: " + chosen.Name
		if chosen.Running {
			said = "ending after its batch: " + chosen.Name
		}
		return p.Do(func(c command.Controller) (string, error) { return said, c.CancelJob(chosen.ID) }), true
	default:
		p.closed = true
		return nil, p.Keys.Close.Is(msg) || p.Keys.Jobs.Is(msg)
	}
	return nil, true
}

// Draw draws the jobs over the page.
func (p *Jobs) Draw(name string) {
	q := p.Status.Queue
	r := center(p.Frame.W, p.Body, view.Pick(p.Size, 78, 100, 120), min(max(len(q), 1)+5, p.Body.H))
	content := fmt.Sprintf("%+v %d", q, p.at())
	p.Frame.Lay(name, r, content, func() string {
		c := p.Frame.Canvas
		in := r.Inset(2, 1)
		to := canvas.New(in.W, in.H, c.Palette())
		if len(q) == 0 {
			to.TextMax(0, 1, in.W, theme.Muted, "nothing runs and nothing waits: "+p.Label(p.Keys.Job)+" starts a job, a sweep or a comparison")
			return draw.Box(c, r.W, r.H, "Jobs", "Esc", to.Render())
		}
		rows := in.H - 3
		first := min(max(p.at()-rows/2, 0), max(len(q)-rows, 0))
		t := draw.Table[command.Queued]{Columns: jobColumns, Rows: len(q), First: first, At: func(i int) command.Queued { return q[i] }}
		t.Style = func(row, _ int) canvas.Style {
			switch {
			case row == p.at():
				return theme.Select
			case q[row].Running:
				return theme.Good
			}
			return theme.Default
		}
		if at := 2 + p.at() - first; at < in.H {
			to.Fill(canvas.Rect{Y: at, W: in.W, H: 1}, theme.Select, ' ')
		}
		t.Draw(to, canvas.Rect{Y: 1, W: in.W, H: in.H - 2})
		to.TextMax(0, in.H-1, in.W, theme.Muted, draw.Plural(len(q), "job")+", "+leftText(inAll(q))+" in all")
		return draw.Box(c, r.W, r.H, "Jobs", "Esc", to.Render())
	})
}

// inAll is the queue as one job.
func inAll(q []command.Queued) command.Queued {
	all, known := command.Queued{Rough: true}, false
	for _, j := range q {
		all.Unknown += j.Unknown
		if math.IsNaN(j.Seconds) {
			all.Unknown = max(all.Unknown, 1)
			continue
		}
		known = true
		all.Seconds += j.Seconds
	}
	if !known {
		all.Seconds = math.NaN()
	}
	return all
}

// leftText words the time left of a job.
func leftText(q command.Queued) string {
	switch text := draw.About(q.Seconds); {
	case text == draw.Unknown:
		return "time not known"
	case q.Unknown > 0:
		return "over " + text
	case q.Rough:
		return "about " + text
	default:
		return text
	}
}

var jobColumns = []draw.Column[command.Queued]{
	{Title: "job", Width: -30, Grow: true, Text: func(q command.Queued) string { return q.Name }},
	{Title: "state", Width: -8, Text: func(q command.Queued) string {
		if q.Running {
			return "running"
		}
		return "waiting"
	}},
	{Title: "points", Width: 9, Text: func(q command.Queued) string { return draw.Int(q.Done) + "/" + draw.Int(q.Points) }},
	{Title: "requests", Width: 8, Rank: 1, Text: func(q command.Queued) string { return draw.Int(q.Requests) }},
	{Title: "left", Width: 14, Text: func(q command.Queued) string { return leftText(q) }},
}
