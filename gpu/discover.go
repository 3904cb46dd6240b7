package gpu

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"jouletop/gpu/timebase"
)

// Nominal renewal periods and averaging windows in ms, for what a discovery
// could not find: an H100 with driver 580 (periods), NVIDIA's nvml.h (the 1 s
// average, on Ampere and later but GA100) and Yang, Adámek and Armour, "Part-time
// Power Measurements", SC'24 (the 25 ms of the instant value).
var nominal = map[string]PowerSource{
	SourceAverage: {PeriodMS: 100, WindowMS: 1000},
	SourceInstant: {PeriodMS: 100, WindowMS: 25},
	SourceBuffer:  {PeriodMS: 20, WindowMS: 20},
	SourceCounter: {PeriodMS: 100},
}

const (
	discoverPoll = int64(2 * time.Millisecond)
	// counterShare of the discovery is spent on the counter alone, whose calls
	// would disturb the timing of the others.
	counterShare = 0.25
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
func Discover(dev Device, clk timebase.Clock, duration time.Duration) ([]PowerSource, error) {
	found := dev.PowerSources()
	seen := make(map[string]*observed, len(found))
	var polled []*observed
	for _, src := range found {
		o := &observed{}
		seen[src.Name] = o
		if src.Name == SourceAverage || src.Name == SourceInstant {
			o.name = src.Name
			polled = append(polled, o)
		}
	}
	var readings []PowerReading
	start := clk.Now()
	counterFrom := start + int64((1-counterShare)*float64(duration))
	end := start + int64(duration)
	nextBuffer := start
	buffer := seen[SourceBuffer]
	newest := int64(math.MinInt64 / 2)
	for t := start; t < counterFrom; t += discoverPoll {
		for _, o := range polled {
			readings = o.read(dev, clk, readings)
		}
		if buffer != nil && clk.Now() >= nextBuffer {
			nextBuffer = clk.Now() + bufferEvery
			before := clk.Now()
			rs, err := dev.ReadPowerBuffer(newest)
			buffer.called(clk.Now()-before, err)
			for _, r := range rs {
				newest = max(newest, r.TimeNS)
				buffer.times = append(buffer.times, r.TimeNS)
			}
			readings = append(readings, rs...)
		}
		if err := clk.SleepUntil(background, t+discoverPoll); err != nil {
			return nil, err
		}
		t = max(t, clk.Now()-discoverPoll) // a slow call leaves polls out
	}
	if o := seen[SourceCounter]; o != nil {
		o.name = SourceCounter
		for clk.Now() < end {
			o.read(dev, clk, nil)
			// Back to back, but for a device whose call costs no time.
			if err := clk.Sleep(background, time.Duration(discoverPoll)); err != nil {
				return nil, err
			}
		}
	}

	var sources []PowerSource
	var failed []error
	for _, src := range found {
		o := seen[src.Name]
		if o.ok == 0 {
			failed = append(failed, fmt.Errorf("power source %s gave no reading: %w", src.Name, o.err))
			continue
		}
		sources = append(sources, o.describe(src))
	}
	return InferWindows(sources, readings), errors.Join(failed...)
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

func (o *observed) called(cost int64, err error) {
	if err != nil {
		o.err = err
		return
	}
	o.ok++
	o.costs = append(o.costs, cost)
}

// read reads a polled source, notes a change and appends the reading to list.
func (o *observed) read(dev Device, clk timebase.Clock, list []PowerReading) []PowerReading {
	before := clk.Now()
	r, err := dev.ReadPower(o.name)
	o.called(clk.Now()-before, err)
	if err != nil {
		return list
	}
	value := r.PowerW
	if o.name == SourceCounter {
		value = r.CounterJ
	}
	r.Fresh = o.ok > 1 && value != o.value
	if r.Fresh {
		o.times = append(o.times, r.TimeNS)
	}
	o.value = value
	return append(list, r)
}

// describe fills in what was found.
func (o *observed) describe(src PowerSource) PowerSource {
	src.CallMS = round3(float64(median(o.costs)) / 1e6)
	if p, ok := renewalPeriod(o.times); ok {
		src.PeriodMS = round3(p / 1e6)
	} else {
		src.PeriodMS = nominal[src.Name].PeriodMS
		src.Note = note(src.Note, "period nominal: too few changes seen")
	}
	return src
}

func note(old, more string) string {
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
