package shot_test

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"

	"jouletop/tui/canvas"
	"jouletop/tui/shot"
	"jouletop/tui/theme"
)

func sample(th *theme.Theme) *canvas.Canvas {
	c := canvas.New(20, 3, th.Palette())
	c.Text(0, 0, theme.Default, "a <b> & \"c\"")
	c.Text(0, 1, theme.PhasePrefill, "━━┓ 日本 e\u0301")
	c.Text(0, 2, theme.Sim, " SIMULATED ")
	return c
}

func TestSVGIsWellFormedAndComplete(t *testing.T) {
	for _, name := range theme.Names {
		var b bytes.Buffer
		if err := shot.SVG(&b, sample(theme.New(name)), theme.New(name), "a <title>"); err != nil {
			t.Fatal(err)
		}
		d := xml.NewDecoder(bytes.NewReader(b.Bytes()))
		var text strings.Builder
		for {
			tok, err := d.Token()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatalf("%s: %v\n%s", name, err, b.String())
			}
			if c, ok := tok.(xml.CharData); ok {
				text.Write(c)
			}
		}
		for _, want := range []string{"a <title>", `<b>`, `"c"`, "━━┓", "日本", "e\u0301", "SIMULATED"} {
			if !strings.Contains(text.String(), want) {
				t.Errorf("%s: the picture lacks %q", name, want)
			}
		}
	}
}

// Every glyph has a place of its own, so that no font can shift it.
func TestSVGPlacesEveryGlyph(t *testing.T) {
	c := canvas.New(12, 1, theme.New(theme.Dark).Palette())
	c.Text(0, 0, theme.Default, "ab cd")
	var b bytes.Buffer
	if err := shot.SVG(&b, c, theme.New(theme.Dark), ""); err != nil {
		t.Fatal(err)
	}
	if want := `<text x="14.0 22.4 30.8 39.2 47.6"`; !strings.Contains(b.String(), want) {
		t.Errorf("no %s in\n%s", want, b.String())
	}
}

func TestText(t *testing.T) {
	var plain, colour bytes.Buffer
	if err := shot.Text(&plain, sample(theme.New(theme.Dark))); err != nil {
		t.Fatal(err)
	}
	if err := shot.ANSI(&colour, sample(theme.New(theme.Dark))); err != nil {
		t.Fatal(err)
	}
	if want := "a <b> & \"c\"\n━━┓ 日本 e\u0301\n SIMULATED\n"; plain.String() != want {
		t.Errorf("plain: %q", plain.String())
	}
	if !strings.Contains(colour.String(), "\x1b[38;2;230;159;0m━━┓") {
		t.Errorf("colour: %q", colour.String())
	}
}

func TestWriteErrorsAreReturned(t *testing.T) {
	for name, err := range map[string]error{
		"text": shot.Text(full{}, sample(theme.New(theme.Dark))), "ansi": shot.ANSI(full{}, sample(theme.New(theme.Dark))), "svg": shot.SVG(full{}, sample(theme.New(theme.Dark)), theme.New(theme.Dark), ""),
	} {
		if !errors.Is(err, errFull) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

var errFull = errors.New("disk full")

type full struct{}

func (full) Write([]byte) (int, error) { return 0, errFull }
