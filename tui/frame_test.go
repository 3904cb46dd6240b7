package tui_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"jouletop/tui"
	"jouletop/tui/canvas"
	"jouletop/tui/theme"
)

// What is said not to have changed of a row has not.
func TestChangesAreTold(t *testing.T) {
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
	}
	if kept == 0 {
		t.Errorf("none of %d rows was kept", rows)
	}
}
