package tui

import (
	"math"

	"jouletop/engine/event"
	"jouletop/tui/canvas"
	"jouletop/tui/theme"
)

// pointColumns are the table of points; those that find no room are left out.
var pointColumns = []struct {
	title string
	unit  string
	width int // negative: aligned left
	value func(p *event.PointDone) string
}{
	{"model", "", -14, func(p *event.PointDone) string { return p.Model }},
	{"clock", "MHz", 9, func(p *event.PointDone) string { return clockOf(p.RequestedSMMHz, p.Policy, false) }},
	{"got", "MHz", 6, func(p *event.PointDone) string { return fmtFloat(p.AchievedSMMHz, 0) }},
	{"batch", "", 5, func(p *event.PointDone) string { return fmtInt(p.BatchSize) }},
	{"rep", "", 3, func(p *event.PointDone) string { return fmtInt(p.Repeat) }},
	{"energy", "J/token", 8, func(p *event.PointDone) string { return fmtSig(p.JoulesPerToken) }},
	{"latency", "", 8, func(p *event.PointDone) string { return fmtSeconds(p.LatencyS) }},
	{"EDP", "J·s", 8, func(p *event.PointDone) string { return fmtSig(p.EDPJS) }},
	{"rate", "token/s", 8, func(p *event.PointDone) string { return fmtSig(p.TokensPerS) }},
	{"dataset", "", -12, func(p *event.PointDone) string { return p.Dataset }},
	{"power", "W", 7, func(p *event.PointDone) string { return fmtFloat(p.MeanPowerW, 1) }},
	{"energy", "J/query", 8, func(p *event.PointDone) string { return fmtSig(p.EnergyJ) }},
	{"± 95 %", "J/query", 8, func(p *event.PointDone) string { return fmtSig(p.EnergyErrJ) }},
	{"prefill", "J/query", 8, func(p *event.PointDone) string { return fmtSig(p.PrefillEnergyJ) }},
	{"decode", "J/query", 8, func(p *event.PointDone) string { return fmtSig(p.DecodeEnergyJ) }},
	{"quality", "", 7, func(p *event.PointDone) string { return fmtFloat(p.Quality, 3) }},
	{"temp", "°C", 5, func(p *event.PointDone) string { return fmtFloat(p.TempEndC, 0) }},
	{"policy", "", -16, func(p *event.PointDone) string { return p.Policy }},
	{"flags", "", -18, func(p *event.PointDone) string { return string(p.Flags) + errSuffix(p.PointResult.Err) }},
}

func (m *Model) drawSweep() {
	type key struct {
		points, work, reqs, run uint64
		second                  int64
		first                   int
		state                   string
		paused                  bool
	}
	v := m.st.ver
	k := key{v.points, v.work, v.reqs, v.run, m.st.now / 1_000_000_000, 0, m.st.status, m.status.Paused}
	m.place("plan", m.lay.plan, k, m.drawPlan)
	m.place("points", m.lay.points, key{points: v.points, first: m.points}, m.drawPoints)
}

// sweepProgress counts points of the run that is going.
func (m *Model) sweepProgress() progress {
	s := &m.st.sweep
	p := progress{done: s.count - s.base, total: m.st.run.Points, what: "points", left: math.NaN()}
	if p.total == 0 || p.done > p.total {
		p.total = p.done
		if s.running {
			p.total++
		}
	}
	if p.done > 0 {
		per := float64(m.st.now-m.st.run.TimeNS) / 1e9 / float64(p.done)
		p.left = per * float64(p.total-p.done)
		if s.running {
			p.left = max(p.left-float64(m.st.now-s.current.TimeNS)/1e9/2, 0)
		}
	}
	if m.st.ended {
		p.left = 0
	}
	return p
}

