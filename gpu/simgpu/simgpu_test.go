package simgpu

import (
	"context"
	"errors"
	"math"
	"slices"
	"testing"
	"time"

	"jouletop/gpu"
	"jouletop/gpu/timebase"
)

var bg = context.Background()

const ms = int64(time.Millisecond)

// exact makes a GPU whose sensors have neither gain error nor noise and whose
// truth is kept.
func exact(t *testing.T, profile string, opts ...Option) (*GPU, timebase.Clock) {
	t.Helper()
	clk := timebase.NewSim(0)
	g, err := New(profile, clk, 1, append([]Option{WithTruth(), WithGain(0), WithNoise(0)}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	return g, clk
}

// together runs goroutines of a simulated clock at one simulated time and
// waits for all.
func together(clk timebase.Clock, f ...func()) {
	done := make(chan struct{}, len(f))
	clk.Go(func() {
		for _, f := range f {
			clk.Go(func() {
				defer func() { done <- struct{}{} }()
				f()
			})
		}
	})
	for range f {
		<-done
	}
}

func near(t *testing.T, what string, got, want, within float64) {
	t.Helper()
	if !(math.Abs(got-want) <= within) {
		t.Errorf("%s is %v, want %v ± %v", what, got, want, within)
	}
}

func TestProfiles(t *testing.T) {
	for _, c := range []struct {
		name            string
		lo, hi          int
		limit           float64
		clocks, without []int
	}{
		{"h100", 345, 1980, 700, []int{345, 360, 1005, 1980}, []int{1000, 2000}},
		{"rtx-pro-6000", 180, 2842, 600, PaperClocks, []int{179, 181, 2843}},
	} {
		g, _ := exact(t, c.name)
		i := g.Info()
		if i.MinSM() != c.lo || i.MaxSM() != c.hi || i.PowerLimitW != c.limit || !i.Simulated() || i.ID() != "sim:"+c.name {
			t.Errorf("%+v", i)
		}
		if !slices.IsSorted(i.SMClocks) || len(slices.Compact(i.SMClocks)) != len(g.Info().SMClocks) {
			t.Errorf("%s: clocks not ascending: %v", c.name, i.SMClocks)
		}
		for _, f := range c.clocks {
			if err := i.CheckSMClock(f); err != nil {
				t.Error(err)
			}
		}
		for _, f := range c.without {
			if err := g.SetSMClock(f); !errors.Is(err, gpu.ErrBadClock) {
				t.Errorf("%s: set %d: %v", c.name, f, err)
			}
		}
	}
	if _, err := New("a100", timebase.NewSim(0), 1); !errors.Is(err, gpu.ErrNoGPU) {
		t.Errorf("unknown profile: %v", err)
	}
}

func TestIdlePower(t *testing.T) {
	g, clk := exact(t, "h100")
	near(t, "idle power without a context", g.TruePowerW(clk.Now()), 78, 0.5)
	s, _ := g.Poll()
	if s.Throttle != gpu.ThrottleIdle || s.SMMHz != 345 {
		t.Errorf("without a context: %+v", s)
	}
	g.SetMemory(16000)
	_ = clk.Sleep(bg, time.Minute)
	near(t, "idle power with a context", g.TruePowerW(clk.Now()), 124, 3)
	s, _ = g.Poll()
	if s.SMMHz != 1980 || s.MemUsedMiB != 16000 || s.MemMHz != 2619 {
		t.Errorf("with a context: %+v", s)
	}
	g.SetMemory(0)
	near(t, "idle power, context closed", g.TruePowerW(clk.Now()), 78, 0.5)
}

func TestCliffAppears(t *testing.T) {
	for _, name := range Profiles() {
		p, err := ProfileByName(name)
		if err != nil {
			t.Fatal(err)
		}
		decode := activity{share: 1, dram: 0.7}
		saved := func(from, to float64) float64 { // W a MHz
			return (p.watts(speed{from, 1}, 50, true, decode) - p.watts(speed{to, 1}, 50, true, decode)) / (from - to)
		}
		above, below := saved(p.top(), p.KneeMHz), saved(p.KneeMHz, p.bottom())
		if above < 3*below || below <= 0 {
			t.Errorf("%s: %.4f W/MHz saved above the knee, %.4f below", name, above, below)
		}
	}
}

func TestRooflineTimes(t *testing.T) {
	g, _ := exact(t, "h100")
	for _, c := range []struct {
		name      string
		w         Work
		top, half float64 // s at 1980 and at 990 MHz
	}{
		{"compute", Work{FLOPs: 989e12}, 1, 2},
		{"compute at 40 %", Work{FLOPs: 989e12, TensorEff: 0.4}, 2.5, 5},
		{"memory", Work{Bytes: 3.35e12, DRAMEff: 0.5}, 2, 2},
		{"the longer of both", Work{FLOPs: 989e12, Bytes: 1.5 * 3.35e12}, 1.5, 2},
		{"cycles", Work{SMCycles: 1980e6}, 1, 2},
		{"overhead comes on top", Work{FLOPs: 989e12, Overhead: time.Second}, 2, 3},
		{"unclocked", Work{FLOPs: 989e12, Unclocked: true}, 1, 1},
	} {
		near(t, c.name+" at 1980 MHz", g.profile.Seconds(c.w, 1980), c.top, 1e-12)
		near(t, c.name+" at 990 MHz", g.profile.Seconds(c.w, 990), c.half, 1e-12)
	}
	for _, w := range []Work{{FLOPs: -1}, {Bytes: math.NaN()}, {DRAM: 1.1}, {Overhead: -1}, {SMCycles: math.Inf(1)}} {
		if _, _, err := g.Execute(bg, w); err == nil {
			t.Errorf("%+v was accepted", w)
		}
	}
}

func TestExecuteTakesItsTime(t *testing.T) {
	g, clk := exact(t, "h100")
	_ = clk.Sleep(bg, 123456789)
	for _, mhz := range []int{1980, 1005, 345} {
		if err := g.SetSMClock(mhz); err != nil {
			t.Fatal(err)
		}
		_ = clk.Sleep(bg, 100*time.Millisecond)
		w := Work{FLOPs: 1e12, Bytes: 1e10, TensorEff: 0.3, SMCycles: 1e6, Overhead: 3 * time.Millisecond}
		start, end, err := g.Execute(bg, w)
		if err != nil {
			t.Fatal(err)
		}
		near(t, "duration in ns", float64(end-start), g.profile.Seconds(w, float64(mhz))*1e9, 1)
		near(t, "clock after the work, in ns", float64(clk.Now()), float64(end), 1000)
	}
	if start, end, err := g.Execute(bg, Work{}); err != nil || start != end {
		t.Errorf("empty work: %d to %d, %v", start, end, err)
	}
}

// TestClockChangeMidWork follows a work through a change of the clock and
// compares its end and its energy with sums by hand over the steps of the ramp.
func TestClockChangeMidWork(t *testing.T) {
	for _, c := range []struct{ from, to int }{{1980, 990}, {345, 1980}} {
		const call, settle = 5 * time.Millisecond, 20 * time.Millisecond
		g, clk := exact(t, "h100", WithClockLatency(call, settle))
		if err := g.SetSMClock(c.from); err != nil {
			t.Fatal(err)
		}
		_ = clk.Sleep(bg, 90*time.Millisecond)
		w := Work{FLOPs: 24e12, TensorEff: 0.3, Overhead: 2 * time.Millisecond}
		var start, end, called int64
		together(clk,
			func() { start, end, _ = g.Execute(bg, w) },
			func() {
				_ = clk.Sleep(bg, 7*time.Millisecond)
				if err := g.SetSMClock(c.to); err != nil {
					t.Error(err)
				}
				called = clk.Now()
			},
		)
		if d := time.Duration(called-start) - 7*time.Millisecond; d < 4*time.Millisecond || d > 6*time.Millisecond {
			t.Errorf("the call took %v", d)
		}
		// By hand: share done and energy over stretches of one clock.
		at, mhz, done := start, float64(c.from), 0.0
		for i := 1; i <= rampSteps+1; i++ {
			s := g.profile.Seconds(w, mhz)
			next := called + int64(settle)*int64(i)/rampSteps
			if i > rampSteps {
				next = at + int64((1-done)*s*1e9)
			}
			near(t, "clock in a step", g.TrueSMMHz(at), mhz, 0)
			done += float64(next-at) / 1e9 / s
			at = next
			if i < rampSteps {
				mhz = float64(int(float64(c.from) + float64(c.to-c.from)*float64(i)/rampSteps))
			} else {
				mhz = float64(c.to)
			}
		}
		near(t, "end in ns", float64(end), float64(at), 10)

		sum, step := 0.0, int64(10_000)
		for x := start; x < end; x += step {
			sum += g.TruePowerW(x) * float64(min(step, end-x)) / 1e9
		}
		near(t, "energy in J", g.TrueEnergyJ(start, end), sum, 1e-3*sum)
		if c.to > c.from {
			continue
		}
		// The same work done at the first clock alone takes less time.
		if float64(end-start)/1e9 <= g.profile.Seconds(w, float64(c.from)) {
			t.Error("a lower clock did not slow the work down")
		}
	}
}

func TestExecuteCancelled(t *testing.T) {
	g, clk := exact(t, "h100")
	ctx, cancel := context.WithCancel(bg)
	cancel()
	if _, _, err := g.Execute(ctx, Work{Overhead: time.Hour}); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	ctx, cancel = context.WithTimeout(bg, 20*time.Millisecond)
	defer cancel()
	paced := timebase.NewSim(1)
	h, err := New("h100", paced, 1)
	if err != nil {
		t.Fatal(err)
	}
	start, end, err := h.Execute(ctx, Work{Overhead: time.Hour})
	if !errors.Is(err, context.DeadlineExceeded) || end-start > int64(time.Hour)/2 {
		t.Fatalf("%d ns, %v", end-start, err)
	}
	// The GPU is free again.
	if _, _, err := g.Execute(bg, Work{Overhead: time.Millisecond}); err != nil {
		t.Fatal(err)
	}
	_ = clk
}

func TestExecuteOneAtATime(t *testing.T) {
	g, clk := exact(t, "h100")
	var second error
	together(clk,
		func() { _, _, _ = g.Execute(bg, Work{Overhead: time.Second}) },
		func() {
			_ = clk.Sleep(bg, time.Millisecond)
			_, _, second = g.Execute(bg, Work{Overhead: time.Second})
		},
	)
	if !errors.Is(second, ErrBusy) {
		t.Fatal(second)
	}
}

func TestPowerCapLowersTheClock(t *testing.T) {
	g, clk := exact(t, "h100")
	heavy := Work{FLOPs: 989e12, TensorEff: 0.4, DRAM: 0.35, Overhead: time.Millisecond}
	together(clk, func() { _, _, _ = g.Execute(bg, heavy) }, func() {
		_ = clk.Sleep(bg, 2*time.Second)
		s, _ := g.Poll()
		if s.SMMHz >= 1980 || s.SMMHz < 1500 || s.Throttle&gpu.ThrottleSWPowerCap == 0 || !s.Throttle.Limits() {
			t.Errorf("heavy work runs at %d MHz, %v", s.SMMHz, s.Throttle)
		}
		if w := g.TruePowerW(clk.Now()); w > h100.CapW || w < 0.97*h100.CapW {
			t.Errorf("at %v W", w)
		}
	})
	if s, _ := g.Poll(); s.Throttle&gpu.ThrottleSWPowerCap != 0 || s.SMMHz != 1980 {
		t.Errorf("afterwards %+v", s)
	}
	// A clock at which it keeps to the cap is not lowered.
	_ = g.SetSMClock(1005)
	_ = clk.Sleep(bg, 50*time.Millisecond)
	together(clk, func() { _, _, _ = g.Execute(bg, heavy) }, func() {
		_ = clk.Sleep(bg, time.Second)
		if s, _ := g.Poll(); s.SMMHz != 1005 || s.Throttle != gpu.ThrottleAppClocks {
			t.Errorf("locked at 1005 MHz: %+v", s)
		}
	})
	// And a lower limit lowers it further.
	weak, clk2 := exact(t, "h100", WithPowerLimit(350))
	together(clk2, func() { _, _, _ = weak.Execute(bg, heavy) }, func() {
		_ = clk2.Sleep(bg, time.Second)
		near(t, "power at half the limit", weak.TruePowerW(clk2.Now()), h100.CapW/2, 6)
	})
}

func TestHeat(t *testing.T) {
	g, clk := exact(t, "h100")
	cold, _ := g.Poll()
	var first, warm float64
	var hot gpu.Sample
	together(clk, func() { _, _, _ = g.Execute(bg, Work{Overhead: 3 * time.Minute, DRAM: 0.7}) }, func() {
		_ = clk.Sleep(bg, 10*time.Millisecond)
		first = g.TruePowerW(clk.Now())
		_ = clk.Sleep(bg, 2*time.Minute)
		warm = g.TruePowerW(clk.Now())
		hot, _ = g.Poll()
	})
	near(t, "temperature under load", hot.TempC, h100.AmbientC+h100.CPerW*warm, 1)
	near(t, "temperature before", cold.TempC, h100.AmbientC+h100.CPerW*78, 1)
	if r := warm / first; r < 1.002 || r > 1.03 {
		t.Errorf("heat raised power from %.1f to %.1f W", first, warm)
	}
	_ = clk.Sleep(bg, 5*time.Minute)
	if s, _ := g.Poll(); s.TempC > hot.TempC-15 {
		t.Errorf("still %v °C after resting, %v under load", s.TempC, hot.TempC)
	}
	// In hot air it slows down to keep its temperature.
	oven, clk2 := exact(t, "h100", WithAmbient(60))
	together(clk2, func() { _, _, _ = oven.Execute(bg, Work{Overhead: 10 * time.Minute, DRAM: 0.8}) }, func() {
		_ = clk2.Sleep(bg, 8*time.Minute)
		s, _ := oven.Poll()
		if s.Throttle&gpu.ThrottleSWThermal == 0 || s.SMMHz >= 1980 || s.TempC > h100.HotC+3 {
			t.Errorf("in hot air: %+v", s)
		}
	})
}

func TestSetLoad(t *testing.T) {
	g, clk := exact(t, "h100")
	g.SetLoad(0.2, math.NaN())
	_ = clk.Sleep(bg, time.Second)
	s, _ := g.Poll()
	near(t, "tensor utilisation", s.TensorUtil, 20, 1e-9)
	near(t, "DRAM utilisation", s.DRAMUtil, 0, 1e-9)
	near(t, "GPU utilisation", s.GPUUtil, 100, 1e-9)
	near(t, "power", g.TruePowerW(clk.Now()), 177+0.2*h100.TensorW, 3)
	g.SetLoad(0, 7)
	_ = clk.Sleep(bg, time.Second)
	if s, _ := g.Poll(); s.DRAMUtil != 100 {
		t.Errorf("load is not clamped: %+v", s)
	}
	g.SetLoad(0, 0)
	_ = clk.Sleep(bg, time.Second)
	if s, _ := g.Poll(); s.GPUUtil != 0 || s.Throttle != gpu.ThrottleIdle {
		t.Errorf("no load: %+v", s)
	}
}
