package panel

import (
	"math"

	tea "charm.land/bubbletea/v2"
	"charm.land/lipgloss/v2"

	"jouletop/engine/command"
	"jouletop/engine/event"
	"jouletop/gpu"
	"jouletop/tui/canvas"
	"jouletop/tui/draw"
	"jouletop/tui/state"
	"jouletop/tui/theme"
	"jouletop/tui/view"
)

// clockTargets are what an SM clock is set for.
var clockTargets = []struct {
	name  string
	phase event.Phase
}{{"all phases", ""}, {"P prefill", event.Prefill}, {"D decode", event.Decode}, {"S score", event.Score}}

// headWidth is the width at which the head of the list has room for its words: "MHz type
// to jump" and "J/token at batch 16", two columns between.
const headWidth = 38

// setClock asks for an SM clock for the phases chosen.
func (p *Knobs) setClock(mhz int) tea.Cmd {
	target := clockTargets[p.target]
	return p.Do(func(c command.Controller) (string, error) {
		return draw.Int(mhz) + " MHz asked for, " + target.name, c.SetClock(target.phase, mhz)
	})
}

// targetTab is what stands on the tab of a phase.
func (p *Knobs) targetTab(i int) string {
	if p.Size == view.Compact && i > 0 && i != p.target {
		return " " + clockTargets[i].name[:1] + " "
	}
	return " " + clockTargets[i].name + " "
}

// targetTabs are the phases' tabs in a row.
func (p *Knobs) targetTabs() (tabs string) {
	for i := range clockTargets {
		s := theme.Muted
		if i == p.target {
			s = theme.Select
		}
		tabs += p.Frame.Style(s).Render(p.targetTab(i))
	}
	return tabs
}

// targetHits makes the phases' tabs clickable, from x in row y on.
func (p *Knobs) targetHits(x, y int) {
	for i := range clockTargets {
		w := canvas.Width(p.targetTab(i))
		p.Frame.Hit(canvas.Rect{X: x, Y: y, W: w, H: 1}, func() { p.target = i })
		x += w
	}
}

// head is the row above the list: what was typed, and what the figures are.
func (p *Knobs) head(known measured, w int) string {
	c, t := p.Frame.Canvas, p.tab()
	typed, s := "type to jump", theme.Muted
	if t.typed != "" {
		typed, s = t.typed, theme.Input
	}
	unit, right := "MHz ", ""
	switch t.ID {
	case gpu.KnobSM:
		right = "J/token measured"
		if known.batch > 0 {
			right = "J/token at batch " + draw.Int(known.batch)
			if w < headWidth {
				right = "J/token, B" + draw.Int(known.batch)
			}
		}
	case gpu.KnobPower:
		unit = "W "
		if t.typed == "" {
			typed = "type any of the range"
		}
	case gpu.KnobProfile:
		unit, right = "NVML's number ", "requested"
		if t.typed == "" {
			typed = ""
		}
	}
	left := c.Style(theme.Muted).Render(unit) + c.Style(s).Render(typed)
	return left + c.Style(theme.Muted).Width(max(w-lipgloss.Width(left), 0)).Align(lipgloss.Right).Render(right)
}

// list is the table of the values, of SM clocks with what was measured at each.
func (p *Knobs) list(known measured, first int) *draw.Table[int] {
	t, tele := p.tab(), p.Telemetry()
	if t.ID != gpu.KnobSM {
		return p.valueList(first)
	}
	const bar = 9
	list := &draw.Table[int]{Columns: []draw.Column[int]{
		{Width: -1, Text: func(i int) string {
			switch {
			case i == t.sel:
				return "▸"
			case t.values[i] == known.best:
				return "★"
			}
			return ""
		}},
		{Width: 8, Text: func(i int) string { return draw.Int(t.values[i]) + " MHz" }},
		{Width: -15, Text: func(i int) string {
			note := ""
			if t.values[i] == tele.Requested {
				note = "requested "
			}
			if near(tele.Sample.SMMHz, t.values[i], t.values, i) {
				note += "◀ now"
			}
			return note
		}},
		{Width: -bar, Rank: 1, Text: func(i int) string {
			v, ok := known.by[t.values[i]]
			if !ok {
				return ""
			}
			return draw.Bar(bar, v/known.most)
		}},
		{Width: 7, Text: func(i int) string {
			v, ok := known.by[t.values[i]]
			if !ok {
				return ""
			}
			return draw.Sig(v)
		}},
	}, Rows: len(t.values), First: first, At: func(i int) int { return i }, Bare: true}
	list.Style = func(row, col int) canvas.Style {
		switch {
		case row == t.sel:
			return theme.Select
		case t.values[row] == known.best && col > 2:
			return theme.EDP
		case col == 3:
			return theme.Meter
		}
		return theme.Default
	}
	return list
}

