package tui

import (
	"fmt"
	"math"
	"slices"

	"charm.land/bubbles/v2/key"
	tea "charm.land/bubbletea/v2"

	"jouletop/tui/canvas"
	"jouletop/tui/theme"
)

// compareView is which two settings are compared.
type compareView struct {
	a, b   setting
	picked bool // by the operator; else the two that share most queries
	wanted [2]string
	auto   [2]setting
	autoOf [2]uint64 // what auto was found for
}

// want says which policies a comparison that begins is about.
func (v *compareView) want(a, b string) { v.wanted, v.picked = [2]string{a, b}, false }

// sides returns the two settings, and whether there are two.
func (v *compareView) sides(s *state) (a, b setting, ok bool) {
	all := s.comp.settings
	if v.picked && slices.Contains(all, v.a) && slices.Contains(all, v.b) {
		return v.a, v.b, true
	}
	if len(all) < 2 {
		if len(all) == 1 {
			a = all[0]
		}
		return a, b, false
	}
	if v.wanted[0] != "" {
		found := 0
		for _, k := range all {
			switch k.policy {
			case v.wanted[0]:
				a, found = k, found|1
			case v.wanted[1]:
				b, found = k, found|2
			}
		}
		if found == 3 {
			return a, b, true
		}
	}
	// Look anew when a setting has come, and now and then.
	if of := [2]uint64{uint64(len(all)), s.comp.version / 64}; of != v.autoOf {
		v.autoOf = of
		v.auto[0], v.auto[1] = s.comp.mostShared()
	}
	return v.auto[0], v.auto[1], true
}

func (v *compareView) key(m *Model, msg tea.KeyPressMsg) {
	all := m.st.comp.settings
	if len(all) < 2 {
		return
	}
	a, b, _ := v.sides(m.st)
	step := func(now, other setting, by int) setting {
		i := slices.Index(all, now)
		for range all {
			i = (i + by + len(all)) % len(all)
			if all[i] != other {
				break
			}
		}
		return all[i]
	}
	k := &m.keys
	switch {
	case key.Matches(msg, k.back):
		a = step(a, b, -1)
	case key.Matches(msg, k.forward):
		a = step(a, b, 1)
	case key.Matches(msg, k.up):
		b = step(b, a, -1)
	case key.Matches(msg, k.down):
		b = step(b, a, 1)
	default:
		return
	}
	v.a, v.b, v.picked = a, b, true
}

func (m *Model) drawCompare() {
	type key struct {
		comp uint64
		view compareView
		n    int
		thm  theme.Name
	}
	k := key{m.st.comp.version, m.compare, len(m.st.comp.settings), m.th.Name}
	a, b, ok := m.compare.sides(m.st)
	var x compared
	done := false
	get := func() compared {
		if !done && ok {
			x, done = m.st.comp.compare(a, b), true
		}
		return x
	}
	m.place("sideA", m.lay.sides[0], k, func(c *canvas.Canvas) {
		m.drawSideOf(c, "A", "← → choose", a, get().a, get().queries, len(m.st.comp.settings) > 0)
	})
	m.place("sideB", m.lay.sides[1], k, func(c *canvas.Canvas) {
		m.drawSideOf(c, "B", "↑ ↓ choose", b, get().b, get().queries, ok)
	})
	m.place("delta", m.lay.delta, k, func(c *canvas.Canvas) { m.drawDelta(c, get(), ok) })
}

func (m *Model) drawSideOf(c *canvas.Canvas, name, hint string, set setting, s side, queries int, known bool) {
	title := name
	if known {
		title += ": " + set.String()
	}
	y := heading(c, 0, title, hint)
	if !known {
		for _, l := range canvas.Wrap("Nothing to compare yet. n runs two policies on the same queries; "+
			"or set another clock (f) while a job runs, and both are compared here on the queries both answered.", c.W-2, 0) {
			c.Text(1, y, theme.Muted, l)
			y++
		}
		return
	}
	if queries == 0 {
		s = side{joules: math.NaN(), latency: math.NaN(), ttft: math.NaN(), prefill: math.NaN(), decode: math.NaN(),
			jpt: math.NaN(), edp: math.NaN(), quality: math.NaN()}
	}
	if c.H >= 17 && !math.IsNaN(s.jpt) {
		bigText(c, 2, y+1, theme.Strong, fmtSig(s.jpt), bigScale(c.W-4, 5, fmtSig(s.jpt)))
		c.Text(3, y+7, theme.Muted, "J/token")
		y += 9
	}
	lat, latU := splitUnit(fmtSeconds(s.latency))
	ttft, ttftU := splitUnit(fmtSeconds(s.ttft))
	pre, preU := splitUnit(fmtSeconds(s.prefill))
	dec, decU := splitUnit(fmtSeconds(s.decode))
	for _, f := range []figure{
		{label: " energy per token", value: fmtSig(s.jpt), unit: "J/token", style: theme.Strong},
		{label: " energy per query", value: fmtSig(s.joules), unit: "J", style: theme.Strong},
		{label: " latency", value: lat, unit: latU, style: theme.Strong},
		{label: " EDP", value: fmtSig(s.edp), unit: "J·s"},
		{label: " TTFT", value: ttft, unit: ttftU},
		{label: " P prefill", value: pre, unit: preU, style: theme.PhasePrefill},
		{label: " D decode", value: dec, unit: decU, style: theme.PhaseDecode},
		{label: " quality", value: fmtFloat(s.quality, 3)},
	} {
		if y >= c.H {
			return
		}
		metric(c, y, f.label, f.value, f.unit, f.style)
		y++
	}
}

