package sampler

import (
	"fmt"
	"testing"
	"time"

	"jouletop/gpu"
	"jouletop/gpu/timebase"
)

// counting is a device whose driver counts for how long limits held the clocks.
type counting struct {
	*fakeDevice
	reads int
	err   func(n int) error
}

func (d *counting) LimitTimes() (gpu.LimitTimes, error) {
	d.reads++
	if err := d.err(d.reads); err != nil {
		return gpu.NoLimitTimes(), err
	}
	return gpu.LimitTimes{Power: d.clk.Now() / 2, Heat: -1, Board: -1, Reliability: -1}, nil
}

// The counters of limits are read once a second, at the times they are told with; where
// there are none, or they are gone for good, nobody asks again, and a failure now and then
// is one.
func TestLimitTimes(t *testing.T) {
	for name, c := range map[string]struct {
		err         func(n int) error
		told, reads int // in 24 s
	}{
		"read":          {func(int) error { return nil }, 10, 11},
		"not supported": {func(int) error { return fmt.Errorf("x: %w", gpu.ErrNotSupported) }, 0, 1},
		"gone later": {func(n int) error {
			if n > 4 {
				return gpu.ErrNoPermission
			}
			return nil
		}, 3, 5},
		"absurd at times": {func(n int) error {
			if n%2 == 0 {
				return gpu.ErrAbsurd
			}
			return nil
		}, 5, 11},
	} {
		sim := timebase.NewSim(0)
		dev := &counting{fakeDevice: steady(sim, 300), err: c.err}
		told, done := 0, make(chan struct{})
		sim.Go(func() {
			defer close(done)
			s := Start(dev, Options{Clock: sim, LimitTimes: func(at int64, l gpu.LimitTimes) {
				told++
				if l.Power != at/2 {
					t.Errorf("%s: %d ns told of %d", name, l.Power, at)
				}
			}})
			_ = sim.Sleep(background, 24*time.Second)
			s.Stop()
		})
		<-done
		if told != c.told || dev.reads != c.reads {
			t.Errorf("%s: told %d times of %d reads, want %d of %d", name, told, dev.reads, c.told, c.reads)
		}
	}
}
