package canvas

import (
	"image/color"
	"unique"

	"charm.land/lipgloss/v2"
	"github.com/charmbracelet/colorprofile"
	uv "github.com/charmbracelet/ultraviolet"
	"github.com/charmbracelet/x/ansi"
)

// Style numbers a style of a palette; 0 is the terminal's own.
type Style uint16

// Palette is what the styles look like, by their numbers. A style that it lacks
// looks like the terminal's own; the zero value has none.
type Palette struct {
	styles []lipgloss.Style
	looks  []look
}

// NewPalette returns the palette of styles for a terminal that has the colours of
// profile.
func NewPalette(styles []lipgloss.Style, profile colorprofile.Profile) Palette {
	switch profile {
	case colorprofile.Unknown:
		profile = colorprofile.TrueColor
	case colorprofile.NoTTY:
		profile = colorprofile.ASCII
	}
	p := Palette{make([]lipgloss.Style, len(styles)), make([]look, len(styles))}
	for i, s := range styles {
		u := uv.ConvertStyle(cellStyle(s), profile)
		p.looks[i] = unique.Make(u)
		p.styles[i] = s.Foreground(u.Fg).Background(u.Bg)
	}
	return p
}

func (p Palette) style(s Style) lipgloss.Style {
	if int(s) >= len(p.styles) {
		return lipgloss.NewStyle()
	}
	return p.styles[s]
}

// Cell is what a style looks like in a cell.
func (p Palette) Cell(s Style) uv.Style { return p.look(s).Value() }

func (p Palette) look(s Style) look {
	if int(s) >= len(p.looks) {
		return plain
	}
	return p.looks[s]
}

// cellStyle is a style for cells.
func cellStyle(s lipgloss.Style) uv.Style {
	own := func(c color.Color) color.Color {
		if _, none := c.(lipgloss.NoColor); none {
			return nil
		}
		return c
	}
	u := uv.Style{Fg: own(s.GetForeground()), Bg: own(s.GetBackground())}
	for _, a := range []struct {
		on   bool
		attr uint8
	}{{s.GetBold(), uv.AttrBold}, {s.GetFaint(), uv.AttrFaint}, {s.GetReverse(), uv.AttrReverse}} {
		if a.on {
			u.Attrs |= a.attr
		}
	}
	if s.GetUnderline() {
		u.Underline = ansi.UnderlineSingle
	}
	return u
}
