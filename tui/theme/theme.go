// Package theme is the one place where the dashboard's colours stand: semantic
// styles, and what each looks like on dark, light, 16-colour and colourless
// terminals. Phases keep apart for the colour-blind: their colours are from
// Okabe and Ito's palette (jfly.uni-koeln.de/color), and a letter or line shape
// always stands beside them.
package theme

import (
	"cmp"
	"fmt"
	"image/color"

	"charm.land/lipgloss/v2"
	"github.com/charmbracelet/colorprofile"
	uv "github.com/charmbracelet/ultraviolet"
	"github.com/charmbracelet/x/ansi"

	"jouletop/tui/canvas"
)

// The styles.
const (
	Default canvas.Style = iota
	Muted                // labels, units, axes
	Faint                // borders, grid
	Strong               // figures that matter
	Title                // panel titles
	Accent               // what can be acted on: keys, the selected tab's number
	Tab
	TabActive
	Bar    // the status line
	BarDim // labels in it
	Good
	Warn
	Bad
	Sim     // the SIMULATED badge
	Armed   // the ARMED badge
	Select  // the selected row of a list
	Input   // text being typed
	Caret   // the cell the next letter goes to
	Meter   // the filled part of a gauge
	Request // requested clock
	Cursor  // the current clock on a curve
	Cliff   // the frequency cliff on a curve
	EDP     // the EDP optimum on a curve
	RunAt   // the clock to run at on a curve
	PhasePrefill
	PhaseDecode
	PhaseScore
	PhaseMixed
	PhaseIdle
	StripPrefill // the same as backgrounds
	StripDecode
	StripScore
	StripMixed
	StripIdle
	Curve1
	Curve2
	Curve3
	Curve4
	Curve5
	Curve6
	count
)

// Count is the number of styles.
const Count = int(count)

// Curves are the styles of the curves of a picture, in order.
var Curves = []canvas.Style{Curve1, Curve2, Curve3, Curve4, Curve5, Curve6}

// Name names a theme.
type Name string

// The themes.
const (
	Dark    Name = "dark"
	Light   Name = "light"
	Dark16  Name = "dark16"  // 16 colours on a dark ground
	Light16 Name = "light16" // 16 colours on a light ground
	Plain   Name = "plain"   // no colours at all
)

// Names lists the themes.
var Names = []Name{Dark, Light, Dark16, Light16, Plain}

// Theme gives the styles their looks.
type Theme struct {
	Name    Name
	styles  [count]lipgloss.Style
	palette canvas.Palette
}

// New returns the theme of that name, Dark for an unknown one.
func New(name Name) *Theme {
	t := &Theme{Name: name}
	switch name {
	case Light:
		t.styles = rgb(lightInk)
	case Dark16:
		t.styles = sixteen("0")
	case Light16:
		t.styles = sixteen("15")
	case Plain:
		t.styles = plain()
	default:
		t.Name = Dark
		t.styles = rgb(darkInk)
	}
	t.palette = t.In(colorprofile.TrueColor)
	return t
}

// Style is a style of the theme.
func (t *Theme) Style(s canvas.Style) lipgloss.Style {
	if int(s) >= len(t.styles) {
		return lipgloss.NewStyle()
	}
	return t.styles[s]
}

// Palette is the theme for a canvas.
func (t *Theme) Palette() canvas.Palette { return t.palette }

// In is the palette for a terminal that has the colours of profile.
func (t *Theme) In(profile colorprofile.Profile) canvas.Palette {
	return canvas.NewPalette(t.styles[:], profile)
}

// Ink returns a cell's colours as "#rrggbb", "" for the terminal's own, and
// whether it is bold; for pictures.
func (t *Theme) Ink(s uv.Style) (fg, bg string, bold bool) {
	fg, bg = t.pictured(s.Fg), t.pictured(s.Bg)
	if s.Attrs&uv.AttrReverse != 0 {
		ink, ground := t.Ground()
		fg, bg = cmp.Or(bg, ground), cmp.Or(fg, ink)
	}
	return fg, bg, s.Attrs&uv.AttrBold != 0
}

