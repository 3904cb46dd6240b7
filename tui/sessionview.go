package tui

import (
	"fmt"
	"math"
	"strings"

	"charm.land/bubbles/v2/key"
	tea "charm.land/bubbletea/v2"

	"jouletop/tui/canvas"
	"jouletop/tui/theme"
)

// sessionsView shows this session and earlier ones.
type sessionsView struct {
	list      []SessionInfo
	loaded    bool
	asked     bool
	err       string
	sel       int
	beside    *SessionDetail
	sum       sessionSum // of beside
	version   uint64
	lastSpeed float64 // of a held replay
}

type (
	sessionsMsg struct {
		list []SessionInfo
		err  error
	}
	detailMsg struct {
		detail SessionDetail
		err    error
	}
	// statusOnce is a status that was asked for out of turn.
	statusOnce struct{ Status }
)

func (v *sessionsView) ask(m *Model) tea.Cmd {
	c := m.opt.Controller
	if c == nil || v.asked {
		return nil
	}
	v.asked = true
	return func() tea.Msg {
		list, err := c.Sessions()
		return sessionsMsg{list, err}
	}
}

func (v *sessionsView) take(m *Model, msg tea.Msg) tea.Cmd {
	v.version++
	switch msg := msg.(type) {
	case sessionsMsg:
		v.asked = false
		v.err = ""
		if msg.err != nil {
			v.err = msg.err.Error()
			return nil
		}
		v.list, v.loaded = msg.list, true
		v.sel = min(v.sel, max(len(v.list)-1, 0))
	case detailMsg:
		if msg.err != nil {
			return m.say(msg.err.Error(), true)
		}
		v.beside = &msg.detail
		v.sum = sumOf(&msg.detail)
		return m.say("laid beside: "+msg.detail.Name+" (also on the curves)", false)
	}
	return nil
}

func (v *sessionsView) key(m *Model, msg tea.KeyPressMsg) tea.Cmd {
	n := len(v.list)
	if n == 0 {
		return nil
	}
	switch {
	case key.Matches(msg, m.keys.up):
		v.sel = max(v.sel-1, 0)
	case key.Matches(msg, m.keys.down):
		v.sel = min(v.sel+1, n-1)
	case key.Matches(msg, m.keys.enter):
		path := v.list[v.sel].Path
		if v.beside != nil && v.beside.Path == path {
			v.beside = nil
			v.version++
			return nil
		}
		c := m.opt.Controller
		return func() tea.Msg {
			d, err := c.OpenSession(path)
			return detailMsg{d, err}
		}
	}
	return nil
}

// sessionSum is what two sessions are compared by.
type sessionSum struct {
	requests
	points        int
	latency, ttft spread
}

func sumOf(d *SessionDetail) sessionSum {
	s := sessionSum{points: len(d.Points)}
	s.requests.reset()
	s.total = len(d.Requests)
	var latency, ttft []float64
	for i := range d.Requests {
		r := &d.Requests[i]
		s.energy(*r)
		if v := r.LatencyS(); !math.IsNaN(v) {
			latency = append(latency, v)
		}
		if !math.IsNaN(r.TTFTS) {
			ttft = append(ttft, r.TTFTS)
		}
	}
	s.latency, s.ttft = spreadOf(latency), spreadOf(ttft)
	return s
}

func (m *Model) drawSession() {
	type key struct {
		version, log, reqs, points uint64
		sel                        int
		second                     int64
		bytes                      int64
		path                       string
	}
	v := m.st.ver
	m.place("files", m.lay.files, key{reqs: v.reqs, log: v.log, second: m.st.now / 1e9, bytes: m.sessionBytes(), path: m.status.Session.Path}, m.drawFiles)
	m.place("events", m.lay.events, key{log: v.log, second: m.st.startNS}, m.drawEvents)
	m.place("earlier", m.lay.earlier, key{version: m.sessions.version, sel: m.sessions.sel}, m.drawEarlier)
	m.place("beside", m.lay.beside, key{version: m.sessions.version, reqs: v.reqs, points: v.points}, m.drawBeside)
	for i := range m.sessions.list {
		if y := m.lay.earlier.Y + 1 + i - m.sessions.first(m.lay.earlier.H-1); y > m.lay.earlier.Y && y < m.lay.earlier.Y+m.lay.earlier.H {
			m.rowHit(canvas.Rect{X: m.lay.earlier.X, Y: y, W: m.lay.earlier.W, H: 1}, func() { m.sessions.sel = i })
		}
	}
}

// first is the first row of the list that is shown in rows rows.
func (v *sessionsView) first(rows int) int {
	return min(max(v.sel-rows/2, 0), max(len(v.list)-rows, 0))
}

func (m *Model) sessionBytes() int64 {
	var n int64
	for _, f := range m.status.Files {
		n += f.Bytes
	}
	return n
}

