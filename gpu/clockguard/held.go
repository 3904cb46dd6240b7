package clockguard

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"jouletop/gpu"
)

// heldKnob is a knob that was, or may have been, set by us. Values are in the driver's
// unit.
type heldKnob struct {
	Knob  gpu.KnobID `json:"knob"`
	First int        `json:"first"` // the first value that was set
	// Of a knob whose state can be read (it does not gpu.KnobID.Resets): what it was
	// before, and what of ours may be in force, the value set last and one that is being
	// set.
	Before int   `json:"before"`
	Ours   []int `json:"ours,omitempty"`
	// Changing: the last change may be under way, or have been cut short.
	Changing bool `json:"changing,omitempty"`
	// Lost: what it was before is not known any more.
	Lost bool `json:"lost,omitempty"`
}

func (h heldKnob) ours(v int) bool { return slices.Contains(h.Ours, v) }

// rounding is by how much a driver's power limit may differ from what it was asked for, mW.
const rounding = 1000

// between tells whether v is what a change of ours leaves when it is cut short: profiles are
// a set that the driver changes in two calls, of which the first takes away what the new one
// lacks; a limit may be one that the driver took for what it was asked to, before that was
// noted.
func (h heldKnob) between(v int) bool {
	if h.Knob != gpu.KnobProfile {
		return h.Changing && len(h.Ours) > 0 && v >= slices.Min(h.Ours)-rounding && v <= slices.Max(h.Ours)+rounding
	}
	return slices.ContainsFunc(h.Ours, func(from int) bool {
		return v == from&h.Before || slices.ContainsFunc(h.Ours, func(to int) bool { return v == from&to })
	})
}

func (h heldKnob) String() string {
	switch {
	case h.First == 0:
		return "a " + h.Knob.Title()
	case h.Knob.Resets():
		return fmt.Sprintf("a %s (first %s)", strings.TrimPrefix(h.Knob.Title(), "SM "), h.Knob.Text(h.First))
	}
	return fmt.Sprintf("a %s (first %s)", h.Knob.Title(), h.Knob.Text(h.First))
}

// tuner is the part of gpu.Device that changes knobs; with gpu.Tuner, where it has
// that, all of them.
type tuner interface {
	SetSMClock(mhz int) error
	ResetSMClock() error
}

// noTuner is what is done of another knob than the SM clock to a device that has none.
type noTuner struct{}

func (noTuner) Set(k gpu.KnobID, _ int) error {
	return fmt.Errorf("%w: %s", gpu.ErrNotSupported, k.Title())
}
func (t noTuner) Reset(k gpu.KnobID) error { return t.Set(k, 0) }
func (t noTuner) State(k gpu.KnobID) (int, error) {
	return -1, t.Set(k, 0)
}

// others returns what sets the knobs beside the SM clock.
func others(dev tuner) interface {
	Set(k gpu.KnobID, v int) error
	Reset(k gpu.KnobID) error
	State(k gpu.KnobID) (int, error)
} {
	if t, ok := dev.(gpu.Tuner); ok {
		return t
	}
	return noTuner{}
}

func set(dev tuner, k gpu.KnobID, v int) error {
	if k == gpu.KnobSM {
		return dev.SetSMClock(v)
	}
	return others(dev).Set(k, v)
}

func reset(dev tuner, k gpu.KnobID) error {
	if k == gpu.KnobSM {
		return dev.ResetSMClock()
	}
	return others(dev).Reset(k)
}

// giveBack undoes what was set of a knob: a clock by a reset, another knob by setting
// what it was before, unless it has been changed by somebody else since. note says what
// the operator should know, "" for nothing; changed whether a call was made.
func (h heldKnob) giveBack(dev tuner) (note string, changed bool, err error) {
	k := h.Knob
	if k.Resets() {
		if err := reset(dev, k); err != nil {
			return "", true, fmt.Errorf("reset %s: %w", k.Title(), err)
		}
		return "", true, nil
	}
	now, err := others(dev).State(k)
	if err != nil {
		return "", false, fmt.Errorf("read %s: %w", k.Title(), err)
	}
	switch {
	case h.Lost:
		err := reset(dev, k)
		if errors.Is(err, gpu.ErrNotSupported) {
			return fmt.Sprintf("the %s is %s, which may have been set by jouletop: what it was before is not known any more, nor the driver's default", k.Title(), k.Text(now)), true, nil
		}
		if err != nil {
			return "", true, fmt.Errorf("reset %s: %w", k.Title(), err)
		}
		after, err := others(dev).State(k)
		switch {
		case err != nil:
			return "", true, fmt.Errorf("%s was set to the driver's default, and cannot be read: %w", k.Title(), err)
		case after == now:
			return "", true, nil
		}
		return fmt.Sprintf("what the %s was before is not known any more: set from %s to the driver's default, %s", k.Title(), k.Text(now), k.Text(after)), true, nil
	case now == h.Before:
		return "", false, nil
	case !h.ours(now) && h.between(now):
		note = fmt.Sprintf("the %s was %s, as a change that ended halfway leaves it", k.Title(), k.Text(now))
	case !h.ours(now):
		return fmt.Sprintf("the %s was set to %s by somebody else meanwhile and is left at that (it was %s before)", k.Title(), k.Text(now), k.Text(h.Before)), false, nil
	}
	err = set(dev, k, h.Before)
	why := "what the driver made of it"
	if errors.Is(err, gpu.ErrBadValue) { // out of range by now
		why = "the driver's default, since it refuses that now"
		err = reset(dev, k)
	}
	if err != nil {
		return "", true, fmt.Errorf("set %s back to %s: %w", k.Title(), k.Text(h.Before), err)
	}
	after, err := others(dev).State(k)
	switch {
	case err != nil:
		return "", true, fmt.Errorf("%s was set back to %s, and cannot be read: %w", k.Title(), k.Text(h.Before), err)
	case after == now && after != h.Before:
		return "", true, fmt.Errorf("set %s back to %s: the driver took that, and it is still %s", k.Title(), k.Text(h.Before), k.Text(after))
	case after != h.Before:
		note = fmt.Sprintf("the %s was %s before, and is %s now: %s", k.Title(), k.Text(h.Before), k.Text(after), why)
	case note != "":
		note += fmt.Sprintf(": it is %s again", k.Text(after))
	}
	return note, true, nil
}

// giveAllBack gives back what a record says, and says of each knob what has become of it.
// It tries each, whatever becomes of another.
func (r Record) giveAllBack(dev tuner) (done []string, err error) {
	var errs []error
	for _, h := range r.held() {
		note, _, err := h.giveBack(dev)
		// Of a record that cannot be read, it may be a knob that the GPU does not have.
		if r.damaged && errors.Is(err, gpu.ErrNotSupported) {
			continue
		}
		switch {
		case err != nil:
			errs = append(errs, err)
		case note == "" && h.Knob.Resets():
			note = "reset to the driver's default"
		case note == "" && !h.Lost:
			note = fmt.Sprintf("the %s is %s again", h.Knob.Title(), h.Knob.Text(h.Before))
		}
		if note != "" && !slices.Contains(done, note) {
			done = append(done, note)
		}
	}
	return done, errors.Join(errs...)
}
