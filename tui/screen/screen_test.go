package screen

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"strings"
	"testing"

	"charm.land/lipgloss/v2"
	"github.com/charmbracelet/colorprofile"
	"github.com/charmbracelet/x/ansi"
	"github.com/hinshun/vt10x"

	"jouletop/tui/canvas"
)

// numbered is a palette of colours by their numbers; 0 is the terminal's own.
var numbered = func() canvas.Palette {
	styles := []lipgloss.Style{lipgloss.NewStyle()}
	for i := 1; i < 10; i++ {
		styles = append(styles, lipgloss.NewStyle().Foreground(ansi.IndexedColor(i)))
	}
	return canvas.NewPalette(styles, colorprofile.TrueColor)
}()

// show brings the painter's terminal in line with c and returns what it wrote.
func show(p *painter, c *canvas.Canvas) string {
	p.present(c, nil, "title")
	p.flush()
	return string(p.buf)
}

func TestOnlyChangesAreWritten(t *testing.T) {
	var out bytes.Buffer
	p := newPainter(&out)
	c := canvas.New(40, 10, numbered)
	c.Text(0, 3, 1, "requested 1005 → achieved 1005 MHz")
	first := show(p, c)
	if !strings.Contains(first, eraseAll) || !strings.Contains(first, "achieved") || !strings.Contains(first, "\x1b]2;title\a") {
		t.Errorf("the first frame is not whole: %q", first)
	}
	if again := show(p, c); again != "" {
		t.Errorf("an unchanged frame wrote %q", again)
	}
	c.Text(10, 3, 1, "1980")
	c.Text(38, 9, 2, "x")
	want := syncBegin + "\x1b[4;12H\x1b[38;5;1m980\x1b[m\x1b[10;39H\x1b[38;5;2mx\x1b[m" + syncEnd
	if got := show(p, c); got != want {
		t.Errorf("wrote %q, want %q", got, want)
	}
	p.forget()
	p.flush()
	if got := string(p.buf); !strings.Contains(got, eraseAll) || !strings.Contains(got, "requested 1980 → achieved") {
		t.Errorf("after forgetting, wrote %q", got)
	}
	if c.Reset(20, 5, numbered); !strings.Contains(show(p, c), eraseAll) {
		t.Error("another size is not written whole")
	}
}

// Whatever frames come, an emulated terminal shows the last one.
func TestTerminalShowsTheFrame(t *testing.T) {
	const w, h = 30, 8
	vt := vt10x.New(vt10x.WithSize(w, h))
	p := newPainter(vt)
	r := rand.New(rand.NewPCG(1, 9))
	c := canvas.New(w, h, numbered)
	for i := range 2000 {
		switch r.IntN(6) {
		case 0:
			c.Fill(canvas.Rect{X: r.IntN(w), Y: r.IntN(h), W: r.IntN(10), H: r.IntN(4)}, canvas.Style(r.IntN(9)), []rune(" ░█─│")[r.IntN(5)])
		case 1:
			c.Reset(w, h, numbered)
		default:
			c.Text(r.IntN(w), r.IntN(h), canvas.Style(r.IntN(9)), []string{"1005", "→ MHz", "━━┓", "  ", "0.812 J/token"}[r.IntN(5)])
		}
		if i%3 != 0 {
			continue // frames may be skipped
		}
		show(p, c)
		for y := range h {
			for x := range w {
				g, cell := vt.Cell(x, y), c.At(x, y)
				if g.Char == 0 {
					g.Char = ' '
				}
				if string(g.Char) != cell.Content {
					t.Fatalf("frame %d: cell %d,%d shows %q, want %q\n%s", i, x, y, g.Char, cell.Content, vt)
				}
				if want, ok := cell.Style.Fg.(ansi.IndexedColor); ok && cell.Content != " " && g.FG != vt10x.Color(want) {
					t.Fatalf("frame %d: cell %d,%d is in colour %d, want %d", i, x, y, g.FG, want)
				}
			}
		}
	}
}

// Rows with characters whose width terminals disagree on are written whole, each
// part at its own place.
func TestWideCharactersFindTheirPlace(t *testing.T) {
	var out bytes.Buffer
	p := newPainter(&out)
	c := canvas.New(20, 2, numbered)
	c.Text(0, 0, 0, "日本 e\u0301x")
	show(p, c)
	c.Text(12, 0, 0, "y")
	got := show(p, c)
	for _, want := range []string{"\x1b[1;1H\x1b[m\x1b[K", "日", "\x1b[1;3H", "本", "\x1b[1;5H", "e\u0301", "\x1b[1;7H", "y"} {
		if !strings.Contains(got, want) {
			t.Errorf("wrote %q, without %q", got, want)
		}
	}
	if again := show(p, c); again != "" {
		t.Errorf("an unchanged row of wide characters wrote %q", again)
	}
}

// A title cannot carry escape sequences.
func TestTitleIsClean(t *testing.T) {
	p := newPainter(&bytes.Buffer{})
	p.present(canvas.New(1, 1, numbered), nil, "a\x1b]0;evil\ab\u009cc")
	p.flush()
	if got := string(p.buf); !strings.Contains(got, "\x1b]2;a]0;evilbc\a") {
		t.Errorf("wrote %q", got)
	}
}

// A terminal that is gone ends the writing, not the program.
func TestLostTerminal(t *testing.T) {
	w := &failing{}
	p := newPainter(w)
	show(p, canvas.New(5, 5, numbered))
	c := canvas.New(5, 5, numbered)
	c.Text(0, 0, 0, "x")
	show(p, c)
	if w.n != 1 {
		t.Errorf("written to %d times after the failure", w.n-1)
	}
	if _, err := Open(strings.NewReader(""), w); err == nil {
		t.Error("a terminal that takes nothing was opened")
	}
}

type failing struct{ n int }

func (f *failing) Write([]byte) (int, error) { f.n++; return 0, errors.New("gone") }

func TestCloseIsForAll(t *testing.T) {
	var out bytes.Buffer
	term, err := Open(strings.NewReader(""), &out)
	if err != nil {
		t.Fatal(err)
	}
	c := canvas.New(80, 24, numbered)
	c.Text(0, 0, 0, "the last frame")
	term.Present(c, nil, "t")
	term.Close()
	term.Close()
	if w, h := term.Size(); w != 80 || h != 24 {
		t.Errorf("size %d×%d", w, h)
	}
	got := out.String()
	if !strings.HasPrefix(got, enter) || !strings.HasSuffix(got, leave) || !strings.Contains(got, "the last frame") || strings.Count(got, leave) != 1 {
		t.Errorf("wrote %q", got)
	}
}
