package tui

import (
	"jouletop/engine/command"
	"jouletop/engine/event"
)

// Source is where the dashboard reads the stream of events. It never waits for
// the dashboard: telemetry ([event.Telemetry]) may be coalesced while the screen
// is slow, everything else is delivered, in order. stream.Subscriber is one.
type Source interface {
	// Ready is signalled when events are queued or the stream is closed. It may
	// be signalled once for many events.
	Ready() <-chan struct{}
	// Drain takes all that is queued, oldest first; closed tells that no more
	// will come. It does not wait.
	Drain() (events []event.Event, closed bool)
}

// CurvePoint is one clock of a curve: means over the repeats so far.
type CurvePoint struct {
	SMMHz          float64 // achieved
	JoulesPerToken float64
	LatencyS       float64
	EDPJS          float64
}

// CurveMarks are the clocks worth marking on a curve, MHz; 0 where the points do
// not (yet) say.
type CurveMarks struct {
	CliffMHz float64 // frequency cliff
	EDPMHz   float64 // EDP optimum
	// EnergyMHz is the clock of the least energy per token (the sweet spot).
	EnergyMHz float64
}

// What is asked of and told by whoever runs the session.
type (
	Controller    = command.Controller
	Status        = command.Status
	Replay        = command.Replay
	File          = command.File
	Choices       = command.Choices
	Choice        = command.Choice
	Job           = command.Job
	Workload      = command.Workload
	Feature       = command.Feature
	WorkloadQuery = command.WorkloadQuery
	SessionInfo   = command.SessionInfo
	SessionDetail = command.SessionDetail
	SweepPlan     = command.Sweep
)
