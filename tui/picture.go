package tui

import (
	"fmt"
	"io"
	"strings"

	tea "charm.land/bubbletea/v2"

	"jouletop/engine/event"
	"jouletop/tui/shot"
	"jouletop/tui/theme"
	"jouletop/tui/view"
)

// Picture says what a picture of the dashboard shows.
type Picture struct {
	Screen string // live, curves, sweep, compare, workload, session or rows; empty: live
	W, H   int    // columns and rows; 0: 120×40
	Theme  theme.Name
	// Press are keys that are pressed before, as tea.KeyPressMsg.String has them.
	Press []string
}

// pictureNotices is how long before its moment a picture's notices lie, ns: nobody waits
// to see the others, and they would take rows from what the picture is of.
const pictureNotices = 10_000_000_000

// DrawPicture draws the screen as it stands after events as an SVG: the README's
// picture. Status and what a screen asks for come from o.Controller, where there
// is one; o.Source is not read. Of what is told over the page it has what came in the last
// 10 s; Esc among p.Press leaves that out too.
func DrawPicture(w io.Writer, o Options, events []event.Event, p Picture) error {
	if p.W == 0 && p.H == 0 {
		p.W, p.H = 120, 40
	}
	if o.Theme = p.Theme; o.Theme == "" {
		o.Theme = theme.Dark
	}
	m := New(o)
	m.untimed = true
	at, err := pageNamed(m.names, p.Screen)
	if err != nil {
		return err
	}
	m.resize(p.W, p.H)
	if m.Size == view.TooSmall {
		return fmt.Errorf("picture of %d×%d: the dashboard needs at least %d×%d", p.W, p.H, view.MinWidth, view.MinHeight)
	}
	m.Apply(events...)
	m.Seen = m.State.Noticed - m.State.NoticedSince(m.State.Now-pictureNotices)
	if c := o.Controller; c != nil {
		m.Status = c.Status()
	}
	settle(m, m.open(at))
	for _, name := range p.Press {
		msg, err := view.ParseAnyPress(name)
		if err != nil {
			return err
		}
		_, ask := m.Update(msg)
		settle(m, ask)
	}
	if m.broken != nil {
		return m.broken
	}
	return shot.SVG(w, m.Canvas(), m.Theme(), m.Title())
}

// settle runs a command, and those that come of it, to their end.
func settle(m *Model, ask tea.Cmd) {
	if ask == nil {
		return
	}
	switch msg := ask().(type) {
	case nil, tea.QuitMsg:
	case tea.BatchMsg:
		for _, one := range msg {
			settle(m, one)
		}
	default:
		_, next := m.Update(msg)
		settle(m, next)
	}
}

// pageNamed returns the number of the page of that name, the first for "".
func pageNamed(names []string, name string) (int, error) {
	for i, n := range names {
		if name == "" || strings.EqualFold(n, name) {
			return i, nil
		}
	}
	return 0, fmt.Errorf("no screen %q: %s", name, strings.ToLower(strings.Join(names, ", ")))
}
