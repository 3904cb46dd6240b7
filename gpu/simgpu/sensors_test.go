package simgpu

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"testing"
	"time"

	"jouletop/gpu"
	"jouletop/gpu/timebase"
)

// busy lets a GPU run short works of changing weight with pauses until a time.
func busy(g *GPU, clk timebase.Clock, until int64) {
	for i := 0; clk.Now() < until; i++ {
		_, _, _ = g.Execute(bg, Work{Overhead: time.Duration(7+i*13%90) * time.Millisecond, DRAM: 0.1 * float64(i%8)})
		if i%3 == 0 {
			_ = clk.Sleep(bg, time.Duration(i*29%70)*time.Millisecond)
		}
	}
}

// TestPolledSensors checks each value against the truth over its window.
func TestPolledSensors(t *testing.T) {
	for _, c := range []struct {
		source string
		window int64
	}{{gpu.SourceAverage, 1000 * ms}, {gpu.SourceInstant, 25 * ms}} {
		g, clk := exact(t, "h100")
		together(clk, func() { busy(g, clk, 6000*ms) }, func() {
			last, renewed, at := math.NaN(), 0, int64(0)
			for _ = clk.SleepUntil(bg, 1500*ms); clk.Now() < 5500*ms; _ = clk.Sleep(bg, time.Millisecond) {
				r, err := g.ReadPower(c.source)
				if err != nil || r.TimeNS != clk.Now() || !math.IsNaN(r.CounterJ) {
					t.Fatalf("%+v, %v", r, err)
				}
				if r.PowerW != last {
					if renewed > 1 && clk.Now()-at != 100*ms {
						t.Errorf("%s renewed after %d ns", c.source, clk.Now()-at)
					}
					last, at = r.PowerW, clk.Now()
					if renewed++; renewed == 1 {
						continue // of any age
					}
					// It was renewed within the last ms, so the window's end is known
					// to 1 ms.
					lo, hi := math.Inf(1), math.Inf(-1)
					for end := at - ms; end <= at; end += ms / 50 {
						w := g.TrueEnergyJ(end-c.window, end) / (float64(c.window) / 1e9)
						lo, hi = min(lo, w), max(hi, w)
					}
					if r.PowerW < lo-0.01 || r.PowerW > hi+0.01 {
						t.Errorf("%s at %d: %v W, the truth lies in %v..%v", c.source, at, r.PowerW, lo, hi)
					}
				}
			}
			if renewed < 38 || renewed > 42 {
				t.Errorf("%s: %d values in 4 s", c.source, renewed)
			}
		})
	}
}

func TestCounter(t *testing.T) {
	g, clk := exact(t, "h100")
	together(clk, func() { busy(g, clk, 6000*ms) }, func() {
		type tick struct {
			at int64
			j  float64
		}
		var ticks []tick
		last := math.NaN()
		for clk.Now() < 5500*ms {
			before := clk.Now()
			r, err := g.ReadPower(gpu.SourceCounter)
			if err != nil || !math.IsNaN(r.PowerW) || clk.Now()-before != 38*ms/10 || r.TimeNS != clk.Now() {
				t.Fatalf("%+v after %d ns, %v", r, clk.Now()-before, err)
			}
			if mj := r.CounterJ * 1e3; math.Abs(mj-math.Round(mj)) > 1e-4 {
				t.Errorf("%v J is not whole mJ", r.CounterJ)
			}
			if r.CounterJ < last {
				t.Errorf("counter went from %v to %v J", last, r.CounterJ)
			}
			if r.CounterJ != last {
				ticks = append(ticks, tick{clk.Now(), r.CounterJ})
			}
			last = r.CounterJ
		}
		a, b := ticks[1], ticks[len(ticks)-1]
		near(t, "period in ns", float64(b.at-a.at)/float64(len(ticks)-2), 100e6, 1e5)
		near(t, "energy in J", b.j-a.j, g.TrueEnergyJ(a.at, b.at), 4) // times known to 3.8 ms
	})
}

func TestBuffer(t *testing.T) {
	for _, lag := range []time.Duration{0, 10 * time.Millisecond} {
		g, clk := exact(t, "h100", WithBufferLag(lag))
		together(clk, func() { busy(g, clk, 9000*ms) }, func() {
			var all []gpu.PowerReading
			after := int64(-1)
			for range 20 {
				_ = clk.Sleep(bg, 300*time.Millisecond)
				before := clk.Now()
				r, err := g.ReadPowerBuffer(after)
				if err != nil || clk.Now()-before != 4*ms/10 {
					t.Fatalf("%v after %d ns", err, clk.Now()-before)
				}
				all = append(all, r...)
				after = all[len(all)-1].TimeNS
			}
			for i, r := range all {
				if r.TimeNS%1000 != 0 || r.Source != gpu.SourceBuffer || !r.Fresh {
					t.Fatalf("%+v", r)
				}
				if i > 0 && abs(r.TimeNS-all[i-1].TimeNS-20*ms) > 1000 {
					t.Fatalf("%d ns after the one before", r.TimeNS-all[i-1].TimeNS)
				}
				if i > 1 {
					end := r.TimeNS - int64(lag)
					near(t, "value", r.PowerW, g.TrueEnergyJ(end-20*ms, end)/0.020, 0.05)
				}
			}
			if len(all) < 299 || len(all) > 303 {
				t.Errorf("%d values in 6 s", len(all))
			}
			_ = clk.Sleep(bg, 10*time.Second)
			if r, _ := g.ReadPowerBuffer(after); len(r) != 120 {
				t.Errorf("the buffer holds %d", len(r))
			}
		})
	}
}

func abs(x int64) int64 { return max(x, -x) }

