package page

import (
	"fmt"
	"math"
	"slices"
	"sync"

	tea "charm.land/bubbletea/v2"

	"jouletop/engine/analysis/verdict"
	"jouletop/tui/canvas"
	"jouletop/tui/draw"
	"jouletop/tui/panel"
	"jouletop/tui/state"
	"jouletop/tui/theme"
	"jouletop/tui/view"
)

// Compare shows two settings side by side.
type Compare struct {
	Base
	a, b   state.Setting
	picked bool             // by the operator; else the two that share most queries
	wanted [2]state.Setting // the same twice: none
	auto   [2]state.Setting
	autoOf [2]uint64 // what auto was found for
}

// want says which policies a comparison that begins is about.
func (p *Compare) want(a, b string) {
	p.wanted, p.picked = [2]state.Setting{state.SettingOf(a, 0), state.SettingOf(b, 0)}, false
}

// sides returns the two settings, and whether there are two.
func (p *Compare) sides() (a, b state.Setting, ok bool) {
	all := p.State.Comparisons.Settings
	if p.picked && slices.Contains(all, p.a) && slices.Contains(all, p.b) {
		return p.a, p.b, true
	}
	if len(all) < 2 {
		if len(all) == 1 {
			a = all[0]
		}
		return a, b, false
	}
	if w := p.wanted; w[0] != w[1] && slices.Contains(all, w[0]) && slices.Contains(all, w[1]) {
		return w[0], w[1], true
	}
	// Look anew when a setting has come, and now and then.
	if of := [2]uint64{uint64(len(all)), p.State.Comparisons.Version / 64}; of != p.autoOf {
		p.autoOf = of
		p.auto[0], p.auto[1] = p.State.Comparisons.MostShared()
	}
	return p.auto[0], p.auto[1], true
}

var compareKeys = struct{ a, b view.Key }{leftRight("side A", "setting of side A"), upDown("side B", "setting of side B")}

// Name stands on the tab.
func (p *Compare) Name() string { return "Compare" }

// Keys are the page's own.
func (p *Compare) Keys() []view.Key {
	return []view.Key{compareKeys.a, compareKeys.b}
}

// Hints are the keys on the last line.
func (p *Compare) Hints() []view.Key {
	k := &p.Context.Keys
	hints := []view.Key{k.Job, k.Clock, k.Stop}
	if len(p.State.Comparisons.Settings) > 2 {
		hints = append(hints, compareKeys.a, compareKeys.b)
	}
	return hints
}

// Form asks for a comparison.
func (p *Compare) Form() *panel.Form { return compareForm(p.Context, p.want) }

// Key chooses a side's setting.
func (p *Compare) Key(msg tea.KeyPressMsg) tea.Cmd {
	a, b, ok := p.sides()
	if !ok {
		return nil
	}
	all := p.State.Comparisons.Settings
	other := func(now, not state.Setting) state.Setting {
		i := slices.Index(all, now)
		for range all {
			i = (i + step(msg) + len(all)) % len(all)
			if all[i] != not {
				break
			}
		}
		return all[i]
	}
	switch {
	case compareKeys.a.Is(msg):
		p.a, p.b, p.picked = other(a, b), b, true
	case compareKeys.b.Is(msg):
		p.a, p.b, p.picked = a, other(b, a), true
	}
	return nil
}

// areas are the two sides and what they differ by.
func (p *Compare) areas() (a, b, delta canvas.Rect) {
	h := p.Body.H
	top, rest := view.Cut(p.Body, view.Pick(p.Size, h-10, h-17, h-36))
	a, b = view.Split(top, (p.Body.W-1)/2, 1)
	return a, b, rest
}

