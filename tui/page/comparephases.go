package page

import (
	"math"
	"slices"

	"jouletop/engine/analysis/paired"
	"jouletop/engine/analysis/verdict"
	"jouletop/engine/event"
	"jouletop/tui/canvas"
	"jouletop/tui/draw"
	"jouletop/tui/history"
	"jouletop/tui/state"
	"jouletop/tui/theme"
)

// phaseRow is a phase of both sides: its time, power and clock.
type phaseRow struct {
	letter rune
	name   string
	style  canvas.Style
	s      [2]float64 // s
	of     [2]paired.Phase
	time   verdict.Difference
	timed  bool // time is known
}

// phaseRows are the phases that ran.
func phaseRows(x *paired.Comparison) []phaseRow {
	var out []phaseRow
	after := 0
	for _, kind := range []event.Phase{event.Prefill, event.Decode, event.Score, event.Mixed} {
		a, b := x.Phases(kind)
		if a.Batches == 0 && b.Batches == 0 {
			continue
		}
		i := state.PhaseIndex(kind)
		r := phaseRow{
			letter: rune(history.Letters[i]), name: history.Names[i], style: theme.PhaseStyle(history.Letters[i]),
			s: [2]float64{a.Mean(), b.Mean()}, of: [2]paired.Phase{a, b},
		}
		if kind == event.Prefill {
			r.take(x, paired.Prefill)
		} else {
			after++
		}
		out = append(out, r)
	}
	// What requests say of the time after prefill is of all its phases.
	if last := len(out) - 1; after == 1 && out[last].letter != 'M' {
		out[last].take(x, paired.AfterPrefill)
	}
	return out
}

// take takes the phase's times by query, with what they differ by.
func (r *phaseRow) take(x *paired.Comparison, name string) {
	if f, ok := x.Figure(name); ok {
		r.s, r.time, r.timed = [2]float64{f.A, f.B}, f.Difference, true
	}
}

// drawPhases draws what the phases of both sides are: in figures, and as a picture.
func (p *Compare) drawPhases(c *canvas.Canvas, x *paired.Comparison) {
	rows := phaseRows(x)
	// The label, both sides, and what the times differ by.
	const label = 11
	diff := 13
	if c.W < 72 {
		diff = -2
	}
	side := min((c.W-label-diff-3)/2, 34)
	at := [2]int{label + 1, label + 1 + side}
	y := draw.Heading(c, 0, "Phases", "")
	if len(rows) == 0 {
		c.TextMax(2, y, c.W-4, theme.Muted, "no phase has been measured under both yet")
		return
	}
	for i, s := range []*paired.Side{x.A, x.B} {
		c.TextMax(at[i], y-1, side-1, theme.Title, " "+string(rune('A'+i))+" "+s.Name+" ")
	}
	unresolved := slices.ContainsFunc(rows, func(r phaseRow) bool { return math.IsNaN(r.of[0].PowerW() + r.of[1].PowerW()) })
	switch note := " – too short for the sensors "; {
	case unresolved && c.W-at[1]-side > 3*diff:
		c.Right(c.W-1, y-1, theme.Muted, note)
		fallthrough
	case c.W-at[1]-side > diff+4:
		c.TextMax(at[1]+side, y-1, diff+4, theme.Muted, " time ")
	case unresolved && diff > 0:
		c.TextMax(at[1]+side, y-1, c.W-at[1]-side, theme.Muted, " – unresolved ")
	}
	for _, r := range rows {
		if y >= c.H {
			return
		}
		c.TextMax(1, y, label, r.style, string(r.letter)+" "+r.name)
		for i := range 2 {
			text := draw.Pad(draw.Seconds(r.s[i]), 7) + draw.Pad(draw.Float(r.of[i].PowerW(), 0), 5) + " W" + draw.Pad(draw.Float(r.of[i].MHz(), 0), 5) + " MHz"
			c.TextMax(at[i], y, side-1, theme.Default, text)
		}
		if r.timed && len(x.Mismatches) == 0 && diff > 0 {
			text, s := "no difference resolved", theme.Muted
			if r.time.Resolved() {
				text, s = r.time.String(), verdictStyle(r.time)
			}
			if canvas.Width(text) > c.W-at[1]-side {
				text = "not resolved"
			}
			c.TextMax(at[1]+side, y, c.W-at[1]-side, s, text)
		}
		y++
	}
	p.drawProfiles(c, canvas.Rect{X: 1, Y: y, W: c.W - 2, H: c.H - y}, rows)
}

