package tui

import (
	"strings"

	"jouletop/tui/canvas"
	"jouletop/tui/theme"
)

// drawStatus draws the status line, the same on every screen.
func (m *Model) drawStatus() {
	type key struct {
		slow   int64
		v      versions
		armed  string
		policy string
		gpu    string
	}
	m.place("status", m.lay.status, key{m.slow(), m.st.ver, m.armText(), m.policy(), m.gpuID()}, func(c *canvas.Canvas) {
		m.statusLine(c)
	})
}

func (m *Model) statusLine(c *canvas.Canvas) {
	short, labels := m.lay.class == compact, m.lay.class == wide
	c.Fill(canvas.Rect{W: c.W, H: 1}, theme.Bar, ' ')
	id := m.gpuID()
	t := m.st.gpu(id)
	w := &m.st.work
	x := 0
	if m.simulated() {
		x = c.Text(x, 0, theme.Sim, " SIMULATED ")
	}
	put := func(label, text string, width int) {
		if label != "" && labels {
			x = c.Text(x+1, 0, theme.BarDim, label)
		}
		x = c.Text(x+1, 0, theme.Bar, pad(text, width))
	}
	gpuName := id
	if short && m.simulated() {
		gpuName = strings.TrimPrefix(id, "sim:")
	}
	if gpuName == "" {
		gpuName = "no GPU"
	}
	if n := len(m.st.gpus); n > 1 {
		gpuName += " +" + fmtInt(n-1)
	}
	powerW := m.st.powerW()
	put("", gpuName, 0)
	policy := m.policy()
	if limit := pick(m.lay.class, 15, 24, 40); canvas.Width(policy) > limit {
		policy = string([]rune(policy)[:limit-1]) + "…"
	}
	put("policy", policy, 0)
	mhz := pad(fmtMHz(t.requested), 4) + "→" + pad(fmtMHz(t.sample.SMMHz), 4)
	jpt := pad(fmtSig(m.st.reqs.jpt()), 6)
	if short {
		put("", mhz+"MHz", 11)
		put("", fmtFloat(powerW, 0)+"W", 5)
		put("", jpt+"J/t", 9)
	} else {
		put("clock", mhz+" MHz", 13)
		put("power", fmtFloat(powerW, 1)+" W", 8)
		put("energy", jpt+" J/token", 14)
	}
	l := w.letter()
	phase, name := string(l), "idle"
	style := theme.Bar
	if l != '-' {
		style, name = theme.StripStyle(l), phaseNames[phaseIndex(w.phase.Phase)]
	}
	if !short {
		phase += " " + pad(name, -7)
	}
	if labels {
		x = c.Text(x+1, 0, theme.BarDim, "phase")
	}
	x = c.Text(x+1, 0, style, " "+phase+" ")
	put("", fmtClock(m.st.elapsed()), 7)
	arm := " " + m.armText() + " "
	style = theme.BarDim
	if m.status.Armed {
		style = theme.Armed
	}
	c.Right(c.W, 0, style, arm)
}

// policy is the policy in force.
func (m *Model) policy() string {
	switch {
	case m.status.Policy != "":
		return m.status.Policy
	case m.st.work.point.Policy != "":
		return m.st.work.point.Policy
	case m.st.run.Policy != "":
		return m.st.run.Policy
	}
	return "none"
}

func (m *Model) armText() string {
	switch {
	case m.opt.Mode == Monitor || m.opt.Mode == Playback || m.status.ReadOnly:
		return "read-only"
	case m.status.Armed:
		return "ARMED"
	}
	return "not armed"
}

// drawKeys draws the last line: a question, a message, or the keys of the
// screen.
func (m *Model) drawKeys() {
	r := m.lay.keys
	c := m.frame
	switch {
	case m.line != nil:
		m.line.draw(c, r)
		return
	case m.asking:
		c.TextMax(0, r.Y, r.W, theme.Warn, "A run is going. End it after the running batch?  q yes   Esc no")
		return
	case m.leaving:
		c.TextMax(0, r.Y, r.W, theme.Warn, "Ending after the running batch; everything is saved.  Ctrl+C leaves at once")
		return
	case m.message.text != "":
		s := theme.Good
		if m.message.bad {
			s = theme.Bad
		}
		c.TextMax(0, r.Y, r.W, s, m.message.text)
		return
	}
	x, end := 1, r.W
	if note, s := m.tabNote(); note != "" && !m.noteShown {
		end -= canvas.Width(note) + 1
		c.Text(end, r.Y, s, note)
	}
	for _, b := range m.hints() {
		h := b.Help()
		word := hintWord(h.Desc)
		if x+canvas.Width(h.Key)+canvas.Width(word)+3 > end {
			break
		}
		x = c.Text(x, r.Y, theme.Accent, h.Key)
		x = c.Text(x+1, r.Y, theme.Muted, word) + 2
	}
}
