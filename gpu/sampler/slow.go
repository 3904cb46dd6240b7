package sampler

import (
	"errors"
	"jouletop/gpu"
	"time"
)

const (
	// bufferEvery is how often the driver's sample buffer is read: much more
	// often than it overflows (it holds 2.4 s on an H100), and not in step with
	// its 20 ms period, so that the ages of its newest samples vary. A read takes 0.4 to
	// 0.7 ms of a core there.
	bufferEvery = int64(293 * time.Millisecond)
	// counterEvery is how often the energy counter is read, twice (see tickFinder);
	// counterSettled where the sample buffer tells the course of the power and the tick
	// has been found: a read takes 3.9 ms of a core on an H100, and what the counter says
	// over less than several seconds is no help there.
	counterEvery   = int64(time.Second)
	counterSettled = int64(3 * time.Second)
	// limitsEvery is how often it is read for how long limits held the clocks: four calls
	// of 0.7 ms each on an H100, of counters that are believed over 5 s at least.
	limitsEvery = int64(2500 * time.Millisecond)
	// slowFirst lets the first slow readings wait for the loop to be under way.
	slowFirst = int64(20 * time.Millisecond)
)

// slowLoop reads the sample buffer, the energy counter and the counters of limits, whose
// calls take up to 4 ms, so that they never delay the rounds. The other loop wakes it, a little
// early; thus it has no long timer of its own to outlast Stop.
//
// On a real clock it too has a thread that is scheduled ahead of others: NVML's
// calls may share locks with those of the rounds, and must not be put off while
// they hold one.
func (s *Sampler) slowLoop() {
	defer s.end()
	if !s.clock.Simulated() {
		ownThread(slowPriority)
	}
	now := s.clock.Now()
	nextBuffer, nextCounter, nextLimits := never, never, never
	if s.limits != nil {
		nextLimits = now + slowFirst
	}
	if s.buffer {
		nextBuffer = now + slowFirst
	}
	if s.tick.period > 0 {
		nextCounter = now + slowFirst
	}
	newest := now // older samples are from before the start
	for {
		next := min(nextBuffer, nextCounter, nextLimits)
		s.wakeAt.Store(next - int64(passOn))
		_ = s.slow.Wait(background)
		if s.stop.Load() {
			break
		}
		_ = s.clock.SleepUntil(background, next)
		if s.lost.Load() || s.sleep.resting.Load() {
			s.tick.forget()
			nextBuffer, nextCounter = later(nextBuffer, lostRetry), later(nextCounter, lostRetry)
			nextLimits = later(nextLimits, lostRetry)
			continue
		}
		if next == nextBuffer {
			nextBuffer = later(s.clock.Now(), bufferEvery)
			var ok bool
			if newest, ok = s.readBuffer(newest); !ok {
				nextBuffer = never
			}
		}
		if next == nextCounter {
			nextCounter = s.readCounter()
		}
		if next == nextLimits {
			if nextLimits = later(s.clock.Now(), limitsEvery); !s.readLimits() {
				nextLimits = never
			}
		}
	}
	if nextBuffer != never && !s.lost.Load() && !s.sleep.resting.Load() {
		s.readBuffer(newest)
	}
}

func later(t, by int64) int64 {
	if t == never {
		return never
	}
	return t + by
}

// readBuffer passes on the samples newer than newest and returns the newest
// now; ok is false when there is no point in trying again.
func (s *Sampler) readBuffer(newest int64) (_ int64, ok bool) {
	s.watch.call.Store(s.clock.Now())
	readings, err := s.dev.ReadPowerBuffer(newest)
	now := s.clock.Now()
	s.watch.call.Store(0)
	if errors.Is(err, gpu.ErrAbsurd) {
		s.tellPower(absurd(gpu.SourceBuffer, now))
		s.watch.sample.Store(now)
		return newest, true
	}
	if s.failed(now, gpu.SourceBuffer, err) {
		return newest, !hopeless(err)
	}
	for _, r := range s.timely(readings, now) {
		s.tellPower(r)
		newest = max(newest, r.TimeNS)
		s.watch.sample.Store(now)
	}
	return newest, true
}

// readCounter reads the energy counter once and returns when to read it next.
func (s *Sampler) readCounter() (next int64) {
	began := s.clock.Now()
	s.watch.call.Store(began)
	r, err := s.dev.ReadPower(gpu.SourceCounter)
	now := s.clock.Now()
	s.watch.call.Store(0)
	if errors.Is(err, gpu.ErrAbsurd) {
		s.tellPower(absurd(gpu.SourceCounter, now))
	}
	if errors.Is(err, gpu.ErrAbsurd) || err == nil && now-began > longCall {
		s.tick.forget()
		return now + counterEvery
	}
	if s.failed(now, gpu.SourceCounter, err) {
		if hopeless(err) {
			return never
		}
		s.tick.forget()
		return now + counterEvery
	}
	var fresh bool
	fresh, next = s.tick.read(r.TimeNS, r.CounterJ)
	r.Fresh = fresh
	s.tellPower(r)
	return max(next, now)
}

