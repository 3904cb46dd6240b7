package engine

import (
	"jouletop/engine/event"
	"jouletop/gpu/clockguard"
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

// ClockControl sets and gives back the SM clock of one GPU, and tells when the
// driver was called. clockguard.Client implements it; every change goes through
// it.
type ClockControl interface {
	// SetTimed locks the SM clock to mhz and returns once the driver's call has.
	SetTimed(mhz int) (clockguard.Timing, error)
	// ResetTimed gives the clock back to the driver. It is harmless when nothing
	// is set.
	ResetTimed() (clockguard.Timing, error)
	// Arm switches clock control on, starting a guard in place of one that was
	// lost, or off.
	Arm(on bool) error
	// OnLoss has f told when the guard ends by itself and the clock with it. f
	// must not call the control.
	OnLoss(f func(clockguard.Loss))
	// HeldUntil returns the time in ns up to which the clock set last is known to
	// have been in force; math.MaxInt64 where nothing can take it away.
	HeldUntil() int64
}

// Recorder keeps every event. Record is called from one goroutine at a time, in
// order, and does not fail: a write error is kept and returned by Close (and
// shown as an event by whoever polls Err).
type Recorder interface {
	Record(e event.Event)
	// Err returns the first write error, nil while all is well.
	Err() error
	Close() error
}
