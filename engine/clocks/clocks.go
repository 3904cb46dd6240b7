package clocks

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"jouletop/engine/event"
	"jouletop/gpu"
	"jouletop/gpu/clockguard"
	"jouletop/gpu/timebase"
)

const (
	// settleLimit is how long the achieved clock is watched after a change: other
	// GPUs are reported to take hundreds of ms.
	settleLimit = time.Second
	settlePoll  = 5 * time.Millisecond
	// settleMHz is how near the achieved clock must come: supported clocks lie 7.5
	// or 15 MHz apart and drivers round.
	settleMHz = 15
	// limitedPart is the part of a clock by which a limit may hold it down while
	// it still counts as settled: a tenth. The slope on the way there is steeper.
	limitedPart = 10
	// awaitLimit is how long a point waits for its clock: a driver's call that
	// hangs is given up after 2 s.
	awaitLimit = 4 * time.Second
)

// Driver sets clocks from a goroutine of its own, so that a slow driver
// call never holds up inference. Of several wishes waiting only the last counts.
// It knows which clock was in force when, and when what was asked for was not.
type Driver struct {
	Rearm  bool          // set what was asked for again once it is lost
	Failed func(Failure) // is told, without a lock held
	// Limit, if not nil, reads the power limit that is set, mW; Enforced what is in force
	// of a knob (see gpu.Enforcer).
	Limit    func() (int, error)
	Enforced func(gpu.KnobID) (int, error)
	Own      bool // look too at a limit that was not set here

	clk      timebase.Clock
	gpu      string
	control  Control
	publish  func(event.Event)
	wake     timebase.Signal
	achieved atomic.Pointer[achieved] // last sampled

	mu       sync.Mutex
	wish     *wish
	asked    wish        // the last wish
	current  gpu.Setting // requested and in force
	unsure   uint8       // 1 << knob: a call may have changed it, or not
	log      []requestedAt
	looked   int64 // when the power limit was looked at last
	looking  bool
	own      int   // the limit in force while none is set here, mW; 0 unknown
	limitOK  int64 // up to here the power limit is known to have been as set
	unread   error // why it could not be read since
	reading  bool  // what is in force; by a driver that may hang
	faults   faults
	watch    watch // of the SM clock
	memory   watch // of the memory clock
	calling  int64 // when the driver's call under way began; 0 none
	arming   bool  // the guard is to be armed again
	applying bool
	stopping bool
	ended    timebase.Signal
	err      error
}

// achieved is the SM clock as sampled at t.
type achieved struct {
	t       int64
	mhz     int
	limited bool // held down by a power or thermal limit
}

// settledAt tells whether the clock has come to where it was asked, or as near
// as a power or thermal limit lets it.
func (a achieved) settledAt(mhz int) bool {
	off := max(mhz-a.mhz, a.mhz-mhz)
	return off <= settleMHz || a.limited && a.mhz < mhz && off <= mhz/limitedPart
}

type wish struct {
	gpu.Setting
	cause event.Cause
	phase int64 // the backend's stamp of the boundary that caused it, ns; 0 none
	tries int   // that failed
}

type requestedAt struct {
	t int64
	gpu.Setting
}

// New returns the driver of the GPU of that id; a nil control never sets a clock.
// It tells of each change by publish.
func New(clk timebase.Clock, id string, control Control, publish func(event.Event)) *Driver {
	d := &Driver{clk: clk, gpu: id, control: control, publish: publish, Failed: func(Failure) {}, wake: clk.NewSignal(), ended: clk.NewSignal()}
	d.achieved.Store(&achieved{mhz: -1})
	return d
}

func (d *Driver) start() {
	if d.control != nil {
		d.control.OnLoss(d.guardLost)
	}
	d.clk.Go(d.loop)
}

// want asks for a setting; a knob of 0 is given back.
func (d *Driver) want(s gpu.Setting, cause event.Cause, phase int64) {
	d.mu.Lock()
	if d.stopping {
		d.mu.Unlock()
		return
	}
	d.asked = wish{Setting: s, cause: cause, phase: phase}
	if d.wish == nil && d.calling == 0 && d.inForce(s) {
		d.faults.close(d.clk.Now())
		d.mu.Unlock()
		return
	}
	w := d.asked
	d.wish = &w
	d.mu.Unlock()
	d.wake.Notify()
}

// inForce tells whether s is set, for all that is known. d.mu is held.
func (d *Driver) inForce(s gpu.Setting) bool { return s == d.current && d.unsure == 0 }

// idle tells whether nothing was asked for that may be in force. d.mu is held.
func (d *Driver) idle() bool { return d.current == (gpu.Setting{}) && d.unsure == 0 }

