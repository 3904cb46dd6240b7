package session

import (
	"math"
	"time"

	"jouletop/engine/event"
)

// thinner lets through about one row a second and a phase.
type thinner struct {
	sampleAt map[string]int64    // by GPU
	powerAt  map[[2]string]int64 // by GPU and source
	hostAt   map[string]int64    // by source
}

const thinEvery = int64(time.Second)

func (t *thinner) sample(e event.Sample) bool {
	if t.sampleAt == nil {
		t.sampleAt = map[string]int64{}
	}
	return due(t.sampleAt, e.GPU, e.TimeNS)
}

func (t *thinner) power(e event.Power) bool {
	if t.powerAt == nil {
		t.powerAt = map[[2]string]int64{}
	}
	return due(t.powerAt, [2]string{e.GPU, e.Source}, e.TimeNS)
}

// host lets through what failed as well: across that nothing is concluded.
func (t *thinner) host(e event.HostPower) bool {
	if t.hostAt == nil {
		t.hostAt = map[string]int64{}
	}
	return math.IsNaN(e.PowerW) && math.IsNaN(e.CounterJ) || due(t.hostAt, e.Source, e.TimeNS)
}

// due tells whether t is late enough after the row let through last.
func due[K comparable](last map[K]int64, k K, t int64) bool {
	if at, seen := last[k]; seen && t-at < thinEvery {
		return false
	}
	last[k] = t
	return true
}

// phase lets the next row of each kind through.
func (t *thinner) phase() {
	clear(t.sampleAt)
	clear(t.powerAt)
	clear(t.hostAt)
}
