package clocks

import (
	"jouletop/gpu"
	"jouletop/gpu/clockguard"
)

// Control sets and gives back the knobs of one GPU, and tells when the driver was
// called. clockguard.Client implements it; every change goes through
// it.
type Control interface {
	// SetTimed locks the SM clock to mhz and returns once the driver's call has.
	SetTimed(mhz int) (clockguard.Timing, error)
	// ResetTimed gives the clock back to the driver. It is harmless when nothing
	// is set.
	ResetTimed() (clockguard.Timing, error)
	// SetKnob sets another knob, in the driver's unit, and returns what is in force
	// then, as far as that can be read.
	SetKnob(k gpu.KnobID, v int) (t clockguard.Timing, got int, err error)
	// ResetKnob gives it back.
	ResetKnob(k gpu.KnobID) (clockguard.Timing, error)
	// Arm switches clock control on, starting a guard in place of one that was
	// lost, or off.
	Arm(on bool) error
	// OnLoss has f told when the guard ends by itself and the clock with it. f
	// must not call the control.
	OnLoss(f func(clockguard.Loss))
	// HeldUntil returns the time in ns up to which the clock set last is known to
	// have been in force; math.MaxInt64 where nothing can take it away.
	HeldUntil() int64
}