// await waits until the clock asked for last is set and has settled, or cannot
// be; it tells why not.
func (d *Driver) await() *Failure {
	deadline := d.clk.Now() + int64(awaitLimit)
	for {
		d.mu.Lock()
		idle := d.wish == nil && !d.applying && !d.arming
		failure := d.faults.why
		d.mu.Unlock()
		late := d.clk.Now() >= deadline
		if late && !idle && failure == nil {
			failure = &Failure{gpu: d.gpu, err: fmt.Errorf("the driver has not come to it within %v", awaitLimit)}
			failure.knob, failure.value = d.wanted()
		}
		if idle || late {
			return failure
		}
		_ = d.clk.Sleep(context.Background(), settlePoll)
	}
}

// wanted returns a knob that is asked for and not known to be in force.
func (d *Driver) wanted() (gpu.KnobID, int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, k := range gpu.KnobIDs() {
		if v := d.asked.Value(k); v != d.current.Value(k) {
			return k, v
		}
	}
	return d.asked.first()
}

// release gives the clock back and lets the loop end.
func (d *Driver) release(cause event.By) {
	d.mu.Lock()
	d.wish = nil
	d.asked = wish{cause: event.Cause{By: cause}}
	if !d.idle() || d.calling != 0 {
		w := d.asked
		d.wish = &w
	}
	d.stopping = true
	d.mu.Unlock()
	d.wake.Notify()
}

// wait waits for that.
func (d *Driver) wait() error {
	// Not a Block: its return would depend on the scheduler, not on the clock.
	_ = d.ended.Wait(context.Background())
	return d.err
}

// Requested returns the SM clock in force, MHz; 0 is the driver's.
func (d *Driver) Requested() int { return d.Setting().SMMHz }

// Setting returns what was asked for and is in force.
func (d *Driver) Setting() gpu.Setting {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.current
}

// RequestedIn implements account.Clocks. Another knob that changed within counts as
// mixed too.
func (d *Driver) RequestedIn(t0, t1 int64) (mhz int, mixed bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	var first, now gpu.Setting
	held := map[int]int64{}
	from := t0
	for _, r := range d.log {
		switch {
		case r.t <= t0:
			now = r.Setting
			first = now
		case r.t < t1:
			held[now.SMMHz] += r.t - from
			from, now = r.t, r.Setting
			mixed = mixed || now != first
		}
	}
	held[now.SMMHz] += t1 - from
	longest := first.SMMHz
	for clock, ns := range held {
		if ns > held[longest] || ns == held[longest] && clock > longest {
			longest = clock
		}
	}
	return longest, mixed
}

// FlagsIn implements account.Clocks.
func (d *Driver) FlagsIn(t0, t1 int64) event.Flags {
	d.mu.Lock()
	defer d.mu.Unlock()
	flags := d.faults.in(t0, t1)
	if d.calling != 0 && d.calling < t1 { // asked before it is known: by who cannot wait
		flags = flags.With(event.FlagClockRefused)
	}
	return flags
}

// Confirmed implements account.Clocks.
func (d *Driver) Confirmed() int64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	t := int64(math.MaxInt64)
	if d.calling != 0 {
		t = d.calling
	}
	if d.current.SMMHz != 0 {
		t = min(t, d.watch.verified)
	}
	if d.current.MemMHz != 0 {
		t = min(t, d.memory.verified)
	}
	if d.current.PowerW != 0 && d.Limit != nil {
		t = min(t, d.limitOK)
	}
	if d.current != (gpu.Setting{}) {
		t = min(t, d.control.HeldUntil())
	}
	return t
}

// Forget implements account.Clocks.
func (d *Driver) Forget(t int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for len(d.log) > 1 && d.log[1].t <= t {
		d.log = d.log[1:]
	}
	d.faults.forget(t)
}

func (d *Driver) loop() {
	defer d.ended.Notify()
	if !d.clk.Simulated() {
		clockguard.RaiseThread()
	}
	for {
		d.mu.Lock()
		arming, stopping := d.arming && !d.stopping, d.stopping
		var w *wish
		if !arming {
			w, d.wish = d.wish, nil
		}
		skip := w != nil && d.inForce(w.Setting)
		if d.applying = w != nil && !skip; d.applying {
			d.calling = d.clk.Now()
		} else if skip {
			d.faults.close(d.clk.Now())
		}
		d.mu.Unlock()
		switch {
		case arming:
			d.armAgain()
		case w != nil && !skip:
			d.apply(*w)
		case w == nil && stopping:
			return
		case w == nil:
			_ = d.wake.Wait(context.Background())
		}
	}
}

