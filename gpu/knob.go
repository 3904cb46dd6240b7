package gpu

import (
	"errors"
	"fmt"
	"math/bits"
	"slices"
	"strconv"
	"strings"
)

// ErrBadValue: a value that a knob does not take. A clock's is ErrBadClock.
var ErrBadValue = errors.New("value that cannot be set")

// KnobID names one thing of a GPU that can be set.
type KnobID uint8

// The knobs, and the unit in which the driver counts each.
const (
	KnobSM      KnobID = iota // locks the SM clock, MHz
	KnobMem                   // locks the memory clock, MHz
	KnobPower                 // power limit, mW
	KnobProfile               // workload power profiles requested, a set: 1 << NVML's number
)

// KnobIDs lists the knobs there are.
func KnobIDs() []KnobID { return []KnobID{KnobSM, KnobMem, KnobPower, KnobProfile} }

var knobWords = [...]struct{ short, long, unit string }{
	KnobSM:      {"sm", "SM clock", "MHz"},
	KnobMem:     {"mem", "memory clock", "MHz"},
	KnobPower:   {"power", "power limit", "mW"},
	KnobProfile: {"profile", "workload power profile", ""},
}

// String is its name in flags and files: sm, mem, power, profile.
func (k KnobID) String() string {
	if int(k) >= len(knobWords) {
		return fmt.Sprintf("knob %d", uint8(k))
	}
	return knobWords[k].short
}

// Title is its name for people: "SM clock".
func (k KnobID) Title() string {
	if int(k) >= len(knobWords) {
		return k.String()
	}
	return knobWords[k].long
}

// Known tells whether it is one of KnobIDs.
func (k KnobID) Known() bool { return int(k) < len(knobWords) }

// MarshalText implements encoding.TextMarshaler.
func (k KnobID) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (k *KnobID) UnmarshalText(b []byte) error {
	for _, id := range KnobIDs() {
		if id.String() == string(b) {
			*k = id
			return nil
		}
	}
	return fmt.Errorf("%q is not a knob: want sm, mem, power or profile", b)
}

// Resets tells whether the driver takes the knob back by a call of its own, without
// telling what was set before; the others have a state that can be read, and set again.
func (k KnobID) Resets() bool { return k == KnobSM || k == KnobMem }

// Text words a value of the knob: "1005 MHz", "412.5 W", "1 (max-q)".
func (k KnobID) Text(v int) string {
	switch k {
	case KnobPower:
		return strconv.FormatFloat(float64(v)/1000, 'f', -1, 64) + " W"
	case KnobProfile:
		return profilesText(v)
	}
	return fmt.Sprintf("%d MHz", v)
}

// profileNames are the workload power profiles as NVML numbers them (nvml.h,
// nvmlPowerProfileType_t).
var profileNames = []string{
	"max-p", "max-q", "compute", "memory-bound", "network", "balanced", "llm-inference", "llm-training", "rbm", "dcpcie",
	"hmma-sparse", "hmma-dense", "sync-balanced", "hpc", "mig", "max-q-1", "network-bound", "high-throughput-inference",
	"medium-throughput-inference", "low-latency-inference", "training", "inference", "max-q-2", "max-q-3", "low-priority-background",
}

// MostProfiles is how many workload power profiles are looked at: NVML has 25 so far.
const MostProfiles = 31

func profilesText(set int) string {
	if set == 0 {
		return "none"
	}
	var out []string
	for left := uint(set); left != 0; left &= left - 1 {
		n := bits.TrailingZeros(left)
		text := strconv.Itoa(n)
		if n < len(profileNames) {
			text += " (" + profileNames[n] + ")"
		}
		out = append(out, text)
	}
	return strings.Join(out, "+")
}

