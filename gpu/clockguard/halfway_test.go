package clockguard

import (
	"strings"
	"testing"

	"jouletop/gpu"
)

// profiles is a device of which the workload power profiles alone are set.
type profiles struct {
	gpu.Tuner
	now int
}

func (*profiles) SetSMClock(int) error            { return nil }
func (*profiles) ResetSMClock() error             { return nil }
func (p *profiles) Set(_ gpu.KnobID, v int) error { p.now = v; return nil }
func (p *profiles) State(gpu.KnobID) (int, error) { return p.now, nil }

// A change of profiles takes two calls: killed between them it leaves none, or those that
// both sets have: that is given back too, and told, as somebody else might have set it.
// Whatever else is found stays.
func TestProfilesChangedHalfway(t *testing.T) {
	for _, c := range []struct {
		before    int
		ours      []int
		now, want int
		says      string
	}{
		{0b100, []int{0b001}, 0b000, 0b100, "ended halfway"},
		{0b110, []int{0b011}, 0b010, 0b110, "ended halfway"},
		{0b100, []int{0b001, 0b010}, 0b000, 0b100, "ended halfway"},
		{0b100, []int{0b001}, 0b001, 0b100, ""},
		{0b100, []int{0b001}, 0b100, 0b100, ""},
		{0b100, []int{0b001}, 0b010, 0b010, "by somebody else"},
		{0b110, []int{0b011}, 0b000, 0b000, "by somebody else"},
	} {
		dev := &profiles{now: c.now}
		note, _, err := heldKnob{Knob: gpu.KnobProfile, First: c.ours[0], Before: c.before, Ours: c.ours}.giveBack(dev)
		if err != nil || dev.now != c.want || !strings.Contains(note, c.says) || c.says == "" && note != "" {
			t.Errorf("before %b, ours %b, found %b: %b, %q, %v; want %b, %q", c.before, c.ours, c.now, dev.now, note, err, c.want, c.says)
		}
	}
}
