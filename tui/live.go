package tui

import (
	"math"
	"strings"

	"jouletop/tui/canvas"
	"jouletop/tui/chart"
	"jouletop/tui/history"
	"jouletop/tui/theme"
)

// profileGutter is the width of the profiles' y labels; one for all, so that the
// columns stand above each other.
const profileGutter = 5

// chartStyles are the styles of the charts' own parts.
var chartStyles = chart.Styles{Axis: theme.Faint, Label: theme.Muted, Grid: theme.Faint}

// phaseLooks tells phases apart by line shape as well as by colour.
var phaseLooks = [history.Phases]chart.Look{
	history.Idle:    {Style: theme.PhaseIdle, Shape: chart.Light},
	history.Prefill: {Style: theme.PhasePrefill, Shape: chart.Heavy},
	history.Decode:  {Style: theme.PhaseDecode, Shape: chart.Light},
	history.Score:   {Style: theme.PhaseScore, Shape: chart.Double},
	history.Mixed:   {Style: theme.PhaseMixed, Shape: chart.Dashed},
}

var phaseNames = [history.Phases]string{"idle", "prefill", "decode", "score", "mixed"}

// stripFill is what fills a phase's stretch of the strip, where colours may not.
var stripFill = [history.Phases]rune{' ', '▓', '░', '▒', '▞'}

// slow is the quarter of a second: figures change no more often, so that they
// can be read.
func (m *Model) slow() int64 { return m.st.now / 250_000_000 }

func (m *Model) drawLive() {
	id := m.gpuID()
	tele := m.st.gpu(id)
	m.pic.load(m.st, id, m.lay.clock.W-profileGutter-1)

	type chartKey struct {
		cols   columnsKey
		coarse bool
		thm    theme.Name
		head   string
		log    uint64
	}
	key := chartKey{cols: m.pic.colsKey, coarse: m.pic.coarse, thm: m.th.Name, head: m.clockHeading(tele)}
	m.place("clock", m.lay.clock, key, func(c *canvas.Canvas) { m.drawClockChart(c, key.head) })
	key.head = m.powerHeading(tele)
	m.place("power", m.lay.power, key, func(c *canvas.Canvas) { m.drawPowerChart(c, key.head) })
	key.head, key.log = "", m.st.ver.log
	m.place("strip", m.lay.strip, key, m.drawStrip)

	type sideKey struct {
		slow int64
		v    versions
		gpu  string
	}
	m.place("side", m.lay.side, sideKey{m.slow(), m.st.ver, id}, m.drawSide)
	m.place("progress", m.lay.progress, m.progressKey(), m.drawProgress)

	type textKey struct {
		v, work uint64
		stream  int
		idle    bool
	}
	v := m.st.ver
	m.place("text", m.lay.text, textKey{v.text, v.work, m.pic.stream, m.idle()}, m.drawText)
	m.place("recent", m.lay.recent, v.reqs, m.drawRecent)
}

func (m *Model) idle() bool { return !m.st.work.inPoint && !m.st.work.inPhase }

func (m *Model) clockHeading(t *telemetry) string {
	return "requested " + pad(fmtMHz(t.requested), 4) + " → achieved " + pad(fmtMHz(t.sample.SMMHz), 4) + " MHz"
}

func (m *Model) powerHeading(t *telemetry) string {
	if t.source == "" {
		return ""
	}
	note := "source: " + t.source
	for _, p := range m.status.PowerSources[m.gpuID()] {
		if p.Name == t.source && p.PeriodMS > 0 {
			note += ", every " + fmtFloat(p.PeriodMS, 0) + " ms"
		}
	}
	return note
}

// profile is the part that both pictures share.
func profile() chart.Profile {
	return chart.Profile{Styles: chartStyles, Gutter: profileGutter}
}

func (m *Model) drawClockChart(c *canvas.Canvas, head string) {
	y := heading(c, 0, "SM clock", head)
	p := profile()
	p.Unit, p.Empty = "MHz", m.emptyText("clock")
	info := m.opt.info(m.gpuID())
	lo, hi := float64(info.MinSM()), float64(info.MaxSM())
	if hi == 0 {
		for i := range m.pic.columns {
			if v := m.pic.columns[i].Clock.Max; v > hi {
				hi = v
			}
		}
		lo = 0
	}
	p.Y = chart.Nice(lo, hi, max((c.H-2)/2, 2))
	if !m.pic.coarse { // else it changes within every column
		p.Lines = append(p.Lines, m.requestedLine())
	}
	p.Lines = append(p.Lines, m.signalLines(func(c *history.Column) *history.Stat { return &c.Clock })...)
	p.Draw(c, canvas.Rect{Y: y, W: c.W, H: c.H - y})
}

