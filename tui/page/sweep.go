package page

import (
	tea "charm.land/bubbletea/v2"

	"jouletop/engine/event"
	"jouletop/tui/canvas"
	"jouletop/tui/draw"
	"jouletop/tui/panel"
	"jouletop/tui/state"
	"jouletop/tui/theme"
	"jouletop/tui/view"
)

// Sweep shows the plan that runs and its points.
type Sweep struct {
	Base
	first int // row of the table shown first, from the newest
}

var sweepScroll = upDown("scroll", "newer and older points")

// Name stands on the tab.
func (p *Sweep) Name() string { return "Sweep" }

// Keys are the page's own.
func (p *Sweep) Keys() []view.Key { return []view.Key{sweepScroll} }

// Hints are the keys on the last line.
func (p *Sweep) Hints() []view.Key {
	k := &p.Context.Keys
	hints := []view.Key{k.Job, k.Pause, k.Skip, k.Stop, k.Clock, k.Mark}
	if p.last() > 0 {
		hints = append(hints, sweepScroll)
	}
	return hints
}

// Form asks for a sweep.
func (p *Sweep) Form() *panel.Form { return sweepForm(p.Context) }

// Key scrolls the table of points; the older ones are below.
func (p *Sweep) Key(msg tea.KeyPressMsg) tea.Cmd {
	if sweepScroll.Is(msg) {
		p.first = min(max(p.first+step(msg), 0), p.last())
	}
	return nil
}

// Newest shows the newest point.
func (p *Sweep) Newest() { p.first = 0 }

// last is how far the table can be scrolled: until the oldest point stands in the
// last row.
func (p *Sweep) last() int {
	_, points := p.areas()
	return max(len(p.State.Sweep.Done)-(points.H-1-draw.HeadRows(pointColumns)), 0)
}

func (p *Sweep) areas() (plan, points canvas.Rect) {
	return view.Cut(p.Body, view.Pick(p.Size, 6, 9, 10))
}

// Draw draws the page.
func (p *Sweep) Draw() {
	type planKey struct {
		points, work, requests, run uint64
		second                      int64
		state                       event.RunState
		paused                      bool
		beside                      *view.Earlier
	}
	type pointsKey struct {
		points uint64
		first  int
	}
	plan, points := p.areas()
	v := p.State.Versions
	p.Frame.Place("plan", plan, planKey{v.Points, v.Work, v.Requests, v.Run, p.Second(), p.State.Status, p.Paused(), p.Beside}, p.drawPlan)
	p.Frame.Place("points", points, pointsKey{v.Points, p.first}, p.drawPoints)
}

// pointColumns are the table of points.
var pointColumns = []draw.Column[*event.PointDone]{
	{Title: "model", Width: -12, Grow: true, Text: func(p *event.PointDone) string { return p.Model }},
	{Title: "dataset", Width: -11, Rank: 1, Grow: true, Text: func(p *event.PointDone) string { return p.Dataset }},
	{Title: "clock", Unit: "MHz", Width: 9, Text: func(p *event.PointDone) string { return clockText(p.Policy, p.RequestedSMMHz, false) }},
	{Title: "got", Unit: "MHz", Width: 6, Rank: 7, Text: func(p *event.PointDone) string { return draw.Float(p.AchievedSMMHz, 0) }},
	{Title: "batch", Width: 5, Text: func(p *event.PointDone) string { return draw.Int(p.BatchSize) }},
	{Title: "rep", Width: 3, Rank: 2, Text: func(p *event.PointDone) string { return draw.Int(p.Repeat) }},
	{Title: "energy", Unit: "J/token", Width: 8, Text: func(p *event.PointDone) string { return draw.Sig(p.JoulesPerToken) }},
	{Title: "latency", Width: 8, Text: func(p *event.PointDone) string { return draw.Seconds(p.LatencyS) }},
	{Title: "EDP", Unit: "J·s", Width: 8, Rank: 3, Text: func(p *event.PointDone) string { return draw.Sig(p.EDPJS) }},
	{Title: "rate", Unit: "token/s", Width: 8, Rank: 5, Text: func(p *event.PointDone) string { return draw.Sig(p.TokensPerS) }},
	{Title: "power", Unit: "W", Width: 7, Rank: 8, Text: func(p *event.PointDone) string { return draw.Float(p.MeanPowerW, 1) }},
	{Title: "energy", Unit: "J/query", Width: 8, Rank: 6, Text: func(p *event.PointDone) string { return draw.Sig(p.EnergyJ) }},
	{Title: "± 95 %", Unit: "J/query", Width: 8, Rank: 6, Text: func(p *event.PointDone) string { return draw.Sig(p.EnergyErrJ) }},
	{Title: "prefill", Unit: "J/query", Width: 8, Rank: 9, Text: func(p *event.PointDone) string { return draw.Sig(p.PrefillEnergyJ) }},
	{Title: "decode", Unit: "J/query", Width: 8, Rank: 9, Text: func(p *event.PointDone) string { return draw.Sig(p.DecodeEnergyJ) }},
	{Title: "quality", Width: 7, Rank: 8, Text: func(p *event.PointDone) string { return draw.Float(p.Quality, 3) }},
	{Title: "temp", Unit: "°C", Width: 5, Rank: 10, Text: func(p *event.PointDone) string { return draw.Float(p.TempEndC, 0) }},
	{Title: "policy", Width: -16, Rank: 11, Grow: true, Text: func(p *event.PointDone) string { return p.Policy }},
	{Title: "flags", Width: -12, Rank: 4, Grow: true, Text: func(p *event.PointDone) string { return string(p.Flags) + draw.ErrSuffix(p.PointResult.Err) }},
}

