//go:build cgo

package nvml

import (
	"errors"
	"math"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/NVIDIA/go-nvml/pkg/nvml"

	"jouletop/gpu"
	"jouletop/gpu/nvml/fakenvml"
)

// How busy each process keeps the GPU is told once a sample, and not at all where the
// driver does not say.
func TestProcessUse(t *testing.T) {
	st := fake(t, fakenvml.H100(), fakenvml.H100().With(fakenvml.Unsupported, fakenvml.NoProcessUse))
	st.GPU(0).SetProcesses(fakenvml.Process{PID: 7, SMPct: 63, MemPct: 20}, fakenvml.Process{PID: 8, SMPct: 200}, fakenvml.Process{PID: 9})
	d := open(t, 0)
	seen := 0
	for range 40 { // the driver's sample is of a whole second
		use, err := d.ProcessUse()
		if err != nil {
			t.Fatal(err)
		}
		if len(use) == 0 {
			time.Sleep(20 * time.Millisecond)
			continue
		}
		seen++
		if len(use) != 1 || use[0] != (gpu.ProcessUse{PID: 7, SMPct: 63, MemPct: 20}) {
			t.Errorf("%+v", use)
		}
	}
	if seen < 1 || seen > 3 {
		t.Errorf("%d samples in less than a second", seen)
	}
	if _, err := open(t, 1).ProcessUse(); !errors.Is(err, gpu.ErrNotSupported) {
		t.Error(err)
	}
}

// Old samples, repeated ones and values that cannot be are left out.
func TestNewestUses(t *testing.T) {
	s := func(pid uint32, at uint64, sm, mem uint32) nvml.ProcessUtilizationSample {
		return nvml.ProcessUtilizationSample{Pid: pid, TimeStamp: at, SmUtil: sm, MemUtil: mem}
	}
	got, newest := newestUses([]nvml.ProcessUtilizationSample{s(1, 50, 30, 1), s(1, 70, 40, 1), s(1, 60, 35, 1), s(2, 10, 9, 1), s(3, 70, 101, 1), s(4, 70, 5, 1000), s(0, 70, 5, 1)}, 40, 0)
	if newest != 70 || len(got) != 2 || got[0] != (gpu.ProcessUse{PID: 1, SMPct: 40, MemPct: 1}) || got[1].PID != 4 || !math.IsNaN(got[1].MemPct) {
		t.Errorf("%v %+v", newest, got)
	}
	if got, newest = newestUses([]nvml.ProcessUtilizationSample{s(1, 50, 30, 1), s(2, 90, 30, 1)}, 0, 80); newest != 90 || len(got) != 1 || got[0].PID != 2 {
		t.Errorf("at first: %v %+v", newest, got)
	}
}

// bus makes what the system says of the GPU on bus 1.
func bus(t *testing.T, files map[string]string) {
	dir := t.TempDir()
	was, wasDriver := pciDevices, driverGPUs
	t.Cleanup(func() { pciDevices, driverGPUs = was, wasDriver })
	pciDevices, driverGPUs = filepath.Join(dir, "devices"), filepath.Join(dir, "gpus")
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// Whether a GPU sleeps, and may, is read from the bus.
func TestSleepOnTheBus(t *testing.T) {
	const pci = "0000:01:00.0"
	of := func(name string) string { return "devices/" + pci + "/" + name }
	for _, tt := range []struct {
		name        string
		files       map[string]string
		asleep, may bool
	}{
		{"nothing known", nil, false, false},
		{"in use", map[string]string{of("power/runtime_status"): "active", of("power/control"): "auto", of("power_state"): "D0"}, false, true},
		{"asleep", map[string]string{of("power/runtime_status"): "suspended", of("power/control"): "auto"}, true, true},
		{"its state alone", map[string]string{of("power_state"): "D3cold"}, true, false},
		{"a server's, always on", map[string]string{of("power/runtime_status"): "active", of("power/control"): "on"}, false, false},
		{"not by this driver", map[string]string{of("power/control"): "auto", "gpus/" + pci + "/power": "Runtime D3 status:          Not supported\nVideo Memory:  Active"}, false, false},
		{"by this driver", map[string]string{of("power/control"): "auto", "gpus/" + pci + "/power": "Runtime D3 status:          Enabled (fine-grained)"}, false, true},
	} {
		bus(t, tt.files)
		if a, m := Suspended(pci), maySleep(pci); a != tt.asleep || m != tt.may {
			t.Errorf("%s: asleep %v, may sleep %v", tt.name, a, m)
		}
	}
	bus(t, map[string]string{
		"devices/0000:01:00.0/vendor": "0x10de", "devices/0000:01:00.0/class": "0x030200",
		"devices/0000:01:00.1/vendor": "0x10de", "devices/0000:01:00.1/class": "0x040300", // its sound
		"devices/0000:02:00.0/vendor": "0x1002", "devices/0000:02:00.0/class": "0x030000",
	})
	if got := OnBus(); len(got) != 1 || got[0] != pci {
		t.Errorf("%v", got)
	}
	if Suspended("") || maySleep("") {
		t.Error("a GPU on no bus")
	}
}

// A device that rests holds the driver no more, reads nothing, and goes on when resumed.
func TestRest(t *testing.T) {
	fake(t, fakenvml.H100(), fakenvml.H100())
	a, b := open(t, 0), open(t, 1)
	if err := a.Rest(); err != nil {
		t.Fatal(err)
	}
	for what, err := range map[string]error{
		"poll": second(a.Poll()), "average": second(a.ReadPower(gpu.SourceAverage)), "processes": second(a.Processes()), "use": second(a.ProcessUse()),
	} {
		if !errors.Is(err, gpu.ErrResting) {
			t.Errorf("%s of a device that rests: %v", what, err)
		}
	}
	if _, err := b.Poll(); err != nil {
		t.Errorf("the other, while one rests: %v", err)
	}
	if err := b.Rest(); err != nil {
		t.Fatal(err)
	}
	if _, ret := a.lib.DeviceGetCount(); ret != nvml.ERROR_UNINITIALIZED {
		t.Errorf("both rest, and the library is in use: %v", ret)
	}
	for _, d := range []*Device{a, b} {
		if err := d.Resume(); err != nil {
			t.Fatal(err)
		}
		if s, err := d.Poll(); err != nil || s.SMMHz != 1980 {
			t.Errorf("%+v, %v", s, err)
		}
	}
	if err := a.Rest(); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Poll(); err != nil {
		t.Error(err)
	}
}

// Whoever asks for the processes while the GPU is let go of and taken again hears of them,
// or that it rests, and nothing else.
func TestProcessesWhileItRests(t *testing.T) {
	fake(t, fakenvml.H100())
	d := open(t, 0)
	done, begun := make(chan error), make(chan struct{})
	go func() {
		<-begun
		for range 300 {
			if err := errors.Join(d.Rest(), d.Resume()); err != nil {
				done <- err
				return
			}
		}
		close(done)
	}()
	for asked := 0; ; asked++ {
		select {
		case err := <-done:
			if err != nil {
				t.Fatal(err)
			}
			return
		default:
		}
		if _, err := d.Processes(); err != nil && !errors.Is(err, gpu.ErrResting) {
			t.Fatalf("asked %d times: %v", asked, err)
		}
		if asked == 0 {
			close(begun)
		}
	}
}

func second[T any](_ T, err error) error { return err }