// apply sets what is not as wished, the SM clock last, and reports that once the clock
// has settled.
func (d *Driver) apply(w wish) {
	for _, k := range []gpu.KnobID{gpu.KnobMem, gpu.KnobPower, gpu.KnobProfile} {
		if !d.applyKnob(k, w) {
			return
		}
	}
	if !d.differs(gpu.KnobSM, w) {
		d.done(d.clk.Now())
		return
	}
	start := d.clk.Now()
	change := event.ClockChange{
		At: event.At{TimeNS: start}, GPU: d.gpu, RequestedSMMHz: w.SMMHz, AchievedSMMHz: -1,
		SettleMS: math.NaN(), DelayMS: math.NaN(), Cause: w.cause,
	}
	timing, _, err := d.set(gpu.KnobSM, w.SMMHz)
	called := d.clk.Now()
	made := timing.CallNS != 0 // a call
	if !made {
		timing = clockguard.Timing{CallNS: start, ReturnNS: called}
	}
	change.CallMS = float64(timing.ReturnNS-timing.CallNS) / 1e6
	if w.phase != 0 {
		change.DelayMS = float64(timing.CallNS-w.phase) / 1e6
	}
	if err != nil {
		change.Err = err.Error()
		d.refused(w, gpu.KnobSM, start, made || errors.Is(err, clockguard.ErrBusy), err)
		d.publish(change)
		return
	}
	d.mu.Lock()
	d.watch = watch{setAt: called, verified: called}
	d.mu.Unlock()
	d.took(gpu.KnobSM, w.SMMHz, called)
	d.done(called)
	d.settle(&change, called)
	d.publish(change)
}

// differs tells whether a knob is not, or may not be, as wished.
func (d *Driver) differs(k gpu.KnobID, w wish) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.current.Value(k) != w.Value(k) || d.unsure&(1<<k) != 0
}

// applyKnob sets another knob than the SM clock, where it is not as wished; false where
// that did not succeed.
func (d *Driver) applyKnob(k gpu.KnobID, w wish) bool {
	if !d.differs(k, w) {
		return true
	}
	start := d.clk.Now()
	change := d.knobChange(k, start, w.cause)
	change.Requested = w.Value(k)
	timing, got, err := d.set(k, w.Value(k))
	made := timing.CallNS != 0
	change.CallMS = float64(timing.ReturnNS-timing.CallNS) / 1e6
	if err == nil || errors.Is(err, clockguard.ErrClamped) {
		change.Achieved = got
		d.took(k, got, d.clk.Now())
	}
	switch {
	case err == nil && w.Value(k) != 0:
		change.Achieved, err = d.comes(k, got)
	case err == nil: // what it is now, may be somebody else's that was left
		change.Achieved = d.left(k)
	}
	if err != nil {
		change.Err = err.Error()
		d.refused(w, k, start, made || errors.Is(err, clockguard.ErrBusy), err)
	}
	d.publish(change)
	return err == nil
}

func (d *Driver) knobChange(k gpu.KnobID, t int64, cause event.Cause) event.KnobChange {
	return event.KnobChange{
		At: event.At{TimeNS: t}, GPU: d.gpu, Knob: k, Unit: gpu.NewKnob(k, "").Unit, Achieved: -1, CallMS: math.NaN(), Cause: cause,
	}
}

// took notes that a knob is at v, in the driver's unit, since t; 0 is given back.
func (d *Driver) took(k gpu.KnobID, v int, t int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if k == gpu.KnobPower {
		v /= 1000
		d.limitOK, d.looked, d.own = t, t, 0
	}
	if k == gpu.KnobMem {
		d.memory = watch{setAt: t, verified: t}
	}
	d.current = d.current.With(k, v)
	d.unsure &^= 1 << k
	d.log = append(d.log, requestedAt{t, d.current})
}

// done notes that all that was wished is in force since t.
func (d *Driver) done(t int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.calling = 0
	d.faults.close(t)
}

// set sets a knob, in the driver's unit; 0 gives it back.
func (d *Driver) set(k gpu.KnobID, v int) (t clockguard.Timing, got int, err error) {
	switch {
	case d.control == nil:
		return clockguard.Timing{}, -1, gpu.ErrReadOnly
	case k == gpu.KnobSM && v == 0:
		t, err = d.control.ResetTimed()
		return t, 0, err
	case k == gpu.KnobSM:
		t, err = d.control.SetTimed(v)
		return t, v, err
	case v == 0:
		t, err = d.control.ResetKnob(k)
		return t, 0, err
	}
	return d.control.SetKnob(k, v)
}

// settle watches the achieved clock until it is there, the next wish comes, or
// patience ends. Without a request there is nothing to settle at.
func (d *Driver) settle(change *event.ClockChange, called int64) {
	for change.RequestedSMMHz != 0 && d.clk.Now()-called < int64(settleLimit) {
		// Only a sample taken after the call says anything of it.
		if a := d.achieved.Load(); a.t > called && a.settledAt(change.RequestedSMMHz) {
			change.SettleMS = float64(a.t-called) / 1e6
			break
		}
		d.mu.Lock()
		interrupted := d.wish != nil || d.stopping || d.arming
		d.mu.Unlock()
		if interrupted {
			break
		}
		_ = d.clk.Sleep(context.Background(), settlePoll)
	}
	if a := d.achieved.Load(); a.t > called {
		change.AchievedSMMHz = a.mhz
	}
}
