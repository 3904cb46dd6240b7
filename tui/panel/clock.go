package panel

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	tea "charm.land/bubbletea/v2"
	"charm.land/lipgloss/v2"
	"github.com/charmbracelet/x/ansi"

	"jouletop/engine/command"
	"jouletop/engine/event"
	"jouletop/gpu"
	"jouletop/tui/canvas"
	"jouletop/tui/draw"
	"jouletop/tui/state"
	"jouletop/tui/theme"
	"jouletop/tui/view"
)

// Clock chooses a clock, for all phases or one, and a policy.
type Clock struct {
	*view.Context
	closed bool
	clocks []int // descending
	sel    int
	typed  string
	target int // of clockTargets
	policy int // of the choices' policies; -1: none chosen, Enter sets the clock
	rows   int // shown last
}

// clockTargets are what a clock is set for.
var clockTargets = []struct {
	name  string
	phase event.Phase
}{{"all phases", ""}, {"P prefill", event.Prefill}, {"D decode", event.Decode}, {"S score", event.Score}}

// NewClock returns the panel with the clock in force chosen.
func NewClock(c *view.Context) *Clock {
	p := &Clock{Context: c, policy: -1}
	clocks := c.Choices.Clocks
	if len(clocks) == 0 {
		clocks = c.Info().SMClocks
	}
	p.clocks = slices.Clone(clocks)
	slices.Sort(p.clocks)
	slices.Reverse(p.clocks)
	t := c.Telemetry()
	at := t.Requested
	if at <= 0 {
		at = t.Sample.SMMHz
	}
	p.jump(at)
	return p
}

// Closed tells whether it is done with.
func (p *Clock) Closed() bool { return p.closed }

// Paste takes nothing: a pasted prompt goes elsewhere.
func (p *Clock) Paste(string) bool { return true }

// Wheel moves the choice.
func (p *Clock) Wheel(x, y, by int) bool {
	if !p.area().Contains(x, y) {
		return false
	}
	p.move(3 * by)
	return true
}

