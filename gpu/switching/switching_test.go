package switching_test

import (
	"context"
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"jouletop/gpu"
	"jouletop/gpu/simgpu"
	"jouletop/gpu/switching"
	"jouletop/gpu/timebase"
)

// measureSwitching runs it on a busy simulated GPU.
func measureSwitching(t *testing.T, dev *simgpu.GPU, clk timebase.Clock, clocks []int, o switching.Options) ([]switching.Switch, error) {
	t.Helper()
	set := func(mhz int) (int64, int64, error) {
		a := clk.Now()
		err := dev.SetSMClock(mhz)
		return a, clk.Now(), err
	}
	var rows []switching.Switch
	var err error
	done := make(chan struct{})
	clk.Go(func() {
		defer close(done)
		dev.SetLoad(0.1, 0.5)
		rows, err = switching.Measure(context.Background(), dev, clk, set, clocks, o)
	})
	<-done
	return rows, err
}

func newGPU(t *testing.T, clk timebase.Clock, opts ...simgpu.Option) *simgpu.GPU {
	t.Helper()
	dev, err := simgpu.New("h100", clk, 1, opts...)
	if err != nil {
		t.Fatal(err)
	}
	return dev
}

func TestMeasureSwitching(t *testing.T) {
	for _, tt := range []struct{ call, settle time.Duration }{
		{4 * time.Millisecond, 20 * time.Millisecond},
		{2 * time.Millisecond, 3 * time.Millisecond},
		{10 * time.Millisecond, 300 * time.Millisecond},
	} {
		clk := timebase.NewSim(0)
		dev := newGPU(t, clk, simgpu.WithClockLatency(tt.call, tt.settle))
		calls := 0
		rows, err := measureSwitching(t, dev, clk, []int{345, 1005, 1980}, switching.Options{Progress: func(done, all int) {
			if calls++; all != 6 || done > all {
				t.Errorf("progress %d of %d", done, all)
			}
		}})
		if err != nil {
			t.Fatal(err)
		}
		if len(rows) != 6 || calls != 3 {
			t.Fatalf("%d rows, %d reports of progress", len(rows), calls)
		}
		for _, r := range rows {
			wantCall, wantSettle := tt.call.Seconds()*1e3, tt.settle.Seconds()*1e3
			if r.Err != "" || r.Repeats != 5 || math.Abs(r.CallMS-wantCall) > 0.25*wantCall {
				t.Errorf("%+v: want calls of about %g ms", r, wantCall)
			}
			if d := r.SettleMS - wantSettle; d < -0.1 || d > r.ResolutionMS+0.1 || r.SettleMaxMS < r.SettleMS {
				t.Errorf("%+v: want %g ms of settling, told to %g ms", r, wantSettle, r.ResolutionMS)
			}
		}
	}
}

// What cannot be told is said, not made up.
func TestMeasureSwitchingLimits(t *testing.T) {
	clk := timebase.NewSim(0)
	dev := newGPU(t, clk)
	dev.SetFaults(simgpu.Faults{IgnoreClock: true})
	rows, err := measureSwitching(t, dev, clk, []int{1005, 1980}, switching.Options{})
	if err != nil || len(rows) != 2 || !math.IsNaN(rows[0].SettleMS) || !strings.Contains(rows[0].Err, "not told apart") {
		t.Errorf("a clock that doesn't follow: %+v, %v", rows, err)
	}

	clk = timebase.NewSim(0)
	dev = newGPU(t, clk, simgpu.WithClockLatency(4*time.Millisecond, 80*time.Millisecond))
	rows, err = measureSwitching(t, dev, clk, []int{1005, 1980}, switching.Options{Limit: 200 * time.Millisecond})
	if err != nil || rows[0].Err != "" {
		t.Errorf("80 ms within 200 ms: %+v, %v", rows, err)
	}

	dev.SetFaults(simgpu.Faults{SetClock: gpu.ErrNoPermission})
	if _, err = measureSwitching(t, dev, clk, []int{1005, 1980}, switching.Options{}); !errors.Is(err, gpu.ErrNoPermission) {
		t.Errorf("no permission: %v", err)
	}
	if _, err = measureSwitching(t, dev, clk, []int{1005, 1006}, switching.Options{}); !errors.Is(err, gpu.ErrBadClock) && !errors.Is(err, gpu.ErrNoPermission) {
		t.Errorf("an unsupported clock: %v", err)
	}
	if _, err = measureSwitching(t, dev, clk, []int{1005}, switching.Options{}); err == nil {
		t.Error("one clock has no switches")
	}
	// Readings that fail now and then are left out.
	n := 0
	dev.SetFaults(simgpu.Faults{Poll: func() error {
		if n++; n%3 == 0 {
			return gpu.ErrLost
		}
		return nil
	}})
	rows, err = measureSwitching(t, dev, clk, []int{1005, 1980}, switching.Options{})
	if err != nil || rows[0].Err != "" || math.Abs(rows[0].SettleMS-80) > 2 {
		t.Errorf("with failing readings: %+v, %v", rows, err)
	}
}

func TestWriteSwitches(t *testing.T) {
	nan := math.NaN()
	var b strings.Builder
	err := switching.WriteCSV(&b, []switching.Switch{
		{FromMHz: 345, ToMHz: 1980, CallMS: 3.98765, SettleMS: 20.5, SettleMaxMS: 21, ResolutionMS: 0.52, Repeats: 5},
		{FromMHz: 1980, ToMHz: 1965, CallMS: nan, SettleMS: nan, SettleMaxMS: nan, ResolutionMS: nan, Err: "not told apart, sorry"},
	})
	want := `from_sm_mhz,to_sm_mhz,call_ms,settle_ms,settle_max_ms,resolution_ms,repeats,error
345,1980,3.988,20.500,21.000,0.520,5,
1980,1965,,,,,0,"not told apart, sorry"
`
	if err != nil || b.String() != want {
		t.Errorf("%v\n%s\nwant\n%s", err, &b, want)
	}
}
