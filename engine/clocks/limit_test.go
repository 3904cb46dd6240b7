package clocks

import (
	"context"
	"errors"
	"math"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"jouletop/engine/event"
	"jouletop/gpu"
	"jouletop/gpu/clockguard"
	"jouletop/gpu/timebase"
)

// obeying is a control of which the driver takes all.
type obeying struct{}

func (obeying) SetTimed(int) (clockguard.Timing, error)         { return clockguard.Timing{}, nil }
func (obeying) ResetTimed() (clockguard.Timing, error)          { return clockguard.Timing{}, nil }
func (obeying) ResetKnob(gpu.KnobID) (clockguard.Timing, error) { return clockguard.Timing{}, nil }
func (obeying) Arm(bool) error                                  { return nil }
func (obeying) OnLoss(func(clockguard.Loss))                    {}
func (obeying) HeldUntil() int64                                { return math.MaxInt64 }
func (obeying) SetKnob(_ gpu.KnobID, v int) (clockguard.Timing, int, error) {
	return clockguard.Timing{}, v, nil
}

// limited is a driver of a power limit of 400 W, which is looked at as told: set and
// enforced in mW, at a time that the test moves on.
type limited struct {
	*Driver
	set, inForce   int
	setErr, infErr error
	failures       []string
	changes        []event.KnobChange
}

// sampled lets some seconds pass, sampled ten times a second, and calls end then.
func limitedFor(t *testing.T, l *limited, steps ...func()) {
	t.Helper()
	clk := timebase.NewSim(0)
	l.Driver = New(clk, "sim:x", obeying{}, func(e event.Event) {
		if c, ok := e.(event.KnobChange); ok {
			l.changes = append(l.changes, c)
		}
	})
	l.Failed = func(f Failure) { l.failures = append(l.failures, f.String()) }
	l.Limit = func() (int, error) { return l.set, l.setErr }
	l.Enforced = func(gpu.KnobID) (int, error) { return l.inForce, l.infErr }
	done := make(chan struct{})
	clk.Go(func() {
		defer close(done)
		l.start()
		l.want(gpu.Setting{PowerW: 400}, event.Cause{}, 0)
		_ = l.await()
		for _, step := range steps {
			step()
			for range 80 {
				_ = clk.Sleep(t.Context(), 100*time.Millisecond)
				l.Sampled(clk.Now(), gpu.Sample{SMMHz: 1980})
			}
		}
		l.release(event.ByExit)
		_ = l.wait()
	})
	<-done
}

// A limit that cannot be read is not known to be in force: rows wait for a while, then are
// flagged, until it can be read again.
func TestLimitUnread(t *testing.T) {
	l := &limited{set: 400_000, inForce: 400_000}
	var confirmed []int64
	var flags []event.Flags
	note := func() {
		now := l.clk.Now()
		confirmed, flags = append(confirmed, now-l.Confirmed()), append(flags, l.FlagsIn(now-int64(time.Second), now))
	}
	limitedFor(t, l, func() {}, func() { note(); l.setErr = errors.New("no answer") }, func() { note(); l.setErr = nil }, note)
	if len(flags) != 3 || flags[0] != "" || !flags[1].Has(event.FlagClockLost) || flags[2] != "" {
		t.Errorf("flags %q", flags)
	}
	if confirmed[0] > int64(1100*time.Millisecond) {
		t.Errorf("confirmed up to %v ago while it is read", time.Duration(confirmed[0]))
	}
	if len(l.failures) != 1 || !strings.Contains(l.failures[0], "is not known to be in force any more: no answer") {
		t.Errorf("told %q", l.failures)
	}
}

// Until it is told, rows wait.
func TestLimitUnreadForAMoment(t *testing.T) {
	l := &limited{set: 400_000, inForce: 400_000}
	limitedFor(t, l, func() {}, func() {
		read := l.clk.Now()
		l.setErr = errors.New("no answer")
		for range 30 {
			_ = l.clk.Sleep(t.Context(), 100*time.Millisecond)
			l.Sampled(l.clk.Now(), gpu.Sample{SMMHz: 1980})
		}
		if c := l.Confirmed(); c > read {
			t.Errorf("confirmed up to %v after the last reading", time.Duration(c-read))
		}
		l.setErr = nil
	})
	if len(l.failures) != 0 {
		t.Errorf("told %q", l.failures)
	}
}

