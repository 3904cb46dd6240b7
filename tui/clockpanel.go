package tui

import (
	"math"
	"slices"
	"strconv"

	"charm.land/bubbles/v2/key"
	tea "charm.land/bubbletea/v2"

	"jouletop/engine/event"
	"jouletop/tui/canvas"
	"jouletop/tui/theme"
)

// clockPanel chooses a clock, for all phases or one, and a policy.
type clockPanel struct {
	clocks []int // descending
	sel    int
	typed  string
	target int // of panelTargets
	policy int // of the choices' policies; -1: none chosen, Enter sets the clock
	rows   int // shown last
}

// panelTargets are what a clock is set for.
var panelTargets = []struct {
	name  string
	phase event.Phase
}{{"all phases", ""}, {"P prefill", event.Prefill}, {"D decode", event.Decode}, {"S score", event.Score}}

func (m *Model) openPanel() {
	p := &clockPanel{policy: -1}
	clocks := m.choices.Clocks
	if len(clocks) == 0 {
		clocks = m.opt.info(m.gpuID()).SMClocks
	}
	p.clocks = slices.Clone(clocks)
	slices.Sort(p.clocks)
	slices.Reverse(p.clocks)
	t := m.st.gpu(m.gpuID())
	at := t.requested
	if at <= 0 {
		at = t.sample.SMMHz
	}
	p.jump(at)
	m.panel = p
	m.resize(m.lay.w, m.lay.h)
}

func (m *Model) closePanel() {
	m.panel = nil
	m.resize(m.lay.w, m.lay.h)
}

// clockHeadWidth is the width at which the head of the list has room for its
// words: "MHz type to jump" and "J/token at batch 16", two columns between.
const clockHeadWidth = 38

// jump selects the clock nearest to mhz.
func (p *clockPanel) jump(mhz int) {
	best := -1
	for i, c := range p.clocks {
		if best < 0 || abs(c-mhz) < abs(p.clocks[best]-mhz) {
			best = i
		}
	}
	p.sel = max(best, 0)
}

func abs(v int) int { return max(v, -v) }

func (p *clockPanel) move(by int) {
	p.typed, p.policy = "", -1
	p.sel = min(max(p.sel+by, 0), max(len(p.clocks)-1, 0))
}