// drawProfiles draws the power of both sides over the time of a query: on one scale, so
// that what is filled is energy. Where there are few rows, the times alone.
func (p *Compare) drawProfiles(c *canvas.Canvas, r canvas.Rect, rows []phaseRow) {
	longest, highest := 0.0, 0.0
	for i := range 2 {
		total := 0.0
		for _, row := range rows {
			if !math.IsNaN(row.s[i]) {
				total += row.s[i]
			}
			if w := row.of[i].PowerW(); !math.IsNaN(w) {
				highest = max(highest, w)
			}
		}
		longest = max(longest, total)
	}
	if !(longest > 0) || r.H < 2 {
		return
	}
	if r.H < 4 || !(highest > 0) {
		for i := range 2 {
			c.Text(r.X, r.Y+i, theme.Muted, string(rune('A'+i)))
			drawTimes(c, canvas.Rect{X: r.X + 2, Y: r.Y + i, W: r.W - 2, H: 1}, rows, i, longest, 0)
		}
		return
	}
	const axis = 7
	half := (r.W - 3) / 2
	for i := range 2 {
		x := r.X + i*(half+3)
		c.Right(x+axis-1, r.Y, theme.Muted, draw.Float(highest, 0)+" W")
		c.Text(x, r.Y+r.H-2, theme.Title, string(rune('A'+i)))
		c.Right(x+axis-1, r.Y+r.H-2, theme.Muted, "0 W")
		plot := canvas.Rect{X: x + axis, Y: r.Y, W: half - axis, H: r.H - 1}
		for y := range plot.H {
			c.Set(plot.X-1, plot.Y+y, theme.Faint, '│')
		}
		drawTimes(c, plot, rows, i, longest, highest)
		c.Text(plot.X, r.Y+r.H-1, theme.Muted, "0")
		end := draw.Seconds(longest)
		if i == 0 {
			c.TextMax(plot.X+2, r.Y+r.H-1, plot.W-canvas.Width(end)-4, theme.Muted, "the filled area is energy")
		}
		c.Right(plot.X+plot.W, r.Y+r.H-1, theme.Muted, end)
	}
}

// drawTimes fills a side's phases one after the other, each as long as it takes, and as
// high as its power, where highest is above 0; what is not known is dotted.
func drawTimes(c *canvas.Canvas, r canvas.Rect, rows []phaseRow, side int, longest, highest float64) {
	from := 0.0
	for _, row := range rows {
		s := row.s[side]
		if math.IsNaN(s) {
			continue
		}
		x0 := int(math.Round(from / longest * float64(r.W)))
		from += s
		x1 := max(int(math.Round(from/longest*float64(r.W))), min(x0+1, r.W))
		if highest == 0 {
			c.Fill(canvas.Rect{X: r.X + x0, Y: r.Y, W: x1 - x0, H: 1}, row.style, '█')
			continue
		}
		power := row.of[side].PowerW()
		if math.IsNaN(power) {
			c.Fill(canvas.Rect{X: r.X + x0, Y: r.Y, W: x1 - x0, H: r.H}, row.style, '░')
			continue
		}
		eighths := int(math.Round(power / highest * float64(r.H) * 8))
		for y := range r.H {
			fill := min(max(eighths-8*(r.H-1-y), 0), 8)
			if fill > 0 {
				c.Fill(canvas.Rect{X: r.X + x0, Y: r.Y + y, W: x1 - x0, H: 1}, row.style, []rune(" ▁▂▃▄▅▆▇█")[fill])
			}
		}
	}
}
