package state

import (
	"strconv"

	"jouletop/engine/event"
)

// Setting is what chose the clock of a request: one side of a comparison.
type Setting struct {
	Policy event.Policy
	// MHz is the clock asked for where no policy was in force; 0 the driver's.
	MHz int
}

// SettingOf is the setting of a policy column, or, where that is none, of the clock that
// was asked for.
func SettingOf(policy string, mhz int) Setting {
	p := event.PolicyOf(policy)
	if p.Kind != event.NoPolicy {
		mhz = 0
	}
	return Setting{p, mhz}
}

// Fixed is the clock that the setting keeps all the time, 0 the driver's; ok is
// false where it changes it by itself.
func (s Setting) Fixed() (mhz int, ok bool) {
	switch s.Policy.Kind {
	case event.NoPolicy:
		return s.MHz, true
	case event.FixedClock:
		return s.Policy.MHz, true
	}
	return 0, false
}

// String names the setting for a title.
func (s Setting) String() string {
	switch {
	case s.Policy.Kind != event.NoPolicy:
		return s.Policy.String()
	case s.MHz > 0:
		return strconv.Itoa(s.MHz) + " MHz"
	}
	return "driver's clock"
}