func (m *Model) drawPowerChart(c *canvas.Canvas, head string) {
	y := heading(c, 0, "Power", head)
	p := profile()
	p.Unit, p.Empty = "W", m.emptyText("power")
	top := 100.0
	if m.pic.peakW > top {
		top = m.pic.peakW
	}
	p.Y = chart.Nice(0, top*1.02, max((c.H-2)/2, 2))
	if limit := m.opt.info(m.gpuID()).PowerLimitW; limit > 0 && limit <= p.Y.Max {
		line := make([]float64, len(m.pic.columns))
		for i := range line {
			line[i] = limit
		}
		p.Lines = append(p.Lines, chart.Line{Values: line, Look: func(int) chart.Look {
			return chart.Look{Style: theme.Faint, Shape: chart.Dashed}
		}})
	}
	p.Lines = append(p.Lines, m.signalLines(func(c *history.Column) *history.Stat { return &c.Power })...)
	r := canvas.Rect{Y: y, W: c.W, H: c.H - y}
	p.Draw(c, r)
	if limit := m.opt.info(m.gpuID()).PowerLimitW; limit > 0 && limit <= p.Y.Max && r.H > 5 {
		plot := p.PlotRect(r)
		c.Right(c.W, plot.Y+plot.H-1-p.Y.Row(limit, plot.H), theme.Muted, " limit "+fmtFloat(limit, 0))
	}
}

func (m *Model) emptyText(what string) string {
	if m.st.now == 0 {
		return "waiting for the first " + what + " readings"
	}
	return "no " + what + " readings in this window"
}

// requestedLine is the requested clock, where one was asked for.
func (m *Model) requestedLine() chart.Line {
	v := make([]float64, len(m.pic.columns))
	last := math.NaN()
	for i := range v {
		if r := m.pic.columns[i].Requested; !math.IsNaN(r) {
			last = r
		} else if m.pic.columns[i].Empty() {
			last = math.NaN()
		}
		if v[i] = last; last == 0 {
			v[i] = math.NaN()
		}
	}
	return chart.Line{Values: v, Look: func(int) chart.Look { return chart.Look{Style: theme.Request, Shape: chart.Dashed} }}
}

// holdColumns is how many columns a value stands on where readings come more
// seldom than columns.
const holdColumns = 4

// signalLines returns the lines of a signal: one in the colours of the phases,
// or, where columns hold several phases each, one a phase.
func (m *Model) signalLines(of func(*history.Column) *history.Stat) []chart.Line {
	cols := m.pic.columns
	if !m.pic.coarse {
		l := chart.Line{Values: make([]float64, len(cols)), Low: make([]float64, len(cols)), High: make([]float64, len(cols))}
		for i := range cols {
			s := of(&cols[i])
			// The mean of the phase that fills the column; another phase's moment in
			// it shows in the extremes.
			l.Values[i], l.Low[i], l.High[i] = s.ByPhase[cols[i].Phase], s.Min, s.Max
			if math.IsNaN(l.Values[i]) {
				l.Values[i] = s.Mean
			}
		}
		hold(l.Values)
		l.Look = func(i int) chart.Look { return phaseLooks[cols[i].Phase] }
		l.Band = func(i int) canvas.Style { return phaseLooks[cols[i].Phase].Style }
		return []chart.Line{l}
	}
	var lines []chart.Line
	for ph := range history.Phases {
		l := chart.Line{Values: make([]float64, len(cols)), Look: func(int) chart.Look { return phaseLooks[ph] }}
		any := false
		for i := range cols {
			l.Values[i] = of(&cols[i]).ByPhase[ph]
			if share := cols[i].PhaseNS[ph]; share < 0.02*float64(m.pic.colsKey.width) {
				l.Values[i] = math.NaN() // a sliver's mean is mostly its neighbour's
			}
			any = any || !math.IsNaN(l.Values[i])
		}
		if any {
			hold(l.Values)
			lines = append(lines, l)
		}
	}
	return lines
}

