package panel

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"

	"jouletop/engine/command"
	"jouletop/gpu"
	"jouletop/tui/canvas"
	"jouletop/tui/draw"
	"jouletop/tui/theme"
	"jouletop/tui/view"
)

// Knobs has a tab for each knob of the GPU: what is in force, wanted and achieved, what
// held the clock, and the values to choose from.
type Knobs struct {
	*view.Context
	closed bool
	tabs   []*knobTab
	at     int // of tabs
	target int // of clockTargets, on the SM clock's tab
	policy int // of the choices' policies; -1: none chosen, Enter sets the value
	rows   int // of the list, shown last
}

// knobTab is one knob.
type knobTab struct {
	gpu.Knob
	values []int // to choose from, in the driver's unit, the highest first
	sel    int
	typed  string
}

// powerStep is how far apart the power limits are that can be chosen without typing, W.
const powerStep = 10

// NewKnobs returns the panel, on the SM clock's tab, with what is in force chosen.
func NewKnobs(c *view.Context) *Knobs {
	p := &Knobs{Context: c, policy: -1}
	clocks := c.Choices.Clocks
	if len(clocks) == 0 {
		clocks = c.Info().SMClocks
	}
	p.tabs = []*knobTab{{Knob: gpu.ListKnob(gpu.KnobSM, clocks, "this GPU lists no supported clocks")}}
	for _, k := range c.Choices.Knobs {
		switch {
		case k.ID == gpu.KnobSM:
			if p.tabs[0].Knob.Unavailable == "" || k.Unavailable != "" {
				p.tabs[0].Knob.Unavailable, p.tabs[0].Knob.Default = k.Unavailable, k.Default
			}
		case k.ID == gpu.KnobProfile && k.Unavailable != "":
		default:
			p.tabs = append(p.tabs, &knobTab{Knob: k})
		}
	}
	for _, t := range p.tabs {
		t.values = choosable(t.Knob)
		at := t.Default
		switch set := p.inForce(t.ID); {
		case set > 0:
			at = set
		case t.ID == gpu.KnobSM:
			at = c.Telemetry().Sample.SMMHz
		case t.ID == gpu.KnobPower && t.Now > 0:
			at = t.Now
		}
		t.jump(at)
	}
	return p
}

// choosable are a knob's values to choose from, the highest first.
func choosable(k gpu.Knob) []int {
	values := slices.Clone(k.Values)
	if k.ID == gpu.KnobPower && k.Unavailable == "" {
		for w := k.Min/1000/powerStep*powerStep + powerStep; 1000*w < k.Max; w += powerStep {
			values = append(values, 1000*w)
		}
		for _, v := range []int{k.Min, k.Max, k.Default, k.Now} {
			if v%1000 == 0 && k.Check(v) == nil {
				values = append(values, v)
			}
		}
	}
	slices.Sort(values)
	values = slices.Compact(values)
	if k.ID != gpu.KnobProfile {
		slices.Reverse(values)
	}
	return values
}

// jump selects the value nearest to v.
func (t *knobTab) jump(v int) {
	best := 0
	for i, have := range t.values {
		if abs(have-v) < abs(t.values[best]-v) {
			best = i
		}
	}
	t.sel = best
}

func abs(v int) int { return max(v, -v) }

// tab is the knob that is shown.
func (p *Knobs) tab() *knobTab { return p.tabs[p.at] }

// inForce is what was asked for of a knob and is in force, in the driver's unit; 0 where
// that is nothing, -1 where nobody knows.
func (p *Knobs) inForce(k gpu.KnobID) int {
	t := p.Telemetry()
	switch {
	case k == gpu.KnobSM:
		return t.Requested
	case p.Mode == view.Dashboard && p.Status.Knobs.Value(k) > 0:
		return p.Status.Knobs.Value(k)
	}
	return t.Set(k)
}

// Closed tells whether it is done with.
func (p *Knobs) Closed() bool { return p.closed }

