package tui

import (
	"fmt"
	"io"
	"strings"

	"jouletop/engine/event"
	"jouletop/tui/shot"
	"jouletop/tui/theme"
)

// Picture says what a picture of the dashboard shows.
type Picture struct {
	Screen string // live, curves, sweep, compare, workload or session; empty: live
	W, H   int    // columns and rows; 0: 120×40
	Theme  theme.Name
}

// DrawPicture draws the screen as it stands after events as an SVG: the README's
// picture. Status and what a screen asks for come from o.Controller, where there
// is one; o.Source is not read.
func DrawPicture(w io.Writer, o Options, events []event.Event, p Picture) error {
	if p.W == 0 && p.H == 0 {
		p.W, p.H = 120, 40
	}
	if o.Theme = p.Theme; o.Theme == "" {
		o.Theme = theme.Dark
	}
	m := New(o)
	at, err := m.tabNamed(p.Screen)
	if err != nil {
		return err
	}
	m.resize(p.W, p.H)
	if m.lay.class == tooSmall {
		return fmt.Errorf("picture of %d×%d: the dashboard needs at least %d×%d", p.W, p.H, minWidth, minHeight)
	}
	m.Apply(events...)
	m.show(at)
	if c := o.Controller; c != nil {
		m.status = c.Status()
		switch at {
		case screenWorkload:
			data, err := c.Workload()
			if err != nil {
				return fmt.Errorf("picture of the workload: %w", err)
			}
			m.workload.take(workloadMsg{data: data})
		case screenSession:
			list, err := c.Sessions()
			if err != nil {
				return fmt.Errorf("picture of the session: %w", err)
			}
			m.sessions.take(m, sessionsMsg{list: list})
		}
	}
	return shot.SVG(w, m.Canvas(), m.Theme(), m.title())
}

// tabNamed returns the screen of that name.
func (m *Model) tabNamed(name string) (tab, error) {
	if name == "" {
		return screenLive, nil
	}
	var names []string
	for i := range screens {
		n := strings.ToLower(m.keys.screens[i].Help().Desc)
		if n == strings.ToLower(name) {
			return i, nil
		}
		names = append(names, n)
	}
	return 0, fmt.Errorf("no screen %q: %s", name, strings.Join(names, ", "))
}
