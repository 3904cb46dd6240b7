package sampler

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"jouletop/gpu"
	"jouletop/gpu/timebase"
)

// Period is the default period.
const Period = 10 * time.Millisecond

// Options says how to sample and whom to tell. No two callbacks run at the
// same time. A nil one is not called.
type Options struct {
	Clock  timebase.Clock
	Period time.Duration // 0 for Period
	// Sources are the power sources to read, as Discover found them; nil for
	// all that the device names.
	Sources []gpu.PowerSource

	// Sample is called for each poll of the clock and the other cheap readings;
	// t is the time at which it began, ns.
	Sample func(t int64, s gpu.Sample)
	// Power is called for every power reading, repeated ones included: their
	// Fresh is false. One that cannot be (ErrAbsurd) is told with NaN.
	Power func(gpu.PowerReading)
	// LimitTimes is called, if not nil, about once a second where the driver counts for
	// how long limits held the clocks (see gpu.LimitCounter).
	LimitTimes func(t int64, l gpu.LimitTimes)
	// Problem is called when readings fail: at once for the first failure of a
	// kind, then at most every ten seconds, and once where trying again is of no use;
	// once when the GPU is lost (ErrLost) or a call hangs, and once when readings go
	// on.
	Problem func(error)
	// LetSleep leaves a GPU alone that the system may suspend while nobody uses it (see
	// gpu.Sleeper); Asleep is called when it has been, and when it is awake again.
	LetSleep bool
	Asleep   func(t int64, asleep bool)
}

// Sampler polls one GPU. It is started by [StartSampler] and runs until Stop:
//
//   - clock and other cheap readings every period, at absolute deadlines, so
//     that the times do not drift. A poll comes late when the machine is busy; a
//     deadline missed by a whole period is left out and counted as missed.
//   - the sources of average and instant power in the same rounds, at least four
//     times per renewal. A reading is fresh if its value has changed, or if the
//     source must have renewed it since (to the same value).
//   - the driver's sample buffer and the energy counter, whose calls are slow,
//     in a loop of their own: see slowLoop.
//
// Failing readings do not end it, and each stands alone: what can be read is told.
// While the GPU is lost it is tried once a second. A reading whose call took longer
// than a tenth of a second is left out, as nobody knows of what moment it is, and so
// is a sample of the buffer that is stamped at another time.
//
// On a real clock the rounds are made by a thread that does nothing else and is
// scheduled ahead of others where that is permitted: the device's own (see
// [Poller]), else a goroutine's. The callbacks are called by another, every 100 ms,
// so that a slow one delays no reading. On a simulated clock everything runs in the
// clock's goroutines and is deterministic.
type Sampler struct {
	dev    gpu.Device
	opts   Options
	clock  timebase.Clock
	period time.Duration

	polled []*polled
	due    []gpu.DueSource
	buffer bool
	tick   tickFinder       // of the counter; period 0 without one
	limits gpu.LimitCounter // nil where there are none, or nobody wants them

	stop   atomic.Bool
	lost   atomic.Bool
	lostAt atomic.Int64
	// driverGone: it is the driver that is lost.
	driverGone atomic.Bool
	triedAt    int64 // to recover
	watch      watch
	sleep      sleep
	wakeAt     atomic.Int64 // when the slow loop wants to be woken
	slow       timebase.Signal
	ended      timebase.Signal // to Stop
	// slowEnded tells the real loop, which then passes on the last readings.
	slowEnded timebase.Signal
	running   atomic.Int32

	mu    sync.Mutex
	later []told // what the slow loop has for the callbacks, on a real clock; guarded by mu

	lastPoll              int64
	polls, missed, maxGap atomic.Int64
	problems              problems
}

// Stats counts what a sampler did.
type Stats struct {
	Polls  int64         // polls made
	Missed int64         // deadlines left out because the poller came a whole period late
	MaxGap time.Duration // longest time between two polls, those of a lost GPU aside
}

// told is something for the callbacks: a reading, or a problem.
type told struct {
	power   gpu.PowerReading
	problem error
	limits  *limitTimes
}

type limitTimes struct {
	t int64
	gpu.LimitTimes
}

