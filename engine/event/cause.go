package event

import (
	"slices"
	"strings"
)

// By is who or what changed a clock, or asked for it.
type By string

// Who changes clocks. The last three ask for nothing: the clock went by itself.
const (
	ByPolicy   By = "policy"
	ByOperator By = "operator"
	BySweepEnd By = "sweep end" // the operator's policy comes into force again
	ByExit     By = "exit"
	ByRearm    By = "re-armed"     // what was asked for last, once more
	ByLoss     By = "guard lost"   // the clock guard ended; it or its watcher gave the clock back
	ByOthers   By = "other's hand" // the clock left the one it was locked to
)

// Cause is why a clock changed. As text, in clocks.csv and events.jsonl, it is
// "operator", "policy:decode", "phase:1980/1005:decode" (a policy by its name),
// "exit", …
type Cause struct {
	By By
	// Policy is the name of the policy that asked for the clock of a phase; ""
	// where it came into force with it.
	Policy string
	Phase  Phase // the phase it was asked for; "" none
}

// Unasked tells whether nobody of the run asked for the change.
func (c Cause) Unasked() bool { return c.By == ByLoss || c.By == ByOthers }

func (c Cause) String() string {
	text := string(c.By)
	if c.By == ByPolicy && c.Policy != "" {
		text = c.Policy
	}
	if c.Phase != "" {
		text += ":" + string(c.Phase)
	}
	return text
}

// MarshalText implements encoding.TextMarshaler.
func (c Cause) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler: it reads what String wrote.
// What is none of the causes above is taken for a policy's name.
func (c *Cause) UnmarshalText(b []byte) error {
	*c = Cause{}
	text := string(b)
	if i := strings.LastIndexByte(text, ':'); i >= 0 && slices.Contains(phases, Phase(text[i+1:])) {
		text, c.Phase = text[:i], Phase(text[i+1:])
	}
	switch by := By(text); {
	case text == "" || slices.Contains(bys, by):
		c.By = by
	default:
		c.By, c.Policy = ByPolicy, text
	}
	return nil
}

var (
	phases = []Phase{Prefill, Decode, Score, Mixed, Idle}
	bys    = []By{ByPolicy, ByOperator, BySweepEnd, ByExit, ByRearm, ByLoss, ByOthers}
)
