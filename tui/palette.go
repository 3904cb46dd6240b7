package tui

import (
	"cmp"
	"slices"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/colorprofile"

	"jouletop/tui/theme"
)

// palette is what the terminal says of its colours.
type palette struct {
	dark    bool
	profile colorprofile.Profile
	fixed   theme.Name // chosen by the operator or the options
}

func (p palette) theme() theme.Name { return cmp.Or(p.fixed, p.terminals()) }

// terminals is the theme that the terminal asks for.
func (p palette) terminals() theme.Name {
	switch {
	case p.profile <= colorprofile.ASCII && p.profile != colorprofile.Unknown:
		return theme.Plain
	case p.profile == colorprofile.ANSI && p.dark:
		return theme.Dark16
	case p.profile == colorprofile.ANSI:
		return theme.Light16
	case p.dark:
		return theme.Dark
	}
	return theme.Light
}

func newPalette(fixed theme.Name) palette {
	return palette{dark: true, profile: colorprofile.TrueColor, fixed: fixed}
}

func (m *Model) setTheme() {
	m.th = theme.New(m.pal.theme())
	m.Frame.Ink(m.th.In(m.pal.profile))
	m.dirty = true
}

// nextTheme goes on to the next theme, and names it. The one that the terminal asks for
// goes by the terminal again.
func (m *Model) nextTheme() tea.Cmd {
	i := slices.Index(theme.Names, m.th.Name)
	next, said := theme.Names[(i+1)%len(theme.Names)], ""
	if next == m.pal.terminals() {
		next, said = "", ", as the terminal asks for"
	}
	m.SetTheme(next)
	m.keeper.choose(themeKept, string(next))
	return m.say("theme: "+string(m.th.Name)+said, false)
}

// SetTheme takes a theme whatever the terminal says; "" goes by it.
func (m *Model) SetTheme(name theme.Name) {
	m.pal.fixed = name
	m.setTheme()
}

// Theme returns the theme in force.
func (m *Model) Theme() *theme.Theme { return m.th }