// Start starts sampling dev. On a simulated clock it must be called from
// one of the clock's goroutines, and so must Stop.
func Start(dev gpu.Device, opts Options) *Sampler {
	s := &Sampler{dev: dev, opts: opts, clock: opts.Clock, period: opts.Period, lastPoll: never}
	if s.period <= 0 {
		s.period = Period
	}
	if s.opts.Sample == nil {
		s.opts.Sample = func(int64, gpu.Sample) {}
	}
	if s.opts.Problem == nil {
		s.opts.Problem = func(error) {}
	}
	if s.opts.Power == nil {
		s.opts.Power = func(gpu.PowerReading) {}
	}
	if s.opts.Asleep == nil {
		s.opts.Asleep = func(int64, bool) {}
	}
	s.problems = problems{tell: s.tellProblem, last: map[string]*problem{}}
	if d, ok := gpu.As[gpu.Sleeper](dev); ok && opts.LetSleep {
		s.sleep = sleep{dev: d, tell: func(on bool) { s.opts.Asleep(s.clock.Now(), on) }, fail: func(err error) { s.problems.report(s.clock.Now(), "sleep", err) }}
	}
	sources := opts.Sources
	if sources == nil {
		sources = dev.PowerSources()
	}
	for _, src := range sources {
		switch src.Name {
		case gpu.SourceAverage, gpu.SourceInstant:
			p := newPolled(src, s.period)
			s.polled = append(s.polled, p)
			s.due = append(s.due, gpu.DueSource{Name: p.name, Every: p.every})
		case gpu.SourceBuffer:
			s.buffer = true
		case gpu.SourceCounter:
			s.tick = newTickFinder(src, counterEvery)
		}
	}
	if s.buffer {
		s.tick.settled = counterSettled
	}
	if c, ok := gpu.As[gpu.LimitCounter](dev); ok && opts.LimitTimes != nil {
		if _, err := c.LimitTimes(); !hopeless(err) {
			s.limits = c
		}
	}
	now := s.clock.Now()
	s.watch.polls.since, s.watch.buffer.since = now, now
	s.slow, s.slowEnded, s.ended = s.clock.NewSignal(), s.clock.NewSignal(), s.clock.NewSignal()
	s.wakeAt.Store(never)
	s.running.Store(1)
	if s.buffer || s.tick.period > 0 || s.limits != nil {
		s.running.Store(2)
		s.clock.Go(s.slowLoop)
	}
	if s.clock.Simulated() {
		s.clock.Go(s.simulatedLoop)
	} else {
		s.clock.Go(s.realLoop)
	}
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
func (s *Sampler) Stats() Stats {
	return Stats{Polls: s.polls.Load(), Missed: s.missed.Load(), MaxGap: time.Duration(s.maxGap.Load())}
}

var background = context.Background()

const (
	never = int64(math.MaxInt64)
	// lostRetry is how often a lost GPU is tried.
	lostRetry = int64(time.Second)
	// passOn is how often the readings of a poller are passed on. Each time costs
	// several switches of threads: more than the readings themselves.
	passOn = 100 * time.Millisecond
)

func (s *Sampler) end() {
	s.running.Add(-1)
	s.slowEnded.Notify()
	s.ended.Notify()
}

// simulatedLoop makes the rounds in simulated time.
func (s *Sampler) simulatedLoop() {
	defer s.end()
	next := deadlines{period: int64(s.period), next: s.clock.Now()}
	retry := int64(0)
	for n := int64(0); !s.stop.Load(); n++ {
		if t := s.clock.Now(); s.sleep.away(t) {
			s.sleep.letGo()
			s.restart(t)
		} else if t >= retry {
			p := readRound(s.dev, s.clock, s.due, t, n)
			s.take(&p)
			if s.lost.Load() {
				retry = t + lostRetry
			}
		}
		s.look(s.clock.Now())
		s.wakeSlow()
		_ = s.clock.SleepUntil(background, next.advance(s.clock.Now()))
		s.missed.Store(next.missed.Load())
	}
	s.slow.Notify()
}

// realLoop has the rounds made by a poller and passes on what it read.
func (s *Sampler) realLoop() {
	defer s.end()
	start := func() (polling gpu.Polling) {
		if p, ok := s.dev.(gpu.Poller); ok {
			var err error
			if polling, err = p.StartPolling(s.period, s.due); err != nil {
				s.problems.tell(fmt.Errorf("polling from a goroutine, which may come late on a busy machine: %w", err))
			}
		}
		if polling == nil {
			polling = startGoPolling(s.dev, s.clock, s.period, s.due)
		}
		return polling
	}
	polling := start()
	var polls []gpu.Poll
	var queue []told
	var before int64 // missed until the last rest
	pass := func() {
		if polling != nil {
			polls = polling.Read(polls[:0])
			for i := range polls {
				s.take(&polls[i])
			}
			s.missed.Store(before + polling.Missed())
		}
		s.mu.Lock()
		queue, s.later = s.later, queue[:0]
		s.mu.Unlock()
		for _, t := range queue {
			switch {
			case t.problem != nil:
				s.opts.Problem(t.problem)
			case t.limits != nil:
				s.opts.LimitTimes(t.limits.t, t.limits.LimitTimes)
			default:
				s.opts.Power(t.power)
			}
		}
	}
	for !s.stop.Load() {
		pass()
		now := s.clock.Now()
		switch away := s.sleep.away(now); {
		case away && polling != nil:
			polling.Stop()
			pass()
			before += polling.Missed()
			polling = nil
			s.sleep.letGo()
		case !away && polling == nil:
			polling = start()
		}
		if polling == nil {
			s.restart(now)
		} else {
			s.look(now)
			s.recover(now)
		}
		s.wakeSlow()
		_ = s.clock.Sleep(background, passOn)
	}
	if polling != nil {
		polling.Stop()
	}
	s.slow.Notify()
	for s.running.Load() > 1 {
		_ = s.slowEnded.Wait(background)
	}
	pass()
}

// restart forgets when readings came last: none are expected while the GPU is left alone.
func (s *Sampler) restart(now int64) {
	s.lastPoll = never
	s.watch.polls.since, s.watch.buffer.since = now, now
}

// tellPower passes a reading of the slow loop on.
func (s *Sampler) tellPower(r gpu.PowerReading) {
	if s.clock.Simulated() {
		s.opts.Power(r)
		return
	}
	s.mu.Lock()
	s.later = append(s.later, told{power: r})
	s.mu.Unlock()
}

// tellLimits passes on for how long limits held the clocks.
func (s *Sampler) tellLimits(t int64, l gpu.LimitTimes) {
	if s.clock.Simulated() {
		s.opts.LimitTimes(t, l)
		return
	}
	s.mu.Lock()
	s.later = append(s.later, told{limits: &limitTimes{t, l}})
	s.mu.Unlock()
}

// tellProblem passes a problem of either loop on.
func (s *Sampler) tellProblem(err error) {
	if s.clock.Simulated() {
		s.opts.Problem(err)
		return
	}
	s.mu.Lock()
	s.later = append(s.later, told{problem: err})
	s.mu.Unlock()
}

func (s *Sampler) wakeSlow() {
	if s.clock.Now() >= s.wakeAt.Load() {
		s.wakeAt.Store(never)
		s.slow.Notify()
	}
}

// take passes on one round.
func (s *Sampler) take(p *gpu.Poll) {
	s.polls.Add(1)
	if s.lastPoll != never {
		s.maxGap.Store(max(s.maxGap.Load(), p.TimeNS-s.lastPoll))
	}
	s.lastPoll = p.TimeNS
	if s.failed(p.TimeNS, "poll", p.Err) && s.lost.Load() {
		s.lastPoll = never
		return
	}
	s.back(p.TimeNS + p.Took)
	s.sleep.saw(p.TimeNS, &p.Sample)
	if p.Took <= longCall && p.Sample.Knows() { // a device may know some and not the rest
		s.opts.Sample(p.TimeNS, p.Sample)
	}
	for i := range p.Powers {
		r := &p.Power[i]
		at := slices.IndexFunc(s.polled, func(q *polled) bool { return q.name == r.Source })
		switch {
		case at < 0: // given up
		case errors.Is(p.PowerErr[i], gpu.ErrAbsurd):
			s.opts.Power(absurd(r.Source, p.TimeNS))
		case s.failed(p.TimeNS, r.Source, p.PowerErr[i]):
			if hopeless(p.PowerErr[i]) {
				s.drop(r.Source)
			}
		case p.PowerTook[i] > longCall:
		default:
			r.Fresh = s.polled[at].fresh(r)
			s.opts.Power(*r)
		}
	}
}

// absurd is the reading of a source that said what cannot be: it says nothing, and
// that it was read.
func absurd(source string, t int64) gpu.PowerReading {
	return gpu.PowerReading{TimeNS: t, Source: source, PowerW: math.NaN(), CounterJ: math.NaN()}
}

// drop gives a polled source up. A poller that goes on reading it is not heard.
func (s *Sampler) drop(source string) {
	s.polled = slices.DeleteFunc(s.polled, func(p *polled) bool { return p.name == source })
	s.due = slices.DeleteFunc(slices.Clone(s.due), func(d gpu.DueSource) bool { return d.Name == source })
}

// failed reports err, if it is one, and notes a lost GPU.
func (s *Sampler) failed(t int64, what string, err error) bool {
	if err == nil {
		return false
	}
	if s.sleep.resting.Load() {
		return true
	}
	if isLost(err) {
		s.driverGone.Store(errors.Is(err, gpu.ErrNoGPU))
		if !s.lost.Swap(true) {
			s.lostAt.Store(t)
			s.problems.tell(fmt.Errorf("no readings until the GPU is back: %w", err))
		}
		return true
	}
	s.problems.report(t, what, err)
	return true
}

// hopeless tells errors that trying again will not mend.
func hopeless(err error) bool {
	return errors.Is(err, gpu.ErrNotSupported) || errors.Is(err, gpu.ErrNoPermission)
}