// Knob is one thing of a GPU that can be set, as it was found: nothing is assumed from
// the GPU's name. Values are in the driver's unit.
type Knob struct {
	ID   KnobID `json:"knob"`
	Unit string `json:"unit"`
	// Values are all that can be set, ascending; empty: each Step from Min to Max.
	Values []int `json:"values,omitempty"`
	Min    int   `json:"min" null:"-1"` // -1 unknown
	Max    int   `json:"max" null:"-1"`
	Step   int   `json:"step,omitempty"`
	// Default is what is in force once it is given back; -1 unknown.
	Default int `json:"default" null:"-1"`
	// Now is what was set when the GPU was opened; -1 unknown: NVML does not tell which
	// clocks are locked.
	Now int `json:"now" null:"-1"`
	// Unavailable says why it cannot be set; "": it can, by who may.
	Unavailable string `json:"unavailable,omitempty"`
}

// NewKnob describes a knob of which nothing is known, and why.
func NewKnob(id KnobID, unavailable string) Knob {
	return Knob{ID: id, Unit: knobWords[id].unit, Min: -1, Max: -1, Default: -1, Now: -1, Unavailable: unavailable}
}

// ListKnob describes one that takes the values listed, ascending.
func ListKnob(id KnobID, values []int, none string) Knob {
	k := NewKnob(id, none)
	if len(values) > 0 {
		k.Values, k.Min, k.Max, k.Unavailable = values, values[0], values[len(values)-1], ""
	}
	return k
}

// Check returns nil where the knob takes the value. Errors wrap ErrNotSupported,
// ErrBadClock or ErrBadValue.
func (k Knob) Check(v int) error {
	switch {
	case k.ID.Resets():
		return checkClock(k.ID.Title(), k.Values, v)
	case k.Unavailable != "":
		return fmt.Errorf("%w: %s: %s", ErrNotSupported, k.ID.Title(), k.Unavailable)
	case k.ID == KnobProfile:
		for left := uint(v); left != 0; left &= left - 1 {
			if n := bits.TrailingZeros(left); v < 0 || k.profile(n) < 0 {
				return fmt.Errorf("%w: workload power profile %d: this GPU has %s", ErrBadValue, n, profilesText(k.all()))
			}
		}
		return nil
	case v < k.Min || v > k.Max:
		return fmt.Errorf("%w: %s %s: it goes from %s to %s", ErrBadValue, k.ID.Title(), k.ID.Text(v), k.ID.Text(k.Min), k.ID.Text(k.Max))
	}
	return nil
}

func (k Knob) profile(n int) int {
	for i, v := range k.Values {
		if v == 1<<n {
			return i
		}
	}
	return -1
}

func (k Knob) all() (set int) {
	for _, v := range k.Values {
		set |= v
	}
	return set
}

// And returns what both of two GPUs' same knob take.
func (k Knob) And(o Knob) Knob {
	if k.Unavailable == "" {
		k.Unavailable = o.Unavailable
	}
	if k.Unavailable != "" {
		return NewKnob(k.ID, k.Unavailable)
	}
	if len(k.Values) > 0 || len(o.Values) > 0 {
		both := slices.DeleteFunc(slices.Clone(k.Values), func(v int) bool { return !slices.Contains(o.Values, v) })
		shared := ListKnob(k.ID, both, "the GPUs have no value in common")
		shared.Default, shared.Now = same(k.Default, o.Default), same(k.Now, o.Now)
		return shared
	}
	k.Min, k.Max, k.Step = max(k.Min, o.Min), min(k.Max, o.Max), max(k.Step, o.Step)
	k.Default, k.Now = same(k.Default, o.Default), same(k.Now, o.Now)
	if k.Min > k.Max {
		return NewKnob(k.ID, "the GPUs have no value in common")
	}
	return k
}

// same is a number that two share; -1 where they differ.
func same(a, b int) int {
	if a != b {
		return -1
	}
	return a
}

