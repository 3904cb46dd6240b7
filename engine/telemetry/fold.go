package telemetry

import (
	"math"
	"sync"
	"time"

	"jouletop/engine/event"
	"jouletop/gpu"
)

// fresh is for how long a reading is told that nothing has renewed.
const fresh = 10 * time.Second

// reading is the last of something, and when it came.
type reading[T any] struct {
	of T
	at time.Time
}

// sum is what energies come to.
type sum struct {
	joules, errJ float64 // of those that are stated
	seconds      float64 // of all
	unresolved   int64   // how many are not stated
}

func (s *sum) add(e event.Energy, seconds float64) {
	s.seconds += max(seconds, 0)
	if !(e.EnergyJ >= 0) || math.IsInf(e.EnergyJ, 1) { // NaN: not stated
		s.unresolved++
		return
	}
	s.joules += e.EnergyJ
	if e.EnergyErrJ > 0 && !math.IsInf(e.EnergyErrJ, 1) {
		s.errJ += e.EnergyErrJ
	}
}

// counter is a GPU's energy counter as it went on since it was first read.
type counter struct {
	lastJ  float64
	lastNS int64
	joules float64
}

// add takes a reading in. Steps back, and such that no board draws so much, are left
// out: the count goes on from there.
func (c *counter) add(p event.Power) {
	up, seconds := p.CounterJ-c.lastJ, float64(p.TimeNS-c.lastNS)/1e9
	c.lastJ, c.lastNS = p.CounterJ, p.TimeNS
	const oneTick = 0.2 // s: the counter's step may be of a little longer than the time between readings
	if up > 0 && seconds > 0 && up <= gpu.MostBoardW*(seconds+oneTick) {
		c.joules += up
	}
}

type (
	phaseOf  struct{ gpu, phase string }
	sourceOf struct{ gpu, source string }
	// requestsOf are the requests of one model.
	requestsOf struct {
		sum
		done, failed  int64
		input, output int64 // tokens, as far as known
	}
)

// fold is what is known of a session by its events.
type fold struct {
	mu       sync.Mutex
	now      func() time.Time // of the readings' freshness
	samples  map[string]reading[event.Sample]
	power    map[sourceOf]reading[event.Power]
	host     map[string]reading[event.HostPower] // by source
	counters map[string]*counter
	phases   map[phaseOf]*sum
	requests map[string]*requestsOf // by model
	changes  map[string]int64       // of the clock, by GPU
	warnings int64
}

func newFold(now func() time.Time) *fold {
	return &fold{
		now: now, samples: map[string]reading[event.Sample]{}, power: map[sourceOf]reading[event.Power]{}, counters: map[string]*counter{}, host: map[string]reading[event.HostPower]{},
		phases: map[phaseOf]*sum{}, requests: map[string]*requestsOf{}, changes: map[string]int64{},
	}
}

func (f *fold) take(e event.Event) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch e := e.(type) {
	case event.Sample:
		f.samples[e.GPU] = reading[event.Sample]{e, f.now()}
	case event.Power:
		f.takePower(e)
	case event.HostPower:
		f.host[e.Source] = reading[event.HostPower]{e, f.now()}
	case event.PhaseEnergy:
		of(f.phases, phaseOf{e.GPU, string(e.Phase)}).add(e.Energy, float64(e.EndNS-e.StartNS)/1e9)
	case event.RequestEnergy:
		r := of(f.requests, e.Model)
		r.add(e.Energy, e.LatencyS())
		r.done++
		if e.Err != "" {
			r.failed++
		}
		r.input += int64(max(e.InputTokens, 0))
		r.output += int64(max(e.OutputTokens, 0))
	case event.ClockChange:
		f.changes[e.GPU]++
	case event.Warning:
		f.warnings++
	}
}

func (f *fold) takePower(e event.Power) {
	if gpu.Plausible(e.PowerW) {
		f.power[sourceOf{e.GPU, e.Source}] = reading[event.Power]{e, f.now()}
	}
	if !(e.CounterJ >= 0) || math.IsInf(e.CounterJ, 1) {
		return
	}
	if c := f.counters[e.GPU]; c != nil {
		c.add(e)
	} else {
		f.counters[e.GPU] = &counter{lastJ: e.CounterJ, lastNS: e.TimeNS}
	}
}

// of is the map's entry, made where there is none.
func of[K comparable, V any](m map[K]*V, key K) *V {
	if m[key] == nil {
		m[key] = new(V)
	}
	return m[key]
}

// isFresh tells whether something that came at that time is still told.
func (f *fold) isFresh(at time.Time) bool { return f.now().Sub(at) <= fresh }