// hold lets values stand over short gaps.
func hold(v []float64) {
	gap := 0
	for i := 1; i < len(v); i++ {
		if !math.IsNaN(v[i]) {
			gap = 0
			continue
		}
		if gap++; gap > holdColumns || math.IsNaN(v[i-1]) {
			continue
		}
		// Only a gap that ends is bridged; the newest end stays open.
		for j := i + 1; j <= min(i+holdColumns, len(v)-1); j++ {
			if !math.IsNaN(v[j]) {
				v[i] = v[i-1]
				break
			}
		}
	}
}

// drawStrip draws which phase ran when, and the time axis.
func (m *Model) drawStrip(c *canvas.Canvas) {
	c.Right(profileGutter, 0, theme.Muted, "phase")
	x0 := profileGutter + 1
	last, run := -1, 0
	for i := range m.pic.columns {
		col := &m.pic.columns[i]
		ph := col.Phase
		if ph == history.Idle {
			last = ph
			c.Set(x0+i, 0, theme.PhaseIdle, '·')
			continue
		}
		r, s := stripFill[ph], theme.PhaseStyle(history.Letters[ph])
		// The letter stands where a phase begins, and now and then in a long one.
		if ph != last {
			run = 0
		}
		if run%16 == 0 {
			r, s = rune(history.Letters[ph]), theme.StripStyle(history.Letters[ph])
		}
		run++
		last = ph
		c.Set(x0+i, 0, s, r)
	}
	m.drawMarks(c, x0)
	m.drawTimeAxis(c, x0)
}

// drawMarks shows where the operator's notes and the warnings lie.
func (m *Model) drawMarks(c *canvas.Canvas, x0 int) {
	k := m.pic.colsKey
	for i := range m.st.log.len() {
		e := m.st.log.at(i)
		if e.t < k.from {
			continue
		}
		if col := (e.t - k.from) / k.width; col < int64(k.n) {
			switch e.kind {
			case 'm':
				c.Set(x0+int(col), 0, theme.Cursor, '◆')
			case 'w', 'e':
				c.Set(x0+int(col), 0, theme.Bad, '!')
			}
		}
	}
}

func (m *Model) drawTimeAxis(c *canvas.Canvas, x0 int) {
	k := m.pic.colsKey
	to := k.from + k.width*int64(k.n)
	left := fmtClock(max(k.from-m.st.startNS, 0))
	right := fmtClock(max(to-m.st.startNS, 0))
	c.Text(x0, 1, theme.Muted, left)
	c.Right(c.W, 1, theme.Muted, right)
	free := c.W - x0 - len(left) - len(right) - 2
	legend := " window " + m.pic.label(m.st) + " (w)"
	letters := ""
	for ph := history.Prefill; ph < history.Phases; ph++ {
		letters += "  " + string(history.Letters[ph]) + " " + phaseNames[ph]
	}
	w := canvas.Width(legend)
	if free < w {
		return
	}
	showLetters := free >= w+len(letters)
	if showLetters {
		w += len(letters)
	}
	x := x0 + len(left) + 1 + (free-w)/2
	x = c.Text(x, 1, theme.Muted, legend)
	if !showLetters {
		return
	}
	for ph := history.Prefill; ph < history.Phases; ph++ {
		l := history.Letters[ph]
		x = c.Text(x+2, 1, theme.StripStyle(l), string(l))
		x = c.Text(x, 1, theme.PhaseStyle(l), " "+phaseNames[ph])
	}
}

// progressKey stands for what the progress line shows.
func (m *Model) progressKey() any {
	type key struct {
		work, reqs, run, points uint64
		second                  int64
		loading                 float64
	}
	v := m.st.ver
	loading := m.st.work.loading
	if math.IsNaN(loading) {
		loading = -1
	}
	return key{v.work, v.reqs, v.run, v.points, m.st.now / 1_000_000_000, loading}
}

