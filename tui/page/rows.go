package page

import (
	"cmp"

	tea "charm.land/bubbletea/v2"

	"jouletop/engine/event"
	"jouletop/tui/canvas"
	"jouletop/tui/draw"
	"jouletop/tui/grid"
	"jouletop/tui/state"
	"jouletop/tui/theme"
	"jouletop/tui/view"
)

// Rows lists what there is many of, a table at a time: requests, points, events, and the
// processes on the GPU.
type Rows struct {
	Base
	lists []list
	at    int
}

var rowsKeys = struct{ next view.Key }{view.Bind("v", "table", "next table: requests, points, events, processes", "v")}

// NewRows returns the page of tables.
func NewRows(c *view.Context) *Rows {
	lists := []list{requestsTable(c), pointsTable(c), eventsTable(c), processesTable(c, func() []string { return c.State.GPUs })}
	if c.Mode == view.Monitor { // nothing is run
		lists = lists[2:]
	}
	return &Rows{Base: Base{c}, lists: lists}
}

// Name stands on the tab.
func (p *Rows) Name() string { return "Rows" }

// Keys are the page's own.
func (p *Rows) Keys() []view.Key { return append([]view.Key{rowsKeys.next}, grid.All()...) }

// Hints are the keys on the last line.
func (p *Rows) Hints() []view.Key {
	l := p.lists[p.at]
	if l.typing() {
		return l.hints()
	}
	return append([]view.Key{rowsKeys.next}, l.hints()...)
}

// Greedy tells whether a key is the page's before it is the program's.
func (p *Rows) Greedy(msg tea.KeyPressMsg) bool { return p.lists[p.at].greedy(msg) }

// Key goes through the table.
func (p *Rows) Key(msg tea.KeyPressMsg) tea.Cmd {
	cmd, taken := p.lists[p.at].key(msg)
	if !taken && rowsKeys.next.Is(msg) {
		p.at = (p.at + 1) % len(p.lists)
	}
	return cmd
}

// Newest goes back to the newest row.
func (p *Rows) Newest() { p.lists[p.at].newest() }

// Wheel goes through the table.
func (p *Rows) Wheel(by int) { p.lists[p.at].wheel(by) }

// Paste takes text where it is typed.
func (p *Rows) Paste(text string) bool { return p.lists[p.at].paste(text) }

// Draw draws the names of the tables, and the one that is shown.
func (p *Rows) Draw() {
	head, body := view.Cut(p.Body, 1)
	names := make([]string, len(p.lists))
	key := ""
	for i, l := range p.lists {
		names[i] = " " + l.title() + " " + draw.Int(l.count()) + " "
		key += names[i]
	}
	type headKey struct {
		names string
		at    int
	}
	p.Frame.Place("tables", head, headKey{key, p.at}, func(c *canvas.Canvas) {
		x := 1
		for i, n := range names {
			s := theme.Muted
			if i == p.at {
				s = theme.TabActive
			}
			x = c.Text(x, 0, s, n) + 1
		}
		c.TextMax(x+1, 0, max(c.W-x-2, 0), theme.Muted, p.Label(rowsKeys.next)+": next")
	})
	x := head.X + 1
	for i, n := range names {
		w := canvas.Width(n)
		p.Frame.Hit(canvas.Rect{X: x, Y: head.Y, W: w, H: 1}, func() { p.at = i })
		x += w + 1
	}
	p.lists[p.at].draw("rows", body)
}

// failed is the style of a row that failed, or is flagged.
func failed(err string, flags event.Flags) canvas.Style {
	switch {
	case err != "":
		return theme.Bad
	case flags != "":
		return theme.Warn
	}
	return theme.Default
}

// flagPairs are flags with what they mean.
func flagPairs(flags event.Flags) (out [][2]string) {
	for _, f := range flags.List() {
		out = append(out, [2]string{string(f), event.FlagMeanings[f]})
	}
	return out
}

