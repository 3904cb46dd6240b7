//go:build !linux

package sampler

import (
	"runtime"
	"time"

	"jouletop/gpu/timebase"
)

// Only Linux threads have priorities here.
const slowPriority, fastPriority = 0, 0

// ownThread gives the calling goroutine a thread to itself and returns a sleep
// until a time of the monotonic clock.
func ownThread(uint32) (sleepUntil func(t int64)) {
	runtime.LockOSThread()
	clock := timebase.Monotonic()
	return func(t int64) {
		time.Sleep(time.Duration(t - clock.Now()))
	}
}
