package tui_test

import (
	"strings"
	"testing"

	"jouletop/tui"
)

// What the dashboard is for is a few keys from a fresh start: to sweep five clocks of two
// models and use the best, to see a phase-aware policy against the highest clock, and to
// take the data home.
func TestStoriesByKeystrokes(t *testing.T) {
	for _, size := range [][2]int{{80, 24}, {200, 60}} {
		for _, c := range []struct {
			most     int
			keys     []string
			finished int // keys before the run has ended; 0: there is none to wait for
			asked    []string
		}{
			{12, []string{"a", "3", "n", "right", "space", "down", "down", "backspace", "5", "enter", "u"}, 10, []string{
				"arm true", "sweep {Models:[llama-3.2-1b llama-3.2-3b] Datasets:[boolq] Clocks:345:1980:5 Knobs:[] Policies:[] Batches:[1] Repeats:3", "clock  1"}},
			{6, []string{"a", "4", "n", "enter"}, 0, []string{"arm true", "Policies:[none phase:1980/1005]"}},
			{2, []string{"e", "enter"}, 0, []string{"export "}},
		} {
			d := newDriver(t, tui.Options{}, "sweep")
			d.size(size[0], size[1])
			if len(c.keys) > c.most {
				t.Errorf("%d keys, want at most %d", len(c.keys), c.most)
			}
			for i, k := range c.keys {
				if c.finished > 0 && i == c.finished {
					d.whole()
				}
				d.press(k)
			}
			made := d.c.Made()
			for i, want := range c.asked {
				if i >= len(made) || !strings.Contains(made[i], want) {
					t.Errorf("%v: %q, want %q in it", c.keys, made, want)
					break
				}
			}
		}
	}
}
