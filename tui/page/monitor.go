package page

import (
	"math"

	tea "charm.land/bubbletea/v2"

	"jouletop/tui/canvas"
	"jouletop/tui/draw"
	"jouletop/tui/grid"
	"jouletop/tui/theme"
	"jouletop/tui/view"
)

// Monitor shows what others do with the GPUs: charts, what was drawn since the watching
// began, and which process took how much of it.
type Monitor struct {
	Live
	list *table[process]
}

// NewMonitor returns the page.
func NewMonitor(c *view.Context) *Monitor {
	p := &Monitor{Live: Live{Base: Base{c}, gpus: gpuRows{Context: c}}, list: processesTable(c, func() []string { return shownGPUs(c) })}
	p.list.grid.StartSortedBy(energyColumn)
	return p
}

// Name stands on the tab.
func (p *Monitor) Name() string { return "Monitor" }

var monitorKeys = struct{ choose view.Key }{view.Bind("Shift+↑ ↓", "choose GPU", "choose a GPU, where all are shown", "shift+up", "shift+down")}

// Keys are the page's own.
func (p *Monitor) Keys() []view.Key {
	return append([]view.Key{monitorKeys.choose}, grid.All()...)
}

// Hints are the keys on the last line.
func (p *Monitor) Hints() []view.Key {
	k := &p.Context.Keys
	own := []view.Key{}
	if len(p.State.GPUs) > 1 {
		own = append(own, gpuHint(p.Context), monitorKeys.choose)
	}
	return append(append(own, p.list.hints()...), k.Window, k.Freeze, k.Mark, k.Export)
}

// Terms are those of the page.
func (p *Monitor) Terms() []string {
	return []string{"SM time", "SM %", "nobody's", "asleep", "GPU busy", "power/limit", "throttle"}
}

// Greedy tells whether a key is the table's before it is the program's.
func (p *Monitor) Greedy(msg tea.KeyPressMsg) bool { return p.list.greedy(msg) }

// Key goes through the table.
func (p *Monitor) Key(msg tea.KeyPressMsg) tea.Cmd {
	if monitorKeys.choose.Is(msg) {
		by := 1
		if msg.String() == "shift+up" {
			by = -1
		}
		if len(p.State.GPUs) > 0 {
			p.gpus.choose(by)
		}
		return nil
	}
	cmd, _ := p.list.key(msg)
	return cmd
}

// Newest goes back to the newest row.
func (p *Monitor) Newest() { p.list.newest() }

// Wheel goes through the table.
func (p *Monitor) Wheel(by int) { p.list.wheel(by) }

// Paste takes text where it is typed.
func (p *Monitor) Paste(text string) bool { return p.list.paste(text) }

// monitorAreas are the page's rectangles.
type monitorAreas struct{ charts, clock, power, axis, sums, list canvas.Rect }

func (p *Monitor) areas() (a monitorAreas) {
	body := p.Body
	n := len(p.State.GPUs)
	sums := view.Pick(p.Size, 3, 4, 4)
	top := (body.H - sums) * 45 / 100
	if p.Several() {
		top = max((body.H-sums)*60/100, min(2+n, body.H-sums-5))
		top = min(top, 2+n*min(max((top-2)/n, 1), mostRow)) // no more than rows fill
	}
	a.charts, body = view.Cut(body, top)
	a.sums, a.list = view.Cut(body, sums)
	if !p.Several() {
		a.charts, a.axis = view.Cut(a.charts, a.charts.H-1)
		a.clock, a.power = view.Split(a.charts, (a.charts.W-1)/2, 1)
		a.power.W, a.axis.W = a.clock.W, a.clock.W // one picture's columns for both
	}
	return a
}

// Draw draws the page.
func (p *Monitor) Draw() {
	at, tele := p.areas(), p.Telemetry()
	if p.Several() {
		p.gpus.draw(at.charts)
	} else {
		p.Window.Load(p.State, p.GPUID(), at.clock.W-profileGutter-1)
		type key struct {
			cols view.Columns
			head string
		}
		k := key{p.Window.Shown, "achieved " + draw.Pad(draw.MHz(tele.Sample.SMMHz), 4) + " MHz"}
		p.Frame.Place("clock", at.clock, k, func(c *canvas.Canvas) { p.drawClockChart(c, k.head) })
		power := key{p.Window.Shown, p.powerHeading(tele)}
		p.Frame.Place("power", at.power, power, func(c *canvas.Canvas) { p.drawPowerChart(c, power.head) })
		p.Frame.Place("axis", at.axis, p.Window.Shown, func(c *canvas.Canvas) { p.drawTimes(c, profileGutter+1) })
	}
	type sumsKey struct {
		slow, second int64
		run          uint64
		gpu          string
		all          bool
	}
	p.Frame.Place("sums", at.sums, sumsKey{p.Slow(), p.Present() / 1_000_000_000, p.State.Versions.Run, p.GPUID(), p.Several()}, p.drawSums)
	p.list.look.Note = p.note()
	p.list.look.Empty = p.none()
	p.list.draw("processes", at.list)
}

