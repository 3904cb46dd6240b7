package tui

import (
	"slices"

	"charm.land/bubbles/v2/key"

	"jouletop/tui/canvas"
	"jouletop/tui/draw"
	"jouletop/tui/panel"
	"jouletop/tui/theme"
	"jouletop/tui/view"
)

// resize takes the terminal's size.
func (m *Model) resize(w, h int) {
	m.w, m.h = w, h
	m.Frame.Forget()
	m.layout()
}

// layout computes where the page stands: between the tabs above and the status and
// keys below, and left of the knob panel, which covers nothing.
func (m *Model) layout() {
	m.Size = view.SizeOf(m.w, m.h)
	m.Body = canvas.Rect{Y: 1, W: m.w, H: max(m.h-3, 0)}
	_, m.Body = view.Cut(m.Body, m.noticing)
	m.Panel = slices.ContainsFunc(m.panels, func(p panel.Panel) bool {
		_, clock := p.(*panel.Knobs)
		return clock
	})
	if m.Panel {
		m.Body.W = max(m.w-panel.KnobsWidth(m.Size, m.w)-1, 0)
	}
	m.dirty = true
}

// render draws the frame.
func (m *Model) render() {
	b := bars{m.Context, m.names, m.at}
	told := b.notice(m.w)
	if m.noticing != len(told) {
		m.noticing = len(told)
		m.layout()
	}
	m.Frame.Begin(m.w, m.h)
	defer m.Frame.End()
	if m.Size == view.TooSmall {
		b.drawTooSmall()
		return
	}
	noted := b.drawTabs(m.th.Name == theme.Plain, func(i int) { m.at = i })
	if len(told) > 0 {
		b.drawNotice(told, func() { m.Seen = m.State.Noticed })
	}
	m.page().Draw()
	b.drawStatus()
	b.drawKeys(m.lastLine(), noted)
	for i, p := range m.panels {
		p.Draw("panel" + draw.Int(i))
	}
	b.drawAlarm()
}

// lastLine is a question, a message, or the keys of the page.
func (m *Model) lastLine() lastLine {
	switch {
	case m.asking:
		return lastLine{text: "A run is going. End it after the running batch?  " + m.Label(m.Keys.Quit) + " yes   Esc no", style: theme.Warn}
	case m.Leaving:
		return lastLine{text: "Ending after the running batch; everything is saved.  Ctrl+C leaves at once", style: theme.Warn}
	case m.message.bad && m.message.text != "":
		return lastLine{text: m.message.text, style: theme.Bad}
	case m.message.text != "":
		return lastLine{text: m.message.text, style: theme.Good}
	}
	line := lastLine{}
	if typing(m.panels, m.page()) {
		for _, k := range m.hints() {
			line.keys = append(line.keys, k.Short())
		}
		line.ends = []key.Binding{m.Keys.Interrupt.Short()}
		return line
	}
	for _, k := range m.hints() {
		line.keys = append(line.keys, m.Bindings.Shown(k).Short())
	}
	quit := m.Bindings.Shown(m.Keys.Quit)
	if n := len(m.panels); n > 0 {
		if _, help := m.panels[n-1].(*panel.Help); help {
			quit = quit.As(quit.Help().Key, "close help") // as in a pager
		}
	}
	line.ends = []key.Binding{m.Bindings.Shown(m.Keys.Help).Short(), quit.Short()}
	return line
}
