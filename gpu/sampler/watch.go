package sampler

import (
	"errors"
	"fmt"
	"jouletop/gpu"
	"sync/atomic"
	"time"
)

const (
	// hangs is how long a call of the driver may take until a person is told.
	hangs = int64(time.Second)
	// longCall is how long a reading may take: of a longer one nobody knows of what
	// moment it is.
	longCall = int64(100 * time.Millisecond)
	// silent is how long the sample buffer may have nothing new.
	silent = int64(3 * time.Second)
	// ahead and behind are how far from now a sample of the driver's buffer may be
	// stamped: it holds 2.4 s on an H100.
	ahead, behind = int64(time.Second), int64(10 * time.Second)
)

// watch tells of readings that do not come, once when that begins and once when they
// go on.
type watch struct {
	polls, buffer quiet
	// call is when the slow loop's call in progress began, 0 without one.
	call   atomic.Int64
	slow   quiet
	sample atomic.Int64 // when the buffer had something new
}

// quiet is a silence.
type quiet struct {
	since int64
	told  bool
}

// heard ends the silence at t; it returns how long it was, 0 where nobody was told.
func (q *quiet) heard(t int64) (was int64) {
	if q.told {
		was = t - q.since
	}
	q.since, q.told = t, false
	return was
}

// due tells whether a silence of this length has just become worth telling.
func (q *quiet) due(now, length int64) bool {
	if q.told || now-q.since < length {
		return false
	}
	q.told = true
	return true
}

func seconds(ns int64) string { return fmt.Sprintf("%.1f s", float64(ns)/1e9) }

// isLost tells whether an error means that there are no readings for now: the GPU is
// lost, or its driver.
func isLost(err error) bool { return errors.Is(err, gpu.ErrLost) || errors.Is(err, gpu.ErrNoGPU) }

// look looks for silences. It is called by the goroutine that takes the polls.
func (s *Sampler) look(now int64) {
	w := &s.watch
	if s.lost.Load() {
		w.polls.since, w.buffer.since = now, now
		return
	}
	if w.polls.due(now, hangs) {
		s.problems.tell(fmt.Errorf("no readings for %s: a call of the driver hangs, or the machine is too busy", seconds(hangs)))
	}
	began := w.call.Load()
	if began == 0 {
		w.slow.since, w.slow.told = now, false
	} else if w.slow.since = began; !w.polls.told && w.slow.due(now, hangs) {
		s.problems.tell(fmt.Errorf("reading the sample buffer or the energy counter hangs: nothing for %s", seconds(hangs)))
	}
	if !s.buffer || w.polls.told || w.slow.told {
		return
	}
	if at := w.sample.Load(); at > w.buffer.since {
		if was := w.buffer.heard(at); was > 0 {
			s.problems.tell(fmt.Errorf("power source %s has new values again, after %s", gpu.SourceBuffer, seconds(was)))
		}
	}
	if w.buffer.due(now, silent) {
		s.problems.tell(fmt.Errorf("power source %s has had nothing new for %s", gpu.SourceBuffer, seconds(silent)))
	}
}

// recover has the device go on after a reload of its driver, as often as a lost GPU
// is tried.
func (s *Sampler) recover(now int64) {
	r, ok := s.dev.(gpu.Recoverer)
	if !ok || !s.driverGone.Load() || now-s.triedAt < lostRetry {
		return
	}
	s.triedAt = now
	_ = r.Recover() // that there are no readings has been told
}

// back tells that there are readings again.
func (s *Sampler) back(t int64) {
	if s.lost.Swap(false) {
		s.driverGone.Store(false)
		s.problems.tell(fmt.Errorf("the GPU is back, after %s", seconds(t-s.lostAt.Load())))
	}
	if was := s.watch.polls.heard(t); was > 0 {
		s.problems.tell(fmt.Errorf("readings go on, after %s", seconds(was)))
	}
}

// aboutNow tells whether a sample of the driver's buffer may be of time t.
func aboutNow(t, now int64) bool { return t <= now+ahead && t >= now-behind }

// timely leaves out readings of the buffer that are stamped at another time than
// about now.
func (s *Sampler) timely(readings []gpu.PowerReading, now int64) []gpu.PowerReading {
	kept := readings[:0]
	for _, r := range readings {
		if !aboutNow(r.TimeNS, now) {
			s.problems.report(now, "stamps", fmt.Errorf("power source %s is stamped %s away from now: left out", gpu.SourceBuffer, seconds(max(now-r.TimeNS, r.TimeNS-now))))
			continue
		}
		kept = append(kept, r)
	}
	return kept
}
