package clockguard

import (
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"

	"jouletop/gpu"
	"jouletop/gpu/timebase"
)

// fakeDevice is a GPU that notes the calls made to it.
type fakeDevice struct {
	gpu.Device // panics where the package uses more than it should
	info       gpu.Info
	mu         sync.Mutex
	calls      []int // clocks set, 0 for a reset
	err        error
}

func newFake() *fakeDevice {
	return &fakeDevice{info: gpu.Info{UUID: "GPU-fake", Name: "Fake", SMClocks: []int{345, 1005, 1500, 1980}}}
}

func (d *fakeDevice) Info() gpu.Info { return d.info }
func (d *fakeDevice) Close() error   { return nil }

func (d *fakeDevice) SetSMClock(mhz int) error { return d.call(mhz) }
func (d *fakeDevice) ResetSMClock() error      { return d.call(0) }

func (d *fakeDevice) call(mhz int) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.calls = append(d.calls, mhz)
	return d.err
}

func TestInProcess(t *testing.T) {
	dev := newFake()
	var log strings.Builder
	c, err := InProcess(dev, timebase.NewSim(0), Options{
		Bounds: Bounds{MinMHz: 1000}, Logger: slog.New(slog.NewTextHandler(&log, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	if !c.Armed() {
		t.Error("not armed from the start")
	}
	if err := c.Reset(); err != nil || len(dev.calls) != 0 {
		t.Errorf("reset before any set: %v, calls %v; want none", err, dev.calls)
	}
	if err := c.Set(1006); !errors.Is(err, gpu.ErrBadClock) {
		t.Errorf("Set(1006): %v, want %v", err, gpu.ErrBadClock)
	}
	if err := c.Set(345); !errors.Is(err, ErrBounds) {
		t.Errorf("Set(345): %v, want %v", err, ErrBounds)
	}
	if len(dev.calls) != 0 {
		t.Errorf("refused clocks reached the device: %v", dev.calls)
	}
	for _, mhz := range []int{1005, 1980} {
		if err := c.Set(mhz); err != nil {
			t.Error(err)
		}
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	if want := []int{1005, 1980, 0}; !slices.Equal(dev.calls, want) {
		t.Errorf("device saw %v, want %v", dev.calls, want)
	}
	if err := c.Set(1005); !errors.Is(err, ErrNotArmed) {
		t.Errorf("Set after Close: %v, want %v", err, ErrNotArmed)
	}
	if err := c.Reset(); err != nil {
		t.Errorf("Reset after Close: %v", err)
	}
	if err := c.Arm(true); err != nil || c.Set(1500) != nil {
		t.Error("cannot be armed again")
	}
	for _, want := range []string{"mhz=1005", "mhz=345", "outside the allowed bounds", "msg=bye"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("log lacks %q:\n%s", want, &log)
		}
	}
}

// What the driver refused needs no giving back; what may have happened does.
func TestFailedSet(t *testing.T) {
	tests := []struct {
		err  error
		want []int
	}{
		{gpu.ErrNoPermission, []int{1005}},
		{gpu.ErrNotSupported, []int{1005}},
		{gpu.ErrLost, []int{1005, 0}},
		{errors.New("timed out"), []int{1005, 0}},
	}
	for _, tt := range tests {
		dev := newFake()
		c, err := InProcess(dev, timebase.Monotonic(), Options{})
		if err != nil {
			t.Fatal(err)
		}
		dev.err = tt.err
		err = c.Set(1005)
		if err == nil || codeOf(err) != codeOf(tt.err) {
			t.Errorf("Set: %v, want %v", err, tt.err)
		}
		dev.err = nil
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		if !slices.Equal(dev.calls, tt.want) {
			t.Errorf("%v: device saw %v, want %v", tt.err, dev.calls, tt.want)
		}
	}
}

func TestReadOnly(t *testing.T) {
	if _, err := InProcess(newFake(), timebase.Monotonic(), Options{ReadOnly: true}); !errors.Is(err, gpu.ErrReadOnly) {
		t.Errorf("InProcess: %v, want %v", err, gpu.ErrReadOnly)
	}
}
