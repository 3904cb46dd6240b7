package event

import (
	"fmt"
	"math"
	"strconv"
	"strings"
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
	// Counted is what the driver counted meanwhile, whatever ran.
	Counted Counted `json:"counted,omitzero"`
}

// Counted is for how much of a time a limit held the clocks by the driver's own counters
// (gpu.LimitTimes), which tell no phases apart.
type Counted struct {
	ForS     float64 `json:"for_s"`     // of which it is, s; 0: nothing was counted
	PowerPct float64 `json:"power_pct"` // the power limit, % of it; NaN not counted
	HeatPct  float64 `json:"heat_pct"`  // a limit that is none of power
	// Doubt says why it is not believed, or what speaks against it; "" nothing.
	Doubt string `json:"doubt,omitempty"`
}

// Known tells whether anything was counted.
func (c Counted) Known() bool { return c.ForS > 0 }

// Sentence says what was counted, beside what the phases' verdicts say; "" for nothing of
// interest.
func (c Counted) Sentence() string {
	of := func(pct float64, what string) string {
		return fmt.Sprintf("%.0f %% of %.0f s as held by %s", pct, c.ForS, what)
	}
	text := of(c.PowerPct, "power")
	switch {
	case !c.Known():
		return ""
	case c.HeatPct > c.PowerPct || math.IsNaN(c.PowerPct):
		text = of(c.HeatPct, "heat, or a limit that is none of power")
	}
	switch {
	case c.Doubt != "":
		return "The driver itself counts " + text + ": " + c.Doubt + "."
	case c.PowerPct >= HeldAtTimes || c.HeatPct >= HeldAtTimes:
		return "The driver itself counts " + text + "."
	}
	return ""
}

// UnknownHeld knows nothing of any phase.
func UnknownHeld() HeldPhases {
	none := Held{Pct: math.NaN()}
	return HeldPhases{Prefill: none, Decode: none, Score: none, Mixed: none}
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

// Told tells whether anything is known of any kind of phase.
func (h HeldPhases) Told() bool {
	return h.Prefill.Known() || h.Decode.Known() || h.Score.Known() || h.Mixed.Known()
}

// heldOrder are the phases in the order in which they are told of, and their words.
var heldOrder = []struct {
	Phase
	word string
}{{Prefill, "prefill"}, {Decode, "decode"}, {Score, "scoring"}, {Mixed, "serving"}}

// Limited tells whether a limit held the clock in some kind of phase, if but at times.
func (h HeldPhases) Limited() bool {
	return h.Prefill.Limited() || h.Decode.Limited() || h.Score.Limited() || h.Mixed.Limited()
}

// Short words it for a narrow place: "P power 72 %, D nothing", "P power 100 %, D 91 %".
func (h HeldPhases) Short() string {
	var out []string
	last := HeldBy("")
	for _, p := range heldOrder {
		b := h.Of(p.Phase)
		if !b.Known() {
			continue
		}
		text := strings.ToUpper(string(p.Phase[:1]))
		if !b.Limited() || b.By != last {
			text += " " + string(b.By)
		}
		if b.Limited() {
			text += fmt.Sprintf(" %.0f %%", b.Pct)
		}
		out, last = append(out, text), b.By
	}
	return strings.Join(out, ", ")
}

// Sentence says in which phases a power limit held the clock and in which it did not:
// "The cap of 400 W binds in prefill (72 % of its time). This cap never binds in decode."
// limitW is NaN where it is not known; "" where nothing is known of any phase.
func (h HeldPhases) Sentence(limitW float64) string {
	var bound, rarely, free, hot []string
	for _, p := range heldOrder {
		switch b := h.Of(p.Phase); {
		case b.By == HeldByPower:
			bound = append(bound, fmt.Sprintf("%s (%.0f %% of its time)", p.word, b.Pct))
		case b.By == HeldByHeat:
			hot = append(hot, fmt.Sprintf("%s (%.0f %% of its time)", p.word, b.Pct))
		case b.Known() && b.Pct >= 0.5:
			rarely = append(rarely, p.word)
		case b.Known():
			free = append(free, p.word)
		}
	}
	limit := "power limit"
	if limitW > 0 {
		limit = "cap of " + strconv.FormatFloat(math.Round(limitW*10)/10, 'f', -1, 64) + " W"
	}
	var out []string
	if len(bound) > 0 {
		out = append(out, "The "+limit+" binds in "+and(bound)+".")
		limit = "cap"
	}
	for _, q := range []struct {
		how string
		in  []string
	}{{"hardly ever", rarely}, {"never", free}} {
		if len(q.in) > 0 {
			out = append(out, "This "+limit+" "+q.how+" binds in "+and(q.in)+".")
			limit = "cap"
		}
	}
	if len(hot) > 0 {
		out = append(out, "Heat, or a limit that is none of power, holds the clock in "+and(hot)+".")
	}
	if said := h.Counted.Sentence(); said != "" {
		out = append(out, said)
	}
	return strings.Join(out, " ")
}

func and(words []string) string { return strings.Join(words, " and ") }