// Range words what it takes: "345 to 1980 MHz, 110 steps".
func (k Knob) Range() string {
	switch {
	case k.Unavailable != "":
		return ""
	case k.ID == KnobProfile:
		return profilesText(k.all())
	case len(k.Values) == 1:
		return k.ID.Text(k.Min) + " only"
	}
	text := fmt.Sprintf("%s to %s", strings.TrimSuffix(strings.TrimSuffix(k.ID.Text(k.Min), " MHz"), " W"), k.ID.Text(k.Max))
	if n := len(k.Values); n > 0 {
		text += fmt.Sprintf(", %d steps", n)
	}
	return text
}

// SideEffect says in a sentence or two what comes of setting it, beside what it is for.
func (k Knob) SideEffect() string {
	switch k.ID {
	case KnobSM:
		return "A lock holds for all that runs on the card. One set by another tool is lost: NVML cannot tell it."
	case KnobMem:
		return "A lock keeps the card awake, so that it draws more while idle until the lock is given back; lower, it slows whatever reads memory, decode most."
	case KnobPower:
		return "It is of the whole card, for all that runs on it, and is given back to what it was before. The driver lowers clocks to keep to it; a limit below what the card draws at its lowest clock cannot be kept."
	case KnobProfile:
		return "The driver changes several settings at once, which a measurement cannot tell apart."
	}
	return ""
}

// Foreign says in a sentence that the knob was not at the driver's default when it was
// found; "" where it was, or nobody knows.
func (k Knob) Foreign() string {
	if k.ID.Resets() || k.Now < 0 || k.Default < 0 || k.Now == k.Default {
		return ""
	}
	return fmt.Sprintf("It is not the driver's default (%s) now: somebody has set it.", k.ID.Text(k.Default))
}

// Tuner is implemented by a Device of which more can be set than the SM clock. Values
// are in the driver's unit (see KnobID).
type Tuner interface {
	// Knobs lists every knob, in the order of KnobIDs, those too that this GPU lacks.
	Knobs() []Knob
	// Set sets a knob and returns once the driver's call has. Errors wrap
	// ErrNotSupported, ErrNoPermission, ErrBadClock, ErrBadValue, ErrLost.
	Set(k KnobID, v int) error
	// Reset gives a knob to the driver: a clock unlocked, the default limit, no profile.
	Reset(k KnobID) error
	// State reads what is set of a knob that does not Reset; of others
	// ErrNotSupported.
	State(k KnobID) (int, error)
}

// KnobsOf lists a device's knobs; one that is no Tuner has its SM clock alone.
func KnobsOf(dev Device) []Knob {
	if t, ok := dev.(Tuner); ok {
		return t.Knobs()
	}
	const none = "this program cannot set it here"
	return []Knob{
		ListKnob(KnobSM, dev.Info().SMClocks, none), NewKnob(KnobMem, none), NewKnob(KnobPower, none), NewKnob(KnobProfile, none),
	}
}

// SetKnob sets a knob of a device; see Tuner.
func SetKnob(dev Device, k KnobID, v int) error {
	t, ok := dev.(Tuner)
	switch {
	case k == KnobSM:
		return dev.SetSMClock(v)
	case !ok:
		return fmt.Errorf("%w: %s", ErrNotSupported, k.Title())
	}
	return t.Set(k, v)
}

// ResetKnob gives a knob of a device back to the driver; see Tuner.
func ResetKnob(dev Device, k KnobID) error {
	t, ok := dev.(Tuner)
	switch {
	case k == KnobSM:
		return dev.ResetSMClock()
	case !ok:
		return fmt.Errorf("%w: %s", ErrNotSupported, k.Title())
	}
	return t.Reset(k)
}

// KnobState reads what is set of a knob; see Tuner.
func KnobState(dev Device, k KnobID) (int, error) {
	if t, ok := dev.(Tuner); ok {
		return t.State(k)
	}
	return -1, fmt.Errorf("%w: %s", ErrNotSupported, k.Title())
}
