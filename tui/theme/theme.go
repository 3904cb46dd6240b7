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
	"strconv"
	"strings"

	"github.com/charmbracelet/colorprofile"
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

// look is what a style looks like: colours as "#rrggbb", or "0" to "15" on a
// terminal of 16 colours; empty for the terminal's own.
type look struct {
	fg, bg                     string
	bold, dim, under, inverted bool
}

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
	Name  Name
	looks [count]look
	sgr   [count]string
}

// New returns the theme of that name, Dark for an unknown one.
func New(name Name) *Theme {
	t := &Theme{Name: name}
	switch name {
	case Light:
		t.looks = rgb(lightInk)
	case Dark16:
		t.looks = sixteen("0")
	case Light16:
		t.looks = sixteen("15")
	case Plain:
		t.looks = plain()
	default:
		t.Name = Dark
		t.looks = rgb(darkInk)
	}
	for i, l := range t.looks {
		t.sgr[i] = l.sgr(false)
	}
	return t
}

// Indexed returns the theme for a terminal of 256 colours: each colour is the
// nearest of its palette.
func (t *Theme) Indexed() *Theme {
	u := *t
	for i, l := range u.looks {
		u.sgr[i] = l.sgr(true)
	}
	return &u
}

// SGR returns the escape sequence that starts a style; it assumes that none is
// in force.
func (t *Theme) SGR(s canvas.Style) string {
	if int(s) >= len(t.sgr) {
		return ""
	}
	return t.sgr[s]
}

// Ink returns a style's colours as "#rrggbb", "" for the terminal's own, and
// whether it is bold; for pictures.
func (t *Theme) Ink(s canvas.Style) (fg, bg string, bold bool) {
	if int(s) >= len(t.looks) {
		return "", "", false
	}
	l := t.looks[s]
	fg, bg = t.pictured(l.fg), t.pictured(l.bg)
	if l.inverted {
		ink, ground := t.Ground()
		fg, bg = cmp.Or(bg, ground), cmp.Or(fg, ink)
	}
	return fg, bg, l.bold
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
func (t *Theme) pictured(c string) string {
	n, err := strconv.Atoi(c)
	switch {
	case err != nil || n < 0 || n > 15:
		return c
	case t.Name == Light16:
		return palette16Light[n]
	}
	return palette16Dark[n]
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

func rgb(k ink) [count]look {
	t := [count]look{
		Muted:        {fg: k.muted},
		Faint:        {fg: k.faint},
		Strong:       {fg: k.strong, bold: true},
		Title:        {fg: k.strong, bold: true},
		Accent:       {fg: k.accent},
		Tab:          {fg: k.barDim, bg: k.bar},
		TabActive:    {fg: k.badge, bg: k.decode, bold: true},
		Bar:          {fg: k.barText, bg: k.bar},
		BarDim:       {fg: k.barDim, bg: k.bar},
		Good:         {fg: k.good},
		Warn:         {fg: k.warn},
		Bad:          {fg: k.bad, bold: true},
		Sim:          {fg: k.badge, bg: k.mixed, bold: true},
		Armed:        {fg: k.badge, bg: k.warn, bold: true},
		Select:       {fg: k.strong, bg: k.sel, bold: true},
		Input:        {fg: k.strong, bg: k.sel},
		Caret:        {fg: k.badge, bg: k.accent},
		Request:      {fg: k.muted},
		Meter:        {fg: k.meter},
		Cursor:       {fg: k.accent, bold: true},
		Cliff:        {fg: k.bad},
		EDP:          {fg: k.good, bold: true},
		PhasePrefill: {fg: k.prefill},
		PhaseDecode:  {fg: k.decode},
		PhaseScore:   {fg: k.score},
		PhaseMixed:   {fg: k.mixed},
		PhaseIdle:    {fg: k.idle},
		StripPrefill: {fg: k.badge, bg: k.prefill},
		StripDecode:  {fg: k.badge, bg: k.decode},
		StripScore:   {fg: k.badge, bg: k.score},
		StripMixed:   {fg: k.badge, bg: k.mixed},
		StripIdle:    {fg: k.idle},
	}
	for i, c := range k.curves {
		t[int(Curve1)+i] = look{fg: c}
	}
	return t
}

// sixteen uses the terminal's own palette; ground is its colour behind text.
func sixteen(ground string) [count]look {
	k := ink{
		muted: "", faint: "8", strong: "", accent: "3", sel: "", meter: "4", good: "2", warn: "3", bad: "1",
		prefill: "3", decode: "6", score: "2", mixed: "5", idle: "8",
		curves: [6]string{"6", "3", "2", "5", "4", "1"}, badge: ground,
	}
	t := rgb(k)
	t[Tab], t[Bar], t[BarDim] = look{}, look{inverted: true}, look{inverted: true}
	t[TabActive], t[Select] = look{inverted: true, bold: true}, look{inverted: true}
	t[Input], t[Caret] = look{under: true}, look{inverted: true}
	return t
}

func plain() [count]look {
	return [count]look{
		Muted: {}, Faint: {dim: true}, Strong: {bold: true}, Title: {bold: true}, Accent: {bold: true},
		TabActive: {inverted: true, bold: true}, Bar: {inverted: true}, BarDim: {inverted: true},
		Warn: {bold: true}, Bad: {bold: true, under: true}, Sim: {inverted: true, bold: true},
		Armed: {inverted: true, bold: true}, Select: {inverted: true}, Input: {under: true},
		Caret: {inverted: true}, Cursor: {bold: true}, EDP: {bold: true},
	}
}

func (l look) sgr(indexed bool) string {
	var p []string
	for _, a := range []struct {
		on   bool
		code string
	}{{l.bold, "1"}, {l.dim, "2"}, {l.under, "4"}, {l.inverted, "7"}} {
		if a.on {
			p = append(p, a.code)
		}
	}
	p = append(p, colour(l.fg, 30, indexed)...)
	p = append(p, colour(l.bg, 40, indexed)...)
	if len(p) == 0 {
		return ""
	}
	return "\x1b[" + strings.Join(p, ";") + "m"
}

// colour returns the parameters that set c; base is 30 for the foreground, 40
// for the background; indexed gives the nearest colour of the 256.
func colour(c string, base int, indexed bool) []string {
	if c == "" {
		return nil
	}
	var r, g, b int
	if n, _ := fmt.Sscanf(c, "#%02x%02x%02x", &r, &g, &b); n == 3 {
		if indexed {
			near := colorprofile.ANSI256.Convert(color.RGBA{R: uint8(r), G: uint8(g), B: uint8(b), A: 255})
			if i, ok := near.(ansi.IndexedColor); ok {
				return []string{fmt.Sprintf("%d;5;%d", base+8, i)}
			}
		}
		return []string{fmt.Sprintf("%d;2;%d;%d;%d", base+8, r, g, b)}
	}
	var n int
	if _, err := fmt.Sscanf(c, "%d", &n); err != nil {
		return nil
	}
	if n >= 8 {
		n += 60 - 8
	}
	return []string{fmt.Sprint(base + n)}
}
