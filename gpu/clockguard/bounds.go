package clockguard

import (
	"fmt"
	"slices"
	"strings"

	"jouletop/gpu"
)

// Bounds narrow what may be set; 0 leaves an end open.
type Bounds struct {
	MinMHz, MaxMHz       int // SM clock, MHz
	MinMemMHz, MaxMemMHz int // memory clock, MHz
	MinPowerW, MaxPowerW int // power limit, W
	// Only has a bit (1 << knob) for each knob that may be set; 0 is all.
	Only uint8
}

// of returns the ends for a knob in the driver's unit; 0 is open.
func (b Bounds) of(k gpu.KnobID) (lo, hi int) {
	switch k {
	case gpu.KnobSM:
		return b.MinMHz, b.MaxMHz
	case gpu.KnobMem:
		return b.MinMemMHz, b.MaxMemMHz
	case gpu.KnobPower:
		return 1000 * b.MinPowerW, 1000 * b.MaxPowerW
	}
	return 0, 0
}

func (b Bounds) check(k gpu.KnobID, v int) error {
	lo, hi := b.of(k)
	switch {
	case b.Only != 0 && b.Only&(1<<k) == 0:
		return fmt.Errorf("%w: the %s may not be set here", ErrBounds, k.Title())
	case lo > 0 && v < lo || hi > 0 && v > hi:
		return fmt.Errorf("%w: %s is not within %s", ErrBounds, k.Text(v), b.text(k))
	}
	return nil
}

// text words the bounds of one knob.
func (b Bounds) text(k gpu.KnobID) string {
	lo, hi := b.of(k)
	switch {
	case lo > 0 && hi > 0:
		return fmt.Sprintf("%s to %s", strings.TrimSuffix(strings.TrimSuffix(k.Text(lo), " MHz"), " W"), k.Text(hi))
	case lo > 0:
		return k.Text(lo) + " and up"
	case hi > 0:
		return "at most " + k.Text(hi)
	case k == gpu.KnobSM:
		return "every supported clock"
	}
	return "all that the GPU takes"
}

// String words the bounds of all knobs that may be set.
func (b Bounds) String() string {
	var out []string
	for _, k := range gpu.KnobIDs() {
		lo, hi := b.of(k)
		if b.Only != 0 && b.Only&(1<<k) == 0 || k != gpu.KnobSM && lo == 0 && hi == 0 {
			continue
		}
		out = append(out, b.text(k))
	}
	return strings.Join(out, ", ")
}

// within returns the narrower of both.
func (b Bounds) within(o Bounds) Bounds {
	lowest := func(a, b int) int {
		if a == 0 || b > 0 && b < a {
			return b
		}
		return a
	}
	b.MinMHz, b.MaxMHz = max(b.MinMHz, o.MinMHz), lowest(b.MaxMHz, o.MaxMHz)
	b.MinMemMHz, b.MaxMemMHz = max(b.MinMemMHz, o.MinMemMHz), lowest(b.MaxMemMHz, o.MaxMemMHz)
	b.MinPowerW, b.MaxPowerW = max(b.MinPowerW, o.MinPowerW), lowest(b.MaxPowerW, o.MaxPowerW)
	switch {
	case b.Only == 0:
		b.Only = o.Only
	case o.Only != 0:
		if b.Only &= o.Only; b.Only == 0 {
			b.Only = none
		}
	}
	return b
}

// none is a Bounds.Only in which no knob is.
const none = 1 << 7

// parseOnly reads a list of knobs: "sm,power"; "" is all.
func parseOnly(list string) (only uint8, err error) {
	if list == "" {
		return 0, nil
	}
	for name := range strings.SplitSeq(list, ",") {
		var k gpu.KnobID
		if err := k.UnmarshalText([]byte(strings.TrimSpace(name))); err != nil {
			return 0, err
		}
		only |= 1 << k
	}
	return only, nil
}

// onlyList is what parseOnly reads.
func onlyList(only uint8) string {
	var out []string
	for _, k := range gpu.KnobIDs() {
		if only&(1<<k) != 0 {
			out = append(out, k.String())
		}
	}
	return strings.Join(out, ",")
}

// flags are the bounds as a guard's command line has them.
func (b Bounds) flags() []string {
	var out []string
	for _, f := range []struct {
		name  string
		value any
	}{
		{"min-mhz", b.MinMHz}, {"max-mhz", b.MaxMHz}, {"min-mem-mhz", b.MinMemMHz}, {"max-mem-mhz", b.MaxMemMHz},
		{"min-power-w", b.MinPowerW}, {"max-power-w", b.MaxPowerW}, {"knobs", onlyList(b.Only)},
	} {
		out = append(out, fmt.Sprintf("--%s=%v", f.name, f.value))
	}
	return slices.Clip(out)
}
