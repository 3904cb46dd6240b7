package page

import (
	"slices"
	"strings"

	tea "charm.land/bubbletea/v2"

	"jouletop/engine/event"
	"jouletop/gpu"
	"jouletop/tui/canvas"
	"jouletop/tui/draw"
	"jouletop/tui/grid"
	"jouletop/tui/panel"
	"jouletop/tui/state"
	"jouletop/tui/theme"
	"jouletop/tui/view"
)

// Sweep shows the plan that runs and its points.
type Sweep struct {
	Base
	points *table[*event.PointDone]
}

// NewSweep returns the page of the sweep.
func NewSweep(c *view.Context) *Sweep {
	t := pointsTable(c)
	t.look.Title = "Points, newest first"
	return &Sweep{Base{c}, t}
}

// Name stands on the tab.
func (p *Sweep) Name() string { return "Sweep" }

// Keys are the page's own.
func (p *Sweep) Keys() []view.Key {
	return append([]view.Key{runAtKeys.runAt, runAtKeys.edp}, grid.All()...)
}

// Hints are the keys on the last line.
func (p *Sweep) Hints() []view.Key {
	k := &p.Context.Keys
	hints := p.points.hints()
	if p.points.grid.Typing() {
		return hints
	}
	return append([]view.Key{k.Job, k.Jobs, k.Pause, k.Skip, k.Stop, runAtKeys.runAt}, hints...)
}

// Form asks for a sweep.
func (p *Sweep) Form() *panel.Form { return sweepForm(p.Context) }

// Greedy tells whether a key is the page's before it is the program's.
func (p *Sweep) Greedy(msg tea.KeyPressMsg) bool { return p.points.greedy(msg) }

// Key goes through the points, and sets the clock that they say.
func (p *Sweep) Key(msg tea.KeyPressMsg) tea.Cmd {
	cmd, taken := p.points.key(msg)
	if !taken && (runAtKeys.runAt.Is(msg) || runAtKeys.edp.Is(msg)) {
		set := p.curveSet()
		at := slices.IndexFunc(set.curves, func(k state.Curve) bool { return k.Model == p.State.Work.Model })
		return applyOptimum(p.Context, set, max(at, 0), runAtKeys.edp.Is(msg))
	}
	return cmd
}

// Newest shows the newest point.
func (p *Sweep) Newest() { p.points.newest() }

// Wheel goes through the points.
func (p *Sweep) Wheel(by int) { p.points.wheel(by) }

// Paste takes text where it is typed.
func (p *Sweep) Paste(text string) bool { return p.points.paste(text) }

func (p *Sweep) areas() (plan, points canvas.Rect) {
	rows, need := view.Pick(p.Size, 6, 9, 10), 3 // title, progress, what runs
	if said := len(p.capLines(p.Body.W - 2)); said > 0 {
		if set := p.curveSet(); set.earlier > 0 {
			need += set.earlier + 1
		}
		rows = max(rows, min(need, rows)+said)
	}
	return view.Cut(p.Body, rows)
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
	plan, points := p.areas()
	v := p.State.Versions
	p.Frame.Place("plan", plan, planKey{v.Points, v.Work, v.Requests, v.Run, p.Second(), p.State.Status, p.Paused(), p.Beside}, p.drawPlan)
	p.points.draw("points", points)
}

// settingText is the clock that a point was to run at, and the other knobs.
func settingText(p *event.PointDone) string {
	asked := event.PolicyOf(p.Policy)
	s := asked.Setting().Others()
	if s == (gpu.Setting{}) {
		s = p.Knobs
	}
	if s == (gpu.Setting{}) {
		return clockText(p.Policy, p.RequestedSMMHz, false)
	}
	text := ""
	switch {
	case asked.Kind == event.ClockByPhase:
		text = asked.Clocks.String()
	case asked.MHz > 0:
		text = draw.Int(asked.MHz)
	}
	for _, k := range []struct {
		v    int
		text string
	}{{s.MemMHz, "mem " + draw.Int(s.MemMHz)}, {s.PowerW, draw.Int(s.PowerW) + " W"}, {s.Profiles, "profile " + gpu.KnobProfile.Text(s.Profiles)}} {
		if k.v > 0 {
			text += " " + k.text
		}
	}
	return strings.TrimSpace(text)
}

