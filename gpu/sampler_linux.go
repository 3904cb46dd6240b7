package gpu

import (
	"context"
	"runtime"

	"golang.org/x/sys/unix"
)

// ownThread gives the calling goroutine an operating-system thread to itself,
// of raised priority where that is permitted, and returns a sleep on
// CLOCK_MONOTONIC that is not behind Go's timers. The thread ends with the
// goroutine.
func ownThread() func(context.Context, int64) error {
	runtime.LockOSThread()
	// On Linux this is the thread's own; refused without privilege, and then the
	// loop does with the usual one.
	_ = unix.Setpriority(unix.PRIO_PROCESS, unix.Gettid(), -10)
	return func(_ context.Context, t int64) error {
		deadline := unix.NsecToTimespec(t)
		for {
			err := unix.ClockNanosleep(unix.CLOCK_MONOTONIC, unix.TIMER_ABSTIME, &deadline, nil)
			if err != unix.EINTR {
				return err
			}
		}
	}
}
