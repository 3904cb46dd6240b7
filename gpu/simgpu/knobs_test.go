package simgpu

import (
	"errors"
	"testing"
	"time"

	"jouletop/gpu"
)

func TestKnobRanges(t *testing.T) {
	for name, want := range map[string][3]string{
		"h100":         {"345 to 1980 MHz, 110 steps", "1593 to 2619 MHz, 2 steps", "200 to 700 W"},
		"rtx-pro-6000": {"180 to 2842 MHz, 357 steps", "405 to 14001 MHz, 4 steps", "150 to 600 W"},
	} {
		g, _ := exact(t, name)
		knobs := g.Knobs()
		for i, text := range want {
			if got := knobs[i].Range(); got != text {
				t.Errorf("%s: %s takes %s, want %s", name, knobs[i].ID, got, text)
			}
		}
		if knobs[gpu.KnobProfile].Unavailable == "" {
			t.Errorf("%s has profiles", name)
		}
		for k, v := range map[gpu.KnobID]int{gpu.KnobPower: 50_000, gpu.KnobMem: 1000, gpu.KnobProfile: 1} {
			if err := g.Set(k, v); err == nil {
				t.Errorf("%s: %s takes %d", name, k, v)
			}
		}
	}
}

// A power limit set while work runs lowers the clock of what is left of it, from the
// end of the call on, and gives it back.
func TestPowerLimitMidWork(t *testing.T) {
	g, clk := exact(t, "h100", WithClockLatency(5*time.Millisecond, 20*time.Millisecond))
	heavy := Work{FLOPs: 989e12, TensorEff: 0.3, DRAM: 0.1}
	var start, end, set, reset int64
	together(clk, func() { start, end, _ = g.Execute(bg, heavy) }, func() {
		_ = clk.Sleep(bg, 500*time.Millisecond)
		if err := g.Set(gpu.KnobPower, 350_000); err != nil {
			t.Error(err)
		}
		set = clk.Now()
		_ = clk.Sleep(bg, 500*time.Millisecond)
		if s, _ := g.Poll(); s.Throttle&gpu.ThrottleSWPowerCap == 0 || s.SMMHz > 1500 {
			t.Errorf("under the limit: %+v", s)
		}
		if mw, err := g.State(gpu.KnobPower); mw != 350_000 || err != nil {
			t.Errorf("limit reads %d, %v", mw, err)
		}
		if err := g.Reset(gpu.KnobPower); err != nil {
			t.Error(err)
		}
		reset = clk.Now()
	})
	near(t, "power before", g.TruePowerW(set-1e6), g.TruePowerW(reset+1e6), 8)
	near(t, "power under the limit", g.TruePowerW(reset-1e6), h100.CapW/2, 6)
	near(t, "held by it", g.TrueCappedS(start, end), float64(reset-set)/1e9, 1e-9)
	if g.TrueCappedS(start, set) != 0 || g.TrueCappedS(reset, end) != 0 {
		t.Error("held by the limit when there was none")
	}
}

// Bandwidth follows the memory clock, and nothing else does.
func TestMemoryClock(t *testing.T) {
	g, clk := exact(t, "h100")
	run := func(w Work) (s float64) {
		a, b, err := g.Execute(bg, w)
		if err != nil {
			t.Fatal(err)
		}
		return float64(b-a) / 1e9
	}
	var before, after [2]float64
	works := [2]Work{{Bytes: 1e12, DRAMEff: 0.8}, {FLOPs: 300e12, TensorEff: 0.3}}
	together(clk, func() {
		for i, w := range works {
			before[i] = run(w)
		}
		if err := g.Set(gpu.KnobMem, 1593); err != nil {
			t.Error(err)
		}
		if s, _ := g.Poll(); s.MemMHz != 1593 {
			t.Errorf("memory at %d MHz", s.MemMHz)
		}
		for i, w := range works {
			after[i] = run(w)
		}
		idle := g.TruePowerW(clk.Now())
		if err := g.Reset(gpu.KnobMem); err != nil {
			t.Error(err)
		}
		near(t, "saved while idle", g.TruePowerW(clk.Now())-idle, h100.MemClockW*(1-1593.0/2619), 0.5)
	})
	near(t, "bytes take", after[0]/before[0], 2619.0/1593, 1e-6)
	near(t, "operations take", after[1]/before[1], 1, 1e-6)
}

func TestKnobFaults(t *testing.T) {
	g, clk := exact(t, "h100")
	g.SetFaults(Faults{SetClock: gpu.ErrNoPermission})
	for _, err := range []error{g.Set(gpu.KnobPower, 400_000), g.Set(gpu.KnobMem, 1593), g.Reset(gpu.KnobMem)} {
		if !errors.Is(err, gpu.ErrNoPermission) {
			t.Error(err)
		}
	}
	g.SetFaults(Faults{IgnoreClock: true})
	if err := g.Set(gpu.KnobPower, 400_000); err != nil {
		t.Error(err)
	}
	_ = clk.Sleep(bg, time.Second)
	if mw, _ := g.State(gpu.KnobPower); mw != 700_000 {
		t.Errorf("ignored, and the limit is %d", mw)
	}
}
