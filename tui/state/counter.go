package state

import (
	"math"

	"jouletop/gpu"
)

// counter follows a GPU's energy counter from its first reading on.
type counter struct {
	first, last float64 // J
	at          int64   // of last, ns
	known       bool    // there is a reading
	broken      bool    // it went back, or on by more than any board can draw
}

// counterSlackNS is by how much a reading may be off the moment of its value, ns: a
// counter is renewed ten times a second or more often.
const counterSlackNS = 100_000_000

// read takes a reading. One that is not later than the one before is passed over.
func (c *counter) read(at int64, j float64) {
	switch {
	case math.IsNaN(j) || c.known && at <= c.at:
		return
	case c.known:
		by := j - c.last
		c.broken = c.broken || by < 0 || by > gpu.MostBoardW*float64(at-c.at+counterSlackNS)/1e9
	default:
		c.first, c.known = j, true
	}
	c.last, c.at = j, at
}

// joules is what was counted, NaN where that is not known.
func (c *counter) joules() float64 {
	if !c.known || c.broken || c.last == c.first {
		return math.NaN()
	}
	return c.last - c.first
}

// EnergyJ is what all GPUs drew since the session began, its pauses with it, by
// their energy counters, J; NaN where one of them does not tell.
func (s *State) EnergyJ() float64 {
	if len(s.GPUs) == 0 {
		return math.NaN()
	}
	sum := 0.0
	for _, id := range s.GPUs {
		sum += s.tele[id].counter.joules()
	}
	return sum
}
