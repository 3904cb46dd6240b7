package gpu

import (
	"errors"
	"testing"
)

// plainDevice is a GPU that can be set, with two processes on it.
type plainDevice struct {
	Device
	set int
}

func (d *plainDevice) Info() Info            { return Info{UUID: "GPU-x"} }
func (d *plainDevice) SetSMClock(int) error  { d.set++; return nil }
func (d *plainDevice) ResetSMClock() error   { d.set++; return nil }
func (d *plainDevice) Poll() (Sample, error) { return Sample{SMMHz: 1980}, nil }
func (d *plainDevice) Processes() ([]Process, error) {
	return []Process{{PID: 7, Name: "own"}, {PID: 8, Name: "other"}}, nil
}

func TestReadOnly(t *testing.T) {
	dev := &plainDevice{}
	ro := ReadOnly(dev)
	if err := ro.SetSMClock(1980); !errors.Is(err, ErrReadOnly) {
		t.Error(err)
	}
	if err := ro.ResetSMClock(); !errors.Is(err, ErrReadOnly) {
		t.Error(err)
	}
	if dev.set != 0 {
		t.Error("it reached the device")
	}
	if s, err := ro.Poll(); err != nil || s.SMMHz != 1980 {
		t.Error(s, err)
	}
}

func TestOtherProcesses(t *testing.T) {
	list, err := OtherProcesses(&plainDevice{}, []int{7})
	if err != nil || len(list) != 1 || list[0].Name != "other" {
		t.Errorf("%v, %v", list, err)
	}
}
