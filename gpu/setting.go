package gpu

import (
	"fmt"
	"strconv"
	"strings"
)

// Setting is what a GPU's knobs are to be at; 0 leaves a knob to the driver.
type Setting struct {
	SMMHz    int `json:"sm_mhz,omitempty"`
	MemMHz   int `json:"mem_mhz,omitempty"`
	PowerW   int `json:"power_w,omitempty"`
	Profiles int `json:"profiles,omitempty"` // a set, as KnobProfile's values
}

// Value is a knob's value in the driver's unit; 0 is none.
func (s Setting) Value(k KnobID) int {
	switch k {
	case KnobSM:
		return s.SMMHz
	case KnobMem:
		return s.MemMHz
	case KnobPower:
		return s.PowerW * 1000
	case KnobProfile:
		return s.Profiles
	}
	return 0
}

// With returns s with one knob at v, in its unit for people: MHz, W, a set of profiles.
func (s Setting) With(k KnobID, v int) Setting {
	switch k {
	case KnobSM:
		s.SMMHz = v
	case KnobMem:
		s.MemMHz = v
	case KnobPower:
		s.PowerW = v
	case KnobProfile:
		s.Profiles = v
	}
	return s
}

// Others is s without the SM clock.
func (s Setting) Others() Setting { return s.With(KnobSM, 0) }

// String is as flags and files have it: "sm=1005,power=400"; "" where all is left to
// the driver.
func (s Setting) String() string {
	var out []string
	for _, k := range KnobIDs() {
		v := s.Value(k)
		switch {
		case v == 0:
			continue
		case k == KnobPower:
			v = s.PowerW
		case k == KnobProfile:
			out = append(out, k.String()+"="+profileNumbers(v))
			continue
		}
		out = append(out, fmt.Sprintf("%s=%d", k, v))
	}
	return strings.Join(out, ",")
}

func profileNumbers(set int) string {
	var out []string
	for n := range MostProfiles {
		if set&(1<<n) != 0 {
			out = append(out, strconv.Itoa(n))
		}
	}
	return strings.Join(out, "+")
}

// mostValue bounds what is read: no GPU runs at a THz or draws a megawatt.
const mostValue = 1_000_000

// ParseKnobValue reads one knob's value as a Setting has it: MHz, W, or NVML's numbers
// of workload power profiles joined by "+".
func ParseKnobValue(k KnobID, text string) (int, error) {
	if k == KnobProfile {
		set := 0
		for part := range strings.SplitSeq(text, "+") {
			n, err := strconv.Atoi(strings.TrimSpace(part))
			if err != nil || n < 0 || n >= MostProfiles {
				return 0, fmt.Errorf("%q is not the number of a workload power profile", part)
			}
			set |= 1 << n
		}
		return set, nil
	}
	v, err := strconv.Atoi(strings.TrimSpace(text))
	if err != nil || v < 0 || v > mostValue {
		unit := "MHz"
		if k == KnobPower {
			unit = "W"
		}
		return 0, fmt.Errorf("%q is not a %s in whole %s", text, k.Title(), unit)
	}
	return v, nil
}

// ParseSetting reads what String writes.
func ParseSetting(text string) (Setting, error) {
	var s Setting
	for part := range strings.SplitSeq(text, ",") {
		name, value, found := strings.Cut(part, "=")
		var k KnobID
		if err := k.UnmarshalText([]byte(strings.TrimSpace(name))); err != nil || !found {
			return Setting{}, fmt.Errorf("%q: want KNOB=VALUE with the knob sm, mem, power or profile", part)
		}
		v, err := ParseKnobValue(k, value)
		switch {
		case err != nil:
			return Setting{}, err
		case v == 0:
			return Setting{}, fmt.Errorf("%s=%s: a knob that is left to the driver is left out", k, value)
		case s.Value(k) != 0:
			return Setting{}, fmt.Errorf("%s is given twice", k)
		}
		s = s.With(k, v)
	}
	return s, nil
}

// CheckSetting returns nil if the knobs take the setting; errors are those of
// Knob.Check.
func CheckSetting(knobs []Knob, s Setting) error {
	for _, k := range KnobIDs() {
		v := s.Value(k)
		if v == 0 {
			continue
		}
		found := NewKnob(k, "not found on this GPU")
		for _, have := range knobs {
			if have.ID == k {
				found = have
			}
		}
		if err := found.Check(v); err != nil {
			return err
		}
	}
	return nil
}
