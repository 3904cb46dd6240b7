package page

import (
	"math"
	"strconv"
	"strings"

	"jouletop/tui/canvas"
	"jouletop/tui/draw"
	"jouletop/tui/history"
	"jouletop/tui/theme"
	"jouletop/tui/view"
)

// gpuRows draws several GPUs, a row of small charts each. A row costs what it shows: it is
// drawn again where a column of its charts is complete, or a figure in it has changed.
type gpuRows struct {
	*view.Context
	first  int // GPU in the first row
	charts map[string]*gpuCharts
}

// gpuCharts are the columns of one GPU's charts.
type gpuCharts struct {
	view.Sight
	figures            figures // as written last
	at                 int64   // when: a beat of the session's
	cols               []history.Column
	memory, util, temp []float64
}

var gpuKeys = struct{ choose view.Key }{upDown("choose", "choose a GPU, where all are shown")}

// gpuHint is the key that opens a GPU, or goes back to all.
func gpuHint(c *view.Context) view.Key {
	if c.Window.One {
		return c.Keys.GPU.As("g", "all GPUs")
	}
	return c.Keys.GPU.As("g", "open GPU")
}

// choose chooses another GPU.
func (g *gpuRows) choose(by int) {
	n := len(g.State.GPUs)
	g.Window.GPU = min(max(g.Window.GPU%n+by, 0), n-1)
}

// gpuSlot is what there is to show of a GPU side by side: a chart and a figure.
type gpuSlot struct {
	title string
	unit  string
	width int // of the figure
}

// The slots, the most wanted first.
const (
	slotPower = iota
	slotClock
	slotUtil
	slotMemory
	slotTemp
	gpuSlots
)

var gpuSlotLooks = [gpuSlots]gpuSlot{{"power", "W", 7}, {"clock", "MHz", 4}, {"busy", "%", 3}, {"memory", "GiB", 7}, {"temp", "°C", 3}}

// slotOrder is the order in which they stand.
var slotOrder = [gpuSlots]int{slotClock, slotPower, slotMemory, slotUtil, slotTemp}

const (
	leastChart = 6 // columns that a small chart needs
	mostRow    = 6 // rows that a GPU's charts get at most
)

// gpuLayout is where what stands in a row.
type gpuLayout struct {
	name  int // columns of the name
	x     [gpuSlots]int
	chart [gpuSlots]int // columns of the chart; 0: the figure alone
}

// layout divides a row of w columns: figures first, then charts for as many slots as have
// the room.
func (g *gpuRows) layout(w int) (l gpuLayout) {
	for _, id := range g.State.GPUs {
		l.name = max(l.name, canvas.Width(g.name(id)))
	}
	l.name = min(max(l.name, view.Pick(g.Size, 0, 11, 11)), view.Pick(g.Size, 10, 16, 20)) // with room for an age
	free := w - l.name - 1
	for _, s := range gpuSlotLooks {
		free -= s.width + 1
	}
	charts := min(max(free/(leastChart+1), 0), gpuSlots)
	for slot := range charts { // the most wanted first
		l.chart[slot] = free/charts - 1
	}
	x := l.name + 1
	for _, slot := range slotOrder {
		l.x[slot] = x
		if l.chart[slot] > 0 {
			x += l.chart[slot] + 1
		}
		x += gpuSlotLooks[slot].width + 1
	}
	return l
}

// name is a GPU's in its row: short, and in wide rows what it is.
func (g *gpuRows) name(id string) string {
	if rest, ok := strings.CutPrefix(id, "sim:"); ok {
		return rest
	}
	return id
}

// draw draws all GPUs into r, as many rows each as there is room for.
func (g *gpuRows) draw(r canvas.Rect) {
	n := len(g.State.GPUs)
	l := g.layout(r.W)
	head, body := view.Cut(r, 2)
	high := min(max(body.H/n, 1), mostRow)
	fit := max(body.H/high, 1)
	at := g.Window.GPU % n
	g.first = min(max(g.first, at-fit+1), at)
	g.first = max(min(g.first, n-fit), 0)
	note := "window " + g.Window.Label(g.State) + " (" + g.Label(g.Keys.Window) + ")"
	if fit < n {
		note = draw.Int(g.first+1) + " to " + draw.Int(g.first+fit) + " of " + draw.Int(n) + " · " + note
	}
	g.Frame.Place("gpus", head, [2]any{l, note}, func(c *canvas.Canvas) {
		draw.Heading(c, 0, draw.Int(n)+" GPUs", note)
		c.TextMax(0, 1, l.name, theme.Muted, "GPU")
		for slot, s := range gpuSlotLooks {
			title := s.title + " " + s.unit
			w := s.width
			if l.chart[slot] > 0 {
				w += l.chart[slot] + 1
			}
			if canvas.Width(title) > w {
				title = s.unit
			}
			c.Right(l.x[slot]+w, 1, theme.Muted, title)
		}
	})
	for i := range min(fit, n-g.first) {
		id := g.State.GPUs[g.first+i]
		row := canvas.Rect{X: r.X, Y: body.Y + i*high, W: r.W, H: high}
		g.drawRow(id, row, l, g.first+i == at)
		g.Frame.Hit(row, func() { g.Window.GPU = g.first + i })
	}
}

