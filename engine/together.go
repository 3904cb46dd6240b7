package engine

import (
	"errors"
	"math"

	"jouletop/engine/event"
)

// clockDrivers set the clocks of GPUs that work on one job: the same on all.
type clockDrivers []*clockDriver

func (ds clockDrivers) start() {
	for _, d := range ds {
		d.start()
	}
}

// want asks for a clock; 0 gives it back to the driver.
func (ds clockDrivers) want(mhz int, cause event.Cause, phase int64) {
	for _, d := range ds {
		d.want(mhz, cause, phase)
	}
}

// await waits until the clock asked for last is set everywhere, or cannot be: it
// tells why not.
func (ds clockDrivers) await() *clockFailure {
	var failure *clockFailure
	for _, d := range ds {
		if f := d.await(); f != nil && (failure == nil || f.final) {
			failure = f
		}
	}
	return failure
}

// stop gives the clocks back, of all GPUs at once, and ends the drivers.
func (ds clockDrivers) stop(cause event.By) error {
	for _, d := range ds {
		d.release(cause)
	}
	var errs []error
	for _, d := range ds {
		errs = append(errs, d.wait())
	}
	return errors.Join(errs...)
}

// requested is the first GPU's clock: they differ only where one is refused.
func (ds clockDrivers) requested() int { return ds[0].requested() }

// requestedIn implements clockRequests. Clocks that differ count as mixed.
func (ds clockDrivers) requestedIn(t0, t1 int64) (mhz int, mixed bool) {
	mhz, mixed = ds[0].requestedIn(t0, t1)
	for _, d := range ds[1:] {
		other, m := d.requestedIn(t0, t1)
		mixed = mixed || m || other != mhz
	}
	return mhz, mixed
}

// flagsIn implements clockRequests: of any.
func (ds clockDrivers) flagsIn(t0, t1 int64) event.Flags {
	var flags event.Flags
	for _, d := range ds {
		flags = flags.Union(d.flagsIn(t0, t1))
	}
	return flags
}

// confirmed implements clockRequests: of all.
func (ds clockDrivers) confirmed() int64 {
	t := int64(math.MaxInt64)
	for _, d := range ds {
		t = min(t, d.confirmed())
	}
	return t
}

// forget implements clockRequests.
func (ds clockDrivers) forget(t int64) {
	for _, d := range ds {
		d.forget(t)
	}
}