// Draw draws the page.
func (p *Compare) Draw() {
	type key struct {
		version  uint64
		a, b     state.Setting
		settings int
	}
	a, b, ok := p.sides()
	k := key{p.State.Comparisons.Version, a, b, len(p.State.Comparisons.Settings)}
	get := sync.OnceValue(func() (x state.Compared) { // only where something is drawn anew
		if ok {
			x = p.State.Comparisons.Compare(a, b)
		}
		return x
	})
	sideA, sideB, delta := p.areas()
	p.Frame.Place("sideA", sideA, k, func(c *canvas.Canvas) {
		p.drawSide(c, "A", "← → choose", a, get().A, get().Queries, k.settings > 0)
	})
	p.Frame.Place("sideB", sideB, k, func(c *canvas.Canvas) {
		p.drawSide(c, "B", "↑ ↓ choose", b, get().B, get().Queries, ok)
	})
	p.Frame.Place("delta", delta, k, func(c *canvas.Canvas) { p.drawDelta(c, get(), ok) })
}

func (p *Compare) drawSide(c *canvas.Canvas, name, hint string, set state.Setting, s state.Side, queries int, known bool) {
	title := name
	if known {
		title += ": " + set.String()
	}
	y := draw.Heading(c, 0, title, hint)
	if known && queries == 0 {
		c.TextMax(1, y, c.W-2, theme.Muted, "no query has been answered under both with a known energy yet")
		return
	}
	if !known {
		for _, l := range canvas.Wrap("Nothing to compare yet. "+p.Label(p.Context.Keys.Job)+" runs two policies on the same queries; "+
			"or set another clock"+p.bracketed(p.Context.Keys.Clock)+" while a job runs, and both are compared here on the queries both answered.", c.W-2, 0) {
			c.Text(1, y, theme.Muted, l)
			y++
		}
		return
	}
	if c.H >= 17 && !math.IsNaN(s.JoulesPerToken) {
		draw.BigText(c, 2, y+1, theme.Strong, draw.Sig(s.JoulesPerToken), draw.BigScale(c.W-4, 5, draw.Sig(s.JoulesPerToken)))
		c.Text(3, y+7, theme.Muted, "J/token")
		y += 9
	}
	lat, latU := draw.SplitUnit(draw.Seconds(s.LatencyS))
	ttft, ttftU := draw.SplitUnit(draw.Seconds(s.TTFTS))
	pre, preU := draw.SplitUnit(draw.Seconds(s.PrefillS))
	dec, decU := draw.SplitUnit(draw.Seconds(s.DecodeS))
	for _, f := range []figure{
		{label: " energy per token", value: draw.Sig(s.JoulesPerToken), unit: "J/token", style: theme.Strong},
		{label: " energy per query", value: draw.Sig(s.EnergyJ), unit: "J", style: theme.Strong},
		{label: " latency", value: lat, unit: latU, style: theme.Strong},
		{label: " EDP", value: draw.Sig(s.EDPJS), unit: "J·s"},
		{label: " TTFT", value: ttft, unit: ttftU},
		{label: " P prefill", value: pre, unit: preU, style: theme.PhasePrefill},
		{label: " D decode", value: dec, unit: decU, style: theme.PhaseDecode},
		{label: " quality", value: draw.Float(s.Quality, 3)},
	} {
		if y >= c.H {
			return
		}
		draw.Metric(c, y, f.label, f.value, f.unit, f.style)
		y++
	}
}

// drawShares lists the comparison by model, dataset and batch size, where there
// is room.
func (p *Compare) drawShares(c *canvas.Canvas, y int, x state.Compared) {
	if c.H-y < 4 {
		return
	}
	t := draw.Table[*state.ComparedWork]{Columns: shareColumns, Rows: len(x.Works), At: func(i int) *state.ComparedWork { return &x.Works[i] }}
	t.Draw(c, canvas.Rect{X: 1, Y: y, W: c.W - 1, H: c.H - 1 - y})
}