// note says how energy is divided, or why it is not.
func (p *Monitor) note() string {
	undivided, known, trouble := 0.0, 0.0, ""
	for _, id := range shownGPUs(p.Context) {
		if t, ok := p.Tenants(id); ok {
			undivided, known = undivided+t.UndividedS, known+t.KnownS
			if t.Err != "" {
				trouble = t.Err
			}
		}
	}
	switch {
	case trouble != "":
		return trouble
	case known > 0 && undivided >= known:
		return "the driver does not sample processes: energy is not divided"
	case undivided > 1:
		return "energy estimated by SM time (" + p.Label(p.Context.Keys.Terms) + "); " + draw.Clock(int64(undivided*1e9)) + " not divided: no samples"
	}
	return "energy estimated by SM time (" + p.Label(p.Context.Keys.Terms) + ")"
}

// none says why the table is empty.
func (p *Monitor) none() string {
	if p.State.GPU(p.GPUID()).Asleep && !p.Several() {
		return "the GPU is asleep: no program is on it. Looking at it does not wake it"
	}
	return "no program is on the GPU, as far as the driver tells"
}

// drawSums draws what was drawn since the watching began, and how the GPU is.
func (p *Monitor) drawSums(c *canvas.Canvas) {
	whole := totals(p.Context)
	title := p.GPUID() + ", in the " + draw.Clock(p.State.Elapsed()) + " since the watching began"
	if p.Several() {
		title = "All GPUs, in the " + draw.Clock(p.State.Elapsed()) + " since the watching began"
	}
	age, old := ageText(p.Context, p.GPUID())
	if p.Several() {
		for _, id := range p.State.GPUs {
			if text, stale := ageText(p.Context, id); stale {
				age, old = id+": "+text, true
			}
		}
	}
	note := age
	if old {
		note = ""
	}
	y := draw.Heading(c, 0, title, note)
	if old {
		c.Right(c.W-2, 0, theme.Warn, " "+age+" ")
	}
	x := 1
	put := func(label, value, unit string, style canvas.Style) {
		if w := canvas.Width(label) + canvas.Width(value) + canvas.Width(unit) + 4; x > 1 && x+w > c.W {
			x, y = 1, y+1
		}
		if y >= c.H {
			return
		}
		x = c.Text(x, y, theme.Muted, label) + 1
		x = c.Text(x, y, style, value) + 1
		x = c.Text(x, y, theme.Muted, unit) + 3
	}
	known := math.NaN()
	if whole.Known > 0 {
		known = 0
	}
	put("drawn", wh(whole.J+known, whole.Err), "Wh", theme.Strong)
	put("of it nobody's", wh(whole.Idle+known, math.NaN()), "Wh", theme.Default)
	if p.PricePerKWh > 0 && whole.Known > 0 {
		put("cost", draw.Sig(whole.J/joulesPerKWh*p.PricePerKWh), "at "+draw.Float(p.PricePerKWh, 2)+"/kWh", theme.Default)
	}
	if whole.Unknown >= 1 {
		put("not known for", draw.Clock(int64(whole.Unknown*1e9)), "asleep or not read", theme.Warn)
	}
	if p.Several() {
		watts, n := 0.0, 0
		for _, id := range p.State.GPUs {
			if w := p.State.GPU(id).PowerW; !math.IsNaN(w) {
				watts, n = watts+w, n+1
			}
		}
		unit := "W"
		if n < len(p.State.GPUs) {
			unit += " of " + draw.Int(n) + " GPUs that are read"
		}
		put("power", draw.Float(watts, 0), unit, theme.Strong)
		return
	}
	t := p.Telemetry()
	put("power", draw.Float(t.PowerW, 0), "W", theme.Strong)
	put("peak", draw.Float(t.PeakW, 0), "W", theme.Default)
	put("temperature", draw.Float(t.Sample.TempC, 0), "°C", theme.Default)
	put("GPU busy", draw.Float(t.Sample.GPUUtil, 0), "%", theme.Default)
	put("memory", draw.Float(t.Sample.MemUsedMiB/1024, 1), "GiB", theme.Default)
	throttle, style := "none", theme.Good
	switch {
	case t.Asleep:
		throttle, style = "asleep", theme.Muted
	case t.Sample.SMMHz < 0:
		throttle, style = draw.Unknown, theme.Muted
	case t.Sample.Throttle != 0:
		throttle, style = t.Sample.Throttle.String(), theme.Default
		if t.Sample.Throttle.Limits() {
			style = theme.Warn
		}
	}
	put("throttle", throttle, "", style)
	for _, h := range p.Hidden() {
		put("", h, "", theme.Muted)
	}
}