// pointColumns are the table of points.
var pointColumns = []draw.Column[*event.PointDone]{
	{Title: "model", Width: -12, Grow: true, Text: func(p *event.PointDone) string { return p.Model }},
	{Title: "dataset", Width: -11, Grow: true, Text: func(p *event.PointDone) string { return p.Dataset }},
	{Title: "clock", Unit: "MHz", Width: 9, Grow: true, Text: settingText},
	{Title: "got", Unit: "MHz", Width: 6, Text: func(p *event.PointDone) string { return draw.Float(p.AchievedSMMHz, 0) }, Num: func(p *event.PointDone) float64 { return p.AchievedSMMHz }},
	{Title: "batch", Width: 5, Text: func(p *event.PointDone) string { return draw.Int(p.BatchSize) }, Num: func(p *event.PointDone) float64 { return float64(p.BatchSize) }},
	{Title: "rep", Width: 3, Text: func(p *event.PointDone) string { return draw.Int(p.Repeat) }, Num: func(p *event.PointDone) float64 { return float64(p.Repeat) }},
	{Title: "energy", Unit: "J/token", Width: 8, Text: func(p *event.PointDone) string { return draw.Sig(p.JoulesPerToken) }, Num: func(p *event.PointDone) float64 { return p.JoulesPerToken }},
	{Title: "latency", Width: 8, Text: func(p *event.PointDone) string { return draw.Seconds(p.LatencyS) }, Num: func(p *event.PointDone) float64 { return p.LatencyS }},
	{Title: "EDP", Unit: "J·s", Width: 8, Text: func(p *event.PointDone) string { return draw.Sig(p.EDPJS) }, Num: func(p *event.PointDone) float64 { return p.EDPJS }},
	{Title: "rate", Unit: "token/s", Width: 8, Text: func(p *event.PointDone) string { return draw.Sig(p.TokensPerS) }, Num: func(p *event.PointDone) float64 { return p.TokensPerS }},
	{Title: "power", Unit: "W", Width: 7, Text: func(p *event.PointDone) string { return draw.Float(p.MeanPowerW, 1) }, Num: func(p *event.PointDone) float64 { return p.MeanPowerW }},
	{Title: "prefill", Unit: "held by", Width: -11, Text: func(p *event.PointDone) string { return heldCell(p.Held.Prefill) }},
	{Title: "after", Unit: "held by", Width: -11, Text: func(p *event.PointDone) string { return heldCell(afterHeld(p)) }},
	{Title: "energy", Unit: "J/query", Width: 8, Text: func(p *event.PointDone) string { return draw.Sig(p.EnergyJ) }, Num: func(p *event.PointDone) float64 { return p.EnergyJ }},
	{Title: "± 95 %", Unit: "J/query", Width: 8, Text: func(p *event.PointDone) string { return draw.Sig(p.EnergyErrJ) }, Num: func(p *event.PointDone) float64 { return p.EnergyErrJ }},
	{Title: "prefill", Unit: "J/query", Width: 8, Text: func(p *event.PointDone) string { return draw.Sig(p.PrefillEnergyJ) }, Num: func(p *event.PointDone) float64 { return p.PrefillEnergyJ }},
	{Title: "decode", Unit: "J/query", Width: 8, Text: func(p *event.PointDone) string { return draw.Sig(p.DecodeEnergyJ) }, Num: func(p *event.PointDone) float64 { return p.DecodeEnergyJ }},
	{Title: "quality", Width: 7, Text: func(p *event.PointDone) string { return draw.Float(p.Quality, 3) }, Num: func(p *event.PointDone) float64 { return p.Quality }},
	{Title: "temp", Unit: "°C", Width: 5, Text: func(p *event.PointDone) string { return draw.Float(p.TempEndC, 0) }, Num: func(p *event.PointDone) float64 { return p.TempEndC }},
	{Title: "policy", Width: -16, Grow: true, Text: func(p *event.PointDone) string { return p.Policy }},
	{Title: "flags", Width: -12, Grow: true, Text: func(p *event.PointDone) string { return string(p.Flags) + draw.ErrSuffix(p.PointResult.Err) }},
}

// afterHeld is what held the clock after prefill.
func afterHeld(p *event.PointDone) event.Held {
	for _, h := range []event.Held{p.Held.Score, p.Held.Mixed} {
		if h.Known() {
			return h
		}
	}
	return p.Held.Decode
}

// heldCell words what held the clock for a narrow column.
func heldCell(h event.Held) string {
	switch {
	case h.Limited():
		return string(h.By) + " " + draw.Float(h.Pct, 0) + " %"
	case h.Known():
		return string(h.By)
	}
	return draw.Unknown
}

func (p *Sweep) drawPlan(c *canvas.Canvas) {
	s, k := &p.State.Sweep, p.Label
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
		title = "Running: "
		if status == event.StateIdle {
			title = "Ran: "
		}
		title += n + " (" + k(p.Context.Keys.Job) + " plans a sweep)"
	}
	y := draw.Heading(c, 0, title, string(status))
	done := p.State.SweepProgress()
	if done.Total == 0 {
		c.TextMax(1, y, c.W-2, theme.Default, "No sweep yet. "+k(p.Context.Keys.Job)+" plans one: models, datasets, clocks, batch sizes and repeats.")
		c.TextMax(1, y+1, c.W-2, theme.Muted, "Each point runs its queries at one clock; the table and the curves (2) grow as points are measured.")
		c.TextMax(1, y+2, c.W-2, theme.Muted, k(p.Context.Keys.Pause)+" pauses between batches, "+k(p.Context.Keys.Skip)+" skips the point, "+k(p.Context.Keys.Stop)+" stops; all that ran is kept.")
		return
	}
	tail := draw.Int(done.Done) + "/" + draw.Int(done.Total) + " points  " + draw.Pad(draw.Float(100*done.Share(), 0), 3) + " %  left " + draw.Pad(draw.Left(p.Left(done)), 7)
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

// drawFindings says what the sweep has found so far: a line a curve of this session, and
// below, in as many rows as are left to them, which power limit held the clock in which phase.
func (p *Sweep) drawFindings(c *canvas.Canvas, y int) {
	said := p.capLines(c.W - 2)
	if set := p.curveSet(); set.earlier > 0 {
		y = set.findings(set.earlier).Draw(c, canvas.Rect{X: 1, Y: y, W: c.W - 1, H: c.H - y - len(said)})
	}
	for _, l := range said {
		c.TextMax(1, y, c.W-2, theme.Strong, l)
		y++
	}
}

// capLines are the sentences on power limits, in w columns: as many lines as there is
// room for beside the points.
func (p *Sweep) capLines(w int) (out []string) {
	for _, text := range p.State.Sweep.Caps() {
		out = append(out, canvas.Wrap(text, w, 0)...)
	}
	return out[:min(len(out), view.Pick(p.Size, 3, 5, 8))]
}
