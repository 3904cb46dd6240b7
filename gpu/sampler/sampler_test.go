package sampler

import (
	"errors"
	"fmt"
	"math"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"jouletop/gpu"
	"jouletop/gpu/timebase"
)

// record is what a sampler told.
type record struct {
	samples  []int64
	power    map[string][]gpu.PowerReading
	problems []error
	stats    Stats
}

// sampled runs a sampler on dev for d of simulated time.
func sampled(t *testing.T, clk *timebase.Sim, dev gpu.Device, d time.Duration, during func()) record {
	t.Helper()
	r := record{power: map[string][]gpu.PowerReading{}}
	done := make(chan struct{})
	clk.Go(func() {
		defer close(done)
		s := Start(dev, Options{
			Clock:   clk,
			Sample:  func(at int64, _ gpu.Sample) { r.samples = append(r.samples, at) },
			Power:   func(p gpu.PowerReading) { r.power[p.Source] = append(r.power[p.Source], p) },
			Problem: func(err error) { r.problems = append(r.problems, err) },
		})
		if during != nil {
			clk.Go(during)
		}
		_ = clk.Sleep(background, d)
		s.Stop()
		r.stats = s.Stats()
		n := len(r.samples)
		_ = clk.Sleep(background, time.Second)
		if len(r.samples) != n {
			t.Errorf("%d samples after Stop", len(r.samples)-n)
		}
	})
	<-done
	return r
}

func fresh(list []gpu.PowerReading) []gpu.PowerReading {
	return slices.DeleteFunc(slices.Clone(list), func(r gpu.PowerReading) bool { return !r.Fresh })
}

func TestSamplerKeepsItsDeadlines(t *testing.T) {
	clk := timebase.NewSim(0)
	r := sampled(t, clk, wave(clk, 500, 100, 700*ms), 20*time.Second, nil)
	if len(r.samples) != 2001 && len(r.samples) != 2000 {
		t.Fatalf("%d samples in 20 s", len(r.samples))
	}
	for i, at := range r.samples {
		if at != int64(i)*10*ms { // the counter's slow calls notwithstanding
			t.Fatalf("sample %d at %v", i, time.Duration(at))
		}
	}
	if r.stats.Missed != 0 || r.stats.MaxGap != Period || r.stats.Polls != int64(len(r.samples)) || len(r.problems) != 0 {
		t.Errorf("%+v, problems %v", r.stats, r.problems)
	}
}

func TestSamplerLate(t *testing.T) {
	clk := timebase.NewSim(0)
	dev := steady(clk, 100)
	dev.pollCost = func(n int) time.Duration {
		switch n {
		case 50:
			return 15 * time.Millisecond // late by half a period: nothing is lost
		case 100:
			return 47 * time.Millisecond // three deadlines pass by whole periods
		}
		return 0
	}
	r := sampled(t, clk, dev, 3*time.Second, nil)
	if r.stats.Missed != 3 || r.stats.MaxGap != 47*time.Millisecond {
		t.Errorf("%+v", r.stats)
	}
	late := 0
	for _, at := range r.samples {
		if at%(10*ms) != 0 {
			late++
		}
	}
	if late != 2 { // one after each; then the deadlines hold again
		t.Errorf("%d polls off the grid", late)
	}
}

func TestSamplerIsDeterministic(t *testing.T) {
	run := func() string {
		clk := timebase.NewSim(0)
		return fmt.Sprint(sampled(t, clk, wave(clk, 500, 100, 730*ms), 10*time.Second, nil))
	}
	first := run()
	for range 5 {
		if run() != first {
			t.Fatal("two runs differ")
		}
	}
}

