package tui

import (
	"fmt"
	"io"
	"strings"

	"jouletop/engine/event"
	"jouletop/tui/shot"
	"jouletop/tui/theme"
	"jouletop/tui/view"
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
	at, err := pageNamed(m.names, p.Screen)
	if err != nil {
		return err
	}
	m.resize(p.W, p.H)
	if m.Size == view.TooSmall {
		return fmt.Errorf("picture of %d×%d: the dashboard needs at least %d×%d", p.W, p.H, view.MinWidth, view.MinHeight)
	}
	m.Apply(events...)
	if c := o.Controller; c != nil {
		m.Status = c.Status()
	}
	if ask := m.open(at); ask != nil {
		m.Update(ask())
	}
	return shot.SVG(w, m.Canvas(), m.Theme(), m.Title())
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
