package sampler

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"jouletop/gpu"
	"jouletop/gpu/timebase"
)

// Nominal renewal periods and averaging windows in ms, for what a discovery
// could not find: an H100 with driver 580 (periods), NVIDIA's nvml.h (the 1 s
// average, on Ampere and later but GA100) and Yang, Adámek and Armour, "Part-time
// Power Measurements", SC'24 (the 25 ms of the instant value).
var nominal = map[string]gpu.PowerSource{
	gpu.SourceAverage: {PeriodMS: 100, WindowMS: 1000},
	gpu.SourceInstant: {PeriodMS: 100, WindowMS: 25},
	gpu.SourceBuffer:  {PeriodMS: 20, WindowMS: 20},
	gpu.SourceCounter: {PeriodMS: 100},
}

const (
	discoverPoll = int64(2 * time.Millisecond)
	// One part in counterShare of the discovery is spent on the counter alone at
	// its beginning, and one at its end, that the ticks seen lie far apart: its
	// calls would disturb the timing of the others.
	counterShare = 8
	minBurst     = int64(300 * time.Millisecond)
)

// Discover measures, for each power source of dev, the true renewal period, the
// cost of a call and, where the power changed enough meanwhile, the averaging
// window (see [InferWindows]). It takes about the given time, of which 3 s find
// everything, polls hard, and is to be done before anything is measured. On a
// simulated clock it must be called from one of the clock's goroutines.
//
// Periods come from the times at which a value changed: a polled source's from
// the intervals between changes, of which some span several renewals to an equal
// value; the buffer's from its own time stamps. What could not be found is
// nominal and the source's Note says so. A source whose every reading failed is
// left out, and the error says why; the other sources are returned with it.
func Discover(dev gpu.Device, clk timebase.Clock, duration time.Duration) ([]gpu.PowerSource, error) {
	found := dev.PowerSources()
	seen := make(map[string]*observed, len(found))
	var polled []*observed
	for _, src := range found {
		o := &observed{name: src.Name}
		seen[src.Name] = o
		if src.Name == gpu.SourceAverage || src.Name == gpu.SourceInstant {
			polled = append(polled, o)
		}
	}
	watch := watchHere
	if p, ok := dev.(gpu.Poller); ok && !clk.Simulated() {
		watch = func(dev gpu.Device, clk timebase.Clock, until int64, polled []*observed, buffer *observed) ([]gpu.PowerReading, error) {
			return watchByPoller(p, dev, clk, until, polled, buffer)
		}
	}
	end := clk.Now() + int64(duration)
	burst := max(int64(duration)/counterShare, minBurst)
	if err := watchCounter(dev, clk, clk.Now()+burst, seen[gpu.SourceCounter]); err != nil {
		return nil, err
	}
	readings, err := watch(dev, clk, end-burst, polled, seen[gpu.SourceBuffer])
	if err != nil {
		return nil, err
	}
	if err := watchCounter(dev, clk, clk.Now()+burst, seen[gpu.SourceCounter]); err != nil {
		return nil, err
	}

	var sources []gpu.PowerSource
	var failed []error
	for _, src := range found {
		o := seen[src.Name]
		if o.ok == 0 || src.Name == gpu.SourceBuffer && len(o.times) == 0 {
			failed = append(failed, fmt.Errorf("power source %s gave no reading: %w", src.Name, o.why()))
			continue
		}
		sources = append(sources, o.describe(src))
	}
	readings = slices.DeleteFunc(readings, func(r gpu.PowerReading) bool { return !gpu.Plausible(r.PowerW) })
	return InferWindows(sources, readings), errors.Join(failed...)
}

// watchCounter reads the counter back to back until the given time.
func watchCounter(dev gpu.Device, clk timebase.Clock, until int64, counter *observed) error {
	if counter == nil {
		return nil
	}
	seen := len(counter.times)
	counter.read(dev, clk)
	counter.times = counter.times[:seen] // a change since the last burst was not just now
	for t := clk.Now(); t < until; t = clk.Now() {
		counter.read(dev, clk)
		if err := clk.SleepUntil(background, t+discoverPoll); err != nil { // where a call is quicker
			return err
		}
	}
	return nil
}

// watchHere polls the sources and the buffer (nil: none) until the given time.
func watchHere(dev gpu.Device, clk timebase.Clock, until int64, polled []*observed, buffer *observed) (readings []gpu.PowerReading, err error) {
	b := bufferWatch{newest: math.MinInt64 / 2}
	for t := clk.Now(); t < until; t = max(t+discoverPoll, clk.Now()) {
		for _, o := range polled {
			if r, ok := o.read(dev, clk); ok {
				readings = append(readings, r)
			}
		}
		readings = b.read(dev, clk, buffer, readings)
		if err := clk.SleepUntil(background, t+discoverPoll); err != nil {
			return nil, err
		}
	}
	return readings, nil
}

