package clocks

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"jouletop/engine/event"
	"jouletop/gpu"
	"jouletop/gpu/clockguard"
)

// Failure is why a clock, or another knob, asked for is not in force.
type Failure struct {
	gpu   string
	knob  gpu.KnobID
	value int // asked for, in the driver's unit; 0: to be given back
	err   error
	Lost  bool // it was in force before
	// Final: it will be the same the next time.
	Final bool
	// Mending: it is being set again.
	Mending bool
	unseen  bool // it may be in force: that could not be read
}

func (f Failure) String() string {
	what := strings.TrimPrefix(f.knob.Title(), "SM ")
	switch {
	case f.unseen:
		return fmt.Sprintf("the %s of GPU %s (%s asked for) is not known to be in force any more: %v", what, f.gpu, f.knob.Text(f.value), f.err)
	case f.Lost:
		return fmt.Sprintf("the %s of GPU %s (%s asked for) is not in force any more: %v", what, f.gpu, f.knob.Text(f.value), f.err)
	case f.value == 0:
		return fmt.Sprintf("the %s of GPU %s could not be given back: %v", what, f.gpu, f.err)
	}
	return fmt.Sprintf("the %s of GPU %s could not be set to %s: %v", what, f.gpu, f.knob.Text(f.value), f.err)
}

