package gpu

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"jouletop/gpu/timebase"
)

// SamplePeriod is the sampler's default period.
const SamplePeriod = 10 * time.Millisecond

// SamplerOptions says how to sample and whom to tell. The callbacks must not
// block: they run in the sampling loops, Sample in one, Power in two (at the
// same time, on a real clock), Problem in either. A nil one is not called.
type SamplerOptions struct {
	Clock  timebase.Clock
	Period time.Duration // 0 for SamplePeriod
	// Sources are the power sources to read, as Discover found them; nil for
	// all that the device names.
	Sources []PowerSource

	// Sample is called after each poll of the clock and the other cheap readings;
	// t is the time at which it began, ns.
	Sample func(t int64, s Sample)
	// Power is called for every power reading, repeated ones included: their
	// Fresh is false.
	Power func(PowerReading)
	// Problem is called when readings fail: at once for the first failure of a
	// kind, then at most every ten seconds; once when the GPU is lost (ErrLost).
	Problem func(error)
}

// Sampler polls one GPU. It is started by [StartSampler] and runs until Stop:
//
//   - clock and other cheap readings every period, at absolute deadlines, so
//     that the times do not drift. A poll comes late when the machine is busy; a
//     deadline missed by a whole period is left out and counted as lost.
//   - the sources of average and instant power in the same loop, at least four
//     times per renewal. A reading is fresh if its value has changed, or if the
//     source must have renewed it since (to the same value).
//   - the driver's sample buffer and the energy counter, whose calls are slow,
//     in a loop of their own: see slowLoop.
//
// Failing readings do not end it. While the GPU is lost it is tried once a
// second.
//
// On a real clock the fast loop has an operating-system thread to itself, of
// raised priority where permitted. On a simulated clock everything runs in the
// clock's goroutines and is deterministic.
type Sampler struct {
	dev    Device
	opts   SamplerOptions
	clock  timebase.Clock
	period int64

	polled []*polled
	buffer bool
	tick   tickFinder // of the counter; period 0 without one

	stop    atomic.Bool
	lost    atomic.Bool
	wakeAt  atomic.Int64 // when the slow loop wants to be woken
	slow    timebase.Signal
	ended   timebase.Signal
	running atomic.Int32

	polls, missed, maxGap atomic.Int64
	problems              problems
}

// SamplerStats counts what a sampler did.
type SamplerStats struct {
	Polls  int64         // polls made
	Missed int64         // deadlines left out because the loop came a whole period late
	MaxGap time.Duration // longest time between two polls
}

// StartSampler starts sampling dev. On a simulated clock it must be called from
// one of the clock's goroutines, and so must Stop.
func StartSampler(dev Device, opts SamplerOptions) *Sampler {
	s := &Sampler{dev: dev, opts: opts, clock: opts.Clock, period: int64(opts.Period)}
	if s.period <= 0 {
		s.period = int64(SamplePeriod)
	}
	if s.opts.Sample == nil {
		s.opts.Sample = func(int64, Sample) {}
	}
	if s.opts.Power == nil {
		s.opts.Power = func(PowerReading) {}
	}
	s.problems = problems{tell: opts.Problem, last: map[string]*problem{}}
	sources := opts.Sources
	if sources == nil {
		sources = dev.PowerSources()
	}
	for _, src := range sources {
		switch src.Name {
		case SourceAverage, SourceInstant:
			s.polled = append(s.polled, newPolled(src, s.period))
		case SourceBuffer:
			s.buffer = true
		case SourceCounter:
			s.tick = newTickFinder(src)
		}
	}
	s.slow, s.ended = s.clock.NewSignal(), s.clock.NewSignal()
	s.wakeAt.Store(never)
	s.running.Store(1)
	if s.buffer || s.tick.period > 0 {
		s.running.Store(2)
		s.clock.Go(s.slowLoop)
	}
	s.clock.Go(s.fastLoop)
	return s
}

// Stop ends the sampling and returns when no callback will be called any more:
// within a period, plus a call of the device. The last of the driver's buffer
// is read first. It may be called once only.
func (s *Sampler) Stop() {
	s.stop.Store(true)
	for s.running.Load() > 0 {
		_ = s.ended.Wait(background) // background is never done
	}
}

// Stats returns the counts so far.
func (s *Sampler) Stats() SamplerStats {
	return SamplerStats{Polls: s.polls.Load(), Missed: s.missed.Load(), MaxGap: time.Duration(s.maxGap.Load())}
}

var background = context.Background()

const (
	never = int64(math.MaxInt64)
	// lostRetry is how often a lost GPU is tried.
	lostRetry = int64(time.Second)
)

