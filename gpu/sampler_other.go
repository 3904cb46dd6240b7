//go:build !linux

package gpu

import (
	"context"
	"runtime"
	"time"

	"jouletop/gpu/timebase"
)

// ownThread gives the calling goroutine a thread to itself and returns a sleep
// until a time of the monotonic clock.
func ownThread() func(context.Context, int64) error {
	runtime.LockOSThread()
	clock := timebase.Monotonic()
	return func(_ context.Context, t int64) error {
		time.Sleep(time.Duration(t - clock.Now()))
		return nil
	}
}
