package page

import (
	"math"
	"slices"

	"jouletop/engine/event"
	"jouletop/tui/canvas"
	"jouletop/tui/chart"
	"jouletop/tui/draw"
	"jouletop/tui/history"
	"jouletop/tui/state"
	"jouletop/tui/theme"
)

// profileGutter is the width of the profiles' y labels; one for all, so that the
// columns stand above each other.
const profileGutter = 5

// phaseLooks tells phases apart by line shape as well as by colour.
var phaseLooks = [history.Phases]chart.Look{
	history.Idle:    {Style: theme.PhaseIdle, Shape: chart.Light},
	history.Prefill: {Style: theme.PhasePrefill, Shape: chart.Heavy},
	history.Decode:  {Style: theme.PhaseDecode, Shape: chart.Light},
	history.Score:   {Style: theme.PhaseScore, Shape: chart.Double},
	history.Mixed:   {Style: theme.PhaseMixed, Shape: chart.Dashed},
}

// stripFill is what fills a phase's stretch of the strip, where colours may not.
var stripFill = [history.Phases]rune{' ', '▓', '░', '▒', '▞'}

func (p *Live) clockHeading(t *state.Telemetry) string {
	return "requested " + draw.Pad(draw.MHz(t.Requested), 4) + " → achieved " + draw.Pad(draw.MHz(t.Sample.SMMHz), 4) + " MHz"
}

func (p *Live) powerHeading(t *state.Telemetry) string {
	if t.Source == "" {
		return ""
	}
	note := "source: " + t.Source
	for _, p := range p.Status.PowerSources[p.GPUID()] {
		if p.Name == t.Source && p.PeriodMS > 0 {
			note += ", every " + draw.Float(p.PeriodMS, 0) + " ms"
		}
	}
	return note
}

// profile is the part that both pictures share.
func profile() chart.Profile {
	return chart.Profile{Styles: chartStyles, Gutter: profileGutter}
}

func (p *Live) drawClockChart(c *canvas.Canvas, head string) {
	y := draw.Heading(c, 0, "SM clock", head)
	pr := profile()
	pr.Unit, pr.Empty = "MHz", p.emptyText("clock")
	info := p.Info()
	lo, hi := float64(info.MinSM()), float64(info.MaxSM())
	if hi == 0 {
		for i := range p.Window.Columns {
			if v := p.Window.Columns[i].Clock.Max; v > hi {
				hi = v
			}
		}
		lo = 0
	}
	pr.Y = chart.Nice(lo, hi, max((c.H-2)/2, 2))
	if !p.Window.Coarse { // else it changes within every column
		pr.Lines = append(pr.Lines, p.requestedLine())
	}
	pr.Lines = append(pr.Lines, p.signalLines(func(c *history.Column) *history.Stat { return &c.Clock })...)
	pr.Draw(c, canvas.Rect{Y: y, W: c.W, H: c.H - y})
}

func (p *Live) drawPowerChart(c *canvas.Canvas, head string) {
	y := draw.Heading(c, 0, "Power", head)
	pr := profile()
	pr.Unit, pr.Empty = "W", p.emptyText("power")
	top := 100.0
	if p.Window.PeakW > top {
		top = p.Window.PeakW
	}
	pr.Y = chart.Nice(0, top*1.02, max((c.H-2)/2, 2))
	if limit := p.Info().PowerLimitW; limit > 0 && limit <= pr.Y.Max {
		line := make([]float64, len(p.Window.Columns))
		for i := range line {
			line[i] = limit
		}
		pr.Lines = append(pr.Lines, chart.Line{Values: line, Look: func(int) chart.Look {
			return chart.Look{Style: theme.Faint, Shape: chart.Dashed}
		}})
	}
	pr.Lines = append(pr.Lines, p.signalLines(func(c *history.Column) *history.Stat { return &c.Power })...)
	r := canvas.Rect{Y: y, W: c.W, H: c.H - y}
	pr.Draw(c, r)
	if limit := p.Info().PowerLimitW; limit > 0 && limit <= pr.Y.Max && r.H > 5 {
		plot := pr.PlotRect(r)
		c.Right(c.W, plot.Y+plot.H-1-pr.Y.Row(limit, plot.H), theme.Muted, " limit "+draw.Float(limit, 0))
	}
}

func (p *Live) emptyText(what string) string {
	if p.State.Now == 0 {
		return "waiting for the first " + what + " readings"
	}
	return "no " + what + " readings in this window"
}

