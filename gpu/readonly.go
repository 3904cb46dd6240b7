package gpu

// ReadOnly returns dev without the power to change anything: SetSMClock and
// ResetSMClock return ErrReadOnly and never reach it. The result implements
// Loadable if dev does: what is simulated to run is no setting of a GPU.
func ReadOnly(dev Device) Device {
	if l, ok := dev.(Loadable); ok {
		return struct {
			readOnly
			Loadable
		}{readOnly{dev}, l}
	}
	return readOnly{dev}
}

type readOnly struct{ Device }

func (readOnly) SetSMClock(int) error { return ErrReadOnly }
func (readOnly) ResetSMClock() error  { return ErrReadOnly }