func TestSamplerFresh(t *testing.T) {
	for _, tc := range []struct {
		name      string
		high, low float64
	}{{"changing power", 500, 100}, {"constant power", 200, 200}} {
		t.Run(tc.name, func(t *testing.T) {
			clk := timebase.NewSim(0)
			r := sampled(t, clk, wave(clk, tc.high, tc.low, 730*ms), 20*time.Second, nil)
			for _, source := range []string{gpu.SourceAverage, gpu.SourceInstant} {
				all := r.power[source]
				if len(all) < 4*200 {
					t.Errorf("%s: %d readings of 200 values", source, len(all))
				}
				if n := len(fresh(all)); n < 190 || n > 200 {
					t.Errorf("%s: %d fresh readings of 200 values", source, n)
				}
				if all[0].Fresh {
					t.Errorf("%s: the first reading cannot be known to be fresh", source)
				}
			}
		})
	}
}

func TestSamplerBufferWhole(t *testing.T) {
	clk := timebase.NewSim(0)
	r := sampled(t, clk, wave(clk, 500, 100, 700*ms), 10*time.Second, nil)
	got := r.power[gpu.SourceBuffer]
	for i, p := range got {
		if p.TimeNS != int64(i+1)*20*ms {
			t.Fatalf("sample %d of the buffer is of %v", i, time.Duration(p.TimeNS))
		}
	}
	if last := got[len(got)-1].TimeNS; last < 10_000*ms {
		t.Errorf("the last sample of the buffer is of %v: Stop left some", time.Duration(last))
	}
}

func TestSamplerFindsTheCountersTick(t *testing.T) {
	clk := timebase.NewSim(0)
	dev := wave(clk, 500, 100, 730*ms)
	dev.sources = slices.DeleteFunc(dev.sources, func(s gpu.PowerSource) bool { return s.Name == gpu.SourceBuffer })
	dev.tickPhase.Store(37 * ms)
	slipAt := 40_000 * ms
	r := sampled(t, clk, dev, 80*time.Second, func() {
		_ = clk.SleepUntil(background, slipAt)
		dev.tickPhase.Store(85 * ms)
	})
	readings := r.power[gpu.SourceCounter]
	// At most two calls in any second.
	for i := 3; i < len(readings); i++ {
		if readings[i].TimeNS-readings[i-3].TimeNS < 990*ms {
			t.Fatalf("four reads within %v", time.Duration(readings[i].TimeNS-readings[i-3].TimeNS))
		}
	}
	// A close pair with different values brackets the tick.
	pairs := 0
	for i := 1; i < len(readings); i++ {
		a, b := readings[i-1], readings[i]
		if b.TimeNS-a.TimeNS >= 30*ms || b.CounterJ == a.CounterJ {
			continue
		}
		pairs++
		phase := 37 * ms
		if b.TimeNS > slipAt+100*ms {
			phase = 85 * ms
		}
		tick := b.TimeNS/(100*ms)*100*ms + phase
		if tick > b.TimeNS+3*ms {
			tick -= 100 * ms
		}
		if tick < a.TimeNS-3*ms || tick > b.TimeNS+3*ms { // a call takes 3.8 ms
			t.Errorf("pair from %d to %d ms, tick at %d ms", a.TimeNS/ms, b.TimeNS/ms, tick/ms)
		}
		if want := dev.energy(tick); math.Abs(b.CounterJ-want) > 1e-6 {
			t.Errorf("second reading %v J, at the tick %v J", b.CounterJ, want)
		}
	}
	if pairs < 65 {
		t.Errorf("%d close pairs in 80 s", pairs)
	}
}

// A period that discovery got slightly wrong is put right.
func TestTickFinderRefinesThePeriod(t *testing.T) {
	for _, guess := range []float64{99.8, 99.9, 99.95, 100, 100.05, 100.1, 100.2} {
		f := newTickFinder(gpu.PowerSource{PeriodMS: guess}, counterSettled)
		const tick, phase = 100 * ms, 37 * ms
		at, reads := int64(0), 0
		for at < 600_000*ms {
			reads++
			_, at = f.read(at, float64((at-phase)/tick))
		}
		if off := math.Abs(float64(f.period - tick)); off > 0.05*float64(ms) {
			t.Errorf("from %v ms: %v ms after ten minutes", guess, float64(f.period)/1e6)
		}
		if reads > 2*205+100 {
			t.Errorf("from %v ms: %d reads: the tick was lost too often", guess, reads)
		}
	}
}

