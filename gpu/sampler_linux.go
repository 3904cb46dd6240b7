package gpu

import (
	"runtime"

	"golang.org/x/sys/unix"
)

// ownThread gives the calling goroutine an operating-system thread to itself,
// scheduled ahead of others as far as that is permitted, and returns a sleep on
// CLOCK_MONOTONIC that is not behind Go's timers. The thread ends with the
// goroutine.
func ownThread() (sleepUntil func(t int64)) {
	runtime.LockOSThread()
	hurry()
	return func(t int64) {
		deadline := unix.NsecToTimespec(t)
		for unix.ClockNanosleep(unix.CLOCK_MONOTONIC, unix.TIMER_ABSTIME, &deadline, nil) == unix.EINTR {
		}
	}
}

// hurry has the calling thread run soon after it wakes, on a busy machine too.
// It sleeps nearly always, so that it takes nothing from others worth mention.
func hurry() {
	// Real-time, at the lowest priority there is: takes root or RLIMIT_RTPRIO. On
	// a machine with more threads than cores nothing else kept the gaps short.
	rr := unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_RR, Priority: 1}
	if unix.SchedSetAttr(0, &rr, 0) == nil {
		return
	}
	// Else a raised priority, which takes root or RLIMIT_NICE, and a short time
	// slice, which Linux gives to anyone from 6.12 on (and schedules the sooner).
	// Where they are refused, the usual scheduling has to do.
	nice := 0
	if unix.Setpriority(unix.PRIO_PROCESS, unix.Gettid(), -10) == nil {
		nice = -10
	} else if p, err := unix.Getpriority(unix.PRIO_PROCESS, unix.Gettid()); err == nil {
		nice = 20 - p // the system call counts from 1 (nice 19) to 40
	}
	slice := unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_NORMAL, Nice: int32(nice), Runtime: 100_000}
	_ = unix.SchedSetAttr(0, &slice, 0)
}
