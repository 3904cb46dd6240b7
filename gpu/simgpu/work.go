package simgpu

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"
)

// gridNS is how often temperature is taken over into leakage.
const gridNS = int64(250 * time.Millisecond)

// Work is something the GPU is given to do. At SM clock f it takes
//
//	Overhead + SMCycles/f + max(FLOPs/(TensorEff·Peak(f)), Bytes/(DRAMEff·PeakBytes))
//
// with Peak(f) the tensor rate, which is proportional to f.
type Work struct {
	FLOPs     float64 // tensor-core operations
	Bytes     float64 // moved to and from DRAM
	TensorEff float64 // attainable share of the tensor peak, (0, 1]; 0 means 1
	DRAMEff   float64 // attainable share of the DRAM peak, (0, 1]; 0 means 1
	// SMCycles are cycles of the SM clock in series with the rest: kernels that
	// are bound by latency or by the vector units.
	SMCycles float64
	// Overhead is time that no clock changes: launches, host.
	Overhead time.Duration
	// Unclocked means that Peak does not follow the SM clock: only for a
	// profile fitted to observations that say so.
	Unclocked bool
	// Tensor and DRAM are further shares of the tensor cycles and of the DRAM
	// peak in use while the work runs, 0 to 1: for work known by its time alone.
	Tensor, DRAM float64
	// Light is the share of what the core draws for bytes (CoreW) that these kernels do
	// without, 0 to 1.
	Light float64
}

// pretended is what runs elsewhere but is to show here; see GPU.SetLoad.
type pretended struct{ share, tensor, dram float64 }

func (l pretended) busy() bool { return l.share > 0 }

// Seconds returns how long w takes at an SM clock in MHz, and the highest memory
// clock.
func (p *Profile) Seconds(w Work, mhz float64) float64 { return p.seconds(w, speed{mhz, 1}) }

// speed is an SM clock in MHz and a memory clock as a share of the highest.
type speed struct{ mhz, mem float64 }

func (p *Profile) seconds(w Work, s speed) float64 {
	compute := w.FLOPs / (orOne(w.TensorEff) * p.peak(w, s.mhz))
	memory := w.Bytes / (orOne(w.DRAMEff) * p.PeakBytes * s.mem)
	return w.Overhead.Seconds() + w.SMCycles/(s.mhz*1e6) + max(compute, memory)
}

// peak is the tensor rate at a clock, in FLOP per s.
func (p *Profile) peak(w Work, mhz float64) float64 {
	if w.Unclocked {
		return p.PeakFLOPs
	}
	return p.PeakFLOPs * mhz / p.top()
}

// Joules returns what w uses at an SM clock in MHz, with a context open and a chip of
// 50 °C.
func (p *Profile) Joules(w Work, mhz float64) float64 {
	at := speed{mhz, 1}
	return p.Seconds(w, mhz) * p.watts(at, 50, true, w.activity(p, at))
}

func (w Work) activity(p *Profile, at speed) activity {
	s, mhz := p.seconds(w, at), at.mhz
	rate := w.FLOPs / s
	return activity{
		share:  1,
		flops:  rate/p.PeakFLOPs + w.Tensor*mhz/p.top(),
		dram:   min(at.mem, w.Bytes/s/p.PeakBytes+w.DRAM),
		tensor: min(1, rate/p.peak(w, mhz)+w.Tensor),
		light:  w.Light,
	}
}

func (w Work) check() error {
	for _, x := range []float64{w.FLOPs, w.Bytes, w.TensorEff, w.DRAMEff, w.SMCycles, w.Tensor, w.DRAM, w.Light} {
		if !(x >= 0) || math.IsInf(x, 1) {
			return fmt.Errorf("work with a negative or unknown part: %+v", w)
		}
	}
	for _, x := range []float64{w.TensorEff, w.DRAMEff, w.Tensor, w.DRAM, w.Light} {
		if x > 1 {
			return fmt.Errorf("work with a share above 1: %+v", w)
		}
	}
	if w.Overhead < 0 {
		return errors.New("work with a negative overhead")
	}
	return nil
}

func orOne(x float64) float64 {
	if x == 0 {
		return 1
	}
	return x
}

// running is a work under way. Progress counts from the last anchor, so that
// it does not depend on who looks when.
type running struct {
	w        Work
	done     float64 // share done at the anchor
	anchorNS int64
	seconds  float64 // for the whole work at the clock since the anchor
	ended    bool
	endNS    int64
}