// Where the buffer tells the course of the power, the counter is read less.
func TestSamplerSparesTheCounter(t *testing.T) {
	clk := timebase.NewSim(0)
	dev := wave(clk, 500, 100, 730*ms)
	r := sampled(t, clk, dev, 60*time.Second, nil)
	if n := dev.counts[gpu.SourceCounter]; n < 36 || n > 50 {
		t.Errorf("%d reads in a minute, want two in 3 s", n)
	}
	if n := len(fresh(r.power[gpu.SourceCounter])); n < 34 {
		t.Errorf("%d of them fresh", n)
	}
}

// Nor is it where its tick cannot be found.
func TestTickFinderHasPatience(t *testing.T) {
	f := newTickFinder(gpu.PowerSource{PeriodMS: 100}, counterSettled)
	at, reads, late := int64(0), 0, int64(0)
	for at < 600_000*ms {
		reads++
		late = (late + 61*ms) % (150 * ms) // of each read, differently
		_, at = f.read(at+late, float64((at+late)/(100*ms)))
	}
	if reads > 2*200+3*patience {
		t.Errorf("%d reads in ten minutes", reads)
	}
}

func TestSamplerGoesOnThroughFailures(t *testing.T) {
	clk := timebase.NewSim(0)
	dev := wave(clk, 500, 100, 700*ms)
	broken := errors.New("broken")
	dev.pollErr = func(n int) error {
		if n%7 == 0 {
			return broken
		}
		return nil
	}
	reads := 0
	dev.powerErr = func(source string) error {
		if reads++; source == gpu.SourceCounter && reads%3 == 0 {
			return broken
		}
		if source == gpu.SourceInstant {
			return fmt.Errorf("%w: it is", gpu.ErrNotSupported)
		}
		return nil
	}
	r := sampled(t, clk, dev, 60*time.Second, nil)
	if n := len(r.samples); n < 5000 || n > 5200 {
		t.Errorf("%d samples of 6000 with every seventh poll failing", n)
	}
	if len(r.power[gpu.SourceAverage]) < 2000 || len(r.power[gpu.SourceBuffer]) < 2990 || len(r.power[gpu.SourceCounter]) < 20 {
		t.Error("the other readings suffered")
	}
	if dev.counts[gpu.SourceInstant] != 1 {
		t.Errorf("an unsupported source was tried %d times", dev.counts[gpu.SourceInstant])
	}
	if n := len(r.problems); n < 8 || n > 14 { // poll and counter: the first, then one in ten seconds
		t.Errorf("%d problems told", n)
	}
	all := fmt.Sprint(r.problems)
	for _, want := range []string{"broken (", "times since last told)", "instant is no longer read"} {
		if !strings.Contains(all, want) {
			t.Errorf("nothing of %q in %s", want, all)
		}
	}
}

func TestSamplerLostGPU(t *testing.T) {
	clk := timebase.NewSim(0)
	dev := steady(clk, 100)
	lost := func() bool { return clk.Now() > 2000*ms && clk.Now() < 12_500*ms }
	dev.pollErr = func(int) error {
		if lost() {
			return fmt.Errorf("%w: Xid 79", gpu.ErrLost)
		}
		return nil
	}
	dev.powerErr = func(string) error { return dev.pollErr(0) }
	r := sampled(t, clk, dev, 20*time.Second, nil)
	if len(r.problems) != 2 || !errors.Is(r.problems[0], gpu.ErrLost) || !strings.Contains(r.problems[1].Error(), "back, after 1") {
		t.Errorf("problems %v", r.problems)
	}
	before, after := 0, 0
	for _, at := range r.samples {
		if at <= 2000*ms {
			before++
		} else if at > 12_500*ms {
			after++
		}
	}
	if before != 201 || after < 600 {
		t.Errorf("%d samples before, %d after it came back", before, after)
	}
	if dev.polls > before+after+15 {
		t.Errorf("%d polls in all: too many of a lost GPU", dev.polls)
	}
	if n := len(r.power[gpu.SourceCounter]); n < 8 {
		t.Errorf("%d readings of the counter", n)
	}
}

