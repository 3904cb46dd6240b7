package tui_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"jouletop/tui"
	"jouletop/tui/canvas"
	"jouletop/tui/theme"
)

// What is said not to have changed has not.
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
		c, changed := d.m.Canvas(), d.m.Frame.Changed()
		for y := range c.H {
			rows++
			if was.W != c.W || was.H != c.H {
				continue
			}
			if !changed.Any(y) {
				kept++
			}
			for x := range c.W {
				if !changed.Has(x, y) && was.At(x, y) != c.At(x, y) {
					t.Fatalf("step %d: column %d of row %d has changed and is not said to have", i, x, y)
				}
			}
		}
		was = canvas.New(c.W, c.H, canvas.Palette{})
		was.Copy(0, 0, c, nil)
	}
	if kept == 0 {
		t.Errorf("none of %d rows was kept", rows)
	}
}
