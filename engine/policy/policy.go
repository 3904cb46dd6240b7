// Package policy says which SM clock each phase of a run should have:
//
//	none                          leave the clock to the driver
//	fixed:MHZ                     one clock throughout
//	fixed:sm=MHZ,power=W,...      one setting of several knobs throughout (sm, mem,
//	                              power, profile)
//	phase:PREFILL/DECODE[/SCORE]  a clock for each phase, where the switch pays; 0
//	                              leaves a phase to the driver
//	phase:sm=PREFILL/DECODE,...   the same, with other knobs throughout
//	min-energy                    find the clock of least energy while jobs run
//	min-edp                       find the clock of least energy × delay
//	min-energy:sm,mem,power       the same over several knobs, and for min-edp
//	phase:min-energy, phase:min-edp  the same for what follows prefill
//
// The searching ones keep latency within Options.MaxSlowdown of the highest clock's.
// Every type here implements engine.Policy. They learn from the events they
// observe alone, hold no goroutine and read no clock, so a run decides the same
// each time it sees the same events.
package policy

import (
	"fmt"

	"jouletop/engine"
	"jouletop/engine/event"
	"jouletop/gpu"
)

// DefaultMaxSlowdown is the latency bound of the optimizing policies where none
// is given: 3 % above the highest clock's.
const DefaultMaxSlowdown = 0.03

// Options tune the policies that learn.
type Options struct {
	// MaxSlowdown is the latency bound of min-energy and min-edp as a share of
	// the baseline's latency: 0.03 allows 3 % more. 0 means DefaultMaxSlowdown.
	MaxSlowdown float64
	// Knobs lists what can be set of the GPU; nil: the SM clock alone. It is asked where
	// a policy names another knob.
	Knobs func() []gpu.Knob
}

// check tells whether the GPU takes a setting of other knobs than the SM clock.
func (o Options) check(s gpu.Setting) error {
	if s == (gpu.Setting{}) {
		return nil
	}
	var knobs []gpu.Knob
	if o.Knobs != nil {
		knobs = o.Knobs()
	}
	return gpu.CheckSetting(knobs, s)
}

// Parse reads a policy for the GPU described by info. Errors wrap event.ErrPolicy or
// gpu.ErrBadClock.
func Parse(spec string, info gpu.Info, o Options) (engine.Policy, error) {
	if o.MaxSlowdown == 0 {
		o.MaxSlowdown = DefaultMaxSlowdown
	}
	if o.MaxSlowdown < 0 || o.MaxSlowdown > 10 || o.MaxSlowdown != o.MaxSlowdown {
		return nil, fmt.Errorf("%w: a slowdown of at most %g %% makes no sense", event.ErrPolicy, 100*o.MaxSlowdown)
	}
	p, err := event.ParsePolicy(spec)
	if err != nil {
		return nil, err
	}
	if err := o.check(p.Knobs); err != nil {
		return nil, fmt.Errorf("policy %s: %w", spec, err)
	}
	switch p.Kind {
	case event.FixedClock, event.FixedKnobs:
		if p.MHz != 0 || p.Kind == event.FixedClock {
			if err := info.CheckSMClock(p.MHz); err != nil {
				return nil, fmt.Errorf("policy %s: %w", spec, err)
			}
		}
		return Fixed{p.MHz, p.Knobs}, nil
	case event.ClockByPhase:
		for _, mhz := range []int{p.Clocks.Prefill, p.Clocks.Decode, p.Clocks.Score} {
			if mhz == 0 {
				continue // left to the driver
			}
			if err := info.CheckSMClock(mhz); err != nil {
				return nil, fmt.Errorf("policy %s: %w", spec, err)
			}
		}
		return NewPhaseAware(p.Clocks).WithKnobs(p.Knobs), nil
	case event.MinEnergy, event.MinEDP:
		goal := MinEnergy
		if p.Kind == event.MinEDP {
			goal = MinEDP
		}
		if p.Searched != 0 {
			var all []gpu.Knob
			if o.Knobs != nil {
				all = o.Knobs()
			}
			knobs, values, err := knobAxes(p, all)
			if err != nil {
				return nil, fmt.Errorf("policy %s: %w", spec, err)
			}
			return NewOnlineKnobs(goal, knobs, values, o.MaxSlowdown), nil
		}
		if len(info.SMClocks) < 2 {
			return nil, fmt.Errorf("%w: %s needs a GPU that lists its supported clocks", gpu.ErrBadClock, spec)
		}
		if p.ByPhase {
			return NewOnlineByPhase(goal, info.SMClocks, o.MaxSlowdown), nil
		}
		return NewOnline(goal, info.SMClocks, o.MaxSlowdown), nil
	}
	return engine.NoPolicy{}, nil
}

// Fixed keeps one clock, and other knobs.
type Fixed struct {
	MHz    int // 0: the driver's
	Others gpu.Setting
}

// Name returns "fixed:MHZ", or "fixed:sm=MHZ,power=W".
func (f Fixed) Name() string {
	kind := event.FixedClock
	if f.Others != (gpu.Setting{}) {
		kind = event.FixedKnobs
	}
	return event.Policy{Kind: kind, MHz: f.MHz, Knobs: f.Others}.String()
}

// Start returns the clock.
func (f Fixed) Start() int { return f.MHz }

// Knobs returns the others.
func (f Fixed) Knobs() gpu.Setting { return f.Others }

// Phase asks for nothing: the clock was set at the start.
func (f Fixed) Phase(event.PhaseStart) (int, bool) { return f.MHz, false }

// Observe learns nothing.
func (Fixed) Observe(event.Event) []event.PolicyNote { return nil }

var (
	_ engine.KnobPolicy = Fixed{}
	_ engine.KnobPolicy = (*PhaseAware)(nil)
	_ engine.KnobPolicy = (*Online)(nil)
)
