package tui

import (
	"strings"

	"jouletop/tui/canvas"
	"jouletop/tui/theme"
)

// recentColumns are the table of recent requests; those of the highest rank go
// first where there is no room.
var recentColumns = []struct {
	rank  int
	title string
	width int // negative: aligned left
	value func(q *requestRow) string
}{
	{3, "dataset", -11, func(q *requestRow) string { return q.Dataset }},
	{5, "in", 5, func(q *requestRow) string { return fmtInt(q.InputTokens) }},
	{2, "out", 4, func(q *requestRow) string { return fmtInt(q.OutputTokens) }},
	{0, "latency", 8, func(q *requestRow) string { return fmtSeconds(q.LatencyS()) }},
	{4, "J", 7, func(q *requestRow) string { return fmtSig(q.EnergyJ) }},
	{0, "J/token", 8, func(q *requestRow) string { return fmtSig(q.JoulesPerToken) }},
	{1, "MHz", 9, func(q *requestRow) string { return requestClock(q) }},
	{6, "TTFT", 8, func(q *requestRow) string { return fmtSeconds(q.TTFTS) }},
	{8, "class", -5, func(q *requestRow) string { return q.Class }},
	{7, "query", -14, func(q *requestRow) string { return q.QueryID }},
}

func requestClock(q *requestRow) string { return clockOf(q.RequestedSMMHz, q.Policy, q.MixedClock) }

// clockOf writes the clock of a request or point: prefill's and decode's where a
// policy sets them apart.
func clockOf(mhz int, policy string, mixed bool) string {
	if phases, ok := strings.CutPrefix(policy, "phase:"); ok && mhz <= 0 {
		return phases
	}
	if mixed {
		return "mixed"
	}
	return fmtMHz(mhz)
}

func (m *Model) drawRecent(c *canvas.Canvas) {
	r := &m.st.reqs
	right := ""
	if r.failed > 0 {
		right = fmtInt(r.failed) + " failed"
	}
	y := heading(c, 0, "Recent requests", right)
	if r.total == 0 {
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
		c.TextMax(x, y, w, theme.Muted, pad(col.title, col.width))
		for i := 0; i < r.recent.len() && y+1+i < c.H; i++ {
			q := r.recent.at(i)
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
