package policy

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"jouletop/engine/event"
)

// engineRun feeds an Online what the engine would while batches run on a model:
// phases as they happen, energies some 0.7 s later.
type engineRun struct {
	m        model
	r        *rand.Rand
	p        *Online
	now      int64
	mhz      int
	due      []event.RequestEnergy
	notes    []string
	n        int
	scale    float64 // of the model's latency from now on
	unknown  bool    // energies are unresolved
	overlong float64 // true s of batches in a row beyond the bound
	worst    float64
}

func newEngineRun(m model, goal Goal, seed uint64) *engineRun {
	e := &engineRun{m: m, r: rand.New(rand.NewPCG(seed, 2)), p: NewOnline(goal, h100().SMClocks, 0.03), scale: 1}
	e.observe(event.PointStart{Point: event.Point{Model: "m", Dataset: "d", BatchSize: 2}})
	e.set(e.p.Start())
	return e
}

func (e *engineRun) observe(ev event.Event) {
	for _, n := range e.p.Observe(ev) {
		e.notes = append(e.notes, n.Text)
	}
}

func (e *engineRun) set(mhz int) {
	e.mhz = mhz
	e.observe(event.ClockChange{At: event.At{TimeNS: e.now}, RequestedSMMHz: mhz, Cause: event.Cause{By: event.ByPolicy}})
}

// batch runs one batch of two requests of random length.
func (e *engineRun) batch() {
	e.n++
	id := fmt.Sprint("b", e.n)
	e.observe(event.BatchStart{At: event.At{TimeNS: e.now}, BatchID: id, Queries: []string{"q1", "q2"}})
	start, mixed, before := e.now, false, e.mhz
	if mhz, set := e.p.Phase(event.PhaseStart{BatchID: id, Phase: event.Prefill, BatchSize: 2}); set {
		mixed = true // the change comes when the phase has begun
		e.set(mhz)
	}
	f := float64(e.mhz)
	if e.m.latency(f) > 1.03*e.m.latency(1980) {
		e.overlong += 1
		e.worst = math.Max(e.worst, e.overlong)
	} else {
		e.overlong = 0
	}
	work, steps := 0.0, 0
	for _, phase := range []event.Phase{event.Prefill, event.Decode} {
		tokens, perToken := 100+e.r.IntN(600), 0.0001
		if phase == event.Decode {
			steps, perToken = 40+e.r.IntN(40), 0.008
			tokens = steps
		}
		w := perToken * float64(tokens)
		if phase == event.Decode {
			tokens += steps * e.r.IntN(11) / 10 // the other request may end sooner
		}
		work += w
		d := int64(1e9 * w * e.scale * e.m.latency(f) * (1 + 0.005*e.r.NormFloat64()))
		e.observe(event.PhaseEnd{At: event.At{TimeNS: e.now + d}, PhaseSpan: event.PhaseSpan{
			BatchID: id, Phase: phase, StartNS: e.now, EndNS: e.now + d, BatchSize: 2, Tokens: tokens, RequestedSMMHz: e.mhz}})
		e.now += d
	}
	energy := work * e.m.energy(f) * (1 + 0.015*e.r.NormFloat64())
	if e.unknown {
		energy = math.NaN()
	}
	for range 2 {
		e.due = append(e.due, event.RequestEnergy{At: event.At{TimeNS: e.now}, MixedClock: mixed,
			Request: event.Request{BatchID: id, BatchSize: 2, RequestedSMMHz: before, StartNS: start, EndNS: e.now, OutputTokens: steps},
			Energy:  event.Energy{EnergyJ: energy / 2}})
	}
	for len(e.due) > 0 && e.due[0].EndNS < e.now-700*ms {
		r := e.due[0]
		r.TimeNS = e.now
		e.due = e.due[1:]
		e.observe(r)
	}
}

func (e *engineRun) settle(t *testing.T) {
	t.Helper()
	for range 2000 {
		if e.p.Optimizer().Done() {
			return
		}
		e.batch()
	}
	t.Fatalf("not settled after 2000 batches: %s", strings.Join(e.notes, "\n"))
}

func TestOnlineSettles(t *testing.T) {
	for _, m := range models[:4] {
		t.Run(m.name, func(t *testing.T) {
			good := 0
			const seeds = 2
			for seed := range uint64(seeds) {
				e := newEngineRun(m, MinEnergy, seed)
				e.settle(t)
				if n := len(e.p.Optimizer().Trials()); n > MaxTrials || len(e.notes) != n {
					t.Errorf("%d trials with %d notes", n, len(e.notes))
				}
				e.batch()
				_, least := m.best(MinEnergy, h100().SMClocks, 0.03)
				excess := m.energy(float64(e.mhz))/least - 1
				slow := m.latency(float64(e.mhz))/m.latency(1980) - 1
				if excess <= 0.03 && slow <= 0.03 {
					good++
				} else {
					t.Logf("seed %d: %d MHz, %.1f %% more energy than need be, %.1f %% slower; %s",
						seed, e.mhz, 100*excess, 100*slow, strings.Join(e.notes, "\n"))
				}
			}
			if good < seeds {
				t.Errorf("good in %d of %d seeds", good, seeds)
			}
		})
	}
}

// A settled clock that turns slow later is given up for the baseline's side.
func TestOnlineGivesUpABrokenBound(t *testing.T) {
	e := newEngineRun(models[0], MinEnergy, 1)
	e.settle(t)
	e.batch()
	kept := e.mhz
	if kept == 1980 {
		t.Fatalf("settled at the baseline: %s", strings.Join(e.notes, "\n"))
	}
	before := len(e.notes)
	e.scale = 1.1
	for range 60 {
		e.batch()
	}
	if e.mhz <= kept {
		t.Errorf("still at %d MHz although latency is 10 %% over; %s", e.mhz, strings.Join(e.notes[before:], "\n"))
	}
}

func TestOnlineWithoutEnergyStaysAtTheBaseline(t *testing.T) {
	e := newEngineRun(models[0], MinEnergy, 1)
	e.unknown = true
	for range 2000 {
		e.batch()
	}
	if e.mhz != 1980 || !e.p.Optimizer().Done() {
		t.Errorf("at %d MHz, done %v", e.mhz, e.p.Optimizer().Done())
	}
}

// Each model, dataset and batch size is searched for itself, and what was found
// is kept for when it comes again.
func TestOnlineKeepsJobsApart(t *testing.T) {
	e := newEngineRun(models[0], MinEnergy, 3)
	e.settle(t)
	first := e.p.Optimizer()
	point := func(batch int) {
		e.observe(event.PointStart{Point: event.Point{Model: "m", Dataset: "d", BatchSize: batch}})
	}
	point(8)
	if e.p.Optimizer() == first || e.p.Optimizer().Done() {
		t.Error("another batch size goes on with the first one's search")
	}
	point(2)
	if e.p.Optimizer() != first {
		t.Error("the first search was forgotten")
	}
}
