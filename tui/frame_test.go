package tui_test

import (
	"bytes"
	"math/rand/v2"
	"testing"
	"time"

	"jouletop/tui"
	"jouletop/tui/canvas"
	"jouletop/tui/theme"
)

// Whatever is drawn again, the screen is what it would be if all of it were put
// there anew, and what is said not to have changed of a row has not.
func TestOnlyChangesArePut(t *testing.T) {
	d := newDriver(t, tui.Options{Theme: theme.Dark}, "run")
	r := rand.New(rand.NewPCG(3, 4))
	d.size(120, 40)
	was, kept, rows := canvas.New(0, 0, canvas.Palette{}), 0, 0
	keys := []string{"1", "2", "3", "4", "5", "6", "f", "?", "esc", "n", "down", "w", "space", "t", "p", "x", "m"}
	for i := range 600 {
		switch r.IntN(4) {
		case 0:
			d.press(keys[r.IntN(len(keys))])
		case 1:
			if r.IntN(10) == 0 {
				d.size(60+r.IntN(140), 16+r.IntN(50))
			}
		default:
			d.step(time.Duration(r.IntN(150)) * time.Millisecond)
		}
		c := d.m.Canvas()
		for y, changed := range d.m.Frame.Changed() {
			rows++
			if was.W != c.W || was.H != c.H {
				continue
			}
			if changed.Empty() {
				kept++
			}
			for x := range c.W {
				if (x < changed.From || x >= changed.To) && was.At(x, y) != c.At(x, y) {
					t.Fatalf("step %d: row %d has changed and is not said to have", i, y)
				}
			}
		}
		was = canvas.New(c.W, c.H, canvas.Palette{})
		was.Copy(0, 0, c)
		before := ansiOf(t, d.m)
		d.m.Frame.Over()   // all is put anew
		d.send(struct{}{}) // a message to nobody
		if after := ansiOf(t, d.m); !bytes.Equal(before, after) {
			t.Fatalf("step %d: the screen shows\n%s\nput anew it shows\n%s", i, before, after)
		}
		d.m.Canvas()
	}
	if kept == 0 {
		t.Errorf("none of %d rows was kept", rows)
	}
}
