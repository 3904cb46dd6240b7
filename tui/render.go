package tui

import (
	"strings"

	"jouletop/tui/canvas"
	"jouletop/tui/theme"
)

// panel is a part of the screen on a canvas of its own, drawn again only when
// its key changes.
type panel struct {
	c   *canvas.Canvas
	key any
}

// hit is a place that can be clicked.
type hit struct {
	r  canvas.Rect
	do func() // changes the model; nil closes nothing
}

// place draws the named panel into r: by draw where key (a comparable value that
// stands for all that draw reads) or the size has changed, else from what was
// drawn before.
func (m *Model) place(name string, r canvas.Rect, key any, draw func(c *canvas.Canvas)) {
	if r.W <= 0 || r.H <= 0 {
		return
	}
	p := m.panels[name]
	if p == nil {
		p = &panel{c: canvas.New(0, 0)}
		m.panels[name] = p
	}
	if p.key != key || p.c.W != r.W || p.c.H != r.H {
		p.c.Reset(r.W, r.H)
		p.key = key
		m.draws++
		draw(p.c)
	}
	m.frame.Copy(r.X, r.Y, p.c)
}

// render draws the frame.
func (m *Model) render() {
	m.frame, m.previous = m.previous, m.frame
	m.frame.Reset(m.lay.w, m.lay.h)
	m.hits = m.hits[:0]
	if m.lay.class == tooSmall {
		m.drawTooSmall()
	} else {
		m.drawTabs()
		m.drawScreen()
		m.drawStatus()
		m.drawKeys()
		m.drawOverlays()
		m.drawAlarm()
	}
}

// write writes the rows of the frame that changed as text.
func (m *Model) write() {
	same := len(m.lines) == m.lay.h
	if !same {
		m.lines = make([]string, m.lay.h)
	}
	changed := !same
	for y := range m.lines {
		if same && m.frame.SameRow(m.previous, y) {
			continue
		}
		line := m.frame.Line(y, m.th.SGR)
		changed = changed || line != m.lines[y]
		m.lines[y] = line
	}
	if changed {
		m.content = strings.Join(m.lines, "\n")
	}
}

func (m *Model) drawTooSmall() {
	text := []string{
		"jouletop needs a terminal of at least " + fmtInt(minWidth) + "×" + fmtInt(minHeight) + ";",
		"this one is " + fmtInt(m.lay.w) + "×" + fmtInt(m.lay.h) + ".",
	}
	y := 0
	for _, t := range text {
		for _, l := range canvas.Wrap(t, m.lay.w, 0) {
			m.frame.Text(0, y, theme.Default, l)
			y++
		}
	}
}

func (m *Model) drawScreen() {
	switch m.tab {
	case screenLive:
		m.drawLive()
	case screenCurves:
		m.drawCurves()
	case screenSweep:
		m.drawSweep()
	case screenCompare:
		m.drawCompare()
	case screenWorkload:
		m.drawWorkload()
	case screenSession:
		m.drawSession()
	}
}

// drawAlarm draws what must be seen, over the first row of the screen.
func (m *Model) drawAlarm() {
	text := m.status.Alarm
	if text == "" {
		return
	}
	r := canvas.Rect{Y: m.lay.body.Y, W: m.lay.w, H: 1}
	m.frame.Fill(r, theme.Armed, ' ')
	m.frame.TextMax(1, r.Y, r.W-2, theme.Armed, text)
}

func (m *Model) drawOverlays() {
	switch {
	case m.helping:
		m.drawHelp()
	case m.form != nil:
		m.drawForm()
	case m.panel != nil:
		m.drawClockPanel()
	}
}

// drawTabs draws the top line: the screens, and what is being looked at.
func (m *Model) drawTabs() {
	r := m.lay.tabs
	c := m.frame
	c.Fill(r, theme.Tab, ' ')
	x := 0
	if m.lay.class != compact {
		x = c.Text(1, r.Y, theme.Bar, "jouletop") + 2
	}
	for i := range screens {
		name := m.keys.screens[i].Help().Desc
		text := " " + fmtInt(int(i)+1) + " " + name + " "
		s := theme.Tab
		if i == m.tab {
			s = theme.TabActive
			if m.th.Name == theme.Plain {
				text = "[" + strings.TrimSpace(text) + "]"
			}
		}
		end := c.Text(x, r.Y, s, text)
		to := i
		m.hits = append(m.hits, hit{canvas.Rect{X: x, Y: r.Y, W: end - x, H: 1}, func() { m.show(to) }})
		x = end
	}
	right := r.W
	if m.simulated() {
		right -= 11
		c.Text(right, r.Y, theme.Sim, " SIMULATED ")
	}
	m.noteShown = false
	note, s := m.tabNote()
	if w := canvas.Width(note); w > 0 && right-w-1 > x {
		c.Text(right-w-1, r.Y, s, note)
		m.noteShown = true
	}
}

// tabNote is what stands before the mark on the top line, or, where there is no
// room, at the end of the last.
func (m *Model) tabNote() (string, canvas.Style) {
	switch {
	case m.status.Replay != nil:
		p := m.status.Replay
		speed := "held"
		if p.Speed > 0 {
			speed = fmtFloat(p.Speed, 0) + "x"
		}
		return "REPLAY " + speed + " " + fmtClock(p.AtNS-p.StartNS) + " of " + fmtClock(p.EndNS-p.StartNS), theme.Bar
	case m.pic.frozen:
		return "FROZEN at " + fmtClock(m.pic.end-m.st.startNS) + " (Space goes on)", theme.Armed
	case m.status.Paused || m.st.status == "paused":
		return "RUN PAUSED (z resumes)", theme.Armed
	case m.st.status == "stopping" || m.leaving:
		return "STOPPING after this batch", theme.Armed
	case m.opt.Mode == Monitor:
		return "MONITOR: watching only", theme.Bar
	case m.opt.Caveat != "" && m.lay.class != compact:
		return m.opt.Caveat, theme.BarDim
	}
	return "", theme.Bar
}

// heading draws a titled rule in the first row of c.
func heading(c *canvas.Canvas, y int, title, right string) int {
	for x := range c.W {
		c.Set(x, y, theme.Faint, '─')
	}
	x := c.TextMax(1, y, c.W-2, theme.Title, " "+title+" ")
	if w := canvas.Width(right); right != "" && x+w+3 < c.W {
		c.Text(c.W-w-3, y, theme.Muted, " "+right+" ")
	}
	return y + 1
}

// metric draws a figure: label left, value right-aligned before its unit, so
// that a number changing its length moves nothing.
func metric(c *canvas.Canvas, y int, label, value, unit string, s canvas.Style) {
	const unitWidth = 8
	c.TextMax(0, y, c.W, theme.Muted, label)
	at := c.W - unitWidth
	c.Right(at, y, s, " "+value)
	c.TextMax(at+1, y, unitWidth-1, theme.Muted, unit)
}

// gauge draws a bar of w cells filled to share (0 to 1).
func gauge(c *canvas.Canvas, x, y, w int, share float64, s canvas.Style) {
	share = min(max(share, 0), 1)
	eighths := int(share*float64(w)*8 + 0.5)
	for i := range w {
		fill := min(max(eighths-i*8, 0), 8)
		switch {
		case fill == 8:
			c.Set(x+i, y, s, '█')
		case fill > 0:
			c.Set(x+i, y, s, []rune("▏▎▍▌▋▊▉")[fill-1])
		default:
			c.Set(x+i, y, theme.Faint, '░')
		}
	}
}
