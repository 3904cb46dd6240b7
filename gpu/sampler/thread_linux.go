package sampler

import (
	"runtime"

	"golang.org/x/sys/unix"
)

// Real-time priorities of the sampler's threads: the lowest there are.
const (
	slowPriority = 1
	fastPriority = 2
)

// ownThread gives the calling goroutine an operating-system thread to itself,
// scheduled ahead of others as far as that is permitted, and returns a sleep on
// CLOCK_MONOTONIC that is not behind Go's timers. The thread ends with the
// goroutine. It is for a loop that sleeps nearly always.
func ownThread(priority uint32) (sleepUntil func(t int64)) {
	runtime.LockOSThread()
	// Real time takes root or RLIMIT_RTPRIO. With more busy threads than cores
	// nothing else kept the gaps between polls short.
	rr := unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_RR, Priority: priority}
	if unix.SchedSetAttr(0, &rr, 0) != nil {
		// On Linux this is the thread's own priority. Where it is refused too, the
		// usual one has to do.
		_ = unix.Setpriority(unix.PRIO_PROCESS, unix.Gettid(), -10)
	}
	return func(t int64) {
		deadline := unix.NsecToTimespec(t)
		for unix.ClockNanosleep(unix.CLOCK_MONOTONIC, unix.TIMER_ABSTIME, &deadline, nil) == unix.EINTR {
		}
	}
}
