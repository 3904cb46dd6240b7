package page

import (
	"jouletop/engine/event"
	"jouletop/tui/canvas"
	"jouletop/tui/draw"
	"jouletop/tui/state"
	"jouletop/tui/theme"
)

// recentColumns are the table of recent requests.
var recentColumns = []draw.Column[*state.Request]{
	{Title: "dataset", Width: -11, Rank: 3, Text: func(q *state.Request) string { return q.Dataset }},
	{Title: "in", Width: 5, Rank: 5, Text: func(q *state.Request) string { return draw.Int(q.InputTokens) }},
	{Title: "out", Width: 4, Rank: 2, Text: func(q *state.Request) string { return draw.Int(q.OutputTokens) }},
	{Title: "latency", Width: 8, Text: func(q *state.Request) string { return draw.Seconds(q.LatencyS()) }},
	{Title: "J", Width: 7, Rank: 4, Text: func(q *state.Request) string { return draw.Sig(q.EnergyJ) }},
	{Title: "J/token", Width: 8, Text: func(q *state.Request) string { return draw.Sig(q.JoulesPerToken) }},
	{Title: "MHz", Width: 9, Rank: 1, Text: func(q *state.Request) string { return clockText(q.Policy, q.RequestedSMMHz, q.MixedClock) }},
	{Title: "TTFT", Width: 8, Rank: 6, Text: func(q *state.Request) string { return draw.Seconds(q.TTFTS) }},
	{Title: "class", Width: -5, Rank: 8, Text: func(q *state.Request) string { return q.Class }},
	{Title: "query", Width: -14, Rank: 7, Grow: true, Text: func(q *state.Request) string { return q.QueryID }},
}

// clockText words the clock that a request or point ran at: what was asked for, or,
// where a policy sets them apart, that of each phase. mixed tells that it changed
// meanwhile.
func clockText(policy string, mhz int, mixed bool) string {
	p := event.PolicyOf(policy)
	switch {
	case p.Kind == event.ClockByPhase && (mixed || mhz <= 0):
		return p.Clocks.String()
	case mixed:
		return "mixed"
	case p.Kind == event.FixedClock && mhz <= 0:
		return draw.MHz(p.MHz)
	}
	return draw.MHz(mhz)
}

func (p *Live) drawRecent(c *canvas.Canvas) {
	r := &p.State.Requests
	right := ""
	if r.Failed > 0 {
		right = draw.Int(r.Failed) + " failed"
	}
	y := draw.Heading(c, 0, "Recent requests", right)
	if r.Total == 0 {
		c.TextMax(1, y, c.W-2, theme.Muted, "none yet")
		return
	}
	t := draw.Table[*state.Request]{Columns: recentColumns, Rows: r.Recent.Len(), At: r.Recent.At}
	t.Style = func(row, _ int) canvas.Style {
		if r.Recent.At(row).Err != "" {
			return theme.Bad
		}
		return theme.Default
	}
	t.Draw(c, canvas.Rect{X: 1, Y: y, W: c.W - 1, H: c.H - y})
}