// What stands in pictures for a terminal's own 16 colours: each can be read on the
// theme's ground.
var (
	palette16Dark = [16]string{
		"#14161b", "#ff6b6b", "#5fd75f", "#e5c07b", "#7aa2f7", "#d98cd9", "#56c8d8", "#d7dae0",
		"#8b93a1", "#ff8f8f", "#8ae68a", "#f0e442", "#a8b0ff", "#eab0ea", "#8adfe9", "#ffffff",
	}
	palette16Light = [16]string{
		"#1f2430", "#b3261e", "#00703c", "#8a5a00", "#1f5fbf", "#9c3f8a", "#00687a", "#5b6472",
		"#6b7280", "#9a1f18", "#005c31", "#704900", "#184c99", "#7f3370", "#005463", "#ffffff",
	}
)

// pictured is a colour for a picture, where no terminal's palette is at hand.
func (t *Theme) pictured(c color.Color) string {
	if c == nil {
		return ""
	}
	n := -1
	switch c := c.(type) {
	case ansi.BasicColor:
		n = int(c)
	case ansi.IndexedColor:
		n = int(c)
	}
	switch {
	case n >= 0 && n < 16 && t.Name == Light16:
		return palette16Light[n]
	case n >= 0 && n < 16:
		return palette16Dark[n]
	}
	r, g, b, _ := c.RGBA()
	return fmt.Sprintf("#%02x%02x%02x", r>>8, g>>8, b>>8)
}

// Ground returns the colours of ordinary text and of the ground behind it, for
// pictures.
func (t *Theme) Ground() (fg, bg string) {
	if t.Name == Light || t.Name == Light16 {
		return "#1f2430", "#ffffff"
	}
	return "#d7dae0", "#14161b"
}

// PhaseStyle returns a phase's style for lines and letters by its letter
// (P, D, S, M; anything else is idle).
func PhaseStyle(letter byte) canvas.Style {
	switch letter {
	case 'P':
		return PhasePrefill
	case 'D':
		return PhaseDecode
	case 'S':
		return PhaseScore
	case 'M':
		return PhaseMixed
	}
	return PhaseIdle
}

// StripStyle is PhaseStyle for a filled cell.
func StripStyle(letter byte) canvas.Style {
	return PhaseStyle(letter) + StripPrefill - PhasePrefill
}

type ink struct {
	muted, faint, strong, accent, bar, barText, barDim, sel, meter string
	good, warn, bad, badge                                         string
	prefill, decode, score, mixed, idle                            string
	curves                                                         [6]string
}

var darkInk = ink{
	muted: "#8b93a1", faint: "#4a5160", strong: "#ffffff", accent: "#f0c674",
	bar: "#262b35", barText: "#e6e9ef", barDim: "#98a1b0", sel: "#37475f", meter: "#7f8fb0",
	good: "#5fd7a7", warn: "#ffb454", bad: "#ff6b6b", badge: "#14161b",
	prefill: "#e69f00", decode: "#56b4e9", score: "#2fc79a", mixed: "#d98cb9", idle: "#6b7280",
	curves: [6]string{"#56b4e9", "#e69f00", "#2fc79a", "#d98cb9", "#f0e442", "#a8b0ff"},
}

var lightInk = ink{
	muted: "#5b6472", faint: "#b4bac4", strong: "#000000", accent: "#8a5a00",
	bar: "#e4e8ee", barText: "#1f2430", barDim: "#5b6472", sel: "#cfe0f5", meter: "#7d8bab",
	good: "#00704f", warn: "#9a5200", bad: "#b3261e", badge: "#ffffff",
	prefill: "#a85f00", decode: "#0067a5", score: "#00745a", mixed: "#9c3f78", idle: "#7a818c",
	curves: [6]string{"#0067a5", "#a85f00", "#00745a", "#9c3f78", "#6b6500", "#4b4fb8"},
}