func (p *Sweep) drawPlan(c *canvas.Canvas) {
	s := &p.State.Sweep
	status := p.State.Status
	switch {
	case p.State.Ended || !p.State.Work.InPoint && !s.Running:
		status = event.StateIdle
	case p.Status.Paused:
		status = event.StatePaused
	case status == "":
		status = event.StateRunning
	}
	title := "Sweep"
	if n := p.State.Run.Name; n != "" && n != "sweep" {
		title = "Running: " + n + " (n plans a sweep)"
	}
	y := draw.Heading(c, 0, title, string(status))
	done := p.State.SweepProgress()
	if done.Total == 0 {
		c.TextMax(1, y, c.W-2, theme.Default, "No sweep yet. n plans one: models, datasets, clocks, batch sizes and repeats.")
		c.TextMax(1, y+1, c.W-2, theme.Muted, "Each point runs its queries at one clock; the table and the curves (2) grow as points are measured.")
		c.TextMax(1, y+2, c.W-2, theme.Muted, "z pauses between batches, k skips the point, x stops; all that ran is kept.")
		return
	}
	tail := draw.Int(done.Done) + "/" + draw.Int(done.Total) + " points  " + draw.Pad(draw.Float(100*done.Share(), 0), 3) + " %  left " + draw.Pad(draw.Left(done.Left), 7)
	bar := c.W - canvas.Width(tail) - 4
	draw.Gauge(c, 1, y, bar, done.Share(), theme.Accent)
	c.Right(c.W-1, y, theme.Strong, tail)
	y++
	if s.Running {
		q := s.Current.Point
		x := c.Text(1, y, theme.Muted, "running ")
		text := pointTitle(q)
		if q.Repeat > 0 {
			text += " · repeat " + draw.Int(q.Repeat)
		}
		x = c.TextMax(x, y, c.W/2, theme.Strong, text)
		if q.Queries > 0 {
			of := draw.Int(p.State.Work.DoneInPoint) + "/" + draw.Int(q.Queries) + " queries"
			if w := c.W - x - len(of) - 4; w > 3 {
				draw.Gauge(c, x+1, y, w, float64(p.State.Work.DoneInPoint)/float64(q.Queries), theme.Meter)
			}
			c.Right(c.W-1, y, theme.Default, of)
		}
		y++
	}
	p.drawFindings(c, y)
}

func (p *Sweep) curveSet() curveSet {
	return curvesOf(p.Context, state.CurveFilter{Slowdown: p.Status.MaxSlowdown})
}

// drawFindings says what the sweep has found so far, a line a curve of this session.
func (p *Sweep) drawFindings(c *canvas.Canvas, y int) {
	if set := p.curveSet(); set.earlier > 0 {
		set.findings(set.earlier).Draw(c, canvas.Rect{X: 1, Y: y, W: c.W - 1, H: c.H - y})
	}
}

func (p *Sweep) drawPoints(c *canvas.Canvas) {
	done := p.State.Sweep.Done
	right := ""
	if p.first > 0 {
		right = draw.Int(p.first) + " newer above (↑↓, End)"
	}
	y := draw.Heading(c, 0, "Points, newest first", right)
	if len(done) == 0 {
		c.TextMax(1, y, c.W-2, theme.Muted, "none yet")
		return
	}
	newest := func(i int) *event.PointDone { return &done[len(done)-1-i] }
	t := draw.Table[*event.PointDone]{Columns: pointColumns, Rows: len(done), At: newest}
	t.First = p.first
	t.Style = func(row, _ int) canvas.Style {
		switch pt := newest(row); {
		case pt.PointResult.Err != "":
			return theme.Bad
		case pt.Flags != "":
			return theme.Warn
		}
		return theme.Default
	}
	t.Draw(c, canvas.Rect{X: 1, Y: y, W: c.W - 1, H: c.H - y})
}