// typeDigit takes a digit; the selection jumps to the first clock that begins
// with what was typed, or is nearest to it.
func (p *clockPanel) typeDigit(d string) {
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

// panelKey takes a key for the open panel and tells whether it was one.
func (m *Model) panelKey(msg tea.KeyPressMsg) (tea.Cmd, bool) {
	p, k := m.panel, &m.keys
	page := max(p.rows-2, 1)
	switch s := msg.String(); {
	case key.Matches(msg, k.esc, k.clock):
		m.closePanel()
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
		p.target = (p.target + 1) % len(panelTargets)
	case s == "shift+tab":
		p.target = (p.target + len(panelTargets) - 1) % len(panelTargets)
	case s == "backspace":
		if n := len(p.typed); n > 0 {
			p.typed = p.typed[:n-1]
		}
	case len(s) == 1 && s[0] >= '0' && s[0] <= '9':
		p.typeDigit(s)
	case key.Matches(msg, k.panelPolicy):
		if n := len(m.choices.Policies); n > 0 {
			p.policy = (p.policy + 1) % n
			p.typed = ""
		}
	case key.Matches(msg, k.panelSet):
		return m.applyPanel(), true
	default:
		return nil, false
	}
	return nil, true
}

// applyPanel sets what is chosen.
func (m *Model) applyPanel() tea.Cmd {
	p := m.panel
	if m.opt.Mode != Dashboard {
		return m.say(errNotHere.Error(), true)
	}
	if p.policy >= 0 && p.policy < len(m.choices.Policies) {
		spec := m.choices.Policies[p.policy]
		return m.do(func(c Controller) (string, error) { return "policy " + spec, c.SetPolicy(spec) })
	}
	if len(p.clocks) == 0 {
		return m.say("this GPU lists no supported clocks", true)
	}
	if v, err := strconv.Atoi(p.typed); err == nil && len(p.typed) >= 3 && v != p.clocks[p.sel] {
		return m.say(m.noSuchClock(v), true)
	}
	mhz, target := p.clocks[p.sel], panelTargets[p.target]
	p.typed = ""
	return m.do(func(c Controller) (string, error) {
		return fmtInt(mhz) + " MHz asked for, " + target.name, c.SetClock(target.phase, mhz)
	})
}

func (m *Model) noSuchClock(mhz int) string {
	if err := m.opt.info(m.gpuID()).CheckSMClock(mhz); err != nil {
		return err.Error()
	}
	return "unsupported SM clock: " + fmtInt(mhz) + " MHz"
}

func (m *Model) drawClockPanel() {
	r := m.lay.clockPanel
	p := m.panel
	c := m.frame
	box(c, r, "SM clock", "Esc")
	in := r.Inset(2, 1)
	y := in.Y
	x := in.X
	for i, t := range panelTargets {
		s := theme.Muted
		text := t.name
		if m.lay.class == compact && i > 0 {
			text = t.name[:1]
		}
		if i == p.target {
			s = theme.Select
			text = t.name
		}
		end := c.Text(x, y, s, " "+text+" ")
		m.hits = append(m.hits, hit{canvas.Rect{X: x, Y: y, W: end - x, H: 1}, func() { p.target = i }})
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
	known := m.measuredClocks()
	unit := "J/token measured"
	if known.batch > 0 {
		unit = "J/token at batch " + fmtInt(known.batch)
		if in.W < clockHeadWidth {
			unit = "J/token, B" + fmtInt(known.batch)
		}
	}
	c.Right(in.X+in.W, y, theme.Muted, unit)
	y++
	foot := m.panelFoot(in.W)
	list := canvas.Rect{X: in.X, Y: y, W: in.W, H: max(in.Y+in.H-y-len(foot)-1, 0)}
	m.drawClockList(list, known)
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

// panelFoot is the policy and what clock control may do.
func (m *Model) panelFoot(w int) []styled {
	p := m.panel
	out := []styled{{"policy " + m.policy() + "  (p: choose another)", theme.Muted}}
	if p.policy >= 0 && p.policy < len(m.choices.Policies) {
		out[0] = styled{"Enter sets policy " + m.choices.Policies[p.policy], theme.Select}
	} else if s := m.status; s.Prefill != s.Decode {
		out = append(out, styled{"asked for: P " + fmtMHz(s.Prefill) + "  D " + fmtMHz(s.Decode) + "  S " + fmtMHz(s.Score) + " MHz", theme.Muted})
	}
	text, style := "", theme.Muted
	switch {
	case m.opt.Mode != Dashboard || m.status.ReadOnly:
		text = "Read-only: clocks are shown, never set."
	case m.status.Permission != "":
		text, style = m.status.Permission, theme.Warn
	case !m.status.Armed:
		text, style = "Not armed: a arms. It sets this GPU's SM clock alone and gives it back on exit.", theme.Warn
	default:
		text, style = "Armed: Enter sets at once, r gives back.", theme.Good
	}
	for _, l := range canvas.Wrap(text, w, 0) {
		out = append(out, styled{l, style})
	}
	return out
}

// drawClockList draws the clocks around the selected one, with what was measured
// at each.
func (m *Model) drawClockList(r canvas.Rect, known measured) {
	c, p := m.frame, m.panel
	p.rows = r.H
	if len(p.clocks) == 0 {
		c.TextMax(r.X, r.Y, r.W, theme.Muted, "this GPU lists no supported clocks")
		return
	}
	t := m.st.gpu(m.gpuID())
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
		c.Text(r.X+2, y, s, pad(fmtInt(mhz), 4)+" MHz")
		x := r.X + 12
		if mhz == t.requested {
			x = c.Text(x, y, s, "requested ")
		}
		if near(t.sample.SMMHz, mhz, p.clocks, i) {
			c.Text(x, y, s, "◀ now")
		}
		if v, ok := known.by[mhz]; ok {
			bar := theme.Meter
			if mhz == known.best && i != p.sel {
				s, bar = theme.EDP, theme.EDP
			}
			c.Right(r.X+r.W, y, s, fmtSig(v))
			if at := r.X + 28; r.X+r.W-8-at > 2 {
				gauge(c, at, y, r.X+r.W-8-at, v/known.most, bar)
			}
			if mhz == known.best {
				c.Text(r.X+1, y, s, "★")
			}
		}
		m.rowHit(canvas.Rect{X: r.X, Y: y, W: r.W, H: 1}, func() {
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
func (m *Model) measuredClocks() measured {
	pc := &m.st.perClock
	phase := panelTargets[m.panel.target].phase
	out := measured{by: pc.measured(phase), batch: pc.batch}
	if phase == "" {
		curves := curvesOf(m.st.sweep.done, 0, "")
		near := -1
		for i, k := range curves {
			if k.model == pc.model && (near < 0 || abs(k.batch-pc.batch) < abs(curves[near].batch-pc.batch)) {
				near = i
			}
		}
		if near >= 0 && (curves[near].batch == pc.batch || len(out.by) == 0) {
			out.batch = curves[near].batch
			for _, pt := range curves[near].points {
				if _, known := out.by[pt.requested]; !known {
					out.by[pt.requested] = pt.jpt
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

// box draws a framed, blank rectangle over the screen.
func box(c *canvas.Canvas, r canvas.Rect, title, right string) {
	c.Fill(r, theme.Default, ' ')
	for x := r.X + 1; x < r.X+r.W-1; x++ {
		c.Set(x, r.Y, theme.Accent, '─')
		c.Set(x, r.Y+r.H-1, theme.Accent, '─')
	}
	for y := r.Y + 1; y < r.Y+r.H-1; y++ {
		c.Set(r.X, y, theme.Accent, '│')
		c.Set(r.X+r.W-1, y, theme.Accent, '│')
	}
	for _, k := range []struct {
		x, y int
		r    rune
	}{{r.X, r.Y, '╭'}, {r.X + r.W - 1, r.Y, '╮'}, {r.X, r.Y + r.H - 1, '╰'}, {r.X + r.W - 1, r.Y + r.H - 1, '╯'}} {
		c.Set(k.x, k.y, theme.Accent, k.r)
	}
	c.TextMax(r.X+2, r.Y, r.W-4, theme.Title, " "+title+" ")
	if w := canvas.Width(right); right != "" && r.W > w+canvas.Width(title)+8 {
		c.Text(r.X+r.W-w-4, r.Y, theme.Muted, " "+right+" ")
	}
}
