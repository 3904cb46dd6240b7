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
	const head = 3 // the title and two rows of column names
	_, points := p.areas()
	return max(len(p.State.Sweep.Done)-(points.H-head), 0)
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

// pointColumns are the table of points; those that find no room are left out.
var pointColumns = []struct {
	title string
	unit  string
	width int // negative: aligned left
	value func(p *event.PointDone) string
}{
	{"model", "", -14, func(p *event.PointDone) string { return p.Model }},
	{"clock", "MHz", 9, func(p *event.PointDone) string { return clockText(p.Policy, p.RequestedSMMHz, false) }},
	{"got", "MHz", 6, func(p *event.PointDone) string { return draw.Float(p.AchievedSMMHz, 0) }},
	{"batch", "", 5, func(p *event.PointDone) string { return draw.Int(p.BatchSize) }},
	{"rep", "", 3, func(p *event.PointDone) string { return draw.Int(p.Repeat) }},
	{"energy", "J/token", 8, func(p *event.PointDone) string { return draw.Sig(p.JoulesPerToken) }},
	{"latency", "", 8, func(p *event.PointDone) string { return draw.Seconds(p.LatencyS) }},
	{"EDP", "J·s", 8, func(p *event.PointDone) string { return draw.Sig(p.EDPJS) }},
	{"rate", "token/s", 8, func(p *event.PointDone) string { return draw.Sig(p.TokensPerS) }},
	{"dataset", "", -12, func(p *event.PointDone) string { return p.Dataset }},
	{"power", "W", 7, func(p *event.PointDone) string { return draw.Float(p.MeanPowerW, 1) }},
	{"energy", "J/query", 8, func(p *event.PointDone) string { return draw.Sig(p.EnergyJ) }},
	{"± 95 %", "J/query", 8, func(p *event.PointDone) string { return draw.Sig(p.EnergyErrJ) }},
	{"prefill", "J/query", 8, func(p *event.PointDone) string { return draw.Sig(p.PrefillEnergyJ) }},
	{"decode", "J/query", 8, func(p *event.PointDone) string { return draw.Sig(p.DecodeEnergyJ) }},
	{"quality", "", 7, func(p *event.PointDone) string { return draw.Float(p.Quality, 3) }},
	{"temp", "°C", 5, func(p *event.PointDone) string { return draw.Float(p.TempEndC, 0) }},
	{"policy", "", -16, func(p *event.PointDone) string { return p.Policy }},
	{"flags", "", -18, func(p *event.PointDone) string { return string(p.Flags) + draw.ErrSuffix(p.PointResult.Err) }},
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

// drawFindings says what the sweep has found so far, a line a curve.
func (p *Sweep) drawFindings(c *canvas.Canvas, y int) {
	set := curvesOf(p.Context, state.CurveFilter{})
	for i, k := range set.curves[:set.earlier] { // those of this session
		if y >= c.H {
			return
		}
		best, top := k.Least(), k.Highest()
		s := theme.Curves[i%len(theme.Curves)]
		x := c.Text(1, y, s, string(markers[i%len(markers)])+" "+set.name(k)+" ")
		text := "least " + draw.Sig(best.JoulesPerToken.Mean) + " J/token at " + draw.Float(best.MHz, 0) + " MHz"
		if best.RequestedMHz != top.RequestedMHz {
			text += ": energy " + draw.Change(top.JoulesPerToken.Mean, best.JoulesPerToken.Mean) + ", latency " +
				draw.Change(top.Latency.Mean, best.Latency.Mean) + " against " + draw.Float(top.MHz, 0) + " MHz"
		}
		c.TextMax(x, y, c.W-x-1, theme.Default, text)
		y++
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
		c.TextMax(x, y, w, theme.Muted, draw.Pad(col.title, col.width))
		if col.unit != "" && col.width > 0 {
			c.Right(x+w, y+1, theme.Faint, col.unit)
		}
		for row := 0; y+2+row < c.H; row++ {
			at := len(done) - 1 - p.first - row
			if at < 0 {
				break
			}
			pt := &done[at]
			s := theme.Default
			if pt.PointResult.Err != "" {
				s = theme.Bad
			} else if pt.Flags != "" {
				s = theme.Warn
			}
			text := col.value(pt)
			if col.width > 0 {
				c.Right(x+w, y+2+row, s, text)
			} else {
				c.TextMax(x, y+2+row, w, s, text)
			}
		}
		x += w + 1
	}
}