// drawShares lists the comparison by model, dataset and batch size, where there
// is room.
func (m *Model) drawShares(c *canvas.Canvas, y int, x compared) {
	if c.H-y < 4 {
		return
	}
	cols := []string{"queries", "energy A", "energy B", "energy", "latency A", "latency B", "latency"}
	w := min((c.W-2)/(len(cols)+2), 14)
	name := c.W - len(cols)*w - 3
	c.TextMax(1, y, name, theme.Muted, "model · dataset · batch")
	for i, t := range cols {
		c.Right(name+1+(i+1)*w, y, theme.Muted, t)
	}
	for _, k := range x.works {
		if y++; y >= c.H-1 {
			return
		}
		c.TextMax(1, y, name, theme.Default, fmt.Sprintf("%s · %s · %d", k.model, k.dataset, k.batch))
		for i, t := range []string{
			fmtInt(k.queries), fmtSig(k.a.joules) + " J", fmtSig(k.b.joules) + " J", fmtChange(k.a.joules, k.b.joules),
			fmtSeconds(k.a.latency), fmtSeconds(k.b.latency), fmtChange(k.a.latency, k.b.latency),
		} {
			c.Right(name+1+(i+1)*w, y, theme.Default, t)
		}
	}
}

// drawBars draws A's and B's value beside each other as bars.
func drawBars(c *canvas.Canvas, x, y, w int, a, b float64) {
	top := max(a, b)
	if y+2 > c.H-1 || !(top > 0) {
		return
	}
	for i, v := range []float64{a, b} {
		c.Text(x, y+i, theme.Muted, string(rune('A'+i)))
		gauge(c, x+2, y+i, w-2, v/top, theme.Curves[i])
	}
}

// drawDelta draws B against A, to be read from afar.
func (m *Model) drawDelta(c *canvas.Canvas, x compared, ok bool) {
	right := ""
	if ok {
		right = "means over " + fmtInt(x.queries) + " queries both answered"
	}
	y := heading(c, 0, "B against A", right)
	if !ok {
		return
	}
	if x.queries == 0 {
		c.TextMax(1, y, c.W-2, theme.Muted, "no query has been answered under both with a known energy yet")
		return
	}
	parts := []struct {
		label    string
		from, to float64
	}{
		{"energy per query", x.a.joules, x.b.joules},
		{"latency", x.a.latency, x.b.latency},
		{"EDP", x.a.edp, x.b.edp},
	}
	w, bars := c.W/len(parts), y
	for i, p := range parts {
		text := fmtChange(p.from, p.to)
		s := theme.Strong
		switch {
		case p.to < p.from*0.995:
			s = theme.Good
		case p.to > p.from*1.005:
			s = theme.Warn
		}
		number, _ := splitUnit(text)
		px := i*w + 2
		scale := bigScale(w-5, c.H-y-7, number)
		if c.H-y >= bigRows(scale)+1 {
			c.TextMax(px, y, w-3, theme.Muted, p.label)
			end := bigText(c, px, y+1, s, number, scale)
			c.Text(end, y+bigRows(scale), s, "%")
		} else {
			c.TextMax(px, y, w-3, s, p.label+" "+text)
		}
		bars = max(bars, y+bigRows(scale)+2)
		drawBars(c, px, y+bigRows(scale)+2, w-4, p.from, p.to)
	}
	m.drawShares(c, bars+3, x)
	if m.simulated() && c.H > 8 {
		c.TextMax(1, c.H-1, c.W-2, theme.Muted, "SIMULATED: these savings are a model's, not a measurement")
	}
}