// shareColumns are the table of the comparison's parts.
var shareColumns = []draw.Column[*state.ComparedWork]{
	{Title: "model", Width: -12, Grow: true, Text: func(k *state.ComparedWork) string { return k.Model }},
	{Title: "dataset", Width: -11, Grow: true, Text: func(k *state.ComparedWork) string { return k.Dataset }},
	{Title: "batch", Width: 5, Text: func(k *state.ComparedWork) string { return draw.Int(k.Batch) }},
	{Title: "queries", Width: 7, Text: func(k *state.ComparedWork) string { return draw.Int(k.Queries) }},
	{Title: "energy A", Width: 9, Rank: 1, Text: func(k *state.ComparedWork) string { return draw.Sig(k.A.EnergyJ) + " J" }},
	{Title: "energy B", Width: 9, Rank: 1, Text: func(k *state.ComparedWork) string { return draw.Sig(k.B.EnergyJ) + " J" }},
	{Title: "energy", Width: 8, Text: func(k *state.ComparedWork) string { return draw.Change(k.A.EnergyJ, k.B.EnergyJ) }},
	{Title: "latency A", Width: 9, Rank: 1, Text: func(k *state.ComparedWork) string { return draw.Seconds(k.A.LatencyS) }},
	{Title: "latency B", Width: 9, Rank: 1, Text: func(k *state.ComparedWork) string { return draw.Seconds(k.B.LatencyS) }},
	{Title: "latency", Width: 8, Text: func(k *state.ComparedWork) string { return draw.Change(k.A.LatencyS, k.B.LatencyS) }},
}

// drawBars draws A's and B's value beside each other as bars.
func drawBars(c *canvas.Canvas, x, y, w int, a, b float64) {
	top := max(a, b)
	if y+2 > c.H-1 || !(top > 0) {
		return
	}
	for i, v := range []float64{a, b} {
		c.Text(x, y+i, theme.Muted, string(rune('A'+i)))
		draw.Gauge(c, x+2, y+i, w-2, v/top, theme.Curves[i])
	}
}

// drawDelta draws B against A, to be read from afar.
func (p *Compare) drawDelta(c *canvas.Canvas, x state.Compared, ok bool) {
	right := ""
	if ok {
		right = "means over " + draw.Int(x.Queries) + " queries both answered"
	}
	y := draw.Heading(c, 0, "B against A", right)
	if x.Queries == 0 {
		return
	}
	parts := []struct {
		label    string
		from, to float64
		verdict.Difference
	}{
		{"energy per query", x.A.EnergyJ, x.B.EnergyJ, x.Energy},
		{"latency", x.A.LatencyS, x.B.LatencyS, x.Latency},
		{"EDP", x.A.EDPJS, x.B.EDPJS, x.EDP},
	}
	w, bars := c.W/len(parts), y
	scale := 3 // the largest in which all of them find room
	for _, d := range parts {
		number, _ := draw.SplitUnit(draw.Change(d.from, d.to))
		scale = min(scale, draw.BigScale(w-5, c.H-y-7, number))
	}
	for i, d := range parts {
		text := draw.Change(d.from, d.to)
		s, half := theme.Strong, "of one query: how sure is unknown"
		switch d.Word() {
		case verdict.Lower:
			s, half = theme.Good, fmt.Sprintf("± %.1f %%: lower", 100*d.Half)
		case verdict.Higher:
			s, half = theme.Warn, fmt.Sprintf("± %.1f %%: higher", 100*d.Half)
		case verdict.Unresolved:
			s, half = theme.Default, fmt.Sprintf("± %.1f %%: no difference resolved", 100*d.Half)
		}
		number, _ := draw.SplitUnit(text)
		px := i*w + 2
		if c.H-y >= draw.BigRows(scale)+2 {
			c.TextMax(px, y, w-3, theme.Muted, d.label)
			end := draw.BigText(c, px, y+1, s, number, scale)
			c.Text(end, y+draw.BigRows(scale), s, "%")
			c.TextMax(px, y+draw.BigRows(scale)+1, w-3, s, half)
		} else {
			c.TextMax(px, y, w-3, s, d.label+" "+text+" "+half)
		}
		bars = max(bars, y+draw.BigRows(scale)+2)
		drawBars(c, px, y+draw.BigRows(scale)+2, w-4, d.from, d.to)
	}
	p.drawShares(c, bars+3, x)
	if p.IsSimulated() && c.H > 8 {
		c.TextMax(1, c.H-1, c.W-2, theme.Muted, "SIMULATED: these savings are a model's, not a measurement")
	}
}
