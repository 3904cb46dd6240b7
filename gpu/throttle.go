package gpu

import (
	"fmt"
	"strconv"
	"strings"
)

// Throttle is a set of reasons for which the clock is below what was asked:
// the bits of NVML's nvmlClocksEventReasons.
type Throttle uint64

// The bits, as NVML numbers them (nvml.h, nvmlClocksEventReason…).
const (
	ThrottleIdle          Throttle = 1 << 0
	ThrottleAppClocks     Throttle = 1 << 1 // applications or locked clocks setting
	ThrottleSWPowerCap    Throttle = 1 << 2
	ThrottleHWSlowdown    Throttle = 1 << 3
	ThrottleSyncBoost     Throttle = 1 << 4
	ThrottleSWThermal     Throttle = 1 << 5
	ThrottleHWThermal     Throttle = 1 << 6
	ThrottleHWPowerBrake  Throttle = 1 << 7
	ThrottleDisplayClocks Throttle = 1 << 8
	ThrottleBoardLimit    Throttle = 1 << 9  // since NVML 13 (driver 615)
	ThrottleReliability   Throttle = 1 << 10 // likewise
)

var throttleNames = []struct {
	bit  Throttle
	name string
}{
	{ThrottleIdle, "idle"},
	{ThrottleAppClocks, "clock-setting"},
	{ThrottleSWPowerCap, "power-cap"},
	{ThrottleHWSlowdown, "hw-slowdown"},
	{ThrottleSyncBoost, "sync-boost"},
	{ThrottleSWThermal, "sw-thermal"},
	{ThrottleHWThermal, "hw-thermal"},
	{ThrottleHWPowerBrake, "hw-power-brake"},
	{ThrottleDisplayClocks, "display-clocks"},
	{ThrottleBoardLimit, "board-limit"},
	{ThrottleReliability, "reliability"},
}

// Limits tells whether a power or thermal limit (not idleness or a setting)
// holds the clock down, so that a measurement at the requested clock is not one.
func (t Throttle) Limits() bool {
	return t&^(ThrottleIdle|ThrottleAppClocks|ThrottleDisplayClocks|ThrottleSyncBoost) != 0
}

// ByPower tells whether a power limit holds the clock down; ByHeat whether a limit that
// is none of power does.
func (t Throttle) ByPower() bool { return t&(ThrottleSWPowerCap|ThrottleHWPowerBrake) != 0 }

// ByHeat is for what Limits counts and ByPower does not: mostly heat.
func (t Throttle) ByHeat() bool { return (t &^ (ThrottleSWPowerCap | ThrottleHWPowerBrake)).Limits() }

// String lists the reasons joined by "+", "" for none.
func (t Throttle) String() string {
	var parts []string
	for _, n := range throttleNames {
		if t&n.bit != 0 {
			parts = append(parts, n.name)
			t &^= n.bit
		}
	}
	if t != 0 {
		parts = append(parts, fmt.Sprintf("%#x", uint64(t)))
	}
	return strings.Join(parts, "+")
}

// ParseThrottle reads what String wrote.
func ParseThrottle(s string) (Throttle, error) {
	var t Throttle
	if s == "" {
		return 0, nil
	}
next:
	for part := range strings.SplitSeq(s, "+") {
		for _, n := range throttleNames {
			if part == n.name {
				t |= n.bit
				continue next
			}
		}
		bits, err := strconv.ParseUint(part, 0, 64)
		if err != nil {
			return 0, fmt.Errorf("%q is not a throttle reason", part)
		}
		t |= Throttle(bits)
	}
	return t, nil
}
