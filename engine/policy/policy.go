// Package policy says which SM clock each phase of a run should have:
//
//	none                          leave the clock to the driver
//	fixed:MHZ                     one clock throughout
//	phase:PREFILL/DECODE[/SCORE]  a clock for each phase, where the switch pays; 0
//	                              leaves a phase to the driver
//	min-energy                    find the clock of least energy while jobs run
//	min-edp                       find the clock of least energy × delay
//	phase:min-energy, phase:min-edp  the same for what follows prefill
//
// The searching ones keep latency within Options.MaxSlowdown of the highest clock's.
// Every type here implements engine.Policy. They learn from the events they
// observe alone, hold no goroutine and read no clock, so a run decides the same
// each time it sees the same events.
package policy

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"jouletop/engine"
	"jouletop/engine/event"
	"jouletop/gpu"
)

// ErrSpec: a policy that cannot be read.
var ErrSpec = errors.New("unknown policy")

// Forms names the policies for a usage message.
const Forms = "none, fixed:MHZ, phase:PREFILL/DECODE[/SCORE], min-energy, min-edp, phase:min-energy, phase:min-edp"

// DefaultMaxSlowdown is the latency bound of the optimizing policies where none
// is given: 3 % above the highest clock's.
const DefaultMaxSlowdown = 0.03

// Options tune the policies that learn.
type Options struct {
	// MaxSlowdown is the latency bound of min-energy and min-edp as a share of
	// the baseline's latency: 0.03 allows 3 % more. 0 means DefaultMaxSlowdown.
	MaxSlowdown float64
}

// Parse reads a policy for the GPU described by info. Errors wrap ErrSpec or
// gpu.ErrBadClock.
func Parse(spec string, info gpu.Info, o Options) (engine.Policy, error) {
	if o.MaxSlowdown == 0 {
		o.MaxSlowdown = DefaultMaxSlowdown
	}
	if o.MaxSlowdown < 0 || o.MaxSlowdown > 10 || o.MaxSlowdown != o.MaxSlowdown {
		return nil, fmt.Errorf("%w: a slowdown of at most %g %% makes no sense", ErrSpec, 100*o.MaxSlowdown)
	}
	kind, arg, has := strings.Cut(spec, ":")
	switch {
	case kind == "none" && !has:
		return None{}, nil
	case kind == "fixed" && has:
		mhz, err := clocks(spec, arg, info, 1, 1)
		if err != nil {
			return nil, err
		}
		return Fixed{mhz[0]}, nil
	case kind == "phase" && (arg == MinEnergy.String() || arg == MinEDP.String()):
		return online(arg, spec, info, o, true)
	case kind == "phase" && has:
		mhz, err := clocks(spec, arg, info, 2, 3)
		if err != nil {
			return nil, err
		}
		if !slices.ContainsFunc(mhz, func(m int) bool { return m > 0 }) {
			return nil, fmt.Errorf("%w %q: no phase has a clock; none is the policy for that", ErrSpec, spec)
		}
		p := PhaseClocks{Prefill: mhz[0], Decode: mhz[1], Score: mhz[0]}
		if len(mhz) == 3 {
			p.Score = mhz[2]
		}
		return NewPhaseAware(p), nil
	case (kind == MinEnergy.String() || kind == MinEDP.String()) && !has:
		return online(kind, spec, info, o, false)
	}
	return nil, fmt.Errorf("%w %q: want one of %s", ErrSpec, spec, Forms)
}

// online makes the policy that searches for a goal.
func online(name, spec string, info gpu.Info, o Options, byPhase bool) (engine.Policy, error) {
	if len(info.SMClocks) < 2 {
		return nil, fmt.Errorf("%w: %s needs a GPU that lists its supported clocks", gpu.ErrBadClock, spec)
	}
	goal := MinEnergy
	if name == MinEDP.String() {
		goal = MinEDP
	}
	if byPhase {
		return NewOnlineByPhase(goal, info.SMClocks, o.MaxSlowdown), nil
	}
	return NewOnline(goal, info.SMClocks, o.MaxSlowdown), nil
}

// clocks reads MHZ[/MHZ...], each a supported clock.
func clocks(spec, arg string, info gpu.Info, least, most int) ([]int, error) {
	parts := strings.Split(arg, "/")
	if len(parts) < least || len(parts) > most {
		return nil, fmt.Errorf("%w %q: want one of %s", ErrSpec, spec, Forms)
	}
	var out []int
	for _, p := range parts {
		mhz, err := strconv.Atoi(strings.TrimSpace(p))
		if err != nil {
			return nil, fmt.Errorf("%w %q: %q is not a clock in MHz", ErrSpec, spec, p)
		}
		if mhz == 0 && least > 1 { // a phase left to the driver, as Name writes it
			out = append(out, 0)
			continue
		}
		if err := info.CheckSMClock(mhz); err != nil {
			return nil, fmt.Errorf("policy %s: %w", spec, err)
		}
		out = append(out, mhz)
	}
	return out, nil
}

// None leaves the clock to the driver.
type None struct{}

// Name returns "none".
func (None) Name() string { return "none" }

// Start returns 0: the driver's default.
func (None) Start() int { return 0 }

// Phase never asks for a clock.
func (None) Phase(event.PhaseStart) (int, bool) { return 0, false }

// Observe learns nothing.
func (None) Observe(event.Event) []event.PolicyNote { return nil }

// Fixed keeps one clock.
type Fixed struct{ MHz int }

// Name returns "fixed:MHZ".
func (f Fixed) Name() string { return fmt.Sprintf("fixed:%d", f.MHz) }

// Start returns the clock.
func (f Fixed) Start() int { return f.MHz }

// Phase asks for nothing: the clock was set at the start.
func (f Fixed) Phase(event.PhaseStart) (int, bool) { return f.MHz, false }

// Observe learns nothing.
func (Fixed) Observe(event.Event) []event.PolicyNote { return nil }
