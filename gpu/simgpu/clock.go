package simgpu

import (
	"context"
	"fmt"
	"time"

	"jouletop/gpu/simgpu/draw"
)

// rampSteps is in how many steps a clock goes from one value to another while
// it settles.
const rampSteps = 5

// clockStep is the clock at a time to come.
type clockStep struct {
	atNS   int64
	mhz    float64
	locked bool
}

type clockLatency struct{ call, settle int64 } // ns

// shortest is how far ahead a change of the clock is known at least.
func (l clockLatency) shortest() int64 { return max(l.call*8/10, int64(100*time.Microsecond)) }

// of returns the length of the n-th call: within a fifth of the usual.
func (l clockLatency) of(seed, n uint64) int64 {
	return int64(float64(l.call) * (0.8 + 0.4*draw.Uniform(draw.Mix(seed, n))))
}

// Faults makes parts of the GPU fail, to test what others make of it.
type Faults struct {
	// SetClock, if not nil, is returned by SetSMClock and ResetSMClock after
	// their call time: gpu.ErrNoPermission, gpu.ErrLost, …
	SetClock error
	// IgnoreClock makes clock calls succeed without any effect.
	IgnoreClock bool
	// CallTime replaces the time of a clock call where not 0.
	CallTime time.Duration
	// Poll and Power, if not nil, are asked at every reading; a non-nil error
	// fails it.
	Poll, Power func() error
}

// SetFaults replaces the faults from now on; the zero value heals the GPU.
func (g *GPU) SetFaults(f Faults) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.faults = f
}

// SetSMClock locks the SM clock. It sleeps through the driver's call time (a
// few ms); the clock then follows in steps until it has settled (about 20 ms
// later). Errors wrap gpu.ErrBadClock, or are those of SetFaults.
func (g *GPU) SetSMClock(mhz int) error {
	if err := g.info.CheckSMClock(mhz); err != nil {
		return err
	}
	if err := g.changeClock(float64(mhz), true); err != nil {
		return fmt.Errorf("set SM clock to %d MHz: %w", mhz, err)
	}
	return nil
}

// ResetSMClock unlocks the SM clock, which goes back to the highest; see
// SetSMClock.
func (g *GPU) ResetSMClock() error {
	if err := g.changeClock(g.profile.top(), false); err != nil {
		return fmt.Errorf("reset SM clock: %w", err)
	}
	return nil
}

func (g *GPU) changeClock(mhz float64, lock bool) error {
	return g.call(func(end int64) { g.planRamp(end, mhz, lock) })
}

// call makes a call of the driver's. What it does, if anything, is planned with mu held,
// for its end.
func (g *GPU) call(plan func(end int64)) error {
	g.mu.Lock()
	now := g.advance()
	faults := g.faults
	call := g.latency.of(g.seed, g.clockCalls)
	g.clockCalls++
	if faults.CallTime > 0 {
		call = int64(faults.CallTime)
	}
	if faults.SetClock == nil && !faults.IgnoreClock {
		plan(now + call)
	}
	g.mu.Unlock()
	// The call can't be given up half-way, as on a real driver.
	if err := g.clk.Sleep(context.Background(), time.Duration(call)); err != nil {
		return err
	}
	return faults.SetClock
}

// planRamp lets the clock go to mhz in steps from t on, in place of what was
// planned for later.
func (g *GPU) planRamp(t int64, mhz float64, lock bool) {
	from := g.clockMHz
	keep := 0
	for keep < len(g.plan) && g.plan[keep].atNS < t {
		from = g.plan[keep].mhz
		keep++
	}
	plan := append([]clockStep(nil), g.plan[:keep]...)
	plan = append(plan, clockStep{t, from, lock})
	for i := 1; i <= rampSteps && mhz != from; i++ {
		f := mhz
		if i < rampSteps {
			f = float64(int(from + (mhz-from)*float64(i)/rampSteps))
		}
		plan = append(plan, clockStep{t + g.latency.settle*int64(i)/rampSteps, f, lock})
	}
	g.plan = plan
}
