//go:build !linux

package gpu

import (
	"runtime"
	"time"

	"jouletop/gpu/timebase"
)

// ownThread gives the calling goroutine a thread to itself and returns a sleep
// until a time of the monotonic clock.
func ownThread() (sleepUntil func(t int64)) {
	runtime.LockOSThread()
	clock := timebase.Monotonic()
	return func(t int64) {
		time.Sleep(time.Duration(t - clock.Now()))
	}
}