func (m *Model) drawFiles(c *canvas.Canvas) {
	s := m.status.Session
	y := heading(c, 0, "This session", fmtBytes(m.sessionBytes()))
	line := func(label, text string, st canvas.Style) {
		if y >= c.H || text == "" {
			return
		}
		x := c.Text(1, y, theme.Muted, pad(label, -10))
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
	line("elapsed", fmtClock(m.st.elapsed()), theme.Default)
	counts := plural(m.st.reqs.total, "request") + ", " + plural(m.st.sweep.count, "point") + ", " + plural(m.st.marks, "mark")
	line("holds", counts, theme.Default)
	problems, st := "no warnings, no errors", theme.Good
	if m.st.warnings+m.st.errors > 0 {
		problems, st = plural(m.st.warnings, "warning")+", "+plural(m.st.errors, "error"), theme.Warn
	}
	line("trouble", problems, st)
	if n := m.st.gpu(m.gpuID()).policyChanges; n > 0 {
		line("policy", plural(n, "clock change")+" (clocks.csv has each)", theme.Default)
	}
	if n := m.status.Dropped; n > 0 {
		line("screen", fmt.Sprintf("%d readings not drawn; the recorder has them", n), theme.Muted)
	}
	for _, h := range m.hidden() {
		line("hidden", h, theme.Warn)
	}
	y++
	if len(m.status.Files) == 0 || y+1 >= c.H {
		return
	}
	c.Text(1, y, theme.Muted, "file")
	c.Right(c.W-12, y, theme.Muted, "rows")
	c.Right(c.W-1, y, theme.Muted, "size")
	y++
	for _, f := range m.status.Files {
		if y >= c.H {
			return
		}
		c.TextMax(1, y, c.W-24, theme.Default, f.Name)
		rows := unknown
		if f.Rows >= 0 {
			rows = fmt.Sprint(f.Rows)
		}
		c.Right(c.W-12, y, theme.Default, rows)
		c.Right(c.W-1, y, theme.Default, fmtBytes(f.Bytes))
		y++
	}
}

// logLooks are the kinds of the log: letter shown and style.
var logLooks = map[byte]struct {
	name  string
	style canvas.Style
}{
	'm': {"mark", theme.Accent}, 'w': {"warning", theme.Warn}, 'e': {"error", theme.Bad},
	'c': {"clock", theme.PhaseDecode}, 'p': {"policy", theme.PhaseScore}, 's': {"run", theme.Muted},
}

func (m *Model) drawEvents(c *canvas.Canvas) {
	l := &m.st.log
	y := heading(c, 0, "Marks, clocks, warnings: newest first", fmt.Sprint(m.st.logs))
	if l.len() == 0 {
		c.TextMax(1, y, c.W-2, theme.Muted, "none yet; m marks a moment with a note")
		return
	}
	for i := 0; i < l.len() && y < c.H; i++ {
		e := l.at(i)
		look := logLooks[e.kind]
		x := c.Text(1, y, theme.Muted, fmtClock(max(e.t-m.st.startNS, 0))) + 1
		x = c.Text(x, y, look.style, pad(look.name, -7)) + 1
		c.TextMax(x, y, c.W-x-1, theme.Default, strings.Join(strings.Fields(e.text), " "))
		y++
	}
}

func (m *Model) drawEarlier(c *canvas.Canvas) {
	v := &m.sessions
	y := heading(c, 0, "Earlier sessions", "↑ ↓ Enter")
	switch {
	case v.err != "":
		c.TextMax(1, y, c.W-2, theme.Bad, v.err)
		return
	case !v.loaded:
		c.TextMax(1, y, c.W-2, theme.Muted, "looking for sessions")
		return
	case len(v.list) == 0:
		c.TextMax(1, y, c.W-2, theme.Muted, "none found")
		return
	}
	for i := v.first(c.H - 1); i < len(v.list) && y < c.H; i++ {
		s := &v.list[i]
		st := theme.Default
		if i == v.sel {
			st = theme.Select
			c.Fill(canvas.Rect{Y: y, W: c.W, H: 1}, st, ' ')
		}
		mark := "  "
		if v.beside != nil && v.beside.Path == s.Path {
			mark = "◆ "
		}
		tail := pad(fmtInt(s.Requests), 5) + " req"
		if c.W >= 50 {
			tail += pad(fmtInt(s.Points), 5) + " pts"
		}
		if c.W >= 66 {
			tail += pad(fmtBytes(s.Bytes), 10)
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

func (m *Model) drawBeside(c *canvas.Canvas) {
	d := m.sessions.beside
	if d == nil {
		y := heading(c, 0, "Side by side", "")
		c.TextMax(1, y, c.W-2, theme.Muted, "Enter on an earlier session lays it beside this one")
		return
	}
	y := heading(c, 0, "Beside: "+d.Name, "")
	r := &m.st.reqs
	lat := r.spreadOf(func(q *requestRow) float64 { return q.LatencyS() })
	ttft := r.spreadOf(func(q *requestRow) float64 { return q.TTFTS })
	e := &m.sessions.sum
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
		{"requests", float64(r.total), float64(e.total), func(v float64) string { return fmtFloat(v, 0) }, true},
		{"points", float64(m.st.sweep.count), float64(e.points), func(v float64) string { return fmtFloat(v, 0) }, true},
		{"energy J/token", r.jpt(), e.jpt(), fmtSig, false},
		{"energy Wh", r.all.joules / joulesPerWh, e.all.joules / joulesPerWh, fmtSig, true},
		{"latency median", lat.p50, e.latency.p50, fmtSeconds, false},
		{"latency p95", lat.p95, e.latency.p95, fmtSeconds, false},
		{"TTFT median", ttft.p50, e.ttft.p50, fmtSeconds, false},
	} {
		if y >= c.H {
			return
		}
		c.TextMax(1, y, at[0]-10, theme.Muted, row.label)
		c.Right(at[0], y, theme.Strong, row.format(row.now))
		c.Right(at[1], y, theme.Default, row.format(row.then))
		if !row.withoutChanges {
			c.Right(at[2], y, theme.Default, fmtChange(row.then, row.now))
		}
		y++
	}
	if y < c.H && d.Simulated != m.simulated() {
		c.TextMax(1, y, c.W-2, theme.Warn, "one of the two is simulated: do not compare their joules")
	}
}
