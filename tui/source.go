package tui

import "jouletop/engine/event"

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