// valueList is the table of another knob's values.
func (p *Knobs) valueList(first int) *draw.Table[int] {
	t := p.tab()
	set := p.inForce(t.ID)
	now := -1
	if t.ID == gpu.KnobMem {
		now = p.Telemetry().Sample.MemMHz
	}
	width := 8
	if t.ID == gpu.KnobProfile {
		width = -30
	}
	list := &draw.Table[int]{Columns: []draw.Column[int]{
		{Width: -1, Text: func(i int) string {
			if i == t.sel {
				return "▸"
			}
			return ""
		}},
		{Width: width, Text: func(i int) string { return t.ID.Text(t.values[i]) }},
		{Width: -18, Grow: true, Text: func(i int) string {
			v, note := t.values[i], ""
			switch {
			case t.ID == gpu.KnobProfile && set > 0 && set&v != 0, t.ID != gpu.KnobProfile && v == set:
				note = "requested "
			case v == t.Default:
				note = "default "
			}
			if v == t.Now && v != t.Default && t.ID == gpu.KnobPower {
				note += "as found "
			}
			if now > 0 && near(now, v, t.values, i) {
				note += "◀ now"
			}
			return note
		}},
	}, Rows: len(t.values), First: first, At: func(i int) int { return i }, Bare: true}
	list.Style = func(row, _ int) canvas.Style {
		if row == t.sel {
			return theme.Select
		}
		return theme.Default
	}
	return list
}

// near tells whether the achieved clock is nearest to clocks[i].
func near(achieved, mhz int, clocks []int, i int) bool {
	if achieved < 0 {
		return false
	}
	d := abs(achieved - mhz)
	return (i == 0 || d < abs(achieved-clocks[i-1])) && (i == len(clocks)-1 || d <= abs(achieved-clocks[i+1])) && d <= 15
}

// measured is what each clock was measured to cost, J/token.
type measured struct {
	by    map[int]float64
	best  int     // the clock of the least; 0 where fewer than two are known
	most  float64 // the greatest value
	batch int     // batch size that it was measured at
}

// measuredClocks returns what is known for the panel's phase: from the requests
// at hand, and from a sweep's points of the same model and batch size (or the
// nearest, where there is none of the same).
func (p *Knobs) measuredClocks() measured {
	pc := &p.State.PerClock
	phase := clockTargets[p.target].phase
	out := measured{by: pc.Measured(phase), batch: pc.Batch}
	if phase == "" {
		var nearest *state.Curve
		for _, k := range p.State.Sweep.Curves(state.CurveFilter{}) {
			if k.Model == pc.Model && (nearest == nil || abs(k.BatchSize-pc.Batch) < abs(nearest.BatchSize-pc.Batch)) {
				nearest = &k
			}
		}
		if nearest != nil && (nearest.BatchSize == pc.Batch || len(out.by) == 0) {
			out.batch = nearest.BatchSize
			for _, clock := range nearest.Clocks {
				if _, known := out.by[clock.RequestedMHz]; !known {
					out.by[clock.RequestedMHz] = clock.JoulesPerToken.Mean
				}
			}
		}
	}
	for mhz, v := range out.by {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			delete(out.by, mhz)
			continue
		}
		out.most = max(out.most, v)
		if b, ok := out.by[out.best]; !ok || v < b || v == b && mhz < out.best {
			out.best = mhz
		}
	}
	if len(out.by) < 2 {
		out.best = 0
	}
	return out
}
