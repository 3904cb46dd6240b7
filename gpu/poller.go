package gpu

import (
	"time"
)

// Poll is one round of readings: a [Sample] and, in some rounds, polled power.
type Poll struct {
	TimeNS int64 // when it began
	Took   int64 // to read Sample, ns
	Sample Sample
	Err    error // what failed; the sample holds what could be read
	// Power holds the readings of the sources that were due, the first Powers of
	// them; PowerErr what failed of each, PowerTook how long each took, ns.
	Power     [2]PowerReading
	PowerErr  [2]error
	PowerTook [2]int64
	Powers    int
}

// DueSource is a polled power source and in every how many rounds it is read.
type DueSource struct {
	Name  string
	Every int64
}

// Poller is implemented by a Device that can poll itself at fixed deadlines,
// independently of the Go scheduler, and keep what it read until asked.
type Poller interface {
	// StartPolling polls every period of CLOCK_MONOTONIC, and the given sources of
	// power (at most two) as they are due. A lost GPU is tried once a second.
	StartPolling(period time.Duration, due []DueSource) (Polling, error)
}

// Polling is a poller at work.
type Polling interface {
	// Read appends what was polled since the last call, oldest first.
	Read(into []Poll) []Poll
	// Missed returns how many deadlines were left out, because the poller came a
	// whole period late or nobody read.
	Missed() int64
	// Stop ends it; Read still returns what is left.
	Stop()
}

// Recoverer is implemented by a Device that can go on after its driver was
// reloaded.
type Recoverer interface {
	// Recover tries to; nothing else is called meanwhile but by a [Poller], which
	// knows.
	Recover() error
}
