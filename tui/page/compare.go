package page

import (
	"slices"

	tea "charm.land/bubbletea/v2"

	"jouletop/engine/analysis/paired"
	"jouletop/engine/event"
	"jouletop/tui/canvas"
	"jouletop/tui/draw"
	"jouletop/tui/panel"
	"jouletop/tui/state"
	"jouletop/tui/theme"
	"jouletop/tui/view"
)

// Compare shows by how much one setting differs from another, to be read from afar.
type Compare struct {
	Base
	a, b   event.Policy
	picked bool            // by the operator; else the two that share most queries
	wanted [2]event.Policy // the same twice: none
	auto   [2]event.Policy
	autoOf [2]uint64 // what auto was found for
	made   madeKey   // what x was made of
	x      paired.Comparison
	soFar  bool // both still run
}

// madeKey says when a comparison is to be made anew.
type madeKey struct {
	version uint64
	a, b    event.Policy
	ended   bool
}

// want says which policies a comparison that begins is about.
func (p *Compare) want(a, b string) {
	p.wanted, p.picked = [2]event.Policy{paired.Setting(a, 0), paired.Setting(b, 0)}, false
}

// sides returns the two settings, and whether there are two.
func (p *Compare) sides() (a, b event.Policy, ok bool) {
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
	// Look anew when a setting has come, now and then, and where a session began again.
	of := [2]uint64{uint64(len(all)), p.State.Comparisons.Version / 64}
	if of != p.autoOf || !slices.Contains(all, p.auto[0]) || !slices.Contains(all, p.auto[1]) {
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
	hints := []view.Key{k.Job, k.Jobs, k.Clock, k.Stop}
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
	other := func(now, not event.Policy) event.Policy {
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

// comparison is b against a, made anew where there is something new: of many answers,
// not for each.
func (p *Compare) comparison(a, b event.Policy) *paired.Comparison {
	c := &p.State.Comparisons
	k := madeKey{c.Version / uint64(1+p.x.Queries/256), a, b, p.State.Ended}
	if k != p.made {
		p.made = k
		p.x, p.soFar = c.Compare(a, b)
	}
	return &p.x
}

// areas are the verdict, the phases of both sides, and their figures.
func (p *Compare) areas() (verdict, phases, figures canvas.Rect) {
	h := view.Pick(p.Size, 11, 19, 26)
	verdict, rest := view.Cut(p.Body, min(h, p.Body.H-3))
	phases, figures = view.Cut(rest, view.Pick(p.Size, 5, 10, 15))
	return verdict, phases, figures
}

// Draw draws the page.
func (p *Compare) Draw() {
	a, b, ok := p.sides()
	if !ok {
		type key struct {
			settings int
			waits    string
		}
		waits := p.waits()
		p.Frame.Place("nothing", p.Body, key{len(p.State.Comparisons.Settings), waits}, func(c *canvas.Canvas) { p.drawNothing(c, a, waits) })
		return
	}
	x := p.comparison(a, b)
	type key struct {
		madeKey
		progress string
	}
	k := key{p.made, ""}
	top, phases, figures := p.areas()
	p.Frame.Place("phases", phases, k, func(c *canvas.Canvas) { p.drawPhases(c, x) })
	p.Frame.Place("figures", figures, k, func(c *canvas.Canvas) { drawFigures(c, x) })
	k.progress = p.progress()
	p.Frame.Place("verdict", top, k, func(c *canvas.Canvas) { p.drawVerdict(c, x, k.progress) })
}

// drawNothing says how to come to a comparison.
func (p *Compare) drawNothing(c *canvas.Canvas, a event.Policy, waits string) {
	title := "Compare"
	if len(p.State.Comparisons.Settings) > 0 {
		title += ": " + state.SettingName(a)
	}
	y := draw.Heading(c, 0, title, waits) + 1
	for _, text := range []string{
		"Nothing to compare yet.",
		p.Label(p.Context.Keys.Job) + " runs the driver's clock and a policy in turns on the same queries, and says by how much they differ, and how surely.",
		"Or set another clock" + p.bracketed(p.Context.Keys.Clock) + " while a job runs: both are compared here on the queries that both answered.",
	} {
		for _, l := range canvas.Wrap(text, c.W-4, 0) {
			c.Text(2, y, theme.Muted, l)
			y++
		}
		y++
	}
}

// waits says what the comparison asked for waits for; "" nothing.
func (p *Compare) waits() string {
	if p.wanted[0] == p.wanted[1] {
		return ""
	}
	for n, q := range p.Status.Queue {
		if len(q.Policies) != 2 || paired.Setting(q.Policies[0], 0) != p.wanted[0] || paired.Setting(q.Policies[1], 0) != p.wanted[1] {
			continue
		}
		if q.Running {
			return ""
		}
		return "waits for " + draw.Plural(n, "job") + " before it: " + p.Label(p.Context.Keys.Jobs) + " shows them, " + p.Label(p.Context.Keys.Stop) + " ends the one that runs"
	}
	return ""
}

// progress says how far the comparison is that is shown; "" where it has ended.
func (p *Compare) progress() string {
	if waits := p.waits(); waits != "" {
		return waits
	}
	if !p.soFar {
		return ""
	}
	done := p.State.SweepProgress()
	return "so far: " + draw.Int(done.Done) + " of " + draw.Plural(done.Total, "point") + ", left " + draw.Left(p.Left(done))
}
