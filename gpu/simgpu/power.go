package simgpu

import (
	"math"

	"jouletop/gpu"
)

// capStepMHz is how finely the power cap lowers the clock: finer than the
// clocks that can be locked (1910 MHz was read on an H100 whose clocks are 345
// + 15·n).
const capStepMHz = 5

func (p *Profile) top() float64    { return float64(p.Clocks[len(p.Clocks)-1]) }
func (p *Profile) bottom() float64 { return float64(p.Clocks[0]) }

// voltage returns V(f)/V(top) at f MHz.
func (p *Profile) voltage(mhz float64) float64 {
	if mhz <= p.KneeMHz {
		return p.VMin / p.VMax
	}
	share := (mhz - p.KneeMHz) / (p.top() - p.KneeMHz)
	return (p.VMin + share*(p.VMax-p.VMin)) / p.VMax
}

// activity is what goes on during a segment, as rates that power depends on.
type activity struct {
	share  float64 // of the time, with a kernel running
	flops  float64 // FLOP rate as a share of the peak at the top clock
	dram   float64 // byte rate as a share of the peak
	tensor float64 // share of tensor cycles in use at the current clock
	light  float64 // share of CoreW that is not drawn for bytes
}

// watts returns the power at a speed, a leakage temperature and an activity; see
// Profile.
func (p *Profile) watts(at speed, leakC float64, context bool, a activity) float64 {
	w := p.IdleW - p.MemClockW*(1-at.mem)
	if !context {
		return w
	}
	v, x := p.voltage(at.mhz), at.mhz/p.top()
	v2 := v * v
	w += p.LeakW*v*(1+p.LeakPerC*(leakC-50)) + p.ContextW*v2*x
	return w + a.share*p.BusyW*v2*x + p.TensorW*v2*a.flops + (p.CoreW*v2*(1-a.light)+p.MemoryW)*a.dram
}

// thermal is a temperature that approaches AmbientC + CPerW·P exponentially.
type thermal struct {
	atNS int64
	c    float64
}

func (h thermal) at(ns int64, p *Profile, watts float64) float64 {
	end := p.AmbientC + p.CPerW*watts
	return end + (h.c-end)*math.Exp(-float64(ns-h.atNS)/1e9/p.TauS)
}

// beginSegment, with mu held, starts a stretch of constant power at t from the
// state as it is now: it takes the clock that the limits allow and notes the
// segment in the history.
func (g *GPU) beginSegment(t int64) {
	p := &g.profile
	g.thermal = thermal{t, g.thermal.at(t, p, g.powerW)}

	busy := g.work != nil || g.joined != nil || g.load.busy()
	if busy {
		g.context = true
	}
	mhz := g.clockMHz
	g.throttle = 0
	if g.locked {
		g.throttle |= gpu.ThrottleAppClocks
	}
	if !busy {
		g.throttle |= gpu.ThrottleIdle
		if !g.context && !g.locked {
			mhz = p.bottom()
		}
	}
	if g.thermalMax < mhz {
		mhz = g.thermalMax
		g.throttle |= gpu.ThrottleSWThermal
	}
	mem := g.memory()
	g.activity = g.activityAt(speed{mhz, mem})
	g.powerW = p.watts(speed{mhz, mem}, g.leakC, g.context, g.activity)
	if g.powerW > g.capW && busy {
		if lower := g.cappedClock(mhz); lower < mhz {
			mhz = lower
			g.throttle |= gpu.ThrottleSWPowerCap
			g.activity = g.activityAt(speed{mhz, mem})
			g.powerW = p.watts(speed{mhz, mem}, g.leakC, g.context, g.activity)
		}
	}
	g.achieved = mhz
	if g.work != nil {
		g.work.anchor(t, speed{mhz, mem}, p)
	}
	if g.asleep {
		g.activity, g.powerW, g.achieved = activity{}, p.SleepW, 0
	}
	g.hist.push(t, g.powerW, g.achieved, g.throttle, g.activity)
}

// memory is the memory clock as a share of the highest.
func (g *GPU) memory() float64 { return float64(g.memMHz) / float64(g.info.MemMHz) }

// cappedClock returns the highest clock below mhz at which power keeps to the
// cap, or the lowest there is.
func (g *GPU) cappedClock(mhz float64) float64 {
	p := &g.profile
	lo, hi := int(p.bottom())/capStepMHz+1, int(mhz)/capStepMHz
	for lo < hi { // the highest in lo..hi that keeps to it
		mid := (lo + hi + 1) / 2
		f := speed{float64(mid * capStepMHz), g.memory()}
		if p.watts(f, g.leakC, true, g.activityAt(f)) <= g.capW {
			lo = mid
		} else {
			hi = mid - 1
		}
	}
	return min(mhz, max(p.bottom(), float64(lo*capStepMHz)))
}

// activityAt returns what would go on at a speed.
func (g *GPU) activityAt(at speed) activity {
	p := &g.profile
	switch {
	case g.work != nil:
		return g.work.w.activity(p, at).part(g.part)
	case g.joined != nil:
		return g.joined.activity(p, at).part(g.part)
	}
	x := at.mhz / p.top()
	return activity{share: g.load.share, flops: g.load.tensor * x, dram: min(g.load.dram, at.mem), tensor: g.load.tensor}
}

// part is the activity where it goes on for that share of the time.
func (a activity) part(share float64) activity {
	return activity{a.share * share, a.flops * share, a.dram * share, a.tensor * share, a.light}
}
