package event

// RunState is what a run is doing.
type RunState string

// What a run can be doing.
const (
	StateIdle     RunState = "idle" // nothing runs
	StateRunning  RunState = "running"
	StatePaused   RunState = "paused"
	StateStopping RunState = "stopping" // it ends after the batch in hand
)

// How is how a run ended; "" where it has not, or nobody could write it down.
type How string

// How runs end.
const (
	HowDone        How = "done"
	HowStopped     How = "stopped"     // by its operator
	HowInterrupted How = "interrupted" // by a signal
	HowFailed      How = "failed"
)