// anchor is called where the clock may change, at t.
func (r *running) anchor(t int64, at speed, p *Profile) {
	r.done = r.doneAt(t)
	r.anchorNS, r.seconds = t, p.seconds(r.w, at)
}

func (r *running) doneAt(t int64) float64 {
	if r.seconds <= 0 {
		return r.done
	}
	return min(1, r.done+float64(t-r.anchorNS)/1e9/r.seconds)
}

// end returns when the work is done if the clock stays.
func (r *running) end() int64 {
	return r.anchorNS + int64(math.Ceil((1-r.done)*r.seconds*1e9))
}

// Execute runs w and returns when it began and ended, ns of the clock. It
// waits through the clock; a change of the SM clock on the way changes the
// pace of what is left. When ctx is done it stops the work and returns ctx's
// error with the time of stopping. While another work runs it returns ErrBusy.
func (g *GPU) Execute(ctx context.Context, w Work) (startNS, endNS int64, err error) {
	if err := w.check(); err != nil {
		return 0, 0, err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	now := g.advance()
	if g.work != nil {
		return now, now, ErrBusy
	}
	startNS = now
	if err := ctx.Err(); err != nil {
		return now, now, err
	}
	r := &running{w: w, anchorNS: now}
	g.work = r
	g.beginSegment(now)
	for {
		wake := g.wakeTime(r, now)
		g.mu.Unlock()
		err := g.clk.SleepUntil(ctx, wake)
		g.mu.Lock()
		now = g.advance()
		if r.ended {
			return startNS, r.endNS, nil
		}
		if err != nil {
			g.work = nil
			g.beginSegment(now)
			return startNS, now, err
		}
	}
}

// wakeTime returns a time up to which r can't have ended, or its end where
// that is certain. Clock calls take time, so for as long the clock is known.
func (g *GPU) wakeTime(r *running, now int64) int64 {
	known := now + g.latency.shortest()
	if len(g.plan) > 0 {
		known = min(known, g.plan[0].atNS)
	}
	if len(g.later) > 0 {
		known = min(known, g.later[0].atNS)
	}
	end := r.end()
	if end <= known {
		return end
	}
	left := 1 - r.doneAt(known)
	return known + int64(left*g.profile.Seconds(r.w, g.profile.top())*1e9)
}

// SetLoad makes the GPU as busy as told from now on, until told otherwise:
// shares of the tensor units' and of the memory's peak rate, clamped to 0..1.
// Work that is executed takes its place while it runs.
func (g *GPU) SetLoad(tensor, dram float64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := g.advance()
	g.load = pretended{tensor: clamp01(tensor), dram: clamp01(dram)}
	if tensor > 0 || dram > 0 {
		g.load.share = 1
	}
	g.beginSegment(now)
}

func clamp01(x float64) float64 {
	if !(x > 0) {
		return 0
	}
	return min(x, 1)
}

// advance, with mu held, brings the state up to now, which it returns.
func (g *GPU) advance() int64 {
	now := g.clk.Now()
	for {
		t := g.gridNS
		if g.work != nil {
			t = min(t, g.work.end())
		}
		if len(g.plan) > 0 {
			t = min(t, g.plan[0].atNS)
		}
		if len(g.later) > 0 {
			t = min(t, g.later[0].atNS)
		}
		if t > now {
			return now
		}
		g.pass(t)
	}
}

// pass lets happen what happens at t.
func (g *GPU) pass(t int64) {
	if g.work != nil && g.work.end() <= t {
		g.work.ended, g.work.endNS = true, t
		g.work = nil
	}
	for len(g.plan) > 0 && g.plan[0].atNS <= t {
		g.clockMHz = g.plan[0].mhz
		g.locked = g.plan[0].locked
		g.plan = g.plan[1:]
	}
	for len(g.later) > 0 && g.later[0].atNS <= t {
		g.later[0].make()
		g.later = g.later[1:]
	}
	if t == g.gridNS {
		g.gridNS += gridNS
		g.leakC = g.thermal.at(t, &g.profile, g.powerW)
		g.limitHeat()
		g.doze(t)
		g.hist.prune(t)
	}
	g.beginSegment(t)
}

// limitHeat lowers the clock a little while too hot and raises it again.
func (g *GPU) limitHeat() {
	const step, margin = 45, 3
	p := &g.profile
	switch {
	case g.leakC > p.HotC:
		g.thermalMax = max(p.bottom(), min(g.thermalMax, g.achieved)-step)
	case g.leakC < p.HotC-margin:
		g.thermalMax = min(p.top(), g.thermalMax+step)
	}
}
