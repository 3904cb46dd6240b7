package stream

import "jouletop/engine/event"

// Recorder keeps every event. Record is called from one goroutine at a time, in
// order, and does not fail: a write error is kept and returned by Close (and
// shown as an event by whoever polls Err).
type Recorder interface {
	Record(e event.Event)
	// Err returns the first write error, nil while all is well.
	Err() error
	Close() error
}