func (m *Model) drawProgress(c *canvas.Canvas) {
	w := &m.st.work
	if !math.IsNaN(w.loading) {
		x := c.TextMax(1, 0, c.W/2, theme.Strong, "loading "+w.model) + 1
		gauge(c, x, 0, max(c.W-x-8, 1), w.loading, theme.Accent)
		c.Right(c.W, 0, theme.Strong, pad(fmtFloat(w.loading*100, 0), 3)+" %")
		return
	}
	p := m.progress()
	if p.total == 0 {
		c.TextMax(1, 0, c.W-1, theme.Muted, m.idleText())
		return
	}
	tail := pad(fmtInt(p.done), len(fmtInt(p.total))) + "/" + fmtInt(p.total) + " " + p.what +
		"  " + pad(fmtFloat(100*p.share(), 0), 3) + " %  left " + pad(fmtLeft(p.left), 7)
	head := m.workText()
	barMin := 8
	room := c.W - canvas.Width(tail) - barMin - 4
	x := c.TextMax(1, 0, max(min(room, c.W*4/10), 0), theme.Strong, head) + 1
	if bar := c.W - x - canvas.Width(tail) - 2; bar > 2 {
		gauge(c, x, 0, bar, p.share(), theme.Accent)
	}
	c.Right(c.W, 0, theme.Default, tail)
}

// workText says what is running.
func (m *Model) workText() string {
	p := m.st.work.point
	if p.Model == "" {
		return "starting"
	}
	parts := []string{p.Model, p.Dataset, "batch " + fmtInt(p.BatchSize)}
	if p.Repeat > 1 {
		parts = append(parts, "repeat "+fmtInt(p.Repeat))
	}
	return strings.Join(parts, " · ")
}

func (m *Model) idleText() string {
	switch {
	case m.opt.Mode == Monitor:
		return "watching; nothing is run here"
	case m.opt.Mode == Playback:
		return "replay: Space holds, [ ] speed, , . 10 s, < > 1 min"
	case m.closed || m.st.ended && m.leaving:
		return "the session is closed"
	}
	return "no job running:  n starts one,  p runs a prompt of your own,  3 plans a sweep"
}

// progress is how far the run has come.
type progress struct {
	done, total int
	what        string
	left        float64 // s
}

func (p progress) share() float64 {
	if p.total == 0 {
		return 0
	}
	return min(float64(p.done)/float64(p.total), 1)
}

// progress counts requests of the run, or of the point where the run's number is
// not known.
func (m *Model) progress() progress {
	s := m.st
	var p progress
	var since int64
	switch {
	case s.run.Requests > 0 && !s.ended:
		p = progress{done: s.reqs.total - s.reqs.before, total: s.run.Requests, what: "requests"}
		since = s.run.TimeNS
	case s.work.inPoint && s.work.point.Queries > 0:
		p = progress{done: s.work.doneHere, total: s.work.point.Queries, what: "requests"}
		since = s.work.pointAt
	default:
		return p
	}
	p.left = math.NaN()
	if p.done > 0 && p.total >= p.done {
		p.left = float64(s.now-since) / 1e9 / float64(p.done) * float64(p.total-p.done)
	}
	return p
}

// drawText shows the prompt and what the model answers.
func (m *Model) drawText(c *canvas.Canvas) {
	w := &m.st.work
	n := len(w.streams)
	right := ""
	i := 0
	if n > 0 {
		i = m.pic.stream % n
		if n > 1 {
			right = "request " + fmtInt(i+1) + " of " + fmtInt(n) + " (v)"
		}
	}
	title := "Generated text"
	if w.batch.Class != "" {
		title += " · " + w.batch.Class
	}
	y := heading(c, 0, title, right)
	if prompt := strings.Join(strings.Fields(w.batch.Prompt), " "); prompt != "" && c.H > 2 {
		x := c.Text(1, y, theme.Accent, "› ")
		c.TextMax(x, y, c.W-x-1, theme.Muted, prompt)
		y++
	}
	text := ""
	if n > 0 {
		text = w.streams[i]
	}
	lines := canvas.Wrap(strings.TrimLeft(text, " \n"), c.W-2, c.H-y)
	for _, l := range lines {
		c.Text(1, y, theme.Default, l)
		y++
	}
	if w.inPhase && len(lines) > 0 {
		c.Set(1+canvas.Width(lines[len(lines)-1]), y-1, theme.Caret, ' ')
	}
	if text != "" || y >= c.H {
		return
	}
	switch {
	case m.opt.Mode == Monitor:
		c.TextMax(1, y, c.W-2, theme.Muted, "monitoring: no jobs of ours, so no phases and no text")
	case m.idle():
		c.TextMax(1, y, c.W-2, theme.Muted, "nothing is being generated")
	case w.phase.Phase == "score":
		c.TextMax(1, y, c.W-2, theme.Muted, "answered by log-likelihood: options are scored, no text is generated")
	default:
		c.TextMax(1, y, c.W-2, theme.Muted, "reading the prompt")
	}
}