// watchByPoller does the same with the device's own poller, which sees changes
// in time on a busy machine too. What a call costs is tried afterwards.
func watchByPoller(p gpu.Poller, dev gpu.Device, clk timebase.Clock, until int64, polled []*observed, buffer *observed) (readings []gpu.PowerReading, err error) {
	var due []gpu.DueSource
	for _, o := range polled {
		due = append(due, gpu.DueSource{Name: o.name, Every: 1})
	}
	polling, err := p.StartPolling(time.Duration(discoverPoll), due)
	if err != nil {
		return nil, fmt.Errorf("finding out about the power sources: %w", err)
	}
	b := bufferWatch{newest: math.MinInt64 / 2}
	for clk.Now() < until && err == nil {
		readings = b.read(dev, clk, buffer, readings)
		err = clk.SleepUntil(background, min(until, b.next))
	}
	polling.Stop()
	for _, poll := range polling.Read(nil) {
		for i, r := range poll.Power[:poll.Powers] {
			for _, o := range polled {
				if o.name == r.Source {
					if o.note(&r, poll.PowerErr[i]) {
						readings = append(readings, r)
					}
				}
			}
		}
	}
	const tries = 32
	for _, o := range polled {
		for range tries {
			before := clk.Now()
			if _, err := dev.ReadPower(o.name); err == nil {
				o.costs = append(o.costs, clk.Now()-before)
			}
		}
	}
	return readings, err
}

// bufferWatch reads the sample buffer every bufferEvery.
type bufferWatch struct {
	next   int64 // when
	newest int64 // sample seen
}

func (b *bufferWatch) read(dev gpu.Device, clk timebase.Clock, o *observed, readings []gpu.PowerReading) []gpu.PowerReading {
	before := clk.Now()
	if before < b.next {
		return readings
	}
	b.next = before + bufferEvery
	if o == nil {
		return readings
	}
	rs, err := dev.ReadPowerBuffer(b.newest)
	if err != nil {
		o.err = err
		return readings
	}
	o.ok++
	o.costs = append(o.costs, clk.Now()-before)
	now := clk.Now()
	for _, r := range rs {
		if !aboutNow(r.TimeNS, now) {
			o.err = fmt.Errorf("its samples are stamped %s away from now", seconds(max(now-r.TimeNS, r.TimeNS-now)))
			continue
		}
		b.newest = max(b.newest, r.TimeNS)
		o.times = append(o.times, r.TimeNS)
		readings = append(readings, r)
	}
	return readings
}

// observed is what was seen of one source.
type observed struct {
	name  string
	ok    int
	err   error   // the last
	costs []int64 // of the calls, ns
	times []int64 // when the value was renewed

	value float64
}

// read reads a polled source once.
func (o *observed) read(dev gpu.Device, clk timebase.Clock) (r gpu.PowerReading, ok bool) {
	before := clk.Now()
	r, err := dev.ReadPower(o.name)
	if o.note(&r, err) {
		o.costs = append(o.costs, clk.Now()-before)
		return r, true
	}
	return r, false
}

// note takes a reading of a polled source, and tells whether it is one.
func (o *observed) note(r *gpu.PowerReading, err error) bool {
	if err != nil {
		o.err = err
		return false
	}
	o.ok++
	value := r.PowerW
	if o.name == gpu.SourceCounter {
		value = r.CounterJ
	}
	r.Fresh = o.ok > 1 && value != o.value
	if r.Fresh {
		o.times = append(o.times, r.TimeNS)
	}
	o.value = value
	return true
}

// why tells why there was no reading.
func (o *observed) why() error {
	if o.err == nil {
		return errors.New("it has none")
	}
	return o.err
}

// describe fills in what was found.
func (o *observed) describe(src gpu.PowerSource) gpu.PowerSource {
	src.CallMS = round3(float64(median(o.costs)) / 1e6)
	if p, ok := renewalPeriod(o.times); ok {
		src.PeriodMS = round3(p / 1e6)
	} else {
		src.PeriodMS = nominal[src.Name].PeriodMS
		src.Note = also(src.Note, "period nominal: too few changes seen")
	}
	return src
}

func also(old, more string) string {
	if old == "" {
		return more
	}
	return old + "; " + more
}

func round3(x float64) float64 { return math.Round(x*1e3) / 1e3 }

func median(v []int64) int64 {
	if len(v) == 0 {
		return 0
	}
	s := slices.Clone(v)
	slices.Sort(s)
	return s[len(s)/2]
}

// renewalPeriod returns the period in ns by which the given times of changes lie
// apart, when some changes are missing and each is seen a little late. It needs
// four.
func renewalPeriod(times []int64) (float64, bool) {
	if len(times) < 4 {
		return 0, false
	}
	gaps := make([]int64, 0, len(times)-1)
	for i, t := range times[1:] {
		if g := t - times[i]; g > 0 {
			gaps = append(gaps, g)
		}
	}
	if len(gaps) < 3 {
		return 0, false
	}
	// A gap is a whole number of periods, and most often one: the first guess is
	// the median of the gaps within half again of the lower quartile.
	sorted := slices.Clone(gaps)
	slices.Sort(sorted)
	low := sorted[len(sorted)/4]
	single := slices.DeleteFunc(slices.Clone(sorted), func(g int64) bool { return g > low+low/2 })
	guess := float64(median(single))
	// Then as many periods as fit the gaps, over their whole length.
	var total, n float64
	for _, g := range gaps {
		k := math.Round(float64(g) / guess)
		if k >= 1 {
			total += float64(g)
			n += k
		}
	}
	if n == 0 {
		return 0, false
	}
	return total / n, true
}