// What the device knows is told, whatever it does not; what never works is told
// once.
func TestSamplerWithoutAClockReading(t *testing.T) {
	clk := timebase.NewSim(0)
	dev := &clockless{steady(clk, 100)}
	r := sampled(t, clk, dev, 30*time.Second, nil)
	if len(r.samples) != 3000 && len(r.samples) != 3001 {
		t.Errorf("%d samples in 30 s", len(r.samples))
	}
	if len(r.problems) != 1 {
		t.Errorf("problems %v", r.problems)
	}
}

type clockless struct{ *fakeDevice }

func (d *clockless) Poll() (gpu.Sample, error) {
	s := gpu.UnknownSample()
	s.TempC = 50
	return s, fmt.Errorf("%w: reading the SM clock", gpu.ErrNotSupported)
}

// A value that never changes is renewed all the same, also where the period of its
// source was not found out.
func TestSamplerConstantPowerOfUnknownPeriod(t *testing.T) {
	clk := timebase.NewSim(0)
	dev := steady(clk, 200)
	dev.energy = func(t int64) float64 { return 200 * float64(t) / 1e9 }
	for i := range dev.sources {
		dev.sources[i].PeriodMS = 0
	}
	r := sampled(t, clk, dev, 20*time.Second, nil)
	for _, source := range []string{gpu.SourceAverage, gpu.SourceInstant} {
		if n := len(fresh(r.power[source])); n < 190 || n > 200 {
			t.Errorf("%s: %d fresh readings of 200 values", source, n)
		}
	}
}

// Samples of the buffer that are stamped at another time are left out, and a buffer
// that has nothing new is named.
func TestSamplerNamesABufferOfAnotherTime(t *testing.T) {
	clk := timebase.NewSim(0)
	dev := &shifted{steady(clk, 100), int64(time.Hour)}
	r := sampled(t, clk, dev, 8*time.Second, nil)
	if n := len(r.power[gpu.SourceBuffer]); n > 0 {
		t.Errorf("%d samples from the future", n)
	}
	all := fmt.Sprint(r.problems)
	for _, want := range []string{"stamped 3600", "nothing new for 3.0 s"} {
		if !strings.Contains(all, want) {
			t.Errorf("nothing of %q in %s", want, all)
		}
	}
}

type shifted struct {
	*fakeDevice
	by int64
}

func (d *shifted) ReadPowerBuffer(after int64) ([]gpu.PowerReading, error) {
	rs, err := d.fakeDevice.ReadPowerBuffer(after)
	for i := range rs {
		rs[i].TimeNS += d.by
	}
	return rs, err
}

func TestSamplerAllocatesNothingPerPoll(t *testing.T) {
	clk := timebase.NewSim(0)
	dev := steady(clk, 100)
	dev.sources = dev.sources[:2] // the buffer is a slice by contract
	done := make(chan float64)
	clk.Go(func() {
		polls := 0
		s := Start(dev, Options{Clock: clk, Sample: func(int64, gpu.Sample) { polls++ }, Power: func(gpu.PowerReading) {}})
		_ = clk.Sleep(background, time.Second)
		var a, b runtime.MemStats
		runtime.ReadMemStats(&a)
		n := polls
		_ = clk.Sleep(background, 200*time.Second)
		runtime.ReadMemStats(&b)
		n = polls - n
		s.Stop()
		done <- float64(b.Mallocs-a.Mallocs) / float64(n)
	})
	if perPoll := <-done; perPoll > 0.01 {
		t.Errorf("%.3f allocations a poll", perPoll)
	}
}

func TestSamplerOnARealClock(t *testing.T) {
	clk := timebase.Monotonic()
	polls := 0
	s := Start(steady(clk, 100), Options{Clock: clk, Period: time.Millisecond, Sample: func(int64, gpu.Sample) { polls++ }})
	time.Sleep(20 * time.Millisecond)
	s.Stop()
	n := polls
	if n == 0 {
		t.Error("no poll")
	}
	if st := s.Stats(); st.Polls != int64(n) {
		t.Errorf("%d samples, %+v", n, st)
	}
}
