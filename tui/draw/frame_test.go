package draw

import (
	"math/rand/v2"
	"testing"

	"jouletop/tui/canvas"
)

// Whatever changes and lies over what, the screen is what it would be if all of it
// were drawn anew, and a click finds what lies on top.
func TestFrameIsWhatIsPlaced(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	kept := NewFrame()
	type item struct {
		name string
		r    canvas.Rect
		key  rune
		laid bool
	}
	var items []item
	const w, h = 30, 12
	for i := range 2000 {
		switch n := r.IntN(10); {
		case n == 0 || len(items) == 0:
			items = append(items, item{string(rune('a' + len(items))), canvas.Rect{}, 'A', r.IntN(2) == 0})
			fallthrough
		case n == 1:
			items[r.IntN(len(items))].r = canvas.Rect{X: r.IntN(w+4) - 2, Y: r.IntN(h+4) - 2, W: r.IntN(12), H: r.IntN(6)}
		case n == 2 && len(items) > 4:
			items = items[:len(items)-1]
		default:
			items[r.IntN(len(items))].key = rune('A' + r.IntN(26))
		}
		anew := NewFrame()
		clicked := map[*Frame]string{}
		for _, f := range []*Frame{kept, anew} {
			f.Begin(w, h)
			for _, it := range items {
				if it.laid {
					text := ""
					for y := range it.r.H {
						for range it.r.W {
							text += string(it.key)
						}
						if y < it.r.H-1 {
							text += "\n"
						}
					}
					f.Lay(it.name, it.r, it.key, func() string { return text })
				} else {
					f.Place(it.name, it.r, it.key, func(c *canvas.Canvas) { c.Fill(canvas.Rect{W: c.W, H: c.H}, 0, it.key) })
				}
				f.Hit(it.r, func() { clicked[f] = it.name })
			}
			f.End()
		}
		if got, want := kept.Plain(), anew.Plain(); got != want {
			t.Fatalf("step %d: the screen shows\n%s\nanew it is\n%s", i, got, want)
		}
		x, y := r.IntN(w), r.IntN(h)
		top := ""
		for _, it := range items {
			if it.r.Contains(x, y) {
				top = it.name
			}
		}
		if found := kept.Click(x, y); found != (top != "") || clicked[kept] != top {
			t.Fatalf("step %d: a click at %d,%d on %q found %q", i, x, y, top, clicked[kept])
		}
	}
}
