package gpu

import "fmt"

// Enforcer is implemented by a Tuner that also tells what is in force of a knob: another
// limiter (the rack's, or one set out of band) may hold power below the limit that is set,
// and of the workload power profiles requested the driver may follow others.
type Enforcer interface {
	// Enforced reads what is in force of a knob whose state can be read, in the driver's
	// unit; ErrNotSupported where that is not told.
	Enforced(k KnobID) (int, error)
}

// EnforcedKnob reads what is in force of a device's knob; see Enforcer.
func EnforcedKnob(dev Device, k KnobID) (int, error) {
	if e, ok := As[Enforcer](dev); ok {
		return e.Enforced(k)
	}
	return -1, fmt.Errorf("%w: the %s in force", ErrNotSupported, k.Title())
}

// roundedMW is by how much a power limit in force may be below the one set and be it.
const roundedMW = 1000

// InForce tells whether what is set of a knob is in force, by what is enforced.
func (k KnobID) InForce(set, enforced int) bool {
	switch k {
	case KnobPower:
		return enforced > set-roundedMW
	case KnobProfile:
		return set&^enforced == 0
	}
	return enforced == set
}
