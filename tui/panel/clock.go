package panel

import (
	"jouletop/tui/draw"
	"jouletop/tui/state"
	"math"
	"slices"
	"strconv"

	"jouletop/engine/command"
	"jouletop/engine/event"
	"jouletop/tui/canvas"
	"jouletop/tui/theme"
	"jouletop/tui/view"

	tea "charm.land/bubbletea/v2"
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

// Hints are its keys, and those that work beside it.
func (p *Clock) Hints() []view.Key {
	k, own := &p.Keys, &clockKeys
	return []view.Key{k.Quit, k.Help, own.set, own.move, own.typed, own.phase, own.policy, k.GiveBack, k.Arm, k.Close}
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
	best := -1
	for i, c := range p.clocks {
		if best < 0 || abs(c-mhz) < abs(p.clocks[best]-mhz) {
			best = i
		}
	}
	p.sel = max(best, 0)
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

// Draw draws the panel over the page.
func (p *Clock) Draw() {
	r, c := p.area(), p.Frame.Canvas
	draw.Box(c, r, "SM clock", "Esc")
	in := r.Inset(2, 1)
	y := in.Y
	x := in.X
	for i, t := range clockTargets {
		s := theme.Muted
		text := t.name
		if p.Size == view.Compact && i > 0 {
			text = t.name[:1]
		}
		if i == p.target {
			s = theme.Select
			text = t.name
		}
		end := c.Text(x, y, s, " "+text+" ")
		p.Frame.Hit(canvas.Rect{X: x, Y: y, W: end - x, H: 1}, func() { p.target = i })
		x = end
	}
	y++
	typed := p.typed
	if typed == "" {
		typed = "type to jump"
	}
	x = c.Text(in.X, y, theme.Muted, "MHz ")
	s := theme.Muted
	if p.typed != "" {
		s = theme.Input
	}
	c.Text(x, y, s, typed)
	known := p.measuredClocks()
	unit := "J/token measured"
	if known.batch > 0 {
		unit = "J/token at batch " + draw.Int(known.batch)
		if in.W < clockHeadWidth {
			unit = "J/token, B" + draw.Int(known.batch)
		}
	}
	c.Right(in.X+in.W, y, theme.Muted, unit)
	y++
	foot := p.foot(in.W)
	list := canvas.Rect{X: in.X, Y: y, W: in.W, H: max(in.Y+in.H-y-len(foot)-1, 0)}
	p.drawList(list, known)
	y = list.Y + list.H
	for x := range in.W {
		c.Set(in.X+x, y, theme.Faint, '─')
	}
	for i, f := range foot {
		c.TextMax(in.X, y+1+i, in.W, f.style, f.text)
	}
}

type styled struct {
	text  string
	style canvas.Style
}

// foot is the policy and what clock control may do.
func (p *Clock) foot(w int) []styled {
	out := []styled{{"policy " + p.Policy() + "  (p: choose another)", theme.Muted}}
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
		text, style = "Not armed: a arms. It sets this GPU's SM clock alone and gives it back on exit.", theme.Warn
	default:
		text, style = "Armed: Enter sets at once, r gives back.", theme.Good
	}
	for _, l := range canvas.Wrap(text, w, 0) {
		out = append(out, styled{l, style})
	}
	return out
}

// drawList draws the clocks around the selected one, with what was measured
// at each.
func (p *Clock) drawList(r canvas.Rect, known measured) {
	c := p.Frame.Canvas
	p.rows = r.H
	if len(p.clocks) == 0 {
		c.TextMax(r.X, r.Y, r.W, theme.Muted, "this GPU lists no supported clocks")
		return
	}
	t := p.Telemetry()
	from := min(max(p.sel-r.H/2, 0), max(len(p.clocks)-r.H, 0))
	for i := from; i < len(p.clocks) && i-from < r.H; i++ {
		y := r.Y + i - from
		mhz := p.clocks[i]
		s := theme.Default
		if i == p.sel {
			s = theme.Select
			c.Fill(canvas.Rect{X: r.X, Y: y, W: r.W, H: 1}, s, ' ')
			c.Text(r.X, y, s, "▸")
		}
		c.Text(r.X+2, y, s, draw.Pad(draw.Int(mhz), 4)+" MHz")
		x := r.X + 12
		if mhz == t.Requested {
			x = c.Text(x, y, s, "requested ")
		}
		if near(t.Sample.SMMHz, mhz, p.clocks, i) {
			c.Text(x, y, s, "◀ now")
		}
		if v, ok := known.by[mhz]; ok {
			bar := theme.Meter
			if mhz == known.best && i != p.sel {
				s, bar = theme.EDP, theme.EDP
			}
			c.Right(r.X+r.W, y, s, draw.Sig(v))
			if at := r.X + 28; r.X+r.W-8-at > 2 {
				draw.Gauge(c, at, y, r.X+r.W-8-at, v/known.most, bar)
			}
			if mhz == known.best {
				c.Text(r.X+1, y, s, "★")
			}
		}
		p.Frame.Hit(canvas.Rect{X: r.X, Y: y, W: r.W, H: 1}, func() {
			p.move(0)
			p.sel = i // Enter sets it
		})
	}
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
