//go:build cgo

package nvml

import (
	"errors"
	"testing"
	"time"

	"jouletop/gpu"
	"jouletop/gpu/nvml/fakenvml"
)

func counting(t *testing.T, conf fakenvml.Config) (*Device, fakenvml.GPU) {
	t.Helper()
	st := fake(t, conf)
	d, err := Open(0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	return d, st.GPU(0)
}

// The driver's counters are read where they are found at the start, each for itself; what it
// does not count, or says that cannot be, is unknown.
func TestLimitTimes(t *testing.T) {
	d, g := counting(t, fakenvml.H100().With(fakenvml.PowerHeldMilli, 400).With(fakenvml.HeatHeldNS, 3e9))
	first, err := d.LimitTimes()
	if err != nil || first.Power <= 0 || first.Heat != 3e9 || first.Board != 0 || first.Reliability != 0 {
		t.Fatalf("%+v, %v", first, err)
	}
	time.Sleep(50 * time.Millisecond)
	if next, err := d.LimitTimes(); err != nil || next.Power-first.Power < 15e6 || next.Heat != first.Heat {
		t.Errorf("50 ms later %+v, %v", next, err)
	}
	g.Set(fakenvml.PowerHeldNS, -1) // all ones
	g.Set(fakenvml.PowerHeldMilli, 0)
	if l, err := d.LimitTimes(); err != nil || l.Power != -1 || l.Heat != 3e9 {
		t.Errorf("absurd: %+v, %v", l, err)
	}
	g.Set(fakenvml.Lost, 1)
	if l, err := d.LimitTimes(); !errors.Is(err, gpu.ErrLost) || l.Known() {
		t.Errorf("lost: %+v, %v", l, err)
	}
	g.Set(fakenvml.Lost, 0)
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := d.LimitTimes(); err == nil {
		t.Error("a closed GPU counts")
	}
	some, _ := counting(t, fakenvml.H100().With(fakenvml.LimitsCounted, 2))
	if l, err := some.LimitTimes(); err != nil || l.Power != -1 || l.Heat != 0 {
		t.Errorf("heat alone: %+v, %v", l, err)
	}
	none, _ := counting(t, fakenvml.H100().With(fakenvml.LimitsCounted, 0))
	if _, err := none.LimitTimes(); !errors.Is(err, gpu.ErrNotSupported) {
		t.Errorf("none: %v", err)
	}
}
