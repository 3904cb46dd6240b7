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
	for ; least > 0; least-- {
		w := 1
		for _, col := range recentColumns {
			if col.rank <= least {
				w += max(col.width, -col.width) + 1
			}
		}
		if w-1 <= c.W {
			break
		}
	}
	x := 1
	for _, col := range recentColumns {
		if col.rank > least {
			continue
		}
		w := max(col.width, -col.width)
		c.TextMax(x, y, w, theme.Muted, draw.Pad(col.title, col.width))
		for i := 0; i < r.Recent.Len() && y+1+i < c.H; i++ {
			q := r.Recent.At(i)
			s := theme.Default
			if q.Err != "" {
				s = theme.Bad
			}
			text := col.value(q)
			if col.width > 0 {
				c.Right(x+w, y+1+i, s, text)
			} else {
				c.TextMax(x, y+1+i, w, s, text)
			}
		}
		x += w + 1
	}
}
