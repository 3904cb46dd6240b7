package gpu

// ReadOnly returns dev without the power to change anything: SetSMClock and
// ResetSMClock return ErrReadOnly and never reach it. The result implements
// Poller, Recoverer (with Poller) or Loadable if dev does: what is simulated to run is no setting.
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
	case Loadable:
		return struct {
			readOnly
			Loadable
		}{r, d}
	}
	return r
}

type readOnly struct{ Device }

func (readOnly) SetSMClock(int) error { return ErrReadOnly }
func (readOnly) ResetSMClock() error  { return ErrReadOnly }