func (m *Model) drawPlan(c *canvas.Canvas) {
	s := &m.st.sweep
	state := m.st.status
	switch {
	case m.st.ended || !m.st.work.inPoint && !s.running:
		state = "idle"
	case m.status.Paused:
		state = "paused"
	case state == "":
		state = "running"
	}
	title := "Sweep"
	if n := m.st.run.Name; n != "" && n != "sweep" {
		title = "Running: " + n + " (n plans a sweep)"
	}
	y := heading(c, 0, title, state)
	p := m.sweepProgress()
	if p.total == 0 {
		c.TextMax(1, y, c.W-2, theme.Default, "No sweep yet. n plans one: models, datasets, clocks, batch sizes and repeats.")
		c.TextMax(1, y+1, c.W-2, theme.Muted, "Each point runs its queries at one clock; the table and the curves (2) grow as points are measured.")
		c.TextMax(1, y+2, c.W-2, theme.Muted, "z pauses between batches, k skips the point, x stops; all that ran is kept.")
		return
	}
	tail := fmtInt(p.done) + "/" + fmtInt(p.total) + " points  " + pad(fmtFloat(100*p.share(), 0), 3) + " %  left " + pad(fmtLeft(p.left), 7)
	bar := c.W - canvas.Width(tail) - 4
	gauge(c, 1, y, bar, p.share(), theme.Accent)
	c.Right(c.W-1, y, theme.Strong, tail)
	y++
	if s.running {
		q := s.current.Point
		x := c.Text(1, y, theme.Muted, "running ")
		text := pointTitle(q)
		if q.Repeat > 0 {
			text += " · repeat " + fmtInt(q.Repeat)
		}
		x = c.TextMax(x, y, c.W/2, theme.Strong, text)
		if q.Queries > 0 {
			done := fmtInt(m.st.work.doneHere) + "/" + fmtInt(q.Queries) + " queries"
			if w := c.W - x - len(done) - 4; w > 3 {
				gauge(c, x+1, y, w, float64(m.st.work.doneHere)/float64(q.Queries), theme.Meter)
			}
			c.Right(c.W-1, y, theme.Default, done)
		}
		y++
	}
	m.drawFindings(c, y)
}

// drawFindings says what the sweep has found so far, a line a curve.
func (m *Model) drawFindings(c *canvas.Canvas, y int) {
	set := m.curveSet()
	for i, k := range set.curves[:set.earlier] { // those of this session
		if y >= c.H {
			return
		}
		best, top := k.least(), k.points[len(k.points)-1]
		s := theme.Curves[i%len(theme.Curves)]
		x := c.Text(1, y, s, string(markers[i%len(markers)])+" "+curveName(k, &set)+" ")
		text := "least " + fmtSig(best.jpt) + " J/token at " + fmtFloat(best.achieved, 0) + " MHz"
		if len(k.points) > 1 && best.requested != top.requested {
			text += ": energy " + fmtChange(top.jpt, best.jpt) + ", latency " + fmtChange(top.latency, best.latency) +
				" against " + fmtFloat(top.achieved, 0) + " MHz"
		}
		c.TextMax(x, y, c.W-x-1, theme.Default, text)
		y++
	}
}

func (m *Model) drawPoints(c *canvas.Canvas) {
	done := m.st.sweep.done
	right := ""
	if m.points > 0 {
		right = fmtInt(m.points) + " newer above (↑↓, End)"
	}
	y := heading(c, 0, "Points, newest first", right)
	if len(done) == 0 {
		c.TextMax(1, y, c.W-2, theme.Muted, "none yet")
		return
	}
	x := 1
	for i, col := range pointColumns {
		w := max(col.width, -col.width)
		last := i == len(pointColumns)-1
		if x+w > c.W && (!last || x+8 > c.W) {
			continue
		}
		if last {
			w = c.W - x
		}
		c.TextMax(x, y, w, theme.Muted, pad(col.title, col.width))
		if col.unit != "" && col.width > 0 {
			c.Right(x+w, y+1, theme.Faint, col.unit)
		}
		for row := 0; y+2+row < c.H; row++ {
			at := len(done) - 1 - m.points - row
			if at < 0 {
				break
			}
			p := &done[at]
			s := theme.Default
			if p.PointResult.Err != "" {
				s = theme.Bad
			} else if p.Flags != "" {
				s = theme.Warn
			}
			text := col.value(p)
			if col.width > 0 {
				c.Right(x+w, y+2+row, s, text)
			} else {
				c.TextMax(x, y+2+row, w, s, text)
			}
		}
		x += w + 1
	}
}