// requestsTable lists the requests that have ended.
func requestsTable(c *view.Context) *table[*state.Request] {
	r := &c.State.Requests
	t := &table[*state.Request]{Context: c, look: grid.Look[*state.Request]{Title: "Requests", Empty: "none has ended yet: " + c.Label(c.Keys.Job) + " starts a job, " + c.Label(c.Keys.Prompt) + " runs a prompt of your own"}}
	t.grid.Columns = requestColumns
	t.look.Style = func(q *state.Request) canvas.Style { return failed(q.Err, q.Flags) }
	t.rows = func() grid.Rows[*state.Request] {
		return grid.Rows[*state.Request]{First: r.Total - r.Recent.Len(), Len: r.Recent.Len(), Version: c.State.Versions.Rows, At: func(n int) *state.Request { return r.Recent.At(r.Total - 1 - n) }}
	}
	t.flags = func(q *state.Request) event.Flags { return q.Flags }
	t.name = func(q *state.Request) string { return "Request " + q.RequestID }
	t.more = func(q *state.Request) [][2]string {
		out := [][2]string{
			{"batch", q.BatchID}, {"point", q.PointID}, {"GPU", q.GPU}, {"energy by", cmp.Or(q.Method, draw.Unknown)}, {"± 95 % J", draw.Sig(q.EnergyErrJ)}, {"net energy J", draw.Sig(q.NetEnergyJ)},
			{"prefill", draw.Seconds(q.PrefillS)}, {"decode", draw.Seconds(q.DecodeS)}, {"longest gap", draw.Seconds(q.GapMaxS)}, {"cached tokens", countText(q.CachedTokens)},
			{"quality", draw.Float(q.Quality, 3) + " " + q.QualityMetric},
		}
		if q.Drafts() {
			out = append(out, [2]string{"drafted by", q.DraftText()}, [2]string{"drafted, accepted", draw.Int(q.DraftTokens) + ", " + draw.Int(q.AcceptedTokens) + " tokens"},
				[2]string{"drafting J", draw.PlusMinus(q.DraftJ, q.DraftErrJ)}, [2]string{"verifying J", draw.PlusMinus(q.VerifyJ, q.VerifyErrJ)})
		}
		if q.Err != "" {
			out = append(out, [2]string{"error", q.Err})
		}
		return append(out, flagPairs(q.Flags)...)
	}
	return t
}

func countText(n int) string {
	if n < 0 {
		return draw.Unknown
	}
	return draw.Int(n)
}

// requestColumns are all columns of requests.
var requestColumns = []draw.Column[*state.Request]{
	{Title: "query", Width: -14, Grow: true, Text: func(q *state.Request) string { return q.QueryID }},
	{Title: "model", Width: -13, Grow: true, Text: func(q *state.Request) string { return q.Model }},
	{Title: "dataset", Width: -11, Grow: true, Text: func(q *state.Request) string { return q.Dataset }},
	{Title: "clock", Unit: "MHz", Width: 9, Text: func(q *state.Request) string { return clockText(q.Policy, q.RequestedSMMHz, q.MixedClock) }},
	{Title: "latency", Width: 8, Text: func(q *state.Request) string { return draw.Seconds(q.LatencyS()) }, Num: func(q *state.Request) float64 { return q.LatencyS() }},
	{Title: "energy", Unit: "J", Width: 7, Text: func(q *state.Request) string { return draw.Sig(q.EnergyJ) }, Num: func(q *state.Request) float64 { return q.EnergyJ }},
	{Title: "energy", Unit: "J/token", Width: 8, Text: func(q *state.Request) string { return draw.Sig(q.JoulesPerToken) }, Num: func(q *state.Request) float64 { return q.JoulesPerToken }},
	{Title: "in", Width: 6, Text: func(q *state.Request) string { return countText(q.InputTokens) }, Num: func(q *state.Request) float64 { return event.Count(q.InputTokens) }},
	{Title: "out", Width: 5, Text: func(q *state.Request) string { return countText(q.OutputTokens) }, Num: func(q *state.Request) float64 { return event.Count(q.OutputTokens) }},
	{Title: "TTFT", Width: 8, Text: func(q *state.Request) string { return draw.Seconds(q.TTFTS) }, Num: func(q *state.Request) float64 { return q.TTFTS }},
	{Title: "TPOT", Width: 8, Text: func(q *state.Request) string { return draw.Seconds(q.TPOTS()) }, Num: func(q *state.Request) float64 { return q.TPOTS() }},
	{Title: "queue", Width: 8, Text: func(q *state.Request) string { return draw.Seconds(q.QueueS) }, Num: func(q *state.Request) float64 { return q.QueueS }},
	{Title: "batch", Width: 5, Text: func(q *state.Request) string { return draw.Int(q.BatchSize) }, Num: func(q *state.Request) float64 { return float64(q.BatchSize) }},
	{Title: "EDP", Unit: "J·s", Width: 8, Text: func(q *state.Request) string { return draw.Sig(q.EnergyJ * q.LatencyS()) }, Num: func(q *state.Request) float64 { return q.EnergyJ * q.LatencyS() }},
	{Title: "class", Width: -5, Text: func(q *state.Request) string { return q.Class }},
	{Title: "policy", Width: -16, Grow: true, Text: func(q *state.Request) string { return q.Policy }},
	{Title: "flags", Width: -12, Grow: true, Text: func(q *state.Request) string { return string(q.Flags) + draw.ErrSuffix(q.Err) }},
	{Title: "id", Width: -16, Grow: true, Text: func(q *state.Request) string { return q.RequestID }},
}

