package gpu

// ReadOnly returns dev without the power to change anything: SetSMClock and
// ResetSMClock return ErrReadOnly and never reach it. The result implements Poller,
// and Recoverer with it, if dev does.
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

func (readOnly) SetSMClock(int) error { return ErrReadOnly }
func (readOnly) ResetSMClock() error  { return ErrReadOnly }