// figures are those of a row as they are written.
type figures [gpuSlots]string

func (g *gpuRows) figures(id string) (f figures) {
	t, info := g.State.GPU(id), infoOf(g.Context, id)
	s := &t.Sample
	f[slotPower] = draw.Float(t.PowerW, 0)
	if info.PowerLimitW > 0 {
		f[slotPower] += "/" + draw.Float(info.PowerLimitW, 0)
	}
	f[slotClock] = draw.MHz(s.SMMHz)
	f[slotUtil] = draw.Float(s.GPUUtil, 0)
	f[slotMemory] = draw.Float(s.MemUsedMiB/1024, 1)
	if info.MemoryMiB > 0 {
		f[slotMemory] = draw.Float(s.MemUsedMiB/1024, 0) + "/" + draw.Float(float64(info.MemoryMiB)/1024, 0)
	}
	f[slotTemp] = draw.Float(s.TempC, 0)
	return f
}

// chartsOf are the charts of a GPU, made at need.
func (g *gpuRows) chartsOf(id string) *gpuCharts {
	if g.charts == nil {
		g.charts = map[string]*gpuCharts{}
	}
	ch := g.charts[id]
	if ch == nil {
		ch = &gpuCharts{at: -1}
		g.charts[id] = ch
	}
	return ch
}

// written are the figures of a row as they were written in this beat of the session: they
// change no more often, so that they can be read, and cost no more.
func (g *gpuRows) written(id string) figures {
	ch := g.chartsOf(id)
	if now := g.Slow(); ch.at != now {
		ch.at, ch.figures = now, g.figures(id)
	}
	return ch.figures
}

// load reads the columns of a GPU's charts, n of them.
func (g *gpuRows) load(ch *gpuCharts, id string, n int) {
	if !g.Window.See(&ch.Sight, g.State, id, n) {
		return
	}
	key := ch.Shown
	if len(ch.cols) != n {
		ch.cols = make([]history.Column, n)
		ch.memory, ch.util, ch.temp = make([]float64, n), make([]float64, n), make([]float64, n)
	}
	t := g.State.GPU(id)
	t.Track.Columns(ch.cols, key.From, key.Width)
	t.Memory.Columns(ch.memory, key.From, key.Width)
	t.Util.Columns(ch.util, key.From, key.Width)
	t.Temp.Columns(ch.temp, key.From, key.Width)
}

// drawRow draws one GPU.
func (g *gpuRows) drawRow(id string, r canvas.Rect, l gpuLayout, chosen bool) {
	type key struct {
		l      gpuLayout
		f      figures
		cols   view.Columns
		age    string
		old    bool
		chosen bool
		asleep bool
		hot    bool
	}
	t := g.State.GPU(id)
	k := key{l: l, f: g.written(id), chosen: chosen, asleep: t.Asleep, hot: t.Sample.Throttle.Limits()}
	if k.age, k.old = ageText(g.Context, id); !k.old {
		k.age = ""
	}
	if k.asleep {
		k.f, k.age = figures{}, ""
	}
	ch := g.chartsOf(id)
	if w := l.chart[slotPower]; w > 0 {
		g.load(ch, id, w)
	}
	k.cols = ch.Shown
	g.Frame.Place("gpu "+id, r, k, func(c *canvas.Canvas) {
		name := theme.Default
		if chosen {
			name = theme.Select
			c.Fill(canvas.Rect{W: l.name, H: 1}, theme.Select, ' ')
		}
		c.TextMax(0, 0, l.name, name, g.name(id))
		switch {
		case k.asleep:
			text := "asleep since " + draw.Clock(max(t.SleptNS-g.State.StartNS, 0)) + ", and not woken"
			c.TextMax(l.name+1, 0, c.W-l.name-1, theme.Muted, text)
			return
		case k.old:
			if c.H > 1 {
				c.TextMax(0, 1, l.name, theme.Warn, k.age)
			} else if !chosen {
				c.TextMax(0, 0, l.name, theme.Warn, g.name(id))
			}
		case c.H > 1:
			if name := infoOf(g.Context, id).Name; canvas.Width(name) <= l.name {
				c.Text(0, 1, theme.Muted, name)
			}
		}
		for slot, s := range gpuSlotLooks {
			x := l.x[slot]
			if w := l.chart[slot]; w > 0 {
				g.spark(c, canvas.Rect{X: x, W: w, H: c.H}, id, slot, ch)
				x += w + 1
			}
			style := theme.Default
			switch {
			case k.old:
				style = theme.Warn
			case slot == slotPower:
				style = theme.Strong
			case slot == slotClock && k.hot, slot == slotTemp && t.Sample.TempC >= 85:
				style = theme.Warn
			}
			c.Right(x+s.width, 0, style, k.f[slot])
		}
	})
}