// A limit that another limiter holds lower is told once, with what is in force, and once
// more when it is in force.
func TestLimitHeldLower(t *testing.T) {
	l := &limited{set: 400_000, inForce: 400_000}
	var flags []event.Flags
	note := func() { flags = append(flags, l.FlagsIn(l.clk.Now()-int64(time.Second), l.clk.Now())) }
	limitedFor(t, l, func() { l.inForce = 350_000 }, func() { note(); l.inForce = 400_000 }, note)
	if len(flags) != 2 || !flags[0].Has(event.FlagClockLost) || flags[1] != "" {
		t.Errorf("flags %q", flags)
	}
	var told []int
	for _, c := range l.changes {
		told = append(told, c.Achieved)
	}
	if len(told) != 4 || told[0] != 400_000 || told[1] != 350_000 || told[2] != 400_000 || len(l.failures) != 1 {
		t.Errorf("in force %d, failures %q", told, l.failures)
	}
}

// Where what is in force cannot be read after a limit was set, it is not claimed to be;
// where a driver does not tell such a thing, it is what was set.
func TestLimitNotTold(t *testing.T) {
	l := &limited{set: 400_000, infErr: errors.New("no answer")}
	limitedFor(t, l, func() {
		if f := l.FlagsIn(0, l.clk.Now()+1); !f.Has(event.FlagClockRefused) {
			t.Errorf("flags %q", f)
		}
	})
	if len(l.changes) == 0 || l.changes[0].Achieved != -1 || l.changes[0].Err == "" || len(l.failures) == 0 {
		t.Errorf("changes %+v, failures %q", l.changes, l.failures)
	}
	l = &limited{set: 400_000, infErr: gpu.ErrNotSupported}
	limitedFor(t, l, func() {})
	if len(l.changes) != 2 || l.changes[0].Achieved != 400_000 || len(l.failures) != 0 {
		t.Errorf("changes %+v, failures %q", l.changes, l.failures)
	}
}

// A limit that was given back is told to be what it is then, which may be somebody else's;
// what cannot be read is not told.
func TestLimitGivenBack(t *testing.T) {
	for _, unread := range []error{nil, errors.New("no answer")} {
		l := &limited{set: 400_000, inForce: 400_000}
		limitedFor(t, l, func() { l.set, l.setErr = 333_000, unread; l.want(gpu.Setting{}, event.Cause{}, 0); _ = l.await() })
		want := 333_000
		if unread != nil {
			want = -1
		}
		if n := len(l.changes); n != 2 || l.changes[1].Requested != 0 || l.changes[1].Achieved != want || len(l.failures) > 0 {
			t.Errorf("changes %+v, failures %q; want %d in force", l.changes, l.failures, want)
		}
	}
}

// slow is a control that takes its time for a knob.
type slow struct {
	obeying
	clk timebase.Clock
}

func (s slow) SetKnob(_ gpu.KnobID, v int) (clockguard.Timing, int, error) {
	_ = s.clk.Sleep(context.Background(), 2*awaitLimit)
	return clockguard.Timing{}, v, nil
}

// What has not been set once the waiting ends is not told to be.
func TestAwaitEndsBeforeTheDriver(t *testing.T) {
	clk := timebase.NewSim(0)
	d := New(clk, "sim:x", slow{clk: clk}, func(event.Event) {})
	done := make(chan *Failure)
	clk.Go(func() {
		d.start()
		d.want(gpu.Setting{PowerW: 400}, event.Cause{}, 0)
		f := d.await()
		d.release(event.ByExit)
		_ = d.wait()
		done <- f
	})
	if f := <-done; f == nil || !strings.Contains(f.String(), "could not be set to 400 W: the driver has not come to it within 4s") {
		t.Errorf("told %v", f)
	}
}

