package page

import (
	"math"
	"strings"

	tea "charm.land/bubbletea/v2"

	"jouletop/engine/event"
	"jouletop/tui/canvas"
	"jouletop/tui/draw"
	"jouletop/tui/theme"
	"jouletop/tui/view"
)

// Live shows what runs now: clock and power over time by phase, figures, the text
// being generated, and the newest requests.
type Live struct {
	Base
	stream  int // request of the batch whose text is shown
	serving serving
	gpus    gpuRows
}

var liveKeys = struct{ scroll, stream, rows view.Key }{
	scroll: leftRight("scroll", "scroll back and on"),
	stream: view.Bind("v", "text", "text of the next request", "v"),
	rows:   view.Bind("Enter", "requests", "all requests, in a table", "enter"),
}

// sweepPage is the key that shows the page of the sweep.
var sweepPage = view.Bind("3", "Sweep", "", "3")

// Name stands on the tab.
func (p *Live) Name() string { return "Live" }

// Keys are the page's own.
func (p *Live) Keys() []view.Key {
	keys := append([]view.Key{liveKeys.scroll, liveKeys.stream, liveKeys.rows}, p.serving.keys()...)
	return append(keys, gpuKeys.choose)
}

// Hints are the keys on the last line.
func (p *Live) Hints() []view.Key {
	k := &p.Context.Keys
	if len(p.State.GPUs) > 1 {
		return []view.Key{k.Clock, k.Arm, gpuHint(p.Context), k.Job, k.Prompt, k.Window, k.Freeze, k.Mark, k.Stop}
	}
	if p.serving.on(p.Context) {
		return []view.Key{k.Clock, k.Arm, servingKeys.lanes, PaceKey, k.Prompt, k.Window, k.Freeze, k.Mark, k.Stop}
	}
	return []view.Key{k.Clock, k.Arm, k.Job, k.Prompt, k.Window, k.Freeze, k.Mark, k.Stop}
}

// Key scrolls, and goes through the requests of a batch.
func (p *Live) Key(msg tea.KeyPressMsg) tea.Cmd {
	switch {
	case gpuKeys.choose.Is(msg) && p.Several():
		p.gpus.choose(step(msg))
	case liveKeys.scroll.Is(msg):
		p.Window.Scroll(p.State, int64(step(msg)))
	case liveKeys.stream.Is(msg):
		p.stream++
	case liveKeys.rows.Is(msg):
		return show("Rows")
	case servingKeys.lanes.Is(msg):
		p.serving.lanes = !p.serving.lanes
	}
	return nil
}

// liveAreas are the page's rectangles.
type liveAreas struct {
	clock, power, passes, strip, side, progress, text, recent canvas.Rect
}

func (p *Live) areas() (a liveAreas) {
	body, size := p.Body, p.Size
	bottom := view.Pick(size, max(4, body.H/5), body.H*34/100, body.H*38/100)
	upper, lower := view.Cut(body, body.H-bottom-1)
	a.progress, lower = view.Cut(lower, 1)
	charts := upper
	if !p.Panel || size == view.Wide {
		charts, a.side = view.Split(upper, body.W-view.Pick(size, 27, 38, 52)-1, 1)
	}
	charts, a.strip = view.Cut(charts, charts.H-2) // phases and the time axis
	charts, a.passes = p.serving.area(p.Context, charts)
	a.clock, a.power = view.Cut(charts, charts.H/2)
	if lower.W < view.MediumWidth/2 {
		a.text = lower
		return a
	}
	a.text, a.recent = view.Split(lower, lower.W*view.Pick(size, 60, 42, 46)/100, 1)
	return a
}

// Draw draws the page.
func (p *Live) Draw() {
	at, tele := p.areas(), p.Telemetry()
	p.Window.Load(p.State, p.GPUID(), at.clock.W-profileGutter-1)

	type chartKey struct {
		cols   view.Columns
		coarse bool
		head   string
		log    uint64
	}
	key := chartKey{cols: p.Window.Shown, coarse: p.Window.Coarse, head: p.clockHeading(tele)}
	if p.Several() {
		all := at.clock
		all.H += at.power.H
		p.gpus.draw(all)
	} else {
		p.Frame.Place("clock", at.clock, key, func(c *canvas.Canvas) { p.drawClockChart(c, key.head) })
		power := key
		power.head = p.powerHeading(tele)
		p.Frame.Place("power", at.power, power, func(c *canvas.Canvas) { p.drawPowerChart(c, power.head) })
	}
	strip := key
	strip.head, strip.log = "", p.State.Versions.Log
	p.Frame.Place("strip", at.strip, strip, p.drawStrip)
	p.serving.place(p.Context, at.passes)

	type sideKey struct {
		slow                int64
		run, work, requests uint64
		log                 uint64
		gpu                 string
		serves              bool
		second              int64
	}
	v := p.State.Versions
	p.Frame.Place("side", at.side, sideKey{p.Slow(), v.Run, v.Work, v.Requests, v.Log, p.GPUID(), p.serving.on(p.Context), p.Present() / 1_000_000_000}, p.drawSide)
	p.Frame.Place("progress", at.progress, p.progressKey(), p.drawProgress)

	type textKey struct {
		v, work uint64
		stream  int
		idle    bool
	}
	p.Frame.Place("text", at.text, textKey{v.Text, v.Work, p.stream, p.idle()}, p.drawText)
	p.Frame.Place("recent", at.recent, v.Rows, p.drawRecent)
}

