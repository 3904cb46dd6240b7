package simgpu

import (
	"fmt"
	"strings"

	"jouletop/gpu"
)

// Profile is what sets one simulated GPU apart. Power at SM clock f (MHz),
// with v = V(f)/V(top) and x = f/top:
//
//	P = IdleW
//	  + LeakW·v·(1 + LeakPerC·(T − 50 °C)) + ContextW·v²·x   (a context is open)
//	  + BusyW·v²·x                                           (kernels run)
//	  + TensorW·v²·(FLOP rate / PeakFLOPs)
//	  + (CoreW·v² + MemoryW)·(byte rate / PeakBytes)       (see Work.Light)
//	  − MemClockW·(1 − m)                                    (at memory clock m·MemMHz)
//
// the usual activity·V²·f of CMOS logic (a rate is an activity times f), with
// memory on its own fixed voltage and clock. V is flat at VMin up to KneeMHz
// and then linear up to VMax at the top clock: below the knee a lower clock
// saves little more, which is the frequency cliff.
type Profile struct {
	Name    string // h100, rtx-pro-6000
	Product string
	Clocks  []int // supported SM clocks, ascending, MHz

	MemMHz    int
	MemClocks []int // supported memory clocks, ascending, MHz; the last is MemMHz
	MemoryMiB int
	LimitW    float64 // power limit
	// MinLimitW and MaxLimitW are the range that the limit can be set in.
	MinLimitW, MaxLimitW float64
	// CapW is the mean power at which the power cap begins to lower the clock:
	// below the limit, which is on peaks.
	CapW float64

	PeakFLOPs float64 // dense F16 tensor rate at the top clock, per s
	PeakBytes float64 // DRAM bandwidth, bytes per s

	KneeMHz, VMin, VMax float64 // V

	IdleW, LeakW, LeakPerC, ContextW, BusyW float64
	TensorW, CoreW, MemoryW                 float64
	// MemClockW is what the memory's clock draws at its highest, bytes or not. It is in
	// IdleW, LeakW and ContextW.
	MemClockW float64
	// SleepW is what is left while the card is suspended.
	SleepW float64

	AmbientC float64
	CPerW    float64 // thermal resistance to the air, K/W
	TauS     float64 // thermal time constant, s
	HotC     float64 // where the clock is lowered for heat
}

// h100 is fitted, together with engine/simllm's cost of a model, to steady
// blocks measured on an H100 80GB HBM3 at its default clock: power and tokens/s
// of 1B, 3B and 8B models in prefill and decode at batch 1 and 8, the power cap
// (1910 MHz with its bit set in the heaviest block, at 652 W), the block's
// temperatures, and idle power without (78 W) and with a context (124 W).
// Away from the default clock nothing was measured: what is left of core,
// tensor and clock-tree power at a lower clock is physics (0.7 V up to 1000 MHz
// against 1.0 V at the top, assumed), not measurement, and so is the split of
// the memory's power into core (V²) and DRAM (fixed). So are the lower memory clock
// (peak bandwidth follows it) and what it saves.
var h100 = Profile{
	Name: "h100", Product: "NVIDIA H100 80GB HBM3",
	Clocks: steps(345, 1980, 15),
	MemMHz: 2619, MemClocks: []int{1593, 2619}, MemoryMiB: 81559, LimitW: 700, MinLimitW: 200, MaxLimitW: 700, CapW: 652,
	PeakFLOPs: 989e12, PeakBytes: 3.35e12,
	KneeMHz: 1000, VMin: 0.70, VMax: 1.0,
	IdleW: 78, LeakW: 26, LeakPerC: 0.006, ContextW: 20, BusyW: 53,
	TensorW: 1082, CoreW: 400, MemoryW: 186, MemClockW: 25, SleepW: 3,
	AmbientC: 33, CPerW: 0.060, TauS: 20, HotC: 87,
}

// rtxPro6000 has the limits of an RTX PRO 6000 Blackwell (datasheet: 600 W,
// 1.79 TB/s, about 500 TFLOP/s dense F16). Its power coefficients are fitted to
// the energy reductions of the study's Table XI alone (arXiv 2501.08219), which
// gives ratios between 180 and 2842 MHz and no watts: absolute joules follow
// from physics.
var rtxPro6000 = Profile{
	Name: "rtx-pro-6000", Product: "NVIDIA RTX PRO 6000 Blackwell",
	Clocks: rtxClocks(),
	MemMHz: 14001, MemClocks: []int{405, 810, 7001, 14001}, MemoryMiB: 97887, LimitW: 600, MinLimitW: 150, MaxLimitW: 600, CapW: 570,
	PeakFLOPs: 500e12, PeakBytes: 1.79e12,
	KneeMHz: 1000, VMin: 0.65, VMax: 1.0,
	IdleW: 25, LeakW: 30, LeakPerC: 0.004, ContextW: 12, BusyW: 38,
	TensorW: 400, CoreW: 160, MemoryW: 118, MemClockW: 15, SleepW: 2,
	AmbientC: 30, CPerW: 0.080, TauS: 25, HotC: 90,
}

// PaperClocks are the study's seven SM clocks in MHz (arXiv 2501.08219, IV-B).
var PaperClocks = []int{180, 487, 960, 1500, 2000, 2505, 2842}

// Profiles lists the names of the profiles.
func Profiles() []string { return []string{h100.Name, rtxPro6000.Name} }

// ProfileByName returns a profile; the error wraps gpu.ErrNoGPU and names those
// there are.
func ProfileByName(name string) (Profile, error) {
	for _, p := range []Profile{h100, rtxPro6000} {
		if p.Name == name {
			return p, nil
		}
	}
	return Profile{}, fmt.Errorf("%w: unknown simulated profile %q (known: %s)",
		gpu.ErrNoGPU, name, strings.Join(Profiles(), ", "))
}

func steps(lo, hi, step int) []int {
	var c []int
	for f := lo; f <= hi; f += step {
		c = append(c, f)
	}
	return c
}

// rtxClocks are steps of 7.5 MHz, rounded down as NVIDIA lists them, and 2000
// MHz, the only one of the study's clocks not among them.
func rtxClocks() []int {
	var c []int
	for f := 1800; f <= 28425; f += 75 {
		if mhz := f / 10; len(c) > 0 && c[len(c)-1] < 2000 && mhz > 2000 {
			c = append(c, 2000, mhz)
		} else {
			c = append(c, mhz)
		}
	}
	return c
}
