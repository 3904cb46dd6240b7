package tui_test

import (
	"fmt"
	"strings"
	"testing"

	"jouletop/engine/command"
	"jouletop/tui"
)

// The clock to run at and the EDP optimum stand on the curves with what cannot be told
// from them, and one key sets either.
func TestOptimaAreMarkedAndSet(t *testing.T) {
	for _, size := range [][2]int{{80, 24}, {200, 60}} {
		d := newDriver(t, tui.Options{}, "sweep")
		d.size(size[0], size[1])
		d.press("2", "u")
		d.wants("no curve yet")
		d.whole()
		d.wants("run at 1710", "EDP 885 (885–1155)", "-10.8 ± 3.8 %", "at most 3 % slower", "━")
		d.press("u")
		if got := d.c.Last(); got != "clock  1710" {
			t.Errorf("u: %s", got)
		}
		d.wants("1710 MHz set: least energy of llama-3.2-1b, energy -10.8 ± 3.8 %")
		d.press("down", "U")
		if got := d.c.Last(); got != "clock  885" {
			t.Errorf("U: %s", got)
		}
		d.c.Refuse(fmt.Errorf("clock control is not armed: %w", command.ErrArmFirst))
		d.press("u")
		d.wants("not armed: arm it first (a)")
		d.press("y")
		d.wants("100")
		if s := d.screen(); size[0] == 200 && !strings.Contains(s, "% of the highest clock (y)") {
			t.Errorf("no scale named:\n%s", s)
		}
		d.press("y")
		d.wants("J/token")
		if size[0] == 200 {
			d.wants("each on its own scale (y), the axis is of ▲ llama-3.1-8b")
			d.press("up")
			d.wants("the axis is of ● llama-3.2-1b")
		}
		d.press("y")
		d.wants("J/token")
		if s := d.screen(); strings.Contains(s, "own scale") {
			t.Errorf("the scale stays:\n%s", s)
		}
	}
}
