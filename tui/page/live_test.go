package page

import (
	"testing"

	"jouletop/tui/canvas"
	"jouletop/tui/state"
	"jouletop/tui/view"
)

// At the three sizes that count every part of the live page has the room it needs.
func TestLiveAreas(t *testing.T) {
	for _, tt := range []struct {
		w, h  int
		chart canvas.Rect // least width and height of a profile
	}{
		{80, 24, canvas.Rect{W: 50, H: 6}}, {120, 40, canvas.Rect{W: 78, H: 10}}, {200, 60, canvas.Rect{W: 140, H: 15}},
	} {
		c := &view.Context{State: state.New(), Size: view.SizeOf(tt.w, tt.h), Body: canvas.Rect{Y: 1, W: tt.w, H: tt.h - 3}}
		a := (&Live{Base: Base{c}}).areas()
		for _, r := range []canvas.Rect{a.clock, a.power} {
			if r.W < tt.chart.W || r.H < tt.chart.H {
				t.Errorf("%d×%d: a profile has %d×%d, want at least %d×%d", tt.w, tt.h, r.W, r.H, tt.chart.W, tt.chart.H)
			}
		}
		if a.clock.X != a.power.X || a.clock.W != a.power.W || a.clock.W != a.strip.W {
			t.Errorf("%d×%d: clock, power and phases do not stand above each other", tt.w, tt.h)
		}
		if a.text.H < 3 || a.recent.W < 25 || a.side.H < 12 {
			t.Errorf("%d×%d: text %+v, recent %+v, side %+v", tt.w, tt.h, a.text, a.recent, a.side)
		}
	}
}