// pointsTable lists the points that are done.
func pointsTable(c *view.Context) *table[*event.PointDone] {
	s := &c.State.Sweep
	t := &table[*event.PointDone]{Context: c, look: grid.Look[*event.PointDone]{Title: "Points", Empty: "none yet"}}
	t.grid.Columns = pointColumns
	t.look.Style = func(p *event.PointDone) canvas.Style { return failed(p.PointResult.Err, p.Flags) }
	t.rows = func() grid.Rows[*event.PointDone] {
		first := s.Count - len(s.Done)
		return grid.Rows[*event.PointDone]{First: first, Len: len(s.Done), Version: s.Version(), Fixed: true, At: func(n int) *event.PointDone { return &s.Done[n-first] }}
	}
	t.flags = func(p *event.PointDone) event.Flags { return p.Flags }
	t.name = func(p *event.PointDone) string { return "Point " + p.PointID }
	t.more = func(p *event.PointDone) [][2]string {
		out := [][2]string{
			{"GPU", p.GPU}, {"queries", draw.Int(p.Queries)}, {"energy by", cmp.Or(p.Method, draw.Unknown)}, {"net energy J/query", draw.Sig(p.NetEnergyJ)}, {"prefill", draw.Seconds(p.PrefillS)}, {"decode", draw.Seconds(p.DecodeS)},
			{"tokens in, out", draw.Sig(p.InputTokens) + ", " + draw.Sig(p.OutputTokens)}, {"throttled", draw.Float(p.ThrottledPct, 1) + " % of the time"},
			{"temperature", draw.Float(p.TempStartC, 0) + " to " + draw.Float(p.TempEndC, 0) + " °C"},
		}
		if p.Drafts() {
			out = append(out, [2]string{"drafted by", p.DraftText()}, [2]string{"drafted, accepted", draw.Sig(p.MeanDraftTokens) + ", " + draw.Sig(p.MeanAcceptedTokens) + " tokens/query"},
				[2]string{"drafting J/query", draw.PlusMinus(p.DraftJ, p.DraftErrJ)}, [2]string{"verifying J/query", draw.PlusMinus(p.VerifyJ, p.VerifyErrJ)}, [2]string{"J/accepted token", draw.Sig(p.JoulesPerAccepted())})
		}
		if p.PointResult.Err != "" {
			out = append(out, [2]string{"error", p.PointResult.Err})
		}
		return append(out, flagPairs(p.Flags)...)
	}
	return t
}

// eventsTable lists marks, clock changes, warnings and errors.
func eventsTable(c *view.Context) *table[event.Event] {
	l := &c.State.Log
	t := &table[event.Event]{Context: c, look: grid.Look[event.Event]{Title: "Events", Empty: "none yet; " + c.Label(c.Keys.Mark) + " marks a moment with a note"}}
	t.grid.Columns = []draw.Column[event.Event]{
		{Title: "time", Width: 8, Text: func(e event.Event) string { return draw.Clock(max(e.When()-c.State.StartNS, 0)) }, Num: func(e event.Event) float64 { return float64(e.When()) }},
		{Title: "kind", Width: -8, Text: func(e event.Event) string { kind, _, _ := told(e); return kind }},
		{Title: "what", Width: -40, Grow: true, Text: func(e event.Event) string { _, _, text := told(e); return line(text) }},
	}
	t.look.Style = func(e event.Event) canvas.Style {
		if _, s, _ := told(e); s == theme.Warn || s == theme.Bad || s == theme.Accent {
			return s
		}
		return theme.Default
	}
	t.rows = func() grid.Rows[event.Event] {
		last := int(c.State.Logged) - 1
		return grid.Rows[event.Event]{First: last + 1 - l.Len(), Len: l.Len(), Version: c.State.Versions.Log, At: func(n int) event.Event { return *l.At(last - n) }}
	}
	t.name = func(e event.Event) string { kind, _, _ := told(e); return kind }
	return t
}
