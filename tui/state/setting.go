package state

import (
	"strconv"
	"strings"
)

// Setting is what chose the clock of a request: one side of a comparison.
type Setting struct {
	Policy string // as command.Controller.SetPolicy takes it; "" none
	// MHz is the clock asked for where no policy was in force; 0 the driver's.
	MHz int
}

// SettingOf is the setting of a policy, or, where that is none, of the clock that
// was asked for.
func SettingOf(policy string, mhz int) Setting {
	if policy == "" || policy == "none" {
		return Setting{MHz: mhz}
	}
	return Setting{Policy: policy}
}

// Fixed is the clock that the setting keeps all the time, 0 the driver's; ok is
// false where it changes it by itself.
func (s Setting) Fixed() (mhz int, ok bool) {
	if s.Policy == "" {
		return s.MHz, true
	}
	spec, ok := strings.CutPrefix(s.Policy, "fixed:")
	mhz, err := strconv.Atoi(spec)
	return mhz, ok && err == nil
}

// Phases are the clocks of a phase-aware policy as it spells them, "1980/1005"; ""
// for another.
func (s Setting) Phases() string {
	clocks, _ := strings.CutPrefix(s.Policy, "phase:")
	if clocks == s.Policy {
		return ""
	}
	return clocks
}

// String names the setting for a title.
func (s Setting) String() string {
	switch {
	case s.Policy != "":
		return s.Policy
	case s.MHz > 0:
		return strconv.Itoa(s.MHz) + " MHz"
	}
	return "driver's clock"
}
