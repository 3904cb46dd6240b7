package gpu

// ReadOnly returns dev without the power to change anything: what sets or resets a
// knob returns ErrReadOnly and never reaches it. The result implements Tuner, and
// Poller, and Recoverer with it, if dev does.
func ReadOnly(dev Device) Device {
	r := readOnly{dev}
	type recoveringPoller interface {
		Poller
		Recoverer
	}
	switch d := dev.(type) {
	case recoveringPoller:
		return struct {
			readOnly
			recoveringPoller
		}{r, d}
	case Poller:
		return struct {
			readOnly
			Poller
		}{r, d}
	}
	return r
}

type readOnly struct{ Device }

// Unwrap returns what is read.
func (r readOnly) Unwrap() Device { return r.Device }

// As returns dev, or what it wraps, as what it can be besides a Device: a [ProcessMeter], a
// [Sleeper].
func As[T any](dev Device) (T, bool) {
	for {
		if t, ok := dev.(T); ok {
			return t, true
		}
		w, ok := dev.(interface{ Unwrap() Device })
		if !ok {
			var none T
			return none, false
		}
		dev = w.Unwrap()
	}
}

func (readOnly) SetSMClock(int) error { return ErrReadOnly }
func (readOnly) ResetSMClock() error  { return ErrReadOnly }

var _ Tuner = readOnly{}

// Knobs lists the device's knobs, as KnobsOf does.
func (r readOnly) Knobs() []Knob               { return KnobsOf(r.Device) }
func (r readOnly) State(k KnobID) (int, error) { return KnobState(r.Device, k) }
func (readOnly) Set(KnobID, int) error         { return ErrReadOnly }
func (readOnly) Reset(KnobID) error            { return ErrReadOnly }
