package canvas_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"charm.land/lipgloss/v2"
	"github.com/charmbracelet/colorprofile"
	"github.com/charmbracelet/x/ansi"
	"github.com/google/go-cmp/cmp"

	"jouletop/tui/canvas"
)

func TestTextIsClipped(t *testing.T) {
	for _, tt := range []struct {
		name, text, want string
		x, w             int
	}{
		{"fits", "abc", "abc", 0, 5},
		{"cut at the edge", "abcdefgh", "abcde", 0, 5},
		{"cut left of the edge", "abcdef", "cdef", -2, 5},
		{"wide does not straddle the edge", "a日本", "a日", 0, 4},
		{"controls are replaced", "a\x1b[2Jb\n\tc", "a·[2Jb  c", 0, 12},
		{"invalid bytes are replaced", "a\xffb", "a·b", 0, 5},
		{"direction marks are left out", "a\u202eb", "ab", 0, 5},
		{"combining marks stay with their letter", "e\u0301f", "e\u0301f", 0, 5},
		{"families stay one", "👩‍👧x", "👩‍👧x", 0, 5},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := canvas.New(tt.w, 1, numbered)
			c.Text(tt.x, 0, 1, tt.text)
			if got := strings.TrimRight(c.Plain(), " \n"); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestTextMaxEndsInEllipsis(t *testing.T) {
	c := canvas.New(10, 1, numbered)
	if end := c.TextMax(1, 0, 5, 0, "abcdefgh"); end != 6 {
		t.Errorf("ends at %d, want 6", end)
	}
	if got := strings.TrimRight(c.Plain(), "\n"); got != " abcd…" {
		t.Errorf("got %q", got)
	}
}

// A wide character that is half overwritten leaves no half behind.
func TestWideCharactersAreWhole(t *testing.T) {
	for x := range 4 {
		c := canvas.New(4, 1, numbered)
		c.Text(0, 0, 0, "日本")
		c.Set(x, 0, 0, 'x')
		if w := ansi.StringWidth(c.Plain()[:len(c.Plain())-1]); w > 4 {
			t.Errorf("x at %d: %d columns: %q", x, w, c.Plain())
		}
		if !strings.Contains(c.Plain(), "x") || strings.Count(c.Plain(), "日")+strings.Count(c.Plain(), "本") != 1 {
			t.Errorf("x at %d: %q", x, c.Plain())
		}
	}
}

func TestCopyKeepsClustersAndClips(t *testing.T) {
	src := canvas.New(4, 2, numbered)
	src.Text(0, 0, 3, "e\u0301日x")
	src.Text(0, 1, 3, "abcd")
	dst := canvas.New(5, 2, numbered)
	dst.Text(0, 0, 0, "o\u0308")
	dst.Copy(3, 0, src, nil)
	if got := dst.Plain(); got != "o\u0308  e\u0301\n   ab\n" {
		t.Errorf("got %q", got)
	}
	dst = canvas.New(3, 2, numbered)
	dst.Copy(-2, 0, src, nil)
	if got := dst.Plain(); got != " x\ncd\n" {
		t.Errorf("from left of the edge: got %q", got)
	}
}

func TestStylesAreThePalettes(t *testing.T) {
	c := canvas.New(8, 1, numbered)
	c.Text(0, 0, 0, "a")
	c.Text(1, 0, 1, "bc")
	c.Text(3, 0, 2, "d")
	c.Text(4, 0, 99, "e") // none of the palette's
	if got, want := c.Render(), "a\x1b[31mbc\x1b[32md\x1b[me"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	c.Paint(canvas.Rect{W: 2, H: 1}, 2)
	if got, want := c.Render(), "\x1b[32mab\x1b[31mc\x1b[32md\x1b[me"; got != want {
		t.Errorf("painted: got %q, want %q", got, want)
	}
}

// What Lip Gloss renders is printed within its rectangle.
func TestPrint(t *testing.T) {
	c := canvas.New(6, 3, numbered)
	c.Fill(canvas.Rect{W: 6, H: 3}, 0, 'x')
	c.Print(canvas.Rect{X: 1, Y: 1, W: 3, H: 1}, lipgloss.NewStyle().Foreground(lipgloss.Color("1")).Render("abcdef\nghi"))
	if got, want := c.Plain(), "xxxxxx\nxabcxx\nxxxxxx\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := c.At(1, 1).Style.Fg; got != ansi.Red {
		t.Errorf("in %v", got)
	}
}

func TestWrap(t *testing.T) {
	for _, tt := range []struct {
		name, text string
		w, rows    int
		want       []string
	}{
		{"at spaces", "the quick brown fox", 9, 0, []string{"the quick", "brown fox"}},
		{"a word too long", "abcdefghij kl", 4, 0, []string{"abcd", "efgh", "ij", "kl"}},
		{"keeps line breaks", "a\n\nb", 9, 0, []string{"a", "", "b"}},
		{"the last rows", "a b c d", 1, 2, []string{"c", "d"}},
		{"wide letters", "日本語 x", 4, 0, []string{"日本", "語 x"}},
		{"a mark on a space", "abcd \u0dcfefgh", 5, 0, []string{"abcd \u0dcf", "efgh"}},
		{"no room", "abc", 0, 0, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if d := cmp.Diff(tt.want, canvas.Wrap(tt.text, tt.w, tt.rows)); d != "" {
				t.Error(d)
			}
		})
	}
}

// numbered is a palette of the terminal's own colours by their numbers.
var numbered = canvas.NewPalette([]lipgloss.Style{{}, lipgloss.NewStyle().Foreground(ansi.Red), lipgloss.NewStyle().Foreground(ansi.Green)}, colorprofile.TrueColor)

// FuzzText: whatever is written, a line is never wider than the canvas, is valid
// UTF-8 and holds no control character.
func FuzzText(f *testing.F) {
	for _, s := range []string{"abc", "日本語", "👩‍👩‍👧‍👦🇨🇭", "\x1b[31m\x00\n", "e\u0301\u0302", "\xff\xfe", "क्षि ก็ำ", "\u202e\ufeff"} {
		f.Add(s, 3, 7)
	}
	f.Fuzz(func(t *testing.T, text string, x, w int) {
		w, x = w&31, x&31-8
		c := canvas.New(w, 1, numbered)
		c.Text(x, 0, 0, text)
		c.TextMax(x/2, 0, w/2, 0, text)
		line := c.Plain()[:len(c.Plain())-1]
		if n := ansi.StringWidth(line); n > w {
			t.Errorf("%q: %d columns on %d", line, n, w)
		}
		if !utf8.ValidString(line) || strings.ContainsAny(line, "\x00\x07\n\r\t\x1b\u009b") {
			t.Errorf("%q holds what a terminal would obey", line)
		}
		for _, l := range canvas.Wrap(text, w, 0) {
			if canvas.Width(l) > max(w, 2) {
				t.Errorf("wrapped line %q is wider than %d", l, w)
			}
		}
	})
}
