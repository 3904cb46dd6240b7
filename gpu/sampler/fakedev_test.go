package sampler

import (
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"jouletop/gpu"
	"jouletop/gpu/timebase"
)

const ms = int64(time.Millisecond)

// fakeDevice is a GPU on a simulated clock whose energy is a given function
// of time and whose sensors are renewed at set periods.
type fakeDevice struct {
	clk     timebase.Clock
	energy  func(t int64) float64 // J up to t
	sources []gpu.PowerSource

	avgWindow int64
	tickPhase atomic.Int64 // of the counter
	counterMS float64      // cost of a counter call
	pollErr   func(n int) error
	powerErr  func(source string) error
	pollCost  func(n int) time.Duration
	polls     int
	mu        sync.Mutex
	counts    map[string]int // guarded by mu
}

// steady is a device at a constant power.
func steady(clk timebase.Clock, watts float64) *fakeDevice {
	return wave(clk, watts, watts, int64(time.Second))
}

// wave is a device whose power swings between two levels, with a small ripple.
func wave(clk timebase.Clock, high, low float64, period int64) *fakeDevice {
	mid, swing := (high+low)/2, (high-low)/2
	w, ripple := 2*math.Pi/float64(period)*1e9, 2*math.Pi/0.173
	return &fakeDevice{
		clk: clk, avgWindow: 1000 * ms, counterMS: 3.8, counts: map[string]int{},
		energy: func(t int64) float64 {
			s := float64(t) / 1e9
			return mid*s - swing*(0.9*math.Cos(w*s)/w+0.1*math.Cos(ripple*s)/ripple)
		},
		sources: []gpu.PowerSource{{Name: gpu.SourceAverage, PeriodMS: 100}, {Name: gpu.SourceInstant, PeriodMS: 100},
			{Name: gpu.SourceBuffer, PeriodMS: 20}, {Name: gpu.SourceCounter, PeriodMS: 100}},
	}
}

func (d *fakeDevice) count(what string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.counts[what]++
}

func (d *fakeDevice) mean(from, to int64) float64 {
	mw := (d.energy(to) - d.energy(from)) / float64(to-from) * 1e12
	return math.Round(mw) / 1000
}

func (d *fakeDevice) Info() gpu.Info {
	return gpu.Info{Index: 0, UUID: "GPU-fake", SMClocks: []int{1000, 1980}}
}

func (d *fakeDevice) Poll() (gpu.Sample, error) {
	d.polls++
	if d.pollCost != nil {
		_ = d.clk.Sleep(background, d.pollCost(d.polls))
	}
	if d.pollErr != nil {
		if err := d.pollErr(d.polls); err != nil {
			return gpu.UnknownSample(), err
		}
	}
	s := gpu.UnknownSample()
	s.SMMHz = 1980
	return s, nil
}

func (d *fakeDevice) PowerSources() []gpu.PowerSource { return d.sources }

func (d *fakeDevice) ReadPower(source string) (gpu.PowerReading, error) {
	d.count(source)
	r := gpu.PowerReading{TimeNS: d.clk.Now(), Source: source, PowerW: math.NaN(), CounterJ: math.NaN()}
	if d.powerErr != nil {
		if err := d.powerErr(source); err != nil {
			return r, err
		}
	}
	switch source {
	case gpu.SourceAverage:
		at := r.TimeNS / (100 * ms) * 100 * ms
		r.PowerW = d.mean(at-d.avgWindow, at)
	case gpu.SourceInstant:
		at := (r.TimeNS-30*ms)/(100*ms)*100*ms + 30*ms
		r.PowerW = d.mean(at-25*ms, at)
	case gpu.SourceCounter:
		_ = d.clk.Sleep(background, time.Duration(d.counterMS*1e6))
		phase := d.tickPhase.Load()
		r.CounterJ = d.energy((d.clk.Now()-phase)/(100*ms)*100*ms + phase)
		r.TimeNS = (r.TimeNS + d.clk.Now()) / 2
	default:
		return r, fmt.Errorf("%w: %s", gpu.ErrNotSupported, source)
	}
	return r, nil
}

func (d *fakeDevice) ReadPowerBuffer(after int64) ([]gpu.PowerReading, error) {
	d.count(gpu.SourceBuffer)
	if d.powerErr != nil {
		if err := d.powerErr(gpu.SourceBuffer); err != nil {
			return nil, err
		}
	}
	now := d.clk.Now() / (20 * ms) * 20 * ms
	var out []gpu.PowerReading
	for t := max(now-120*20*ms, after/(20*ms)*20*ms) + 20*ms; t <= now; t += 20 * ms {
		out = append(out, gpu.PowerReading{TimeNS: t, Source: gpu.SourceBuffer, PowerW: d.mean(t-20*ms, t), CounterJ: math.NaN(), Fresh: true})
	}
	return out, nil
}

func (d *fakeDevice) Processes() ([]gpu.Process, error) {
	return []gpu.Process{{PID: 7, Name: "mine"}, {PID: 8, Name: "other"}}, nil
}
func (d *fakeDevice) SetSMClock(int) error { d.count("set"); return nil }
func (d *fakeDevice) ResetSMClock() error  { d.count("reset"); return nil }
func (d *fakeDevice) Close() error         { return nil }
