package tui

import (
	"reflect"
	"testing"

	"jouletop/tui/canvas"
)

// rects are the layout's rectangles by name.
func rects(l layout) map[string]canvas.Rect {
	out := map[string]canvas.Rect{}
	v := reflect.ValueOf(l)
	for i := range v.NumField() {
		f := v.Field(i)
		name := v.Type().Field(i).Name
		switch f.Kind() {
		case reflect.Struct:
			out[name] = rectOf(f)
		case reflect.Array:
			for j := range f.Len() {
				out[name+fmtInt(j)] = rectOf(f.Index(j))
			}
		}
	}
	return out
}

func rectOf(v reflect.Value) canvas.Rect {
	return canvas.Rect{X: int(v.Field(0).Int()), Y: int(v.Field(1).Int()), W: int(v.Field(2).Int()), H: int(v.Field(3).Int())}
}

// sets are the rectangles that stand on the screen together.
var sets = map[string][]string{
	"chrome":   {"tabs", "body", "status", "keys"},
	"live":     {"clock", "power", "strip", "side", "progress", "text", "recent"},
	"curves":   {"curves0", "curves1", "curves2", "curveTable"},
	"sweep":    {"plan", "points"},
	"compare":  {"sides0", "sides1", "delta"},
	"workload": {"queries", "histogram", "features"},
	"session":  {"files", "events", "earlier", "beside"},
}

func TestLayoutKeepsToTheScreen(t *testing.T) {
	for w := 1; w <= 260; w += 3 {
		for h := 1; h <= 90; h++ {
			l := computeLayout(w, h, h%2 == 0)
			if small := w < minWidth || h < minHeight; small != (l.class == tooSmall) {
				t.Fatalf("%d×%d: class %d", w, h, l.class)
			}
			all := rects(l)
			for name, r := range all {
				if r.X < 0 || r.Y < 0 || r.W < 0 || r.H < 0 || r.X+r.W > w && r.W > 0 || r.Y+r.H > h && r.H > 0 {
					t.Fatalf("%d×%d: %s is %+v", w, h, name, r)
				}
			}
			for set, names := range sets {
				for i, a := range names {
					for _, b := range names[i+1:] {
						if overlap(all[a], all[b]) {
							t.Fatalf("%d×%d: %s: %s %+v overlaps %s %+v", w, h, set, a, all[a], b, all[b])
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

// At the three sizes that count every part has the room it needs.
func TestLayoutSizes(t *testing.T) {
	for _, tt := range []struct {
		w, h  int
		class size
		chart canvas.Rect // least width and height of a profile
	}{
		{80, 24, compact, canvas.Rect{W: 50, H: 6}},
		{120, 40, medium, canvas.Rect{W: 78, H: 10}},
		{200, 60, wide, canvas.Rect{W: 140, H: 15}},
	} {
		l := computeLayout(tt.w, tt.h, false)
		if l.class != tt.class {
			t.Errorf("%d×%d: class %d, want %d", tt.w, tt.h, l.class, tt.class)
		}
		for _, r := range []canvas.Rect{l.clock, l.power} {
			if r.W < tt.chart.W || r.H < tt.chart.H {
				t.Errorf("%d×%d: a profile has %d×%d, want at least %d×%d", tt.w, tt.h, r.W, r.H, tt.chart.W, tt.chart.H)
			}
		}
		if l.clock.X != l.power.X || l.clock.W != l.power.W || l.clock.W != l.strip.W {
			t.Errorf("%d×%d: clock, power and phases do not stand above each other", tt.w, tt.h)
		}
		if p := computeLayout(tt.w, tt.h, true); overlap(p.clock, p.clockPanel) || overlap(p.text, p.clockPanel) || p.clock.W < 36 {
			t.Errorf("%d×%d: the clock panel covers the live screen or leaves it no room: %+v, %+v", tt.w, tt.h, p.clock, p.clockPanel)
		}
		if l.text.H < 3 || l.recent.W < 25 || l.side.H < 12 {
			t.Errorf("%d×%d: text %+v, recent %+v, side %+v", tt.w, tt.h, l.text, l.recent, l.side)
		}
	}
}
