package page

import (
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"

	tea "charm.land/bubbletea/v2"

	"jouletop/engine/command"
	"jouletop/engine/event"
	"jouletop/tui/canvas"
	"jouletop/tui/draw"
	"jouletop/tui/grid"
	"jouletop/tui/state"
	"jouletop/tui/theme"
	"jouletop/tui/view"
)

// Session shows this session and earlier ones.
type Session struct {
	Base
	list    []command.SessionInfo
	loaded  bool
	asked   bool
	err     string
	version uint64
	earlier *table[*command.SessionInfo]
}

// NewSession returns the page of this session and earlier ones.
func NewSession(c *view.Context) *Session {
	p := &Session{Base: Base{c}}
	t := &table[*command.SessionInfo]{Context: c, look: grid.Look[*command.SessionInfo]{Title: "Earlier sessions", Note: "Enter: lay beside"}}
	t.grid.Columns = p.columns()
	// They come newest first, and so they are listed.
	t.rows = func() grid.Rows[*command.SessionInfo] {
		n := len(p.list)
		return grid.Rows[*command.SessionInfo]{Len: n, Version: p.version, At: func(i int) *command.SessionInfo { return &p.list[n-1-i] }}
	}
	t.name = func(s *command.SessionInfo) string { return s.Name }
	p.earlier = t
	return p
}

type (
	sessionsMsg struct {
		list []command.SessionInfo
		err  error
	}
	detailMsg struct {
		detail command.SessionDetail
		err    error
	}
)

var sessionKeys = struct{ beside view.Key }{
	view.Bind("Enter", "beside", "lay a session beside", "enter"),
}

// Name stands on the tab.
func (p *Session) Name() string { return "Session" }

// Keys are the page's own.
func (p *Session) Keys() []view.Key {
	return append([]view.Key{sessionKeys.beside}, slices.DeleteFunc(grid.All(), func(k view.Key) bool { return k.Hint == grid.Keys.Open.Hint })...)
}

// Hints are the keys on the last line.
func (p *Session) Hints() []view.Key {
	k := &p.Context.Keys
	hints := []view.Key{k.Export, k.Mark, k.Save}
	if p.earlier.grid.Typing() {
		return p.earlier.hints()
	}
	if len(p.list) > 0 {
		hints = append(hints, sessionKeys.beside)
	}
	return append(hints, slices.DeleteFunc(p.earlier.hints(), func(k view.Key) bool { return k.Hint == grid.Keys.Open.Hint })...)
}

// Open asks for the earlier sessions.
func (p *Session) Open() tea.Cmd {
	c := p.Controller
	if c == nil || p.asked {
		return nil
	}
	p.asked = true
	return func() tea.Msg {
		list, err := c.Sessions()
		return sessionsMsg{list, err}
	}
}

// Update takes the earlier sessions, and the one to lay beside.
func (p *Session) Update(msg tea.Msg) tea.Cmd {
	switch msg := msg.(type) {
	case sessionsMsg:
		p.version++
		p.asked = false
		p.err = ""
		if msg.err != nil {
			p.err = msg.err.Error()
			return nil
		}
		// The one that is shown is not beside itself.
		p.list = slices.DeleteFunc(slices.Clone(msg.list), func(s command.SessionInfo) bool {
			return filepath.Clean(s.Path) == filepath.Clean(p.Status.Session.Path)
		})
		p.loaded = true
	case detailMsg:
		p.version++
		if msg.err != nil {
			return p.Say(msg.err.Error(), true)
		}
		p.Beside = &view.Earlier{
			SessionInfo: msg.detail.SessionInfo, Results: state.PointsOf(msg.detail.Points), Sum: state.SumUp(msg.detail.Requests),
		}
		return p.Say("laid beside: "+msg.detail.Name+" (also on the curves)", false)
	}
	return nil
}

// Greedy tells whether a key is the page's before it is the program's.
func (p *Session) Greedy(msg tea.KeyPressMsg) bool { return p.earlier.greedy(msg) }

// Newest goes back to the newest session.
func (p *Session) Newest() { p.earlier.newest() }

// Wheel goes through the earlier sessions.
func (p *Session) Wheel(by int) { p.earlier.wheel(by) }

// Paste takes text where it is typed.
func (p *Session) Paste(text string) bool { return p.earlier.paste(text) }

