package clockguard

import (
	"errors"
	"strings"
	"testing"

	"jouletop/gpu"
)

// unreadable is a device of which a power limit alone is set, and which can be read but
// so often.
type unreadable struct {
	gpu.Device
	now, reads int
}

func (*unreadable) Info() gpu.Info       { return gpu.Info{} }
func (*unreadable) SetSMClock(int) error { return nil }
func (*unreadable) ResetSMClock() error  { return nil }
func (*unreadable) Knobs() []gpu.Knob {
	k := gpu.NewKnob(gpu.KnobPower, "")
	return []gpu.Knob{gpu.ListKnob(gpu.KnobSM, []int{1005}, ""), k}
}
func (u *unreadable) Set(_ gpu.KnobID, v int) error { u.now = v; return nil }
func (u *unreadable) Reset(k gpu.KnobID) error {
	if k == gpu.KnobPower {
		u.now = 700_000
	}
	return nil
}
func (u *unreadable) State(k gpu.KnobID) (int, error) {
	if k != gpu.KnobPower {
		return -1, gpu.ErrNotSupported
	}
	if u.reads--; u.reads < 0 {
		return -1, errors.New("no answer")
	}
	return u.now, nil
}

// A limit that cannot be read once it was given back is not said to be, and its record
// stays, whether or not it is known what it was before.
func TestGivenBackButUnread(t *testing.T) {
	for _, lost := range []bool{false, true} {
		h := heldKnob{Knob: gpu.KnobPower, First: 400_000, Before: 650_000, Ours: []int{400_000}, Lost: lost}
		_, _, err := h.giveBack(&unreadable{now: 400_000, reads: 1})
		if err == nil || !strings.Contains(err.Error(), "cannot be read: no answer") {
			t.Errorf("lost %v: %v", lost, err)
		}
	}
}

// A reset that the operator asks for tells no limit that was not read, nor none at all of
// one that was given back unread.
func TestResetOfALimitUnread(t *testing.T) {
	for reads, want := range []string{"power limit given back to the driver, which does not tell what it is now", "power limit from 400 W to the default, which the driver does not tell", "power limit from 400 W to the default, 700 W"} {
		text, err := resetAll("GPU-x", &unreadable{now: 400_000, reads: reads})
		if err != nil || !strings.HasSuffix(text, want) {
			t.Errorf("%d readings: %q, %v; want %q", reads, text, err, want)
		}
	}
}
