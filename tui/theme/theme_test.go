package theme_test

import (
	"math"
	"strings"
	"testing"

	"github.com/charmbracelet/colorprofile"

	"jouletop/tui/canvas"
	"jouletop/tui/theme"
)

// luminance is WCAG 2's relative luminance of "#rrggbb".
func luminance(c string) float64 {
	var l float64
	for i, w := range []float64{0.2126, 0.7152, 0.0722} {
		hex := c[1+2*i : 3+2*i]
		v := 0.0
		for _, d := range hex {
			v = v*16 + float64(strings.IndexRune("0123456789abcdef", d))
		}
		if v /= 255; v <= 0.04045 {
			v /= 12.92
		} else {
			v = math.Pow((v+0.055)/1.055, 2.4)
		}
		l += w * v
	}
	return l
}

func contrast(a, b string) float64 {
	x, y := luminance(a), luminance(b)
	return (max(x, y) + 0.05) / (min(x, y) + 0.05)
}

// Text can be read on its ground: WCAG 2 asks 4.5 of text and 3 of graphics.
func TestContrast(t *testing.T) {
	graphics := map[canvas.Style]bool{theme.Faint: true, theme.Meter: true, theme.PhaseIdle: true, theme.StripIdle: true}
	for _, name := range []theme.Name{theme.Dark, theme.Light, theme.Dark16, theme.Light16, theme.Plain} {
		th := theme.New(name)
		fg0, bg0 := th.Ground()
		for s := range canvas.Style(theme.Count) {
			fg, bg, _ := th.Ink(th.Palette().Cell(s))
			if fg == "" {
				fg = fg0
			}
			if bg == "" {
				bg = bg0
			}
			want := 4.5
			if graphics[s] {
				want = 1.5
			}
			if got := contrast(fg, bg); got < want {
				t.Errorf("%s: style %d, %s on %s: contrast %.2f, want %.1f", name, s, fg, bg, got, want)
			}
		}
	}
}

// deuteranope and protanope are how the colour-blind see "#rrggbb": Viénot,
// Brettel and Mollon's matrices (1999) on linear RGB.
var blind = map[string][3][3]float64{
	"deuteranopia": {{0.29275, 0.70725, 0}, {0.29275, 0.70725, 0}, {-0.02234, 0.02234, 1}},
	"protanopia":   {{0.11238, 0.88762, 0}, {0.11238, 0.88762, 0}, {0.00401, -0.00401, 1}},
}

func linear(c string) (v [3]float64) {
	for i := range v {
		for _, d := range c[1+2*i : 3+2*i] {
			v[i] = v[i]*16 + float64(strings.IndexRune("0123456789abcdef", d))
		}
		v[i] = math.Pow(v[i]/255, 2.2)
	}
	return v
}

// Prefill and decode, which stand side by side on every screen, keep apart for
// the colour-blind.
func TestPhasesForTheColourBlind(t *testing.T) {
	for _, name := range []theme.Name{theme.Dark, theme.Light} {
		th := theme.New(name)
		p, _, _ := th.Ink(th.Palette().Cell(theme.PhasePrefill))
		d, _, _ := th.Ink(th.Palette().Cell(theme.PhaseDecode))
		for kind, m := range blind {
			var dist float64
			a, b := linear(p), linear(d)
			for i := range m {
				var x, y float64
				for j := range m[i] {
					x += m[i][j] * a[j]
					y += m[i][j] * b[j]
				}
				diff := math.Pow(max(x, 0), 1/2.2) - math.Pow(max(y, 0), 1/2.2)
				dist += diff * diff
			}
			if dist = math.Sqrt(dist); dist < 0.3 {
				t.Errorf("%s, %s: prefill and decode are %.2f apart, want at least 0.3 of 1", name, kind, dist)
			}
		}
	}
}

func TestStylesByTerminal(t *testing.T) {
	for _, tt := range []struct {
		name    theme.Name
		profile colorprofile.Profile
		want    string
	}{
		{theme.Dark, colorprofile.TrueColor, "\x1b[38;2;86;180;233m"},
		{theme.Dark, colorprofile.Unknown, "\x1b[38;2;86;180;233m"},
		{theme.Dark, colorprofile.ANSI256, "\x1b[38;5;74m"},
		{theme.Dark16, colorprofile.ANSI, "\x1b[36m"},
		{theme.Plain, colorprofile.TrueColor, ""},
		{theme.Dark, colorprofile.ASCII, ""},
	} {
		s := theme.New(tt.name).In(tt.profile).Cell(theme.PhaseDecode)
		got := ""
		if !s.IsZero() {
			got = s.String()
		}
		if got != tt.want {
			t.Errorf("%s on %s: %q, want %q", tt.name, tt.profile, got, tt.want)
		}
	}
	if got := theme.New("nonsense").Name; got != theme.Dark {
		t.Errorf("an unknown name gives %s", got)
	}
	if got := theme.New(theme.Dark).Style(9999).Render("x"); got != "x" {
		t.Errorf("an unknown style renders %q", got)
	}
	if got := theme.New(theme.Plain).Style(theme.Strong).Render("x"); got != "\x1b[1mx\x1b[m" {
		t.Errorf("strong text renders %q", got)
	}
}