// Key chooses an earlier session and lays it beside, or takes it away again.
func (p *Session) Key(msg tea.KeyPressMsg) tea.Cmd {
	if !sessionKeys.beside.Is(msg) || p.earlier.grid.Typing() {
		cmd, _ := p.earlier.key(msg)
		return cmd
	}
	p.earlier.grid.See(p.earlier.rows())
	chosen, ok := p.earlier.grid.Chosen()
	if !ok {
		return nil
	}
	path := chosen.Path
	if p.Beside != nil && p.Beside.Path == path {
		p.Beside = nil
		p.version++
		return nil
	}
	c := p.Controller
	return func() tea.Msg {
		d, err := c.OpenSession(path)
		return detailMsg{d, err}
	}
}

// sessionAreas are the page's rectangles.
type sessionAreas struct{ files, events, earlier, beside canvas.Rect }

func (p *Session) areas() (a sessionAreas) {
	left, right := view.Split(p.Body, p.Body.W*view.Pick(p.Size, 46, 44, 42)/100, 1)
	a.files, a.earlier = view.Cut(left, left.H*view.Pick(p.Size, 55, 50, 42)/100)
	a.events, a.beside = view.Cut(right, right.H*view.Pick(p.Size, 50, 56, 62)/100)
	return a
}

// Draw draws the page.
func (p *Session) Draw() {
	type key struct {
		version, log, requests, points uint64
		second                         int64
		bytes                          int64
		path                           string
	}
	v, at := p.State.Versions, p.areas()
	p.Frame.Place("files", at.files, key{requests: v.Requests, log: v.Log, second: p.Second(), bytes: p.bytes(), path: p.Status.Session.Path}, p.drawFiles)
	p.Frame.Place("events", at.events, key{log: v.Log, second: p.State.StartNS}, p.drawEvents)
	p.earlier.look.Empty = p.noneEarlier()
	p.earlier.draw("earlier", at.earlier)
	p.Frame.Place("beside", at.beside, key{version: p.version, requests: v.Requests, points: v.Points}, p.drawBeside)
}

func (p *Session) bytes() int64 {
	var n int64
	for _, f := range p.Status.Files {
		n += f.Bytes
	}
	return n
}

func (p *Session) drawFiles(c *canvas.Canvas) {
	s := p.Status.Session
	y := draw.Heading(c, 0, "This session", draw.Bytes(p.bytes()))
	// A line a fact, more where it needs them.
	line := func(label, text string, st canvas.Style) {
		if text == "" {
			return
		}
		w := c.W - 12
		// The end of a path says more than its beginning.
		if label == "folder" && canvas.Width(text) > w && w > 1 {
			r := []rune(text)
			text = "…" + string(r[max(len(r)-w+1, 0):])
		}
		for i, l := range canvas.Wrap(text, w, 0) {
			if y >= c.H {
				return
			}
			if i == 0 {
				c.Text(1, y, theme.Muted, label)
			}
			c.Text(11, y, st, l)
			y++
		}
	}
	if s.Path == "" {
		line("folder", "not recorded", theme.Warn)
	}
	line("folder", s.Path, theme.Default)
	if !s.Start.IsZero() {
		line("started", s.Start.Format("2006-01-02 15:04:05"), theme.Default)
	}
	line("elapsed", draw.Clock(p.State.Elapsed()), theme.Default)
	counts := draw.Plural(p.State.Requests.Total, "request") + ", " + draw.Plural(p.State.Sweep.Count, "point") + ", " + draw.Plural(p.State.Marks, "mark")
	line("holds", counts, theme.Default)
	problems, st := "no warnings, no errors", theme.Good
	if p.State.Warnings+p.State.Errors > 0 {
		problems, st = draw.Plural(p.State.Warnings, "warning")+", "+draw.Plural(p.State.Errors, "error"), theme.Warn
	}
	line("trouble", problems, st)
	if n := p.Telemetry().PolicyChanges; n > 0 {
		line("policy", draw.Plural(n, "clock change")+" (clocks.csv has each)", theme.Default)
	}
	if n := p.Status.Dropped; n > 0 {
		line("screen", fmt.Sprintf("%d readings not drawn; the recorder has them", n), theme.Muted)
	}
	for _, h := range p.Hidden() {
		line("hidden", h, theme.Warn)
	}
	y++
	files := p.Status.Files
	if len(files) == 0 || y+1 >= c.H {
		return
	}
	t := draw.Table[command.File]{Columns: []draw.Column[command.File]{
		{Title: "file", Width: -14, Grow: true, Text: func(f command.File) string { return f.Name }},
		{Title: "size", Width: 10, Text: func(f command.File) string { return draw.Bytes(f.Bytes) }},
	}, Rows: len(files), At: func(i int) command.File { return files[i] }}
	t.Draw(c, canvas.Rect{X: 1, Y: y, W: c.W - 2, H: c.H - y})
}