// refusedForGood tells whether a clock that is asked for again is refused again.
func refusedForGood(err error) bool {
	for _, e := range []error{gpu.ErrNotSupported, gpu.ErrNoPermission, gpu.ErrReadOnly, gpu.ErrBadClock, gpu.ErrBadValue,
		clockguard.ErrBounds, clockguard.ErrNotArmed, clockguard.ErrGuardLost, clockguard.ErrTaken, clockguard.ErrClamped, errLimiter} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// faults are the times at which the clock asked for was not in force.
type faults struct {
	list []fault  // in order of their beginnings, but for a few
	why  *Failure // of the newest that is open; nil: none is
}

type fault struct {
	from, to int64 // ns
	flag     event.Flag
}

const open = math.MaxInt64

// begin opens a fault, unless one of its kind is.
func (f *faults) begin(t int64, flag event.Flag, why Failure) {
	f.why = &why
	for i := range f.list {
		if x := &f.list[i]; x.to == open && x.flag == flag {
			x.from = min(x.from, t)
			return
		}
	}
	f.list = append(f.list, fault{t, open, flag})
}

// close ends those that are open: what is asked for is in force from t on.
func (f *faults) close(t int64) {
	f.why = nil
	for i := range f.list {
		f.list[i].to = min(f.list[i].to, t)
	}
}

// in returns the flags of what happened from t0 to t1.
func (f *faults) in(t0, t1 int64) event.Flags {
	var flags event.Flags
	for _, x := range f.list {
		if x.from < t1 && x.to > t0 {
			flags = flags.With(x.flag)
		}
	}
	return flags
}

// forget drops those that ended before t.
func (f *faults) forget(t int64) {
	for len(f.list) > 0 && f.list[0].to <= t {
		f.list = f.list[1:]
	}
}

// watch compares an achieved clock with the one that was set.
type watch struct {
	setAt    int64
	settled  bool
	verified int64 // up to here nothing speaks against the clock that was set
	above    int64 // since when it was seen above that; 0: it is not
}

// lostAfter is how long a clock that had settled must be seen above the one it is
// locked to, to be taken for lost: nothing but a lock that is gone raises it. Time in
// which nothing was seen, of a program that was stopped, does not count.
const lostAfter = 300 * time.Millisecond

// sample takes in a sample and tells whether the clock is not what was set. One
// below it says nothing: idleness and limits lower it.
func (w *watch) sample(mhz int, a achieved) (lost bool) {
	if a.t <= w.setAt {
		return false
	}
	if a.mhz <= mhz+settleMHz { // -1: unknown
		w.verified, w.above = a.t, 0
		w.settled = w.settled || a.mhz > 0
		return false
	}
	limit := lostAfter
	if !w.settled {
		limit = settleLimit
	}
	if w.above == 0 {
		w.above = a.t
	}
	return a.t-w.above > int64(limit)
}

// Sampled takes in the achieved clocks, as sampled at t (ns).
func (d *Driver) Sampled(t int64, s gpu.Sample) {
	a := achieved{t, s.SMMHz, s.Throttle.Limits()}
	d.achieved.Store(&a)
	d.mu.Lock()
	// Who took it is not known before the guard has said that it still held it then: it
	// may have given it back, with word of that on its way.
	d.lookAtLimit(t)
	if d.calling != 0 || d.unsure != 0 || d.wish != nil {
		d.mu.Unlock()
		return
	}
	for _, c := range []struct {
		knob gpu.KnobID
		mhz  int // set
		at   *watch
		seen achieved
	}{{gpu.KnobSM, d.current.SMMHz, &d.watch, a}, {gpu.KnobMem, d.current.MemMHz, &d.memory, achieved{t: t, mhz: s.MemMHz}}} {
		if c.mhz == 0 || !c.at.sample(c.mhz, c.seen) || d.control.HeldUntil() < c.at.above {
			continue
		}
		f := Failure{gpu: d.gpu, knob: c.knob, value: c.mhz, Lost: true, Mending: d.Rearm && !d.stopping,
			err: fmt.Errorf("it runs at %d MHz, and nothing of jouletop's gave it back", c.seen.mhz)}
		since := max(c.at.verified, c.at.setAt)
		at := d.lose(since, d.current.With(c.knob, 0), f)
		if f.Mending {
			w := d.asked
			w.cause, w.phase = event.Cause{By: event.ByRearm}, 0
			d.wish = &w
		}
		d.mu.Unlock()
		if c.knob == gpu.KnobSM {
			d.tellLoss(event.ByOthers, since, c.seen.mhz, f)
			return
		}
		change := d.knobChange(c.knob, at, event.Cause{By: event.ByOthers})
		change.Achieved, change.Err = c.seen.mhz, f.err.Error()
		d.publish(change)
		d.Failed(f)
		d.wake.Notify()
		return
	}
	d.mu.Unlock()
}

// guardLost is told by the guard's client.
func (d *Driver) guardLost(loss clockguard.Loss) {
	now := d.clk.Now()
	at := loss.HeldNS
	if at <= 0 || at > now {
		at = now
	}
	d.mu.Lock()
	if d.idle() && d.wish == nil && d.calling == 0 {
		d.mu.Unlock()
		return // no clock was asked for: nothing changes
	}
	f := Failure{gpu: d.gpu, Lost: true, err: loss.Err, Final: true, Mending: d.Rearm && !d.stopping}
	f.knob, f.value = d.asked.first()
	others := d.current.Others()
	if d.calling != 0 { // it may never have been set, or set and given back
		at = min(at, d.calling)
	}
	at = d.lose(at, gpu.Setting{}, f)
	d.arming = f.Mending
	d.mu.Unlock()
	for _, k := range gpu.KnobIDs() {
		if others.Value(k) != 0 {
			change := d.knobChange(k, at, event.Cause{By: event.ByLoss})
			change.Err = f.err.Error()
			d.publish(change)
		}
	}
	d.tellLoss(event.ByLoss, at, -1, f)
}

// first returns a knob that a setting asks for, the SM clock where it does or asks for
// none.
func (w wish) first() (gpu.KnobID, int) {
	for _, k := range gpu.KnobIDs() {
		if v := w.Value(k); v != 0 {
			return k, v
		}
	}
	return gpu.KnobSM, 0
}

// lose notes that no more than left has been in force since t, or since the last
// change if that is later; d.mu is held.
func (d *Driver) lose(t int64, left gpu.Setting, f Failure) int64 {
	if n := len(d.log); n > 0 {
		t = max(t, d.log[n-1].t)
	}
	d.current, d.unsure = left, 0
	d.log = append(d.log, requestedAt{t, left})
	d.faults.begin(t, event.FlagClockLost, f)
	return t
}

func (d *Driver) tellLoss(by event.By, t int64, mhz int, f Failure) {
	d.publish(event.ClockChange{
		At: event.At{TimeNS: t}, GPU: d.gpu, AchievedSMMHz: mhz, CallMS: math.NaN(), SettleMS: math.NaN(), DelayMS: math.NaN(),
		Cause: event.Cause{By: by}, Err: f.err.Error(),
	})
	d.Failed(f)
	d.wake.Notify()
}

// armAgain starts a new guard in place of a lost one, and sets the clock again.
func (d *Driver) armAgain() {
	err := d.control.Arm(true)
	d.mu.Lock()
	d.arming = false
	f := Failure{gpu: d.gpu, Lost: true, Final: true}
	f.knob, f.value = d.asked.first()
	if err == nil && d.wish == nil {
		w := d.asked
		w.cause, w.phase = event.Cause{By: event.ByRearm}, 0
		d.wish = &w
	} else if err != nil {
		f.err = fmt.Errorf("clock control could not be armed again: %w", err)
		d.faults.why = &f
	}
	d.mu.Unlock()
	if err != nil {
		d.Failed(f)
	}
}

// refused notes that a wish was not granted. unsure: the call may have had its
// effect, or have it yet.
func (d *Driver) refused(w wish, k gpu.KnobID, start int64, unsure bool, err error) {
	final := refusedForGood(err)
	f := Failure{gpu: d.gpu, knob: k, value: w.Value(k), err: err, Final: final}
	d.mu.Lock()
	d.calling = 0
	// Of a guard that was lost, what was told before is the reason.
	guard := (errors.Is(err, clockguard.ErrGuardLost) || errors.Is(err, clockguard.ErrNotArmed)) && d.faults.why != nil
	if !guard { // else that is what was told
		// Of another limiter nobody is told when it lets go: what is asked for again is set
		// again, and looked at.
		if unsure && !final || errors.Is(err, errLimiter) {
			d.unsure |= 1 << k
		}
		d.faults.begin(start, event.FlagClockRefused, f)
	}
	stopping := d.stopping
	if stopping {
		d.err = errors.Join(d.err, err)
	}
	d.mu.Unlock()
	if stopping || guard {
		return
	}
	d.Failed(f)
	if !final {
		d.tryAgain(w)
	}
}

// Failed calls are made again after firstPause, and after twice as long each
// time they fail, up to longestPause.
const (
	firstPause   = 250 * time.Millisecond
	longestPause = 4 * time.Second
)

// tryAgain asks once more, after a pause, for what failed, unless something else
// is asked for by then.
func (d *Driver) tryAgain(w wish) {
	pause := min(firstPause<<min(w.tries, 10), longestPause)
	w.tries++
	d.clk.Go(func() {
		_ = d.clk.Sleep(context.Background(), pause)
		d.mu.Lock()
		again := !d.stopping && d.wish == nil && d.faults.why != nil && d.asked.Setting == w.Setting
		if again {
			w.phase = 0 // that moment is over
			d.wish = &w
		}
		d.mu.Unlock()
		if again {
			d.wake.Notify()
		}
	})
}

// Foreign finds a GPU's clock held down by a setting that is not ours.
type Foreign struct {
	since int64 // 0: it is not
	told  bool
}

// Sample takes in a sample and tells, once, that there is such a setting.
func (f *Foreign) Sample(t int64, s gpu.Sample, requested, highest int) bool {
	if f.told {
		return false
	}
	if requested != 0 || s.Throttle&gpu.ThrottleAppClocks == 0 || s.SMMHz < 0 || s.SMMHz >= highest-settleMHz {
		f.since = 0
		return false
	}
	if f.since == 0 {
		f.since = t
	}
	f.told = t-f.since >= int64(settleLimit)
	return f.told
}