// in is text in a colour, "#rrggbb" or the number of one of the terminal's own; ""
// is the terminal's colour of text.
func in(c string) lipgloss.Style { return lipgloss.NewStyle().Foreground(lipgloss.Color(c)) }

// on is text in a colour on the ground of another.
func on(c, ground string) lipgloss.Style { return in(c).Background(lipgloss.Color(ground)) }

func rgb(k ink) [count]lipgloss.Style {
	t := [count]lipgloss.Style{
		Muted:        in(k.muted),
		Faint:        in(k.faint),
		Strong:       in(k.strong).Bold(true),
		Title:        in(k.strong).Bold(true),
		Accent:       in(k.accent),
		Tab:          on(k.barDim, k.bar),
		TabActive:    on(k.badge, k.decode).Bold(true),
		Bar:          on(k.barText, k.bar),
		BarDim:       on(k.barDim, k.bar),
		Good:         in(k.good),
		Warn:         in(k.warn),
		Bad:          in(k.bad).Bold(true),
		Sim:          on(k.badge, k.mixed).Bold(true),
		Armed:        on(k.badge, k.warn).Bold(true),
		Select:       on(k.strong, k.sel).Bold(true),
		Input:        on(k.strong, k.sel),
		Caret:        on(k.badge, k.accent),
		Request:      in(k.muted),
		Meter:        in(k.meter),
		Cursor:       in(k.accent).Bold(true),
		Cliff:        in(k.bad),
		EDP:          in(k.good),
		RunAt:        in(k.good).Bold(true),
		PhasePrefill: in(k.prefill),
		PhaseDecode:  in(k.decode),
		PhaseScore:   in(k.score),
		PhaseMixed:   in(k.mixed),
		PhaseIdle:    in(k.idle),
		StripPrefill: on(k.badge, k.prefill),
		StripDecode:  on(k.badge, k.decode),
		StripScore:   on(k.badge, k.score),
		StripMixed:   on(k.badge, k.mixed),
		StripIdle:    in(k.idle),
	}
	for i, c := range k.curves {
		t[int(Curve1)+i] = in(c)
	}
	return t
}

// sixteen uses the terminal's own palette; ground is its colour behind text.
func sixteen(ground string) [count]lipgloss.Style {
	k := ink{
		muted: "", faint: "8", strong: "", accent: "3", sel: "", meter: "4", good: "2", warn: "3", bad: "1",
		prefill: "3", decode: "6", score: "2", mixed: "5", idle: "8",
		curves: [6]string{"6", "3", "2", "5", "4", "1"}, badge: ground,
	}
	t, own := rgb(k), lipgloss.NewStyle()
	t[Tab], t[Bar], t[BarDim] = own, own.Reverse(true), own.Reverse(true)
	t[TabActive], t[Select] = own.Reverse(true).Bold(true), own.Reverse(true)
	t[Input], t[Caret] = own.Underline(true), own.Reverse(true)
	return t
}

func plain() [count]lipgloss.Style {
	own := lipgloss.NewStyle()
	return [count]lipgloss.Style{
		Muted: own, Faint: own.Faint(true), Strong: own.Bold(true), Title: own.Bold(true), Accent: own.Bold(true),
		TabActive: own.Reverse(true).Bold(true), Bar: own.Reverse(true), BarDim: own.Reverse(true),
		Warn: own.Bold(true), Bad: own.Bold(true).Underline(true), Sim: own.Reverse(true).Bold(true),
		Armed: own.Reverse(true).Bold(true), Select: own.Reverse(true), Input: own.Underline(true),
		Caret: own.Reverse(true), Cursor: own.Bold(true), EDP: own, RunAt: own.Bold(true),
	}
}