// told is what the log says of an event: its kind in a word, and what happened.
func told(e event.Event) (kind string, style canvas.Style, text string) {
	switch e := e.(type) {
	case event.Mark:
		return "mark", theme.Accent, e.Note
	case event.Warning:
		return "warning", theme.Warn, e.Text
	case event.Error:
		return "error", theme.Bad, e.Text
	case event.ClockChange:
		return "clock", theme.PhaseDecode, changeText(e)
	case event.KnobChange:
		return "knob", theme.PhaseDecode, knobText(e)
	case event.PolicyNote:
		return "policy", theme.PhaseScore, e.Text
	case event.Sleep:
		if e.Asleep {
			return "GPU", theme.Default, e.GPU + " is asleep; it is not read until somebody else has woken it"
		}
		return "GPU", theme.Default, e.GPU + " is awake"
	case event.RunEnd:
		return "run", theme.Muted, "run ended: " + string(e.How) + draw.ErrSuffix(e.Err)
	}
	return "", theme.Default, ""
}

// changeText says what became of a clock and why before it says how.
func changeText(e event.ClockChange) string {
	what := "clock given back to the driver"
	if e.RequestedSMMHz > 0 {
		what = "clock " + draw.Int(e.RequestedSMMHz) + " MHz"
	}
	what += " (" + e.Cause.String() + ")" + draw.ErrSuffix(e.Err)
	if e.RequestedSMMHz > 0 && e.AchievedSMMHz >= 0 {
		what += ", achieved " + draw.Int(e.AchievedSMMHz)
	}
	if !math.IsNaN(e.CallMS) {
		what += ", call " + draw.Float(e.CallMS, 1) + " ms"
	}
	if !math.IsNaN(e.SettleMS) {
		what += ", settled " + draw.Float(e.SettleMS, 0) + " ms"
	}
	return what
}

// knobText says what became of another knob, and why.
func knobText(e event.KnobChange) string {
	what := e.Knob.Title() + " given back"
	if e.Requested > 0 {
		what = e.Knob.Title() + " " + e.Knob.Text(e.Requested)
	}
	what += " (" + e.Cause.String() + ")" + draw.ErrSuffix(e.Err)
	if e.Achieved > 0 && e.Achieved != e.Requested {
		what += ", in force " + e.Knob.Text(e.Achieved)
	}
	if !math.IsNaN(e.CallMS) {
		what += ", call " + draw.Float(e.CallMS, 1) + " ms"
	}
	return what
}

// drawEvents lists what happened, whole: a line each, more where it needs them.
func (p *Session) drawEvents(c *canvas.Canvas) {
	l := &p.State.Log
	y := draw.Heading(c, 0, "Marks, clocks, warnings: newest first", fmt.Sprint(p.State.Logged))
	if l.Len() == 0 {
		c.TextMax(1, y, c.W-2, theme.Muted, "none yet; "+p.Label(p.Context.Keys.Mark)+" marks a moment with a note")
		return
	}
	for i := 0; i < l.Len() && y < c.H; i++ {
		e := *l.At(i)
		kind, style, text := told(e)
		x := c.Text(1, y, theme.Muted, draw.Clock(max(e.When()-p.State.StartNS, 0))) + 1
		x = c.Text(x, y, style, draw.Pad(kind, -7)) + 1
		for _, line := range canvas.Wrap(strings.Join(strings.Fields(text), " "), c.W-x-1, 0) {
			c.Text(x, y, theme.Default, line)
			y++
		}
	}
}

// noneEarlier says why no earlier session is listed.
func (p *Session) noneEarlier() string {
	switch {
	case p.err != "":
		return p.err
	case !p.loaded:
		return "looking for sessions"
	}
	return "none found"
}