func (p *Live) idle() bool { return !p.State.Work.InPoint && !p.State.Work.InPhase }

// progressKey stands for what the progress line shows.
func (p *Live) progressKey() any {
	type key struct {
		work, reqs, run, points uint64
		second                  int64
		loading                 float64
	}
	v := p.State.Versions
	loading := p.State.Work.Loading
	if math.IsNaN(loading) {
		loading = -1
	}
	return key{v.Work, v.Requests, v.Run, v.Points, p.Second(), loading}
}

func (p *Live) drawProgress(c *canvas.Canvas) {
	w := &p.State.Work
	if !math.IsNaN(w.Loading) {
		x := c.TextMax(1, 0, c.W/2, theme.Strong, "loading "+w.Model) + 1
		draw.Gauge(c, x, 0, max(c.W-x-8, 1), w.Loading, theme.Accent)
		c.Right(c.W, 0, theme.Strong, draw.Pad(draw.Float(w.Loading*100, 0), 3)+" %")
		return
	}
	done := p.State.Progress()
	if done.Total == 0 {
		c.TextMax(1, 0, c.W-1, theme.Muted, p.idleText())
		return
	}
	tail := draw.Pad(draw.Int(done.Done), len(draw.Int(done.Total))) + "/" + draw.Int(done.Total) + " " + done.What +
		"  " + draw.Pad(draw.Float(100*done.Share(), 0), 3) + " %  left " + draw.Pad(draw.Left(p.Left(done)), 7)
	head := p.workText()
	barMin := 8
	room := c.W - canvas.Width(tail) - barMin - 4
	x := c.TextMax(1, 0, max(min(room, c.W*4/10), 0), theme.Strong, head) + 1
	if bar := c.W - x - canvas.Width(tail) - 2; bar > 2 {
		draw.Gauge(c, x, 0, bar, done.Share(), theme.Accent)
	}
	c.Right(c.W, 0, theme.Default, tail)
}

// workText says what is running.
func (p *Live) workText() string {
	at := p.State.Work.Point
	if at.Model == "" {
		return "starting"
	}
	parts := []string{at.Model, at.Dataset}
	if at.BatchSize >= 0 { // a server decides by itself
		parts = append(parts, "batch "+draw.Int(at.BatchSize))
	}
	if at.Repeat > 1 {
		parts = append(parts, "repeat "+draw.Int(at.Repeat))
	}
	return strings.Join(parts, " · ")
}

func (p *Live) idleText() string {
	k := &p.Context.Keys
	switch {
	case p.Mode == view.Playback:
		return "replay: " + p.Label(k.Freeze) + " holds, " + p.Label(k.Slower.As("[ ]", "speed")) + " speed, " + p.Label(k.SeekBack.As(", .", "10 s")) + " 10 s, " + p.Label(k.SeekFarBack.As("< >", "1 min")) + " 1 min"
	case p.Closed || p.State.Ended && p.Leaving:
		return "the session is closed"
	}
	return "no job running:  " + p.Label(k.Job) + " starts one,  " + p.Label(k.Prompt) + " runs a prompt of your own,  " + p.Label(sweepPage) + " plans a sweep"
}

// drawText shows the prompt and what the model answers.
func (p *Live) drawText(c *canvas.Canvas) {
	w := &p.State.Work
	n := len(w.Streams)
	right := ""
	i := 0
	if n > 0 {
		i = p.stream % n
		if n > 1 {
			right = "request " + draw.Int(i+1) + " of " + draw.Int(n) + p.bracketed(liveKeys.stream)
		}
	}
	title := "Generated text"
	if w.Batch.Class != "" {
		title += " · " + w.Batch.Class
	}
	y := draw.Heading(c, 0, title, right)
	if prompt := strings.Join(strings.Fields(w.Batch.Prompt), " "); prompt != "" && c.H > 2 {
		x := c.Text(1, y, theme.Accent, "› ")
		c.TextMax(x, y, c.W-x-1, theme.Muted, prompt)
		y++
	}
	text := ""
	if n > 0 {
		text = w.Streams[i]
	}
	lines := canvas.Wrap(strings.TrimLeft(text, " \n"), c.W-2, c.H-y)
	for _, l := range lines {
		c.Text(1, y, theme.Default, l)
		y++
	}
	if w.InPhase && len(lines) > 0 {
		c.Set(1+canvas.Width(lines[len(lines)-1]), y-1, theme.Caret, ' ')
	}
	if text != "" || y >= c.H {
		return
	}
	switch {
	case p.idle():
		c.TextMax(1, y, c.W-2, theme.Muted, "nothing is being generated")
	case w.Phase.Phase == event.Score:
		c.TextMax(1, y, c.W-2, theme.Muted, "answered by log-likelihood: options are scored, no text is generated")
	case n == 0 && !w.InPhase:
		c.TextMax(1, y, c.W-2, theme.Muted, "waiting for a request")
	default:
		c.TextMax(1, y, c.W-2, theme.Muted, "reading the prompt")
	}
}
