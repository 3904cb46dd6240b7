package clocks

import (
	"context"
	"errors"
	"fmt"
	"time"

	"jouletop/engine/event"
	"jouletop/gpu"
)

// errLimiter: what is set is not in force, for another limiter than the driver's.
var errLimiter = errors.New("it is set, but another limiter holds it")

const (
	// limitEvery is how often a power limit that was set is looked at.
	limitEvery = time.Second
	// ownEvery is how often one is that was not.
	ownEvery = 5 * time.Second
	// unseenAfter is after how long without a reading it is not known to be in force.
	unseenAfter = 5 * time.Second
	// readPatience is how long a driver is waited for when it is asked what is in force.
	readPatience = 2 * time.Second
	// enforcedAfter is how long a driver may take until what was set is in force.
	enforcedAfter = time.Second
)

// enforced returns what is in force of a knob that is set, and an error where that is not
// what is set, or cannot be read; -1 then. Where a driver does not tell it is what is set.
func (d *Driver) enforced(k gpu.KnobID, set int) (int, error) {
	if d.Enforced == nil || k.Resets() {
		return set, nil
	}
	v, err := d.read(func() (int, error) { return d.Enforced(k) })
	switch {
	case errors.Is(err, gpu.ErrNotSupported):
		return set, nil
	case err != nil:
		return -1, fmt.Errorf("it is set, but what is in force cannot be read: %w", err)
	case !k.InForce(set, v):
		return v, fmt.Errorf("%w at %s", errLimiter, k.Text(v))
	case k == gpu.KnobPower:
		return min(set, v), nil
	}
	return set, nil
}

// left is what a knob is at once it was given back; -1 where that is not told.
func (d *Driver) left(k gpu.KnobID) int {
	if k != gpu.KnobPower || d.Limit == nil {
		return -1
	}
	v, err := d.read(d.Limit)
	if err != nil {
		return -1
	}
	return v
}

// comes is enforced, of a knob that was set just now.
func (d *Driver) comes(k gpu.KnobID, set int) (int, error) {
	for until := d.clk.Now() + int64(enforcedAfter); ; {
		v, err := d.enforced(k, set)
		if !errors.Is(err, errLimiter) || d.clk.Now() >= until {
			return v, err
		}
		_ = d.clk.Sleep(context.Background(), enforcedAfter/20)
	}
}

// read asks the driver, and leaves a call that hangs to itself: none is made beside it.
func (d *Driver) read(f func() (int, error)) (int, error) {
	if d.clk.Simulated() { // which does not hang
		return f()
	}
	hangs := fmt.Errorf("the driver has not answered within %v", readPatience)
	d.mu.Lock()
	if d.reading {
		d.mu.Unlock()
		return -1, hangs
	}
	d.reading = true
	d.mu.Unlock()
	type answer struct {
		v   int
		err error
	}
	got := make(chan answer, 1)
	go func() {
		v, err := f()
		d.mu.Lock()
		d.reading = false
		d.mu.Unlock()
		got <- answer{v, err}
	}()
	late := time.NewTimer(readPatience)
	defer late.Stop()
	select {
	case a := <-got:
		return a.v, a.err
	case <-late.C:
		return -1, hangs
	}
}

