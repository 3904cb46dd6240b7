package engine

import (
	"context"

	"jouletop/engine/event"
	"jouletop/engine/serverword"
	"jouletop/gpu"
)

// Policy says which SM clock a phase should run at. Its methods are called one at
// a time and return at once: the backend waits for Phase.
type Policy interface {
	// Name is the value of the policy columns: "none", "fixed:1005",
	// "phase:1980/1005", "min-energy", …
	Name() string
	// Start returns the clock to set before the first batch, in MHz; 0 leaves it
	// to the driver.
	Start() int
	// Phase is told that a phase begins and returns the clock wanted for it in
	// MHz (0: the driver's default) and whether to set it.
	Phase(p event.PhaseStart) (mhz int, set bool)
	// Observe is told every event of the run other than telemetry, in order, so
	// that a policy may learn. It returns notes to publish.
	Observe(e event.Event) []event.PolicyNote
}

// KnobPolicy is a Policy that sets other knobs than the SM clock.
type KnobPolicy interface {
	Policy
	// Knobs returns what they should be at, the SM clock left out. It is asked after
	// Start, and after each Phase.
	Knobs() gpu.Setting
}

// PassPolicy is a Policy that looks at each pass of a model that serves, before it
// begins: at StartNS, with no end yet.
type PassPolicy interface {
	Policy
	Pass(it event.IterationSpan) (mhz int, set bool)
}

// Telemetry is what a server says of itself, beside its answers: see engine/serverword.
type Telemetry interface {
	// Look reads it now; the error says that there is nothing.
	Look(ctx context.Context) error
	// Optional tells whether that there is nothing is no matter.
	Optional() bool
	// Take returns what it said since Take was called before.
	Take() serverword.Told
	// Word returns what all of it is worth so far.
	Word() event.ServerTelemetry
}