// readLimits reads for how long limits held the clocks; false when there is no point in
// trying again.
func (s *Sampler) readLimits() bool {
	began := s.clock.Now()
	s.watch.call.Store(began)
	l, err := s.limits.LimitTimes()
	now := s.clock.Now()
	s.watch.call.Store(0)
	switch {
	case errors.Is(err, gpu.ErrAbsurd), err == nil && now-began > longCall:
	case s.failed(now, "limits", err):
		return !hopeless(err)
	default:
		s.tellLimits(began+(now-began)/2, l)
	}
	return true
}

// tickFinder says when to read the energy counter. The counter is renewed in
// ticks (every 100 ms on an H100) and a call is too slow to watch for them, yet
// a value says little unless one knows when it was renewed. So the two reads
// that are allowed a second are made as a pair around the moment where a tick
// is expected: when the value has changed between them, it was renewed there,
// and the second reading is the energy at that tick. The finder halves the
// range in which the tick may lie until a pair is close, and widens it again
// when the counter slips (it does now and then, by tens of ms). Where it finds
// the tick again tells how far off the period was.
//
// To a reader of power.csv: of two counter readings less than a tick apart with
// different values, the second's value is that of a moment between the two.
type tickFinder struct {
	period  int64 // of the ticks, ns; 0: no counter
	guess   int64 // what it was at first
	settled int64 // time between pairs once the tick is found
	centre  int64 // a tick is expected here, and every period before and after
	width   int64 // at most this far off

	to       int64 // when to make the pair's second read
	second   bool  // the next read is that one
	first    int64 // when the first was made
	halving  bool  // the pair tests only the first half of the range
	searched bool  // it was not where it was expected, and has not been seen since
	pairs    int   // made since it was found last
	found    int64 // centre when the tick was found last; 0 never
	off      int64 // by how much a period seemed too short then, ns
	known    bool  // value holds the last reading
	value    float64
}

const (
	// tickClose is the half-width that a pair is narrowed to: three times what
	// a read costs on an H100.
	tickClose = int64(12 * time.Millisecond)
	// patience is how many pairs it is looked for in at first: where reads come too late to
	// find it, as on a machine that is busy, trying at that rate would only cost.
	patience = 20
	// nominalTick serves where discovery found no period.
	nominalTick = int64(100 * time.Millisecond)
)

func newTickFinder(src gpu.PowerSource, settled int64) tickFinder {
	period := int64(src.PeriodMS * 1e6)
	if period <= 0 {
		period = nominalTick
	}
	return tickFinder{period: period, guess: period, settled: settled, width: period / 2}
}

// forget drops a pair that could not be completed.
func (f *tickFinder) forget() { f.second, f.known = false, false }

// read takes a reading and tells whether its value is new and when to read next.
func (f *tickFinder) read(t int64, joules float64) (fresh bool, next int64) {
	fresh = f.known && joules != f.value
	f.known, f.value = true, joules
	if f.to == 0 {
		f.centre = t
	}
	if !f.second && t < f.to {
		f.second, f.first = true, t
		return fresh, f.to
	}
	from := t
	if f.second {
		f.second = false
		from = f.first
		if t-f.first < f.period {
			f.learn(t, fresh)
		}
	}
	if f.pairs++; f.width <= tickClose {
		f.pairs = 0
	}
	wait := counterEvery
	if f.width <= tickClose || f.pairs >= patience {
		wait = max(wait, f.settled)
	}
	return fresh, f.plan(from + wait)
}

// plan lays a pair around the first tick expected from time t on and returns
// when to make its first read.
func (f *tickFinder) plan(t int64) (from int64) {
	if wait := t + f.width - f.centre; wait > 0 {
		f.centre += (wait + f.period - 1) / f.period * f.period
	}
	f.halving = f.width > tickClose
	f.to = f.centre + f.width
	if f.halving {
		f.to = f.centre
	}
	return f.centre - f.width
}

// learn narrows the range by the outcome of a pair ended at t.
func (f *tickFinder) learn(t int64, changed bool) {
	f.searched = f.searched || f.width > tickClose
	switch {
	case changed && f.halving: // between the two reads, however late they came
		f.centre, f.width = (f.first+t)/2, max((t-f.first)/2, tickClose)
	case changed: // it is there
		if f.searched {
			f.refine()
		}
		f.searched = false
	case f.halving: // it lies in the second half
		f.width = max(f.width/2, tickClose)
		f.centre += f.width
	default: // the counter slipped
		f.width = min(4*f.width, f.period/2)
	}
}

// refine corrects the period by where the tick has come since it was found last,
// when it had gone the same way the time before: once only may be a slip. It
// stays within half a percent of what discovery found, which is closer than that.
func (f *tickFinder) refine() {
	const enough = 20 // ticks, that the uncertainty of either find weighs little
	if ticks := (f.centre - f.found + f.period/2) / f.period; f.found != 0 && ticks >= enough {
		off := (f.centre - f.found - ticks*f.period) / ticks
		if off > 0 && f.off > 0 {
			f.period += min(off, f.off)
		} else if off < 0 && f.off < 0 {
			f.period += max(off, f.off)
		}
		f.off = off
		f.period = min(max(f.period, f.guess-f.guess/200), f.guess+f.guess/200)
	}
	f.found = f.centre
}