// The keys of the panel.
var clockKeys = struct{ move, phase, policy, set, typed view.Key }{
	move:   view.Bind("↑ ↓ PgUp PgDn", "move", "choose a clock", "up", "down", "pgup", "pgdown", "home", "end"),
	typed:  view.Bind("0-9", "type", "jump to the clock typed", "0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "backspace"),
	phase:  view.Bind("Tab", "phase", "all phases, prefill, decode, score", "tab", "shift+tab"),
	policy: view.Bind("p", "policy", "next policy", "p"),
	set:    view.Bind("Enter", "set", "set it at once", "enter"),
}

// ClockKeys are the panel's keys for the help.
func ClockKeys() view.KeyGroup {
	k := &clockKeys
	return view.KeyGroup{Title: "In the clock panel", Keys: []view.Key{k.move, k.typed, k.phase, k.policy, k.set}}
}

// Own are the panel's keys.
func (p *Clock) Own() []view.Key { return ClockKeys().Keys }

// Hints are its keys, and those that work beside it.
func (p *Clock) Hints() []view.Key {
	k, own := &p.Keys, &clockKeys
	return []view.Key{own.set, own.move, own.typed, own.phase, own.policy, k.GiveBack, k.Arm, k.Close}
}

// ClockWidth is the columns of the panel in a body w wide.
func ClockWidth(size view.Size, w int) int { return min(view.Pick(size, 38, 46, 54), w) }

func (p *Clock) area() canvas.Rect {
	b := p.Body // what the panel leaves of the screen: it stands right of it
	w := ClockWidth(p.Size, p.Frame.W)
	return canvas.Rect{X: p.Frame.W - w, Y: b.Y, W: w, H: b.H}
}

// clockHeadWidth is the width at which the head of the list has room for its
// words: "MHz type to jump" and "J/token at batch 16", two columns between.
const clockHeadWidth = 38

// jump selects the clock nearest to mhz.
func (p *Clock) jump(mhz int) {
	p.sel = max(slices.Index(p.clocks, gpu.NearestClock(p.clocks, mhz)), 0)
}

func abs(v int) int { return max(v, -v) }

func (p *Clock) move(by int) {
	p.typed, p.policy = "", -1
	p.sel = min(max(p.sel+by, 0), max(len(p.clocks)-1, 0))
}

// typeDigit takes a digit; the selection jumps to the first clock that begins
// with what was typed, or is nearest to it.
func (p *Clock) typeDigit(d string) {
	p.policy = -1
	if len(p.typed) == 4 {
		p.typed = ""
	}
	p.typed += d
	for i := len(p.clocks) - 1; i >= 0; i-- {
		if s := strconv.Itoa(p.clocks[i]); len(s) >= len(p.typed) && s[:len(p.typed)] == p.typed {
			if s == p.typed || len(p.typed) < 4 && len(s) == 4 {
				p.sel = i
				return
			}
		}
	}
	if v, err := strconv.Atoi(p.typed); err == nil && v >= 100 {
		p.jump(v)
	}
}

// Key takes a key press and tells whether it was for the panel.
func (p *Clock) Key(msg tea.KeyPressMsg) (tea.Cmd, bool) {
	page := max(p.rows-2, 1)
	switch s := msg.String(); {
	case p.Keys.Close.Is(msg), p.Keys.Clock.Is(msg):
		p.closed = true
	case s == "up":
		p.move(-1)
	case s == "down":
		p.move(1)
	case s == "pgup":
		p.move(-page)
	case s == "pgdown":
		p.move(page)
	case s == "home":
		p.move(-len(p.clocks))
	case s == "end":
		p.move(len(p.clocks))
	case s == "tab":
		p.target = (p.target + 1) % len(clockTargets)
	case s == "shift+tab":
		p.target = (p.target + len(clockTargets) - 1) % len(clockTargets)
	case s == "backspace":
		if n := len(p.typed); n > 0 {
			p.typed = p.typed[:n-1]
		}
	case len(s) == 1 && s[0] >= '0' && s[0] <= '9':
		p.typeDigit(s)
	case clockKeys.policy.Is(msg):
		if n := len(p.Choices.Policies); n > 0 {
			p.policy = (p.policy + 1) % n
			p.typed = ""
		}
	case clockKeys.set.Is(msg):
		return p.apply(), true
	default:
		return nil, false
	}
	return nil, true
}

// apply sets what is chosen.
func (p *Clock) apply() tea.Cmd {
	if p.Mode != view.Dashboard {
		return p.Say(view.ErrNotHere.Error(), true)
	}
	if p.policy >= 0 && p.policy < len(p.Choices.Policies) {
		spec := p.Choices.Policies[p.policy]
		return p.Do(func(c command.Controller) (string, error) { return "policy " + spec, c.SetPolicy(spec) })
	}
	if len(p.clocks) == 0 {
		return p.Say("this GPU lists no supported clocks", true)
	}
	if v, err := strconv.Atoi(p.typed); err == nil && len(p.typed) >= 3 && v != p.clocks[p.sel] {
		return p.Say(p.noSuchClock(v), true)
	}
	mhz, target := p.clocks[p.sel], clockTargets[p.target]
	p.typed = ""
	return p.Do(func(c command.Controller) (string, error) {
		return draw.Int(mhz) + " MHz asked for, " + target.name, c.SetClock(target.phase, mhz)
	})
}

func (p *Clock) noSuchClock(mhz int) string {
	if err := p.Info().CheckSMClock(mhz); err != nil {
		return err.Error()
	}
	return "unsupported SM clock: " + draw.Int(mhz) + " MHz"
}

// Draw draws the panel beside the page.
func (p *Clock) Draw(name string) {
	type key struct {
		sel, target, policy, first int
		typed, foot                string
		slow                       int64
		run, requests, points      uint64
	}
	r := p.area()
	in := r.Inset(2, 1)
	foot := p.foot(in.W)
	list := canvas.Rect{X: in.X, Y: in.Y + 2, W: in.W, H: max(in.H-3-len(foot), 0)}
	p.rows = list.H
	first := min(max(p.sel-list.H/2, 0), max(len(p.clocks)-list.H, 0))
	v := p.State.Versions
	k := key{p.sel, p.target, p.policy, first, p.typed, fmt.Sprint(foot), p.Slow(), v.Run, v.Requests, v.Points}
	p.Frame.Lay(name, r, k, func() string { return p.content(r, list, first, foot) })
	x := in.X
	for i := range clockTargets {
		w := canvas.Width(p.tab(i))
		p.Frame.Hit(canvas.Rect{X: x, Y: in.Y, W: w, H: 1}, func() { p.target = i })
		x += w
	}
	for i := first; i < len(p.clocks) && i-first < list.H; i++ {
		p.Frame.Hit(canvas.Rect{X: list.X, Y: list.Y + i - first, W: list.W, H: 1}, func() {
			p.move(0)
			p.sel = i // Enter sets it
		})
	}
}

// tab is what stands on the tab of a target.
func (p *Clock) tab(i int) string {
	if p.Size == view.Compact && i > 0 && i != p.target {
		return " " + clockTargets[i].name[:1] + " "
	}
	return " " + clockTargets[i].name + " "
}

// content is the panel as Lip Gloss renders it.
func (p *Clock) content(r, list canvas.Rect, first int, foot []styled) string {
	c := p.Frame.Canvas
	tabs := ""
	for i := range clockTargets {
		s := theme.Muted
		if i == p.target {
			s = theme.Select
		}
		tabs += c.Style(s).Render(p.tab(i))
	}
	known := p.measuredClocks()
	rows := []string{ansi.Truncate(tabs, list.W, ""), p.head(known, list.W)}
	if len(p.clocks) == 0 {
		rows = append(rows, c.Style(theme.Muted).Render(ansi.Truncate("this GPU lists no supported clocks", list.W, "…")))
	} else {
		rows = append(rows, strings.Split(p.list(known, first).Render(c, list.W, list.H), "\n")...)
	}
	for len(rows) < 2+list.H {
		rows = append(rows, "")
	}
	rows = append(rows[:2+list.H], c.Style(theme.Faint).Render(strings.Repeat("─", list.W)))
	for _, f := range foot {
		rows = append(rows, c.Style(f.style).Render(ansi.Truncate(canvas.Clean(f.text), list.W, "…")))
	}
	return draw.Box(c, r.W, r.H, "SM clock", "Esc", strings.Join(rows, "\n"))
}

// head is the row above the list: what was typed, and what the figures are.
func (p *Clock) head(known measured, w int) string {
	c := p.Frame.Canvas
	typed, s := "type to jump", theme.Muted
	if p.typed != "" {
		typed, s = p.typed, theme.Input
	}
	unit := "J/token measured"
	if known.batch > 0 {
		unit = "J/token at batch " + draw.Int(known.batch)
		if w < clockHeadWidth {
			unit = "J/token, B" + draw.Int(known.batch)
		}
	}
	left := c.Style(theme.Muted).Render("MHz ") + c.Style(s).Render(typed)
	return left + c.Style(theme.Muted).Width(w-lipgloss.Width(left)).Align(lipgloss.Right).Render(unit)
}

type styled struct {
	text  string
	style canvas.Style
}

// foot is the policy and what clock control may do.
func (p *Clock) foot(w int) []styled {
	out := []styled{{"policy " + p.Policy() + "  (" + p.Label(clockKeys.policy) + ": choose another)", theme.Muted}}
	if p.policy >= 0 && p.policy < len(p.Choices.Policies) {
		out[0] = styled{"Enter sets policy " + p.Choices.Policies[p.policy], theme.Select}
	} else if s := p.Status; s.Prefill != s.Decode {
		out = append(out, styled{"asked for: P " + draw.MHz(s.Prefill) + "  D " + draw.MHz(s.Decode) + "  S " + draw.MHz(s.Score) + " MHz", theme.Muted})
	}
	text, style := "", theme.Muted
	switch {
	case p.Mode != view.Dashboard || p.Status.ReadOnly:
		text = "Read-only: clocks are shown, never set."
	case p.Status.Permission != "":
		text, style = p.Status.Permission, theme.Warn
	case !p.Status.Armed:
		text, style = "Not armed: "+p.Label(p.Keys.Arm)+" arms. It sets this GPU's SM clock alone and gives it back on exit.", theme.Warn
	default:
		text, style = "Armed: Enter sets at once, "+p.Label(p.Keys.GiveBack)+" gives back.", theme.Good
	}
	for _, l := range canvas.Wrap(text, w, 0) {
		out = append(out, styled{l, style})
	}
	return out
}

// list is the table of the clocks, with what was measured at each.
func (p *Clock) list(known measured, first int) *draw.Table[int] {
	t := p.Telemetry()
	const bar = 9
	list := &draw.Table[int]{Columns: []draw.Column[int]{
		{Width: -1, Text: func(i int) string {
			switch {
			case i == p.sel:
				return "▸"
			case p.clocks[i] == known.best:
				return "★"
			}
			return ""
		}},
		{Width: 8, Text: func(i int) string { return draw.Int(p.clocks[i]) + " MHz" }},
		{Width: -15, Text: func(i int) string {
			note := ""
			if p.clocks[i] == t.Requested {
				note = "requested "
			}
			if near(t.Sample.SMMHz, p.clocks[i], p.clocks, i) {
				note += "◀ now"
			}
			return note
		}},
		{Width: -bar, Rank: 1, Text: func(i int) string {
			v, ok := known.by[p.clocks[i]]
			if !ok {
				return ""
			}
			return draw.Bar(bar, v/known.most)
		}},
		{Width: 7, Text: func(i int) string {
			v, ok := known.by[p.clocks[i]]
			if !ok {
				return ""
			}
			return draw.Sig(v)
		}},
	}, Rows: len(p.clocks), First: first, At: func(i int) int { return i }, Bare: true}
	list.Style = func(row, col int) canvas.Style {
		switch {
		case row == p.sel:
			return theme.Select
		case p.clocks[row] == known.best && col > 2:
			return theme.EDP
		case col == 3:
			return theme.Meter
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
func (p *Clock) measuredClocks() measured {
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