func TestGainAndNoise(t *testing.T) {
	var gains []float64
	for seed := range int64(200) {
		g, err := New("h100", timebase.NewSim(0), seed)
		if err != nil {
			t.Fatal(err)
		}
		gains = append(gains, g.Gain())
		if g.Gain() < 0.95 || g.Gain() > 1.05 {
			t.Errorf("seed %d: gain %v", seed, g.Gain())
		}
	}
	mean, sq := 0.0, 0.0
	for _, x := range gains {
		mean += x / 200
		sq += x * x / 200
	}
	near(t, "mean gain", mean, 1, 0.007)
	near(t, "spread of gains", math.Sqrt(sq-mean*mean), 0.05/math.Sqrt(3), 0.005)

	g, clk := exact(t, "h100", WithGain(0.04), WithNoise(0.01))
	_ = clk.Sleep(bg, time.Second)
	n, m, s := 0.0, 0.0, 0.0
	for range 40 {
		_ = clk.Sleep(bg, 2*time.Second)
		r, _ := g.ReadPowerBuffer(0)
		for _, r := range r {
			x := r.PowerW / g.TruePowerW(clk.Now())
			n, m, s = n+1, m+x, s+x*x
		}
	}
	m /= n
	near(t, "gain read", m, 1.04, 0.001)
	near(t, "noise read", math.Sqrt(s/n-m*m)/m, 0.01, 0.001)
	a, _ := g.ReadPower(gpu.SourceCounter)
	_ = clk.Sleep(bg, 100*time.Second)
	b, _ := g.ReadPower(gpu.SourceCounter)
	near(t, "counter over 100 s", (b.CounterJ-a.CounterJ)/g.TrueEnergyJ(a.TimeNS, b.TimeNS), 1.04, 0.002)
}

func TestMissingSources(t *testing.T) {
	g, _ := exact(t, "h100", WithoutSources(gpu.SourceBuffer, gpu.SourceInstant))
	var names []string
	for _, s := range g.PowerSources() {
		names = append(names, s.Name)
	}
	if fmt.Sprint(names) != "[average counter]" {
		t.Errorf("sources: %v", names)
	}
	if _, err := g.ReadPowerBuffer(0); !errors.Is(err, gpu.ErrNotSupported) {
		t.Error(err)
	}
	for _, s := range []string{gpu.SourceInstant, gpu.SourceBuffer, "other"} {
		if _, err := g.ReadPower(s); !errors.Is(err, gpu.ErrNotSupported) {
			t.Errorf("%s: %v", s, err)
		}
	}
}

// observe runs works and clock changes under three pollers and returns all
// that was seen, and the works' times.
func observe(seed int64, pollEvery time.Duration) (seen []string, works []int64) {
	clk := timebase.NewSim(0)
	g, err := New("rtx-pro-6000", clk, seed, WithTruth())
	if err != nil {
		panic(err)
	}
	poll := func(every time.Duration, f func() any) func() {
		return func() {
			for clk.Now() < 3000*ms {
				seen = append(seen, fmt.Sprint(f()))
				_ = clk.Sleep(bg, every)
			}
		}
	}
	together(clk,
		func() {
			for i := 0; clk.Now() < 3000*ms; i++ {
				_, end, _ := g.Execute(bg, Work{FLOPs: 3e12 * float64(1+i%4), SMCycles: 1e7, Overhead: time.Millisecond})
				works = append(works, end)
			}
		},
		func() {
			for _, mhz := range []int{180, 2842, 960} {
				_ = clk.Sleep(bg, 700*time.Millisecond)
				_ = g.SetSMClock(mhz)
			}
		},
		poll(pollEvery, func() any { s, _ := g.Poll(); return s }),
		poll(110*time.Millisecond, func() any { r, _ := g.ReadPowerBuffer(clk.Now() - 100*ms); return r }),
		poll(500*time.Millisecond, func() any { r, _ := g.ReadPower(gpu.SourceCounter); return r }),
	)
	return append(seen, fmt.Sprint(g.TrueEnergyJ(0, 3000*ms))), works
}

func TestDeterministic(t *testing.T) {
	seen, works := observe(5, 10*time.Millisecond)
	for range 5 {
		again, works2 := observe(5, 10*time.Millisecond)
		if !reflect.DeepEqual(seen, again) || !reflect.DeepEqual(works, works2) {
			t.Fatal("the same seed gave another run")
		}
	}
	if other, _ := observe(6, 10*time.Millisecond); reflect.DeepEqual(seen, other) {
		t.Error("another seed gave the same readings")
	}
	// Looking more often changes neither what happens nor what it costs.
	more, works2 := observe(5, time.Millisecond)
	if !reflect.DeepEqual(works, works2) || seen[len(seen)-1] != more[len(more)-1] {
		t.Error("polling changed what happened")
	}
}

// TestHistoryIsBounded runs for an hour with and without truth.
func TestHistoryIsBounded(t *testing.T) {
	clk := timebase.NewSim(0)
	g, err := New("h100", clk, 1)
	if err != nil {
		t.Fatal(err)
	}
	for clk.Now() < int64(time.Hour) {
		_, _, _ = g.Execute(bg, Work{Overhead: 50 * time.Millisecond, DRAM: 0.5})
		_ = clk.Sleep(bg, 50*time.Millisecond)
	}
	if n := cap(g.hist.seg); n > 1000 {
		t.Errorf("%d segments kept", n)
	}
	if !math.IsNaN(g.TrueEnergyJ(0, 1)) || !math.IsNaN(g.TruePowerW(1)) || math.IsNaN(g.TrueSMMHz(clk.Now())) {
		t.Error("forgotten truth is told, or present truth is not")
	}
}
