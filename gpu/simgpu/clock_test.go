package simgpu

import (
	"errors"
	"testing"
	"time"

	"jouletop/gpu"
)

func TestClockSettles(t *testing.T) {
	g, clk := exact(t, "h100", WithClockLatency(4*time.Millisecond, 20*time.Millisecond))
	g.SetMemory(1000)
	start := clk.Now()
	if err := g.SetSMClock(1005); err != nil {
		t.Fatal(err)
	}
	called := clk.Now()
	if call := called - start; call < 32*ms/10 || call > 48*ms/10 {
		t.Errorf("the call took %d ns", call)
	}
	last := 1980
	for d := int64(0); d <= 25*ms; d += ms / 2 {
		_ = clk.SleepUntil(bg, called+d)
		s, err := g.Poll()
		if err != nil || s.SMMHz > last || s.SMMHz < 1005 {
			t.Fatalf("%d ns after the call: %d MHz after %d, %v", d, s.SMMHz, last, err)
		}
		if settled := s.SMMHz == 1005; settled != (d >= 20*ms) {
			t.Errorf("%d ns after the call: %d MHz", d, s.SMMHz)
		}
		if s.Throttle&gpu.ThrottleAppClocks == 0 {
			t.Errorf("a locked clock is not shown: %v", s.Throttle)
		}
		last = s.SMMHz
	}
	if err := g.ResetSMClock(); err != nil {
		t.Fatal(err)
	}
	_ = clk.Sleep(bg, 20*time.Millisecond)
	if s, _ := g.Poll(); s.SMMHz != 1980 || s.Throttle&gpu.ThrottleAppClocks != 0 {
		t.Errorf("after the reset: %+v", s)
	}
}

// TestClockCallsOverlap changes the clock again before it has settled.
func TestClockCallsOverlap(t *testing.T) {
	g, clk := exact(t, "h100")
	g.SetMemory(1000)
	for _, mhz := range []int{345, 1980, 1005} {
		if err := g.SetSMClock(mhz); err != nil {
			t.Fatal(err)
		}
	}
	end := clk.Now() + 20*ms
	_ = clk.SleepUntil(bg, end)
	if f := g.TrueSMMHz(end); f != 1005 {
		t.Errorf("settled at %v MHz", f)
	}
	for x := end - 30*ms; x < end; x += ms {
		if f := g.TrueSMMHz(x); f < 345 || f > 1980 {
			t.Errorf("%v MHz on the way", f)
		}
	}
}

func TestFaults(t *testing.T) {
	g, clk := exact(t, "h100")
	g.SetMemory(1000)
	settled := func() int {
		_ = clk.Sleep(bg, 50*time.Millisecond)
		s, _ := g.Poll()
		return s.SMMHz
	}
	g.SetFaults(Faults{SetClock: gpu.ErrNoPermission})
	if err := g.SetSMClock(1005); !errors.Is(err, gpu.ErrNoPermission) || settled() != 1980 {
		t.Errorf("no permission: %v", err)
	}
	if err := g.ResetSMClock(); !errors.Is(err, gpu.ErrNoPermission) {
		t.Errorf("no permission: %v", err)
	}
	g.SetFaults(Faults{IgnoreClock: true})
	if err := g.SetSMClock(1005); err != nil || settled() != 1980 {
		t.Errorf("ignored: %v", err)
	}
	g.SetFaults(Faults{CallTime: 5 * time.Second})
	start := clk.Now()
	if err := g.SetSMClock(1005); err != nil || clk.Now()-start != int64(5*time.Second) || settled() != 1005 {
		t.Errorf("hanging call: %v after %d ns", err, clk.Now()-start)
	}
	lost := func() error { return gpu.ErrLost }
	g.SetFaults(Faults{Poll: lost, Power: lost})
	if s, err := g.Poll(); !errors.Is(err, gpu.ErrLost) || s.SMMHz != -1 {
		t.Errorf("lost: %+v, %v", s, err)
	}
	if _, err := g.ReadPower(gpu.SourceAverage); !errors.Is(err, gpu.ErrLost) {
		t.Error(err)
	}
	if _, err := g.ReadPowerBuffer(0); !errors.Is(err, gpu.ErrLost) {
		t.Error(err)
	}
	g.SetFaults(Faults{})
	if _, err := g.Poll(); err != nil {
		t.Error(err)
	}
}

func TestProcesses(t *testing.T) {
	other := gpu.Process{PID: 77, Name: "python", MemoryMiB: 300}
	g, _ := exact(t, "h100", WithProcesses(other))
	if p, err := g.Processes(); err != nil || len(p) != 1 || p[0] != other {
		t.Errorf("%v, %v", p, err)
	}
	g.SetProcesses(nil)
	if p, _ := g.Processes(); len(p) != 0 {
		t.Errorf("%v", p)
	}
}