// A limit that comes into force a moment after it was set is none that another limiter
// holds.
func TestLimitComesIntoForce(t *testing.T) {
	l := &limited{set: 400_000, inForce: 300_000}
	clk := timebase.NewSim(0)
	l.Driver = New(clk, "sim:x", obeying{}, func(e event.Event) {
		if c, ok := e.(event.KnobChange); ok {
			l.changes = append(l.changes, c)
		}
	})
	l.Failed = func(f Failure) { l.failures = append(l.failures, f.String()) }
	l.Enforced = func(gpu.KnobID) (int, error) {
		if clk.Now() > int64(enforcedAfter)/2 {
			return 400_000, nil
		}
		return 300_000, nil
	}
	done := make(chan *Failure)
	clk.Go(func() {
		l.start()
		l.want(gpu.Setting{PowerW: 400}, event.Cause{}, 0)
		f := l.await()
		l.release(event.ByExit)
		_ = l.wait()
		done <- f
	})
	if f := <-done; f != nil || len(l.changes) == 0 || l.changes[0].Achieved != 400_000 || len(l.failures) > 0 {
		t.Errorf("told %v, changes %+v, failures %q", f, l.changes, l.failures)
	}
}

// A driver that hangs when it is asked what is in force is waited for no longer than a
// while, and not asked once more while it does.
func TestLimitReadHangs(t *testing.T) {
	d := New(timebase.Monotonic(), "x", obeying{}, func(event.Event) {})
	hang := make(chan struct{})
	var asked atomic.Int32
	d.Enforced = func(gpu.KnobID) (int, error) { asked.Add(1); <-hang; return 400_000, nil }
	began := time.Now()
	for range 2 {
		if v, err := d.enforced(gpu.KnobPower, 400_000); err == nil || v != -1 {
			t.Errorf("%d, %v", v, err)
		}
	}
	if took := time.Since(began); took > readPatience+time.Second || asked.Load() != 1 {
		t.Errorf("waited %v, asked %d times", took, asked.Load())
	}
	close(hang)
}

// A power limit that nobody here has set is told when it is another all at once; one that
// was set and given back is not.
func TestOwnLimitChanged(t *testing.T) {
	l := &limited{set: 700_000, inForce: 700_000}
	var warnings []string
	clk := timebase.NewSim(0)
	l.Driver = New(clk, "sim:x", obeying{}, func(e event.Event) {
		switch e := e.(type) {
		case event.KnobChange:
			l.changes = append(l.changes, e)
		case event.Warning:
			warnings = append(warnings, e.Text)
		}
	})
	l.Own = true
	l.Limit = func() (int, error) { return l.set, l.setErr }
	l.Enforced = func(gpu.KnobID) (int, error) { return l.inForce, l.infErr }
	done := make(chan struct{})
	clk.Go(func() {
		defer close(done)
		l.start()
		pass := func() {
			for range 120 {
				_ = clk.Sleep(t.Context(), 100*time.Millisecond)
				l.Sampled(clk.Now(), gpu.Sample{SMMHz: 1980})
			}
		}
		pass()
		l.want(gpu.Setting{PowerW: 400}, event.Cause{}, 0)
		l.set, l.inForce = 400_000, 400_000
		pass()
		l.want(gpu.Setting{}, event.Cause{}, 0)
		l.set, l.inForce = 700_000, 700_000
		pass()
		if len(warnings) > 0 {
			t.Errorf("told %q of what was set here", warnings)
		}
		l.infErr = errors.New("no answer")
		pass()
		l.infErr, l.inForce = nil, 500_000
		pass()
		l.release(event.ByExit)
		_ = l.wait()
	})
	<-done
	if len(warnings) != 1 || !strings.Contains(warnings[0], "is 500 W now, and was 700 W") {
		t.Errorf("told %q", warnings)
	}
	if n := len(l.changes); n != 3 || l.changes[2].Achieved != 500_000 || l.changes[2].Cause.By != event.ByOthers || l.changes[2].Err == "" {
		t.Errorf("changes %+v", l.changes)
	}
}