// Paste takes nothing: a pasted prompt goes elsewhere.
func (p *Knobs) Paste(string) bool { return true }

// Wheel moves the choice.
func (p *Knobs) Wheel(x, y, by int) bool {
	if !p.area().Contains(x, y) {
		return false
	}
	p.move(3 * by)
	return true
}

// The keys of the panel.
var knobKeys = struct{ tab, move, phase, policy, set, back, typed view.Key }{
	tab:    view.Bind("← →", "knob", "next knob: clocks, power limit, workload profile", "left", "right"),
	move:   view.Bind("↑ ↓ PgUp PgDn", "move", "choose a value", "up", "down", "pgup", "pgdown", "home", "end"),
	typed:  view.Bind("0-9", "type", "the value typed, or the nearest", "0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "backspace"),
	phase:  view.Bind("Tab", "phase", "SM clock: all phases, prefill, decode, score", "tab", "shift+tab"),
	policy: view.Bind("p", "policy", "next policy", "p"),
	set:    view.Bind("Enter", "set", "set it at once", "enter"),
	back:   view.Bind("Del", "this one back", "give this knob back, and no other", "delete"),
}

// KnobKeys are the panel's keys for the help.
func KnobKeys() view.KeyGroup {
	k := &knobKeys
	return view.KeyGroup{Title: "In the knob panel", Keys: []view.Key{k.tab, k.move, k.typed, k.phase, k.policy, k.set, k.back}}
}

// Own are the panel's keys.
func (p *Knobs) Own() []view.Key { return KnobKeys().Keys }

// Hints are its keys, and those that work beside it.
func (p *Knobs) Hints() []view.Key {
	k, own := &p.Keys, &knobKeys
	hints := []view.Key{own.set, own.tab, own.move, own.typed}
	if p.tab().ID == gpu.KnobSM {
		hints = append(hints, own.phase)
	}
	return append(hints, own.policy, k.GiveBack, own.back, k.Arm, k.Close)
}

// KnobsWidth is the columns of the panel in a body w wide.
func KnobsWidth(size view.Size, w int) int { return min(view.Pick(size, 38, 46, 54), w) }

func (p *Knobs) area() canvas.Rect {
	b := p.Body // what the panel leaves of the screen: it stands right of it
	w := KnobsWidth(p.Size, p.Frame.W)
	return canvas.Rect{X: p.Frame.W - w, Y: b.Y, W: w, H: b.H}
}

func (p *Knobs) move(by int) {
	t := p.tab()
	t.typed, p.policy = "", -1
	t.sel = min(max(t.sel+by, 0), max(len(t.values)-1, 0))
}

// turn shows another knob's tab.
func (p *Knobs) turn(to int) {
	p.tab().typed, p.policy = "", -1
	p.at = (to + len(p.tabs)) % len(p.tabs)
}

// Key takes a key press and tells whether it was for the panel.
func (p *Knobs) Key(msg tea.KeyPressMsg) (tea.Cmd, bool) {
	t, page := p.tab(), max(p.rows-2, 1)
	switch s := msg.String(); {
	case p.Keys.Close.Is(msg), p.Keys.Clock.Is(msg):
		p.closed = true
	case s == "left":
		p.turn(p.at - 1)
	case s == "right":
		p.turn(p.at + 1)
	case s == "up":
		p.move(-1)
	case s == "down":
		p.move(1)
	case s == "pgup":
		p.move(-page)
	case s == "pgdown":
		p.move(page)
	case s == "home":
		p.move(-len(t.values))
	case s == "end":
		p.move(len(t.values))
	case s == "tab" && t.ID == gpu.KnobSM:
		p.target = (p.target + 1) % len(clockTargets)
	case s == "shift+tab" && t.ID == gpu.KnobSM:
		p.target = (p.target + len(clockTargets) - 1) % len(clockTargets)
	case knobKeys.phase.Is(msg): // the other knobs are set for all phases
	case s == "backspace":
		if n := len(t.typed); n > 0 {
			t.typed = t.typed[:n-1]
		}
	case len(s) == 1 && s[0] >= '0' && s[0] <= '9':
		p.policy = -1
		t.digit(s)
	case knobKeys.policy.Is(msg):
		if n := len(p.Choices.Policies); n > 0 {
			p.policy = (p.policy + 1) % n
			t.typed = ""
		}
	case knobKeys.back.Is(msg):
		return p.giveBack(), true
	case knobKeys.set.Is(msg):
		return p.apply(), true
	default:
		return nil, false
	}
	return nil, true
}

// unit is what a figure typed is multiplied by to be in the driver's unit.
func (t *knobTab) unit() int {
	if t.ID == gpu.KnobPower {
		return 1000
	}
	return 1
}

// number is what was typed, in the driver's unit; ok is false where that is nothing.
func (t *knobTab) number() (v int, ok bool) {
	n, err := strconv.Atoi(t.typed)
	if err != nil {
		return 0, false
	}
	if t.ID == gpu.KnobProfile {
		return 1 << min(n, gpu.MostProfiles), true
	}
	return n * t.unit(), true
}

// digit takes a digit; the selection jumps to the first value that begins with what was
// typed, or is nearest to it.
func (t *knobTab) digit(d string) {
	if len(t.typed) == 4 {
		t.typed = ""
	}
	t.typed += d
	v, _ := t.number()
	if t.ID == gpu.KnobProfile {
		t.jump(v)
		return
	}
	most := 0
	for _, have := range t.values {
		most = max(most, len(strconv.Itoa(have/t.unit())))
	}
	for i := len(t.values) - 1; i >= 0; i-- {
		s := strconv.Itoa(t.values[i] / t.unit())
		if strings.HasPrefix(s, t.typed) && (s == t.typed || len(t.typed) < most && len(s) == most) {
			t.sel = i
			return
		}
	}
	if len(t.typed) >= 3 {
		t.jump(v)
	}
}

// apply sets what is chosen.
func (p *Knobs) apply() tea.Cmd {
	t := p.tab()
	if p.Mode != view.Dashboard {
		return p.Say(view.ErrNotHere.Error(), true)
	}
	if p.policy >= 0 && p.policy < len(p.Choices.Policies) {
		spec := p.Choices.Policies[p.policy]
		return p.Do(func(c command.Controller) (string, error) { return "policy " + spec, c.SetPolicy(spec) })
	}
	if len(t.values) == 0 {
		return p.Say(t.ID.Title()+": "+t.Unavailable, true)
	}
	v := t.values[t.sel]
	if typed, ok := t.number(); ok && typed != v && (t.ID == gpu.KnobProfile || len(t.typed) >= 3) {
		if err := p.check(typed); err != nil {
			return p.Say(err.Error(), true)
		}
		v = typed
	}
	t.typed = ""
	if t.ID == gpu.KnobSM {
		return p.setClock(v)
	}
	if t.ID == gpu.KnobProfile { // profiles are requested and taken back one by one
		v ^= max(p.inForce(t.ID), 0)
	}
	id, said := t.ID, t.ID.Title()+" "+t.ID.Text(v)+" asked for"
	if v == 0 {
		said = t.ID.Title() + " given back"
	}
	return p.Do(func(c command.Controller) (string, error) { return said, c.SetKnob(id, v) })
}

// check tells why a value that was typed cannot be set.
func (p *Knobs) check(v int) error {
	if t := p.tab(); t.ID != gpu.KnobSM {
		return t.Check(v)
	}
	if err := p.Info().CheckSMClock(v); err != nil {
		return err
	}
	return fmt.Errorf("unsupported SM clock: %s MHz", draw.Int(v))
}

// giveBack gives the knob back.
func (p *Knobs) giveBack() tea.Cmd {
	if p.Mode != view.Dashboard {
		return p.Say(view.ErrNotHere.Error(), true)
	}
	id, said := p.tab().ID, p.tab().ID.Title()+" given back"
	return p.Do(func(c command.Controller) (string, error) { return said, c.SetKnob(id, 0) })
}

// Draw draws the panel beside the page.
func (p *Knobs) Draw(name string) {
	type key struct {
		at, sel, target, policy, first int
		typed, foot                    string
		slow                           int64
		run, requests, points          uint64
	}
	t, r := p.tab(), p.area()
	in := r.Inset(2, 1)
	heads := p.heads()
	foot := p.foot(in.W, in.H-heads-1)
	list := canvas.Rect{X: in.X, Y: in.Y + heads, W: in.W, H: max(in.H-heads-1-len(foot), 0)}
	p.rows = list.H
	first := min(max(t.sel-list.H/2, 0), max(len(t.values)-list.H, 0))
	v := p.State.Versions
	k := key{p.at, t.sel, p.target, p.policy, first, t.typed, fmt.Sprint(foot), p.Slow(), v.Run, v.Requests, v.Points}
	p.Frame.Lay(name, r, k, func() string { return p.content(r, list, first, foot) })
	x := in.X
	for i, text := range p.tabTexts(in.W) {
		w := canvas.Width(text)
		p.Frame.Hit(canvas.Rect{X: x, Y: in.Y, W: w, H: 1}, func() { p.turn(i) })
		x += w
	}
	if t.ID == gpu.KnobSM {
		p.targetHits(in.X, in.Y+1)
	}
	for i := first; i < len(t.values) && i-first < list.H; i++ {
		p.Frame.Hit(canvas.Rect{X: list.X, Y: list.Y + i - first, W: list.W, H: 1}, func() {
			p.move(0)
			t.sel = i // Enter sets it
		})
	}
}

// heads is the rows above the list: the knobs, the phases of the SM clock, and what the
// list shows.
func (p *Knobs) heads() int {
	if p.tab().ID == gpu.KnobSM {
		return 3
	}
	return 2
}

// tabTexts are the knobs' tabs: by their whole names where there is room.
func (p *Knobs) tabTexts(w int) []string {
	whole, short := make([]string, len(p.tabs)), make([]string, len(p.tabs))
	need := 0
	for i, t := range p.tabs {
		whole[i] = " " + t.ID.Title() + " "
		if t.ID == gpu.KnobProfile {
			whole[i] = " profile "
		}
		if short[i] = " " + t.ID.String() + " "; i == p.at {
			short[i] = whole[i]
		}
		need += canvas.Width(whole[i])
	}
	if need <= w {
		return whole
	}
	return short
}

// content is the panel as Lip Gloss renders it.
func (p *Knobs) content(r, list canvas.Rect, first int, foot []line) string {
	c, t := p.Frame.Canvas, p.tab()
	tabs := ""
	for i, text := range p.tabTexts(list.W) {
		s := theme.Muted
		if i == p.at {
			s = theme.Select
		}
		tabs += c.Style(s).Render(text)
	}
	rows := []string{ansi.Truncate(tabs, list.W, "")}
	known := measured{}
	if t.ID == gpu.KnobSM {
		known = p.measuredClocks()
		rows = append(rows, ansi.Truncate(p.targetTabs(), list.W, ""))
	}
	rows = append(rows, p.head(known, list.W))
	if len(t.values) == 0 {
		for _, l := range canvas.Wrap(t.Unavailable, list.W, list.H) {
			rows = append(rows, c.Style(theme.Muted).Render(l))
		}
	} else {
		rows = append(rows, strings.Split(p.list(known, first).Render(c, list.W, list.H), "\n")...)
	}
	top := p.heads() + list.H
	for len(rows) < top {
		rows = append(rows, "")
	}
	rows = append(rows[:top], c.Style(theme.Faint).Render(strings.Repeat("─", list.W)))
	for _, f := range foot {
		rows = append(rows, f.render(c, list.W))
	}
	return draw.Box(c, r.W, r.H, "Knobs", "Esc", strings.Join(rows, "\n"))
}