// requestedLine is the requested clock, where one was asked for.
func (p *Live) requestedLine() chart.Line {
	v := make([]float64, len(p.Window.Columns))
	last := math.NaN()
	for i := range v {
		if r := p.Window.Columns[i].Requested; !math.IsNaN(r) {
			last = r
		} else if p.Window.Columns[i].Empty() {
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
func (p *Live) signalLines(of func(*history.Column) *history.Stat) []chart.Line {
	cols := p.Window.Columns
	if !p.Window.Coarse {
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
		return append([]chart.Line{l}, p.shortLines(of)...)
	}
	var lines []chart.Line
	for ph := range history.Phases {
		l := chart.Line{Values: make([]float64, len(cols)), Look: func(int) chart.Look { return phaseLooks[ph] }}
		any := false
		for i := range cols {
			l.Values[i] = of(&cols[i]).ByPhase[ph]
			if share := cols[i].PhaseNS[ph]; share < 0.02*float64(p.Window.Shown.Width) {
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

// shortLines are the values of phases too short to fill a column, in the columns that have
// their letters, and only where readings fell into them.
func (p *Live) shortLines(of func(*history.Column) *history.Stat) []chart.Line {
	cols := p.Window.Columns
	var lines [history.Phases]chart.Line
	number := p.Window.Shown.From / max(p.Window.Shown.Width, 1)
	for i := range cols {
		ph := lettered(cols, i, number+int64(i))
		if ph == history.Idle || math.IsNaN(of(&cols[i]).ByPhase[ph]) {
			continue
		}
		l := &lines[ph]
		if l.Values == nil {
			l.Look, l.Apart = func(int) chart.Look { return phaseLooks[ph] }, true
			l.Values = make([]float64, len(cols))
			for j := range l.Values {
				l.Values[j] = math.NaN()
			}
		}
		l.Values[i] = of(&cols[i]).ByPhase[ph]
	}
	return slices.DeleteFunc(lines[:], func(l chart.Line) bool { return l.Values == nil })
}

// shortPhase is a phase that began in column i and fills neither it nor the next, Idle for
// none.
func shortPhase(cols []history.Column, i int) int {
	for ph := history.Prefill; ph < history.Phases; ph++ {
		if c := &cols[i]; c.Began[ph] && c.Phase != ph && (i+1 == len(cols) || cols[i+1].Phase != ph) {
			return ph
		}
	}
	return history.Idle
}

// lettered is the short phase whose letter stands in column i of the strip, Idle for none.
// Where three columns on end tell of the same one, every other does, else it would look as
// if there were nothing else; number is the column's since the clock began, so that it is
// the same columns while the picture moves.
func lettered(cols []history.Column, i int, number int64) int {
	ph := shortPhase(cols, i)
	same := func(by int) bool { return i+by >= 0 && i+by < len(cols) && shortPhase(cols, i+by) == ph }
	if number%2 == 1 && (same(-1) && same(1) || same(-2) && same(-1) || same(1) && same(2)) {
		return history.Idle
	}
	return ph
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
func (p *Live) drawStrip(c *canvas.Canvas) {
	c.Right(profileGutter, 0, theme.Muted, "phase")
	x0 := profileGutter + 1
	cols, last, run := p.Window.Columns, -1, 0
	number := p.Window.Shown.From / max(p.Window.Shown.Width, 1)
	for i := range cols {
		ph := cols[i].Phase
		if ph != last {
			last, run = ph, 0
		}
		short := lettered(cols, i, number+int64(i))
		r, s := stripFill[ph], theme.PhaseStyle(history.Letters[ph])
		switch {
		case short != history.Idle: // on no ground of its own: it does not fill the column
			r, s = rune(history.Letters[short]), theme.PhaseStyle(history.Letters[short])
		case ph == history.Idle:
			r, s = '·', theme.PhaseIdle
		case run%16 == 0: // where a phase begins, and now and then in a long one
			r, s = rune(history.Letters[ph]), theme.StripStyle(history.Letters[ph])
		}
		if short == history.Idle || run%16 != 0 { // else its letter stands in the next column
			run++
		}
		c.Set(x0+i, 0, s, r)
	}
	p.drawMarks(c, x0)
	p.drawTimeAxis(c, x0)
}

// drawMarks shows where the operator's notes and the warnings lie.
func (p *Live) drawMarks(c *canvas.Canvas, x0 int) {
	k := p.Window.Shown
	for i := range p.State.Log.Len() {
		e := *p.State.Log.At(i)
		if e.When() < k.From {
			continue
		}
		if col := (e.When() - k.From) / k.Width; col < int64(k.N) {
			switch e.(type) {
			case event.Mark:
				c.Set(x0+int(col), 0, theme.Cursor, '◆')
			case event.Warning, event.Error:
				c.Set(x0+int(col), 0, theme.Bad, '!')
			}
		}
	}
}

// drawTimes draws the time axis alone.
func (p *Live) drawTimes(c *canvas.Canvas, x0 int) {
	left, right := p.times()
	c.Text(x0, 0, theme.Muted, left)
	c.Right(c.W, 0, theme.Muted, right)
	label := "window " + p.Window.Label(p.State) + " (" + p.Label(p.Context.Keys.Window) + ")"
	if free := c.W - x0 - len(left) - len(right) - 2; free >= canvas.Width(label) {
		c.Text(x0+len(left)+1+(free-canvas.Width(label))/2, 0, theme.Muted, label)
	}
}

// times are the ends of the time axis.
func (p *Live) times() (left, right string) {
	k := p.Window.Shown
	to := k.From + k.Width*int64(k.N)
	return draw.Clock(max(k.From-p.State.StartNS, 0)), draw.Clock(max(to-p.State.StartNS, 0))
}

func (p *Live) drawTimeAxis(c *canvas.Canvas, x0 int) {
	left, right := p.times()
	c.Text(x0, 1, theme.Muted, left)
	c.Right(c.W, 1, theme.Muted, right)
	free := c.W - x0 - len(left) - len(right) - 2
	legend := " window " + p.Window.Label(p.State) + p.bracketed(p.Context.Keys.Window)
	letters := ""
	for ph := history.Prefill; ph < history.Phases; ph++ {
		letters += "  " + string(history.Letters[ph]) + " " + history.Names[ph]
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
		x = c.Text(x, 1, theme.PhaseStyle(l), " "+history.Names[ph])
	}
}
