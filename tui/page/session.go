package page

import (
	"fmt"
	"math"
	"strings"

	tea "charm.land/bubbletea/v2"

	"jouletop/engine/command"
	"jouletop/engine/event"
	"jouletop/tui/canvas"
	"jouletop/tui/draw"
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
	sel     int
	version uint64
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

var sessionKeys = struct{ choose, beside view.Key }{
	upDown("choose", "choose an earlier session"),
	view.Bind("Enter", "beside", "lay a session beside", "enter"),
}

// Name stands on the tab.
func (p *Session) Name() string { return "Session" }

// Keys are the page's own.
func (p *Session) Keys() []view.Key {
	return []view.Key{sessionKeys.choose, sessionKeys.beside}
}

// Hints are the keys on the last line.
func (p *Session) Hints() []view.Key {
	k := &p.Context.Keys
	hints := []view.Key{k.Export, k.Mark, k.Save}
	if len(p.list) > 0 {
		hints = append(hints, sessionKeys.choose, sessionKeys.beside)
	}
	return hints
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
		p.list, p.loaded = msg.list, true
		p.sel = min(p.sel, max(len(p.list)-1, 0))
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

// Key chooses an earlier session and lays it beside, or takes it away again.
func (p *Session) Key(msg tea.KeyPressMsg) tea.Cmd {
	n := len(p.list)
	if n == 0 {
		return nil
	}
	switch k := &sessionKeys; {
	case k.choose.Is(msg):
		p.sel = min(max(p.sel+step(msg), 0), n-1)
	case k.beside.Is(msg):
		path := p.list[p.sel].Path
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
	return nil
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
		sel                            int
		second                         int64
		bytes                          int64
		path                           string
	}
	v, at := p.State.Versions, p.areas()
	p.Frame.Place("files", at.files, key{requests: v.Requests, log: v.Log, second: p.Second(), bytes: p.bytes(), path: p.Status.Session.Path}, p.drawFiles)
	p.Frame.Place("events", at.events, key{log: v.Log, second: p.State.StartNS}, p.drawEvents)
	p.Frame.Place("earlier", at.earlier, key{version: p.version, sel: p.sel}, p.drawEarlier)
	p.Frame.Place("beside", at.beside, key{version: p.version, requests: v.Requests, points: v.Points}, p.drawBeside)
	rows := at.earlier.H - 1
	for i := p.first(rows); i < min(p.first(rows)+rows, len(p.list)); i++ {
		r := canvas.Rect{X: at.earlier.X, Y: at.earlier.Y + 1 + i - p.first(rows), W: at.earlier.W, H: 1}
		p.Frame.Hit(r, func() { p.sel = i })
	}
}

// first is the first row of the list that is shown in rows rows.
func (p *Session) first(rows int) int {
	return min(max(p.sel-rows/2, 0), max(len(p.list)-rows, 0))
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
	line := func(label, text string, st canvas.Style) {
		if y >= c.H || text == "" {
			return
		}
		x := c.Text(1, y, theme.Muted, draw.Pad(label, -10))
		// The end of a path says more than its beginning.
		if w := c.W - x - 1; label == "folder" && canvas.Width(text) > w && w > 1 {
			r := []rune(text)
			text = "…" + string(r[max(len(r)-w+1, 0):])
		}
		c.TextMax(x, y, c.W-x-1, st, text)
		y++
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
	if len(p.Status.Files) == 0 || y+1 >= c.H {
		return
	}
	c.Text(1, y, theme.Muted, "file")
	c.Right(c.W-12, y, theme.Muted, "rows")
	c.Right(c.W-1, y, theme.Muted, "size")
	y++
	for _, f := range p.Status.Files {
		if y >= c.H {
			return
		}
		c.TextMax(1, y, c.W-24, theme.Default, f.Name)
		rows := draw.Unknown
		if f.Rows >= 0 {
			rows = fmt.Sprint(f.Rows)
		}
		c.Right(c.W-12, y, theme.Default, rows)
		c.Right(c.W-1, y, theme.Default, draw.Bytes(f.Bytes))
		y++
	}
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
	case event.PolicyNote:
		return "policy", theme.PhaseScore, e.Text
	case event.RunEnd:
		return "run", theme.Muted, "run ended: " + string(e.How) + draw.ErrSuffix(e.Err)
	}
	return "", theme.Default, ""
}

func changeText(e event.ClockChange) string {
	what := "clock given back to the driver"
	if e.RequestedSMMHz > 0 {
		what = "clock " + draw.Int(e.RequestedSMMHz) + " MHz"
		if e.AchievedSMMHz >= 0 {
			what += ", achieved " + draw.Int(e.AchievedSMMHz)
		}
	}
	if !math.IsNaN(e.CallMS) {
		what += ", call " + draw.Float(e.CallMS, 1) + " ms"
	}
	if !math.IsNaN(e.SettleMS) {
		what += ", settled " + draw.Float(e.SettleMS, 0) + " ms"
	}
	return what + " (" + e.Cause.String() + ")" + draw.ErrSuffix(e.Err)
}

func (p *Session) drawEvents(c *canvas.Canvas) {
	l := &p.State.Log
	y := draw.Heading(c, 0, "Marks, clocks, warnings: newest first", fmt.Sprint(p.State.Logged))
	if l.Len() == 0 {
		c.TextMax(1, y, c.W-2, theme.Muted, "none yet; m marks a moment with a note")
		return
	}
	for i := 0; i < l.Len() && y < c.H; i++ {
		e := *l.At(i)
		kind, style, text := told(e)
		x := c.Text(1, y, theme.Muted, draw.Clock(max(e.When()-p.State.StartNS, 0))) + 1
		x = c.Text(x, y, style, draw.Pad(kind, -7)) + 1
		c.TextMax(x, y, c.W-x-1, theme.Default, strings.Join(strings.Fields(text), " "))
		y++
	}
}

func (p *Session) drawEarlier(c *canvas.Canvas) {
	y := draw.Heading(c, 0, "Earlier sessions", "↑ ↓ Enter")
	switch {
	case p.err != "":
		c.TextMax(1, y, c.W-2, theme.Bad, p.err)
		return
	case !p.loaded:
		c.TextMax(1, y, c.W-2, theme.Muted, "looking for sessions")
		return
	case len(p.list) == 0:
		c.TextMax(1, y, c.W-2, theme.Muted, "none found")
		return
	}
	for i := p.first(c.H - 1); i < len(p.list) && y < c.H; i++ {
		s := &p.list[i]
		st := theme.Default
		if i == p.sel {
			st = theme.Select
			c.Fill(canvas.Rect{Y: y, W: c.W, H: 1}, st, ' ')
		}
		mark := "  "
		if p.Beside != nil && p.Beside.Path == s.Path {
			mark = "◆ "
		}
		tail := draw.Pad(draw.Int(s.Requests), 5) + " req"
		if c.W >= 50 {
			tail += draw.Pad(draw.Int(s.Points), 5) + " pts"
		}
		if c.W >= 66 {
			tail += draw.Pad(draw.Bytes(s.Bytes), 10)
		}
		name := s.Name
		if s.GPU != "" && c.W >= 80 {
			name += "  " + s.GPU
		}
		c.TextMax(0, y, c.W-canvas.Width(tail)-2, st, mark+name)
		c.Right(c.W-1, y, st, tail)
		y++
	}
}

func (p *Session) drawBeside(c *canvas.Canvas) {
	d := p.Beside
	if d == nil {
		y := draw.Heading(c, 0, "Side by side", "")
		c.TextMax(1, y, c.W-2, theme.Muted, "Enter on an earlier session lays it beside this one")
		return
	}
	y := draw.Heading(c, 0, "Beside: "+d.Name, "")
	r := &p.State.Requests
	lat := r.SpreadOf(func(q *state.Request) float64 { return q.LatencyS() })
	ttft := r.SpreadOf(func(q *state.Request) float64 { return q.TTFTS })
	e := &d.Sum
	at := []int{c.W * 62 / 100, c.W * 82 / 100, c.W - 1}
	for i, t := range []string{"this", "earlier", "change"} {
		c.Right(at[i], y, theme.Muted, t)
	}
	y++
	for _, row := range []struct {
		label          string
		now, then      float64
		format         func(float64) string
		withoutChanges bool
	}{
		{"requests", float64(r.Total), float64(e.Total), func(v float64) string { return draw.Float(v, 0) }, true},
		{"points", float64(p.State.Sweep.Count), float64(len(d.Results.Done)), func(v float64) string { return draw.Float(v, 0) }, true},
		{"energy J/token", r.JoulesPerToken(), e.JoulesPerToken(), draw.Sig, false},
		{"energy Wh", r.All.Joules / joulesPerWh, e.All.Joules / joulesPerWh, draw.Sig, true},
		{"latency median", lat.Median, e.Latency.Median, draw.Seconds, false},
		{"latency p95", lat.P95, e.Latency.P95, draw.Seconds, false},
		{"TTFT median", ttft.Median, e.TTFT.Median, draw.Seconds, false},
	} {
		if y >= c.H {
			return
		}
		c.TextMax(1, y, at[0]-10, theme.Muted, row.label)
		c.Right(at[0], y, theme.Strong, row.format(row.now))
		c.Right(at[1], y, theme.Default, row.format(row.then))
		if !row.withoutChanges {
			c.Right(at[2], y, theme.Default, draw.Change(row.then, row.now))
		}
		y++
	}
	if y < c.H && d.Simulated != p.IsSimulated() {
		c.TextMax(1, y, c.W-2, theme.Warn, "one of the two is simulated: do not compare their joules")
	}
}
