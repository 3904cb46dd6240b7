package sampler

import (
	"slices"
	"time"

	"jouletop/gpu"
)

// polled is a power source read in the fast loop.
type polled struct {
	name   string
	period int64 // of its renewal, ns
	every  int64 // read in every how many polls
	seen   bool
	value  float64
	since  int64 // when value was renewed last
	// Where the period was not found out it is nominal, and longer if the times
	// between changes say so, the newest of which are kept.
	nominal bool
	changes [8]int64
	changed int
}

func newPolled(src gpu.PowerSource, poll time.Duration) *polled {
	p := &polled{name: src.Name, period: int64(src.PeriodMS * 1e6)}
	p.every = max(1, p.period/(4*int64(poll)))
	if p.period == 0 {
		p.nominal, p.period = true, int64(nominal[src.Name].PeriodMS*1e6)
	}
	return p
}

// fresh tells whether the source has renewed its value since the reading
// before; false for the first, of which that is not known, and for what no sensor
// means.
func (p *polled) fresh(r *gpu.PowerReading) bool {
	switch {
	case !gpu.Plausible(r.PowerW):
		return false
	case !p.seen:
		p.seen, p.value, p.since = true, r.PowerW, r.TimeNS
		return false
	case r.PowerW != p.value:
		p.learn(r.TimeNS - p.since)
		p.value, p.since = r.PowerW, r.TimeNS
		return true
	case r.TimeNS-p.since >= p.period+p.period/4:
		// Renewed to the same value; the quarter keeps a change that comes a little
		// late from being counted twice.
		p.since += p.period
		return true
	}
	return false
}

// learn takes the time between two changes.
func (p *polled) learn(interval int64) {
	if !p.nominal {
		return
	}
	p.changes[p.changed%len(p.changes)] = interval
	if p.changed++; p.changed < len(p.changes) {
		return
	}
	p.period = max(int64(nominal[p.name].PeriodMS*1e6), slices.Min(p.changes[:]))
}
