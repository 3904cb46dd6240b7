package clocks

import (
	"errors"
	"math"

	"jouletop/engine/event"
	"jouletop/gpu"
)

// Drivers set the clocks of GPUs that work on one job: the same on all.
type Drivers []*Driver

// Start makes ready to set clocks.
func (ds Drivers) Start() {
	for _, d := range ds {
		d.start()
	}
}

// Want asks for a setting; a knob of 0 is given back. phase is when the boundary was that
// caused it, in ns; 0 none.
func (ds Drivers) Want(s gpu.Setting, cause event.Cause, phase int64) {
	for _, d := range ds {
		d.want(s, cause, phase)
	}
}

// Await waits until the clock asked for last is set everywhere, or cannot be: it
// tells why not.
func (ds Drivers) Await() *Failure {
	var failure *Failure
	for _, d := range ds {
		if f := d.await(); f != nil && (failure == nil || f.Final) {
			failure = f
		}
	}
	return failure
}

// Stop gives the clocks back, of all GPUs at once, and ends the drivers.
func (ds Drivers) Stop(cause event.By) error {
	for _, d := range ds {
		d.release(cause)
	}
	var errs []error
	for _, d := range ds {
		errs = append(errs, d.wait())
	}
	return errors.Join(errs...)
}

// Requested is the first GPU's clock: they differ only where one is refused.
func (ds Drivers) Requested() int { return ds[0].Requested() }

// Setting is the first GPU's, likewise.
func (ds Drivers) Setting() gpu.Setting { return ds[0].Setting() }

// RequestedIn implements account.Clocks. Clocks that differ count as mixed.
func (ds Drivers) RequestedIn(t0, t1 int64) (mhz int, mixed bool) {
	mhz, mixed = ds[0].RequestedIn(t0, t1)
	for _, d := range ds[1:] {
		other, m := d.RequestedIn(t0, t1)
		mixed = mixed || m || other != mhz
	}
	return mhz, mixed
}

// FlagsIn implements account.Clocks: of any.
func (ds Drivers) FlagsIn(t0, t1 int64) event.Flags {
	var flags event.Flags
	for _, d := range ds {
		flags = flags.Union(d.FlagsIn(t0, t1))
	}
	return flags
}

// Confirmed implements account.Clocks: of all.
func (ds Drivers) Confirmed() int64 {
	t := int64(math.MaxInt64)
	for _, d := range ds {
		t = min(t, d.Confirmed())
	}
	return t
}

// Forget implements account.Clocks.
func (ds Drivers) Forget(t int64) {
	for _, d := range ds {
		d.Forget(t)
	}
}
