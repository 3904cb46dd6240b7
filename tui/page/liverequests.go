package page

import (
	"jouletop/tui/canvas"
	"jouletop/tui/draw"
	"jouletop/tui/state"
	"jouletop/tui/theme"
)

// recentColumns are the table of recent requests; those of the highest rank go
// first where there is no room.
var recentColumns = []struct {
	rank  int
	title string
	width int // negative: aligned left
	value func(q *state.Request) string
}{
	{3, "dataset", -11, func(q *state.Request) string { return q.Dataset }},
	{5, "in", 5, func(q *state.Request) string { return draw.Int(q.InputTokens) }},
	{2, "out", 4, func(q *state.Request) string { return draw.Int(q.OutputTokens) }},
	{0, "latency", 8, func(q *state.Request) string { return draw.Seconds(q.LatencyS()) }},
	{4, "J", 7, func(q *state.Request) string { return draw.Sig(q.EnergyJ) }},
	{0, "J/token", 8, func(q *state.Request) string { return draw.Sig(q.JoulesPerToken) }},
	{1, "MHz", 9, func(q *state.Request) string { return clockText(q.Policy, q.RequestedSMMHz, q.MixedClock) }},
	{6, "TTFT", 8, func(q *state.Request) string { return draw.Seconds(q.TTFTS) }},
	{8, "class", -5, func(q *state.Request) string { return q.Class }},
	{7, "query", -14, func(q *state.Request) string { return q.QueryID }},
}

// clockText words the clock that a request or point ran at: what was asked for, or,
// where a policy sets them apart, that of each phase. mixed tells that it changed
// meanwhile.
func clockText(policy string, mhz int, mixed bool) string {
	s := state.Setting{Policy: policy}
	if clocks := s.Phases(); clocks != "" && (mixed || mhz <= 0) {
		return clocks
	}
	if mixed {
		return "mixed"
	}
	if fixed, ok := s.Fixed(); ok && fixed > 0 && mhz <= 0 {
		mhz = fixed
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
	least := 9 // rank that still finds room
	for ; least > 0 && recentTable(least).Width() > c.W-1; least-- {
	}
	t := recentTable(least)
	for i := range min(r.Recent.Len(), c.H-y) {
		q := r.Recent.At(i)
		var row []string
		for _, col := range recentColumns {
			if col.rank <= least {
				row = append(row, col.value(q))
			}
		}
		t.Rows = append(t.Rows, row)
	}
	t.Style = func(row, _ int) canvas.Style {
		if r.Recent.At(row).Err != "" {
			return theme.Bad
		}
		return theme.Default
	}
	t.Draw(c, canvas.Rect{X: 1, Y: y, W: c.W - 1, H: c.H - y})
}

// recentTable has the columns up to a rank.
func recentTable(least int) *draw.Table {
	var t draw.Table
	for _, col := range recentColumns {
		if col.rank <= least {
			t.Columns = append(t.Columns, draw.Column{Title: col.title, Width: col.width})
		}
	}
	return &t
}