// lookAtLimit finds out, beside all else, whether somebody else has set the power limit,
// or holds it lower; d.mu is held.
func (d *Driver) lookAtLimit(t int64) {
	w := d.current.PowerW
	if d.Limit == nil || d.calling != 0 {
		return
	}
	if w == 0 {
		d.lookAtOwn(t)
		return
	}
	d.loseSight(t)
	if d.looking || t-d.looked < int64(limitEvery) {
		return
	}
	d.looking, d.looked = true, t
	d.clk.Go(func() {
		mw, err := d.Limit()
		others := err == nil && mw/1000 != w
		inForce := mw
		if err == nil && !others {
			inForce, err = d.enforced(gpu.KnobPower, mw)
		}
		d.mu.Lock()
		d.looking = false
		if d.current.PowerW != w || d.calling != 0 || d.wish != nil || d.stopping {
			d.mu.Unlock()
			return
		}
		f := Failure{gpu: d.gpu, knob: gpu.KnobPower, value: 1000 * w, Lost: true, Final: true}
		left := d.current
		why := d.faults.why
		limited := errors.Is(err, errLimiter)
		switch {
		case others:
			f.err = fmt.Errorf("it is %s now, set by somebody else, and is left at that", gpu.KnobPower.Text(mw))
			left = left.With(gpu.KnobPower, 0)
		case limited && why != nil && errors.Is(why.err, errLimiter):
			d.limitOK = max(d.limitOK, t) // known, and told
			d.mu.Unlock()
			return
		case limited:
			f.err = err
		case err != nil: // limitOK stays: rows wait to be told whether it was in force
			d.unread = err
			d.mu.Unlock()
			return
		default:
			d.limitOK, d.unread = max(d.limitOK, t), nil
			back := why != nil && why.knob == gpu.KnobPower && (why.unseen || errors.Is(why.err, errLimiter))
			if back {
				d.unsure &^= 1 << gpu.KnobPower
				d.faults.close(t)
			}
			d.mu.Unlock()
			if back && !why.unseen {
				d.tellLimit(t, d.askedFor(), 1000*w, inForce, nil)
			}
			return
		}
		at := d.lose(d.limitOK, left, f)
		if limited {
			d.unsure |= 1 << gpu.KnobPower
		}
		d.mu.Unlock()
		d.tellLimit(at, event.Cause{By: event.ByOthers}, 0, inForce, f.err)
		d.Failed(f)
	})
}

// lookAtOwn finds out whether the power limit in force, which nobody here has set, is
// another than it was; d.mu is held.
func (d *Driver) lookAtOwn(t int64) {
	if !d.Own || d.looking || d.wish != nil || t-d.looked < int64(ownEvery) {
		return
	}
	d.looking, d.looked = true, t
	d.clk.Go(func() {
		mw, err := d.Limit()
		if err == nil && d.Enforced != nil {
			if v, e := d.read(func() (int, error) { return d.Enforced(gpu.KnobPower) }); !errors.Is(e, gpu.ErrNotSupported) {
				mw, err = v, e
			}
		}
		d.mu.Lock()
		d.looking = false
		was := d.own
		if err != nil || d.current.PowerW != 0 || d.calling != 0 || d.wish != nil {
			d.mu.Unlock()
			return
		}
		d.own = mw
		d.mu.Unlock()
		if was == 0 || gpu.KnobPower.InForce(was, mw) && gpu.KnobPower.InForce(mw, was) {
			return
		}
		text := gpu.KnobPower.Text
		d.tellLimit(t, event.Cause{By: event.ByOthers}, 0, mw, fmt.Errorf("it was %s: nobody of this program changed it", text(was)))
		d.publish(event.Warning{At: event.At{TimeNS: t}, Text: fmt.Sprintf("the power limit in force of GPU %s is %s now, and was %s: somebody else, or another limiter, has changed it", d.gpu, text(mw), text(was))})
	})
}

// askedFor is why the setting that is asked for is.
func (d *Driver) askedFor() event.Cause {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.asked.cause
}

// tellLimit tells of a power limit in force that another hand changed.
func (d *Driver) tellLimit(t int64, cause event.Cause, requested, inForce int, err error) {
	change := d.knobChange(gpu.KnobPower, t, cause)
	change.Requested, change.Achieved = requested, inForce
	if err != nil {
		change.Err = err.Error()
	}
	d.publish(change)
}

// loseSight notes that the power limit could not be read for so long that it is not known
// to be in force; d.mu is held.
func (d *Driver) loseSight(t int64) {
	if why := d.faults.why; why != nil {
		if why.unseen {
			d.limitOK = max(d.limitOK, t) // flagged: no row need wait
		}
		return
	}
	if t-d.limitOK <= int64(unseenAfter) {
		return
	}
	err := d.unread
	if err == nil {
		err = errors.New("the driver does not answer")
	}
	f := Failure{gpu: d.gpu, knob: gpu.KnobPower, value: 1000 * d.current.PowerW, unseen: true, err: err}
	d.faults.begin(d.limitOK, event.FlagClockLost, f)
	d.clk.Go(func() { d.Failed(f) })
}