// spark draws a small chart: bars as high as the values.
func (g *gpuRows) spark(c *canvas.Canvas, r canvas.Rect, id string, slot int, ch *gpuCharts) {
	info := infoOf(g.Context, id)
	high := 100.0
	value := func(int) float64 { return math.NaN() }
	style := func(int) canvas.Style { return theme.Meter }
	byPhase := func(i int) canvas.Style { return phaseLooks[ch.cols[i].Phase].Style }
	if g.Mode == view.Monitor {
		byPhase = style
	}
	switch slot {
	case slotPower:
		high = g.State.GPU(id).PeakW
		if info.PowerLimitW > 0 {
			high = max(info.PowerLimitW, high)
		}
		value, style = func(i int) float64 { return ch.cols[i].Power.Mean }, byPhase
	case slotClock:
		if high = float64(info.MaxSM()); high == 0 {
			for i := range ch.cols {
				high = max(high, ch.cols[i].Clock.Max)
			}
		}
		value, style = func(i int) float64 { return ch.cols[i].Clock.Mean }, byPhase
	case slotUtil:
		value = func(i int) float64 { return ch.util[i] }
	case slotMemory:
		if info.MemoryMiB > 0 {
			high = float64(info.MemoryMiB)
		}
		value = func(i int) float64 { return ch.memory[i] }
	case slotTemp:
		value = func(i int) float64 { return ch.temp[i] }
	}
	values := make([]float64, min(r.W, len(ch.cols)))
	for i := range values {
		values[i] = value(i)
	}
	hold(values)
	for i, v := range values {
		if math.IsNaN(v) || !(high > 0) {
			c.Set(r.X+i, r.Y+r.H-1, theme.Faint, '·')
			continue
		}
		eighths := max(int(min(v/high, 1)*float64(8*r.H)+0.5), 1)
		for y := r.H - 1; y >= 0 && eighths > 0; y-- {
			c.Set(r.X+i, r.Y+y, style(i), []rune("▁▂▃▄▅▆▇█")[min(eighths, 8)-1])
			eighths -= 8
		}
	}
}

// infoOf describes a GPU.
func infoOf(c *view.Context, id string) (info struct {
	Name        string
	PowerLimitW float64
	MemoryMiB   int
	MaxSM       func() int
}) {
	info.MaxSM = func() int { return 0 }
	for i := range c.GPUs {
		if g := &c.GPUs[i]; g.ID() == id {
			info.Name, info.PowerLimitW, info.MemoryMiB, info.MaxSM = g.Name, g.PowerLimitW, g.MemoryMiB, g.MaxSM
		}
	}
	return info
}

// ageText words how old the readings of a GPU are, and tells whether that is too old for
// what is shown to be of now.
func ageText(c *view.Context, id string) (text string, old bool) {
	if c.State.GPU(id).Asleep {
		return "asleep", false
	}
	a := c.State.Ages(id)
	switch oldest := a.Oldest(); {
	case math.IsNaN(oldest):
		return "no readings yet", true
	case c.Closed || c.State.Ended && c.Mode == view.Playback:
		return "of the end", false
	case oldest < 10:
		return draw.Float(oldest, 1) + " s old", a.Stale()
	default:
		return draw.Clock(int64(oldest*1e9)) + " old", true
	}
}

// shownGPUs are the ids of the GPUs that are shown: all, or one.
func shownGPUs(c *view.Context) []string {
	if c.Several() || c.GPUID() == "" {
		return c.State.GPUs
	}
	return []string{c.GPUID()}
}

// totals sums up what processes took, over the GPUs that are shown.
func totals(c *view.Context) (t struct{ J, Err, Idle, Known, Unknown float64 }) {
	for _, id := range shownGPUs(c) {
		if p, ok := c.Tenants(id); ok && !math.IsNaN(p.EnergyJ) {
			t.J, t.Err, t.Idle = t.J+p.EnergyJ, t.Err+p.EnergyErrJ, t.Idle+p.IdleEnergyJ
			t.Known, t.Unknown = t.Known+p.KnownS, t.Unknown+p.UnknownS
		}
	}
	return t
}

// wh writes an energy in J as Wh, with its error where that is known.
func wh(j, errJ float64) string {
	if math.IsNaN(j) {
		return draw.Unknown
	}
	v := j / joulesPerWh
	text := strconv.FormatFloat(v, 'f', whDecimals(v), 64)
	if !math.IsNaN(errJ) {
		text += " ± " + strconv.FormatFloat(errJ/joulesPerWh, 'f', whDecimals(v), 64)
	}
	return text
}

func whDecimals(v float64) int {
	switch {
	case v >= 100:
		return 0
	case v >= 10:
		return 1
	case v >= 1:
		return 2
	}
	return 3
}
