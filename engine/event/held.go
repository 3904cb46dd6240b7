package event

import (
	"fmt"
	"math"
)

// HeldBy is what kept an SM clock from being higher.
type HeldBy string

// What holds a clock; "" is not known.
const (
	HeldByPower   HeldBy = "power"   // a power limit
	HeldByHeat    HeldBy = "heat"    // a limit that is none of power
	HeldByLock    HeldBy = "sm-lock" // nothing but the clock that was asked for
	HeldByNothing HeldBy = "nothing" // it was at its highest
)

// Held says what held the SM clock in a kind of phase.
type Held struct {
	By HeldBy `json:"by,omitempty"`
	// Pct is for how much of the phase's time a limit (of power or heat) held the clock
	// below the one asked for, %; NaN unknown.
	Pct float64 `json:"pct"`
}

// A limit counts as what held the clock from HeldAtTimes percent of a phase's time on;
// from HeldMostly on it did for most of it.
const (
	HeldAtTimes = 5.0
	HeldMostly  = 50.0
)

// Known tells whether it is known what held the clock.
func (h Held) Known() bool { return h.By != "" }

// Limited tells whether a limit held the clock, if but at times.
func (h Held) Limited() bool { return h.By == HeldByPower || h.By == HeldByHeat }

// String words it: "power, 72 % of the time", "nothing", "unknown".
func (h Held) String() string {
	switch {
	case !h.Known():
		return "unknown"
	case h.Limited():
		return fmt.Sprintf("%s, %.0f %% of the time", h.By, h.Pct)
	}
	return string(h.By)
}

// HeldPhases is what held the clock in each kind of phase.
type HeldPhases struct {
	Prefill Held `json:"prefill"`
	Decode  Held `json:"decode"`
	Score   Held `json:"score"`
	Mixed   Held `json:"mixed"`
}

// UnknownHeld knows nothing of any phase.
func UnknownHeld() HeldPhases {
	none := Held{Pct: math.NaN()}
	return HeldPhases{none, none, none, none}
}

// Of returns a kind of phase's, nil for idleness.
func (h *HeldPhases) Of(p Phase) *Held {
	switch p.Decoding() {
	case Prefill:
		return &h.Prefill
	case Decode:
		return &h.Decode
	case Score:
		return &h.Score
	case Mixed:
		return &h.Mixed
	}
	return nil
}
