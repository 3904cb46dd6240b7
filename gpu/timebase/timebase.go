// Package timebase is the clock that everything in jouletop reads and sleeps
// by, handed in rather than global so that a simulated run can go faster than
// real time and come out the same every time.
//
// [Monotonic] is CLOCK_MONOTONIC, the same in every process of one boot.
// [NewSim] makes a simulated clock: the goroutines started with its Go method
// run strictly one at a time, in the order of their wake-up times, so a
// simulation driven by it is deterministic at any speed.
//
// Under a simulated clock a goroutine must wait only through the clock (Sleep,
// SleepUntil, a Signal); a wait on anything else (a channel, a WaitGroup, a
// human) goes inside Block, or simulated time stands still.
package timebase

import (
	"context"
	"time"

	"golang.org/x/sys/unix"
)

// Clock tells the time and waits. All methods are safe for concurrent use.
type Clock interface {
	// Now returns the time in ns: CLOCK_MONOTONIC, or simulated ns since 0.
	Now() int64
	// Sleep waits for d. It returns early with ctx's error when ctx is done.
	Sleep(ctx context.Context, d time.Duration) error
	// SleepUntil waits until Now reaches t (ns), at once if it has.
	SleepUntil(ctx context.Context, t int64) error
	// Go starts f in a goroutine that may use the clock's waits.
	Go(f func())
	// Block runs f, which waits for something other than this clock.
	Block(f func())
	// NewSignal returns a signal whose Wait is known to this clock.
	NewSignal() Signal
	// Simulated tells whether time is simulated.
	Simulated() bool
}

// Signal wakes one waiter. Notifications do not add up: several before a Wait
// count as one, and none is lost.
type Signal interface {
	// Notify wakes the waiter, or lets the next Wait return at once.
	Notify()
	// Wait returns nil after a Notify, or ctx's error when ctx is done first.
	Wait(ctx context.Context) error
}

// Monotonic returns the real clock.
func Monotonic() Clock {
	var ts unix.Timespec
	// The only possible failure is a clock the kernel lacks; none lacks this one.
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts)
	return monotonic{base: ts.Nano(), start: time.Now()}
}

// monotonic extends one reading of CLOCK_MONOTONIC by Go's own monotonic
// difference, which is the same clock and costs no system call.
type monotonic struct {
	base  int64
	start time.Time
}

func (m monotonic) Now() int64 { return m.base + int64(time.Since(m.start)) }

func (m monotonic) Sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (m monotonic) SleepUntil(ctx context.Context, t int64) error {
	return m.Sleep(ctx, time.Duration(t-m.Now()))
}

func (m monotonic) Go(f func())       { go f() }
func (m monotonic) Block(f func())    { f() }
func (m monotonic) Simulated() bool   { return false }
func (m monotonic) NewSignal() Signal { return make(chanSignal, 1) }

type chanSignal chan struct{}

func (s chanSignal) Notify() {
	select {
	case s <- struct{}{}:
	default:
	}
}

func (s chanSignal) Wait(ctx context.Context) error {
	select {
	case <-s:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