func (s *Sampler) end() {
	s.running.Add(-1)
	s.ended.Notify()
}

func (s *Sampler) fastLoop() {
	defer s.end()
	sleepUntil := s.clock.SleepUntil
	if !s.clock.Simulated() {
		sleepUntil = ownThread()
	}
	last, retry := never, int64(0)
	deadline := s.clock.Now()
	for n := int64(0); !s.stop.Load(); n++ {
		t := s.clock.Now()
		if last != never {
			s.maxGap.Store(max(s.maxGap.Load(), t-last))
		}
		last = t
		s.polls.Add(1)
		if !s.lost.Load() || t >= retry {
			s.poll(t, n)
			if s.lost.Load() {
				retry = t + lostRetry
			}
		}
		if t >= s.wakeAt.Load() {
			s.wakeAt.Store(never)
			s.slow.Notify()
		}
		deadline += s.period
		if late := s.clock.Now() - deadline; late >= s.period {
			s.missed.Add(late / s.period)
			deadline += late / s.period * s.period
		}
		_ = sleepUntil(background, deadline)
	}
	s.slow.Notify()
}

// poll does one round of the fast loop.
func (s *Sampler) poll(t, n int64) {
	sample, err := s.dev.Poll()
	if s.failed(t, "poll", err) && s.lost.Load() {
		return
	}
	s.lost.Store(false)
	if err == nil || sample.SMMHz > 0 { // a device may know the clock and not all the rest
		s.opts.Sample(t, sample)
	}
	for _, p := range s.polled {
		if n%p.every != 0 {
			continue
		}
		r, err := s.dev.ReadPower(p.name)
		if s.failed(t, p.name, err) {
			if hopeless(err) {
				s.polled = slices.DeleteFunc(slices.Clone(s.polled), func(q *polled) bool { return q == p })
			}
			continue
		}
		r.Fresh = p.fresh(r)
		s.opts.Power(r)
	}
}

// failed reports err, if it is one, and notes a lost GPU.
func (s *Sampler) failed(t int64, what string, err error) bool {
	if err == nil {
		return false
	}
	if errors.Is(err, ErrLost) {
		if !s.lost.Swap(true) {
			s.problems.say(fmt.Errorf("no readings until the GPU is back: %w", err))
		}
		return true
	}
	s.problems.report(t, what, err)
	return true
}

// hopeless tells errors that trying again will not mend.
func hopeless(err error) bool {
	return errors.Is(err, ErrNotSupported) || errors.Is(err, ErrNoPermission)
}

// polled is a power source read in the fast loop.
type polled struct {
	name   string
	period int64 // of its renewal, ns; 0 unknown
	every  int64 // read in every how many polls
	seen   bool
	value  float64
	since  int64 // when value was renewed last
}

func newPolled(src PowerSource, poll int64) *polled {
	p := &polled{name: src.Name, period: int64(src.PeriodMS * 1e6)}
	p.every = max(1, p.period/(4*poll))
	return p
}

// fresh tells whether the source has renewed its value since the reading
// before; false for the first, of which that is not known.
func (p *polled) fresh(r PowerReading) bool {
	switch {
	case !p.seen:
		p.seen, p.value, p.since = true, r.PowerW, r.TimeNS
		return false
	case r.PowerW != p.value:
		p.value, p.since = r.PowerW, r.TimeNS
		return true
	case p.period > 0 && r.TimeNS-p.since >= p.period+p.period/4:
		// Renewed to the same value; the quarter keeps a change that comes a little
		// late from being counted twice.
		p.since += p.period
		return true
	}
	return false
}

// problems limits how often the same trouble is told.
type problems struct {
	tell func(error)
	mu   sync.Mutex
	last map[string]*problem
}

type problem struct {
	told  int64
	count int // since told
}

const problemEvery = int64(10 * time.Second)

func (p *problems) report(t int64, what string, err error) {
	if p.tell == nil {
		return
	}
	p.mu.Lock()
	q, known := p.last[what]
	if !known {
		q = &problem{told: t}
		p.last[what] = q
	}
	q.count++
	count, due := q.count, !known || t-q.told >= problemEvery
	if due {
		q.told, q.count = t, 0
	}
	p.mu.Unlock()
	switch {
	case due && count > 1:
		p.say(fmt.Errorf("%w (%d times since last told)", err, count))
	case due && hopeless(err) && what != "poll":
		p.say(fmt.Errorf("power source %s is no longer read: %w", what, err))
	case due:
		p.say(err)
	}
}

// say reports without a limit.
func (p *problems) say(err error) {
	if p.tell != nil {
		p.tell(err)
	}
}
