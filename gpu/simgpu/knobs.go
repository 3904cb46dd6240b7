package simgpu

import (
	"cmp"
	"fmt"
	"slices"

	"jouletop/gpu"
)

var (
	_ gpu.Tuner    = (*GPU)(nil)
	_ gpu.Enforcer = (*GPU)(nil)
)

// Knobs implements gpu.Tuner: of workload power profiles it has none.
func (g *GPU) Knobs() []gpu.Knob {
	p := &g.profile
	sm, mem := gpu.ListKnob(gpu.KnobSM, g.info.SMClocks, ""), gpu.ListKnob(gpu.KnobMem, p.MemClocks, "")
	sm.Default, mem.Default = sm.Max, mem.Max
	power := gpu.NewKnob(gpu.KnobPower, "")
	power.Min, power.Max, power.Step, power.Default = int(1000*p.MinLimitW), int(1000*p.MaxLimitW), 1, int(1000*p.LimitW)
	g.mu.Lock()
	power.Now = g.limitMW
	g.mu.Unlock()
	return []gpu.Knob{sm, mem, power, gpu.NewKnob(gpu.KnobProfile, "not simulated")}
}

// Set implements gpu.Tuner. Like SetSMClock it sleeps through the driver's call time;
// a power limit and a memory clock are in force when it returns.
func (g *GPU) Set(k gpu.KnobID, v int) error {
	if k == gpu.KnobSM {
		return g.SetSMClock(v)
	}
	for _, knob := range g.Knobs() {
		if knob.ID == k {
			if err := knob.Check(v); err != nil {
				return err
			}
		}
	}
	if err := g.change(k, func() {
		switch k {
		case gpu.KnobMem:
			g.memMHz, g.memLocked = v, true
		case gpu.KnobPower:
			setLimit(g, v)
		}
	}); err != nil {
		return fmt.Errorf("set %s to %s: %w", k.Title(), k.Text(v), err)
	}
	return nil
}

// Reset implements gpu.Tuner.
func (g *GPU) Reset(k gpu.KnobID) error {
	if k == gpu.KnobSM {
		return g.ResetSMClock()
	}
	if err := g.change(k, func() {
		switch k {
		case gpu.KnobMem:
			g.memMHz, g.memLocked = g.info.MemMHz, false
		case gpu.KnobPower:
			setLimit(g, int(1000*g.profile.LimitW))
		}
	}); err != nil {
		return fmt.Errorf("reset %s: %w", k.Title(), err)
	}
	return nil
}

// State implements gpu.Tuner.
func (g *GPU) State(k gpu.KnobID) (int, error) {
	if k != gpu.KnobPower {
		return -1, fmt.Errorf("%w: a driver does not tell which %s is set", gpu.ErrNotSupported, k.Title())
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.limitMW, nil
}

// Enforced implements gpu.Enforcer.
func (g *GPU) Enforced(k gpu.KnobID) (int, error) {
	if _, err := g.State(k); err != nil {
		return -1, err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.enforced(), nil
}

// limits are those of power: the one set, and another limiter's, 0 none.
type limits struct{ limitMW, limiterMW int }

func (l limits) enforced() int {
	if l.limiterMW > 0 {
		return min(l.limitMW, l.limiterMW)
	}
	return l.limitMW
}

// SetLimiter has another limiter than the driver's hold power to so many watts from now
// on; 0 for none.
func (g *GPU) SetLimiter(watts float64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := g.advance()
	g.limiterMW = int(1000 * watts)
	setLimit(g, g.limitMW)
	g.beginSegment(now)
}

// setLimit sets the power limit; the mean power at which the clock is lowered follows
// the limit in force in proportion.
func setLimit(g *GPU, mw int) {
	g.limitMW = mw
	g.capW = g.profile.CapW * float64(g.enforced()) / 1000 / g.profile.LimitW
}

// change makes a call of the driver's that has its effect, if any, at its end.
func (g *GPU) change(k gpu.KnobID, effect func()) error {
	if k == gpu.KnobProfile {
		return fmt.Errorf("%w: %s", gpu.ErrNotSupported, k.Title())
	}
	err := g.call(func(end int64) {
		g.later = append(g.later, effectAt{end, effect})
		slices.SortStableFunc(g.later, func(a, b effectAt) int { return cmp.Compare(a.atNS, b.atNS) })
	})
	g.mu.Lock()
	g.advance()
	g.mu.Unlock()
	return err
}

// effectAt is a change of a knob that comes into force at a time, ns.
type effectAt struct {
	atNS int64
	make func()
}