// columns are those of earlier sessions.
func (p *Session) columns() []draw.Column[*command.SessionInfo] {
	return []draw.Column[*command.SessionInfo]{
		{Title: "  session", Width: -23, Grow: true, Text: func(s *command.SessionInfo) string {
			if p.Beside != nil && p.Beside.Path == s.Path {
				return "◆ " + s.Name
			}
			return "  " + s.Name
		}},
		{Title: "requests", Width: 9, Text: func(s *command.SessionInfo) string { return draw.Int(s.Requests) }, Num: func(s *command.SessionInfo) float64 { return float64(s.Requests) }},
		{Title: "points", Width: 7, Text: func(s *command.SessionInfo) string { return draw.Int(s.Points) }, Num: func(s *command.SessionInfo) float64 { return float64(s.Points) }},
		{Title: "size", Width: 9, Text: func(s *command.SessionInfo) string { return draw.Bytes(s.Bytes) }, Num: func(s *command.SessionInfo) float64 { return float64(s.Bytes) }},
		{Title: "GPU", Width: -8, Grow: true, Text: func(s *command.SessionInfo) string { return s.GPU }},
		{Title: "took", Width: 8, Text: func(s *command.SessionInfo) string { return draw.Clock(int64(s.Duration)) }, Num: func(s *command.SessionInfo) float64 { return s.Duration.Seconds() }},
		{Title: "ended", Width: -11, Text: func(s *command.SessionInfo) string { return string(s.How) }},
		{Title: "models", Width: -20, Grow: true, Text: func(s *command.SessionInfo) string { return strings.Join(s.Models, ", ") }},
	}
}

func (p *Session) drawBeside(c *canvas.Canvas) {
	d := p.Beside
	if d == nil {
		y := draw.Heading(c, 0, "Side by side", "")
		text := "Enter on an earlier session lays it beside this one"
		if canvas.Width(text) > c.W-2 {
			text = "Enter lays an earlier one beside this"
		}
		c.TextMax(1, y, c.W-2, theme.Muted, text)
		return
	}
	y := draw.Heading(c, 0, "Beside: "+d.Name, "")
	r := &p.State.Requests
	lat := r.SpreadOf(func(q *state.Request) float64 { return q.LatencyS() })
	ttft := r.SpreadOf(func(q *state.Request) float64 { return q.TTFTS })
	e := &d.Sum
	whole := func(v float64) string { return draw.Float(v, 0) }
	t := draw.Table[besideRow]{Columns: []draw.Column[besideRow]{
		{Title: "", Width: -14, Grow: true, Text: func(r besideRow) string { return r.label }},
		{Title: "this", Width: 8, Text: func(r besideRow) string { return r.format(r.now) }},
		{Title: "earlier", Width: 8, Text: func(r besideRow) string { return r.format(r.then) }},
		{Title: "change", Width: 8, Text: func(r besideRow) string {
			if r.counts {
				return ""
			}
			return draw.Change(r.then, r.now)
		}},
	}}
	rows := []besideRow{
		{"requests", float64(r.Total), float64(e.Total), whole, true},
		{"points", float64(p.State.Sweep.Count), float64(len(d.Results.Done)), whole, true},
		{"J/token", r.JoulesPerToken(), e.JoulesPerToken(), draw.Sig, false},
		{"latency median", lat.Median, e.Latency.Median, draw.Seconds, false},
		{"latency p95", lat.P95, e.Latency.P95, draw.Seconds, false},
		{"TTFT median", ttft.Median, e.TTFT.Median, draw.Seconds, false},
	}
	t.Rows, t.At = len(rows), func(i int) besideRow { return rows[i] }
	t.Style = func(_, col int) canvas.Style {
		switch col {
		case 0:
			return theme.Muted
		case 1:
			return theme.Strong
		}
		return theme.Default
	}
	y = t.Draw(c, canvas.Rect{X: 1, Y: y, W: c.W - 2, H: c.H - y})
	if y < c.H && d.Simulated != p.IsSimulated() {
		c.TextMax(1, y, c.W-2, theme.Warn, "one of the two is simulated: do not compare their joules")
	}
}

// besideRow is a figure of this session and of the one laid beside it.
type besideRow struct {
	label     string
	now, then float64
	format    func(float64) string
	counts    bool // what no change is told of
}
