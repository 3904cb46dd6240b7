package tui

import (
	"testing"

	"jouletop/tui/canvas"
	"jouletop/tui/panel"
	"jouletop/tui/view"
)

// At any size, with the knob panel and without it, the parts of every page stand
// within its body, and none covers another.
func TestLayoutKeepsToTheScreen(t *testing.T) {
	m := New(Options{})
	for w := 1; w <= 260; w += 7 {
		for h := 1; h <= 90; h += 2 {
			m.panels = nil
			if w%2 == 0 {
				m.panels = append(m.panels, panel.NewKnobs(m.Context))
			}
			m.resize(w, h)
			if small := w < view.MinWidth || h < view.MinHeight; small != (m.Size == view.TooSmall) {
				t.Fatalf("%d×%d: class %d", w, h, m.Size)
			}
			if m.Size == view.TooSmall {
				continue
			}
			if b := m.Body; b.Y != 1 || b.Y+b.H != h-2 || b.W > w {
				t.Fatalf("%d×%d: the body is %+v", w, h, b)
			}
			for _, p := range m.pages {
				m.Frame.Begin(w, h)
				m.Frame.Forget()
				p.Draw()
				placed := m.Frame.Placed()
				if len(placed) == 0 {
					t.Fatalf("%d×%d: %s draws nothing", w, h, p.Name())
				}
				for i, a := range placed {
					if a.X < m.Body.X || a.Y < m.Body.Y || a.X+a.W > m.Body.X+m.Body.W || a.Y+a.H > m.Body.Y+m.Body.H {
						t.Fatalf("%d×%d: %s: %+v leaves the body %+v", w, h, p.Name(), a, m.Body)
					}
					for _, b := range placed[i+1:] {
						if overlap(a, b) {
							t.Fatalf("%d×%d: %s: %+v overlaps %+v", w, h, p.Name(), a, b)
						}
					}
				}
			}
		}
	}
}

func overlap(a, b canvas.Rect) bool {
	return a.X < b.X+b.W && b.X < a.X+a.W && a.Y < b.Y+b.H && b.Y < a.Y+a.H && a.W*a.H > 0 && b.W*b.H > 0
}

func TestSizes(t *testing.T) {
	for _, tt := range []struct {
		w, h int
		want view.Size
	}{{59, 40, view.TooSmall}, {80, 24, view.Compact}, {120, 40, view.Medium}, {200, 60, view.Wide}} {
		if got := view.SizeOf(tt.w, tt.h); got != tt.want {
			t.Errorf("%d×%d: class %d, want %d", tt.w, tt.h, got, tt.want)
		}
	}
}
