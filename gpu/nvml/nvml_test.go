//go:build cgo

package nvml

import (
	"errors"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"jouletop/gpu"
	"jouletop/gpu/nvml/fakenvml"
)

// fake makes this process use the fake library on the given GPUs.
func fake(t *testing.T, gpus ...fakenvml.Config) *fakenvml.State {
	t.Helper()
	lib, err := fakenvml.Build()
	if err != nil {
		t.Skip(err)
	}
	st, err := fakenvml.Create(filepath.Join(t.TempDir(), "gpu"), gpus...)
	if err != nil {
		t.Fatal(err)
	}
	st.Setenv(t, lib)
	return st
}

func open(t *testing.T, index int) *Device {
	t.Helper()
	d, err := Open(index)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	return d
}

func TestIdentity(t *testing.T) {
	fake(t, fakenvml.H100(), fakenvml.Config{Name: "Other", UUID: "GPU-0badc0de-1", Fields: fakenvml.H100().Fields})
	info := open(t, 0).Info()
	if info.Name != "NVIDIA H100 80GB HBM3 (fake)" || info.Driver != "580.00.fake" || info.VBIOS == "" {
		t.Errorf("%+v", info)
	}
	if info.MinSM() != 345 || info.MaxSM() != 1980 || len(info.SMClocks) != 110 || !slices.IsSorted(info.SMClocks) || info.MemMHz != 2619 {
		t.Errorf("clocks %v, memory %d", info.SMClocks, info.MemMHz)
	}
	if info.PowerLimitW != 700 || info.MemoryMiB != 81559 || info.Simulated() || len(info.Hidden) != 0 {
		t.Errorf("%+v", info)
	}
	list, err := List()
	if err != nil || len(list) != 2 || list[1].Name != "Other" || list[1].Index != 1 {
		t.Errorf("%v, %v", list, err)
	}
	if got := list[1].ID(); got != "1:GPU-0badc0de" {
		t.Errorf("id %q", got)
	}
}

func TestFind(t *testing.T) {
	conf := fakenvml.H100()
	conf.UUID = "GPU-0badc0de-0000-1"
	other := conf
	other.UUID = "GPU-0badcafe-0000-2"
	fake(t, conf, other)
	for sel, want := range map[string]int{"0": 0, "1": 1, "GPU-0badc0de-0000-1": 0, "gpu-0badCAFE": 1} {
		if i, err := Find(sel); err != nil || i != want {
			t.Errorf("Find(%q) = %d, %v; want %d", sel, i, err, want)
		}
	}
	for _, sel := range []string{"2", "-1", "GPU-0bad", "GPU-1", "", "x"} {
		if i, err := Find(sel); !errors.Is(err, gpu.ErrNoGPU) {
			t.Errorf("Find(%q) = %d, %v; want an error wrapping ErrNoGPU", sel, i, err)
		}
	}
}

func TestPoll(t *testing.T) {
	st := fake(t, fakenvml.H100())
	g := st.GPU(0)
	g.Set(fakenvml.GPUUtil, 97)
	g.Set(fakenvml.TensorMilliPct, 43210)
	g.Set(fakenvml.DRAMMilliPct, 12500)
	g.Set(fakenvml.CapMHz, 1910)
	d := open(t, 0)
	s, err := d.Poll()
	if err != nil {
		t.Fatal(err)
	}
	if s.SMMHz != 1910 || s.MemMHz != 2619 || s.TempC != 34 || s.GPUUtil != 97 || s.MemUsedMiB != 512 {
		t.Errorf("%+v", s)
	}
	if s.Throttle != gpu.ThrottleSWPowerCap || !s.Throttle.Limits() {
		t.Errorf("throttle %v", s.Throttle)
	}
	if !math.IsNaN(s.TensorUtil) {
		t.Errorf("tensor utilisation %v from one sample of GPM", s.TensorUtil)
	}
	time.Sleep(100 * time.Millisecond) // GPM sets the pace here
	if s, _ = d.Poll(); s.TensorUtil != 43.21 || s.DRAMUtil != 12.5 {
		t.Errorf("tensor %v, DRAM %v", s.TensorUtil, s.DRAMUtil)
	}
	// In between the last value stands.
	if s, _ = d.Poll(); s.TensorUtil != 43.21 {
		t.Errorf("tensor %v at once after", s.TensorUtil)
	}
}

func TestPollFailsNowAndThen(t *testing.T) {
	st := fake(t, fakenvml.H100())
	d := open(t, 0)
	st.GPU(0).Set(fakenvml.ReadFaultEvery, 7)
	failed, known := 0, 0
	for range 50 {
		s, err := d.Poll()
		if err != nil {
			failed++
			if !strings.Contains(err.Error(), "reading the ") || !strings.Contains(err.Error(), "999") {
				t.Fatalf("error %q does not say what failed", err)
			}
		}
		if s.SMMHz == 1980 {
			known++
		}
	}
	if failed < 15 || known < 40 {
		t.Errorf("%d polls failed in part, %d knew the clock", failed, known)
	}
}

func TestClockControl(t *testing.T) {
	st := fake(t, fakenvml.H100().With(fakenvml.SettleNS, 0), fakenvml.H100())
	if os.Geteuid() != 0 {
		st.GPU(0).Set(fakenvml.Permission, fakenvml.Anybody)
	}
	d := open(t, 0)
	if err := d.SetSMClock(1005); err != nil {
		t.Fatal(err)
	}
	if lo, hi, ok := st.GPU(0).Locked(); lo != 1005 || hi != 1005 || !ok {
		t.Errorf("locked to %d, %d, %v", lo, hi, ok)
	}
	if _, _, ok := st.GPU(1).Locked(); ok {
		t.Error("the other GPU is locked")
	}
	if s, err := d.Poll(); err != nil || s.SMMHz != 1005 || s.Throttle != gpu.ThrottleAppClocks {
		t.Errorf("%+v, %v", s, err)
	}
	for _, mhz := range []int{0, 344, 1000, 1981, -5} {
		if err := d.SetSMClock(mhz); !errors.Is(err, gpu.ErrBadClock) {
			t.Errorf("%d MHz: %v", mhz, err)
		}
	}
	_ = d.Close()
	if _, _, ok := st.GPU(0).Locked(); !ok {
		t.Error("closing gave the clock back")
	}
	if err := d.ResetSMClock(); err != nil {
		t.Fatal(err)
	}
	if _, _, ok := st.GPU(0).Locked(); ok {
		t.Error("still locked after the reset")
	}
	log := st.Log()
	if len(log) != 2 || log[0].MinMHz != 1005 || log[0].PID != os.Getpid() || !log[1].Reset || log[1].EndNS < log[1].StartNS {
		t.Errorf("log %+v", log)
	}
	ro := gpu.ReadOnly(d)
	if err := errors.Join(ro.SetSMClock(1005), ro.ResetSMClock()); !errors.Is(err, gpu.ErrReadOnly) || len(st.Log()) != 2 {
		t.Errorf("read-only: %v, %d calls", err, len(st.Log()))
	}
}

func TestErrors(t *testing.T) {
	set := func(d *Device) error { return d.SetSMClock(1005) }
	reset := func(d *Device) error { return d.ResetSMClock() }
	poll := func(d *Device) error { _, err := d.Poll(); return err }
	power := func(d *Device) error { _, err := d.ReadPower(gpu.SourceCounter); return err }
	for _, tc := range []struct {
		name  string
		field fakenvml.Field
		value int64
		do    func(*Device) error
		want  error
	}{
		{"no permission to set", fakenvml.Permission, fakenvml.Nobody, set, gpu.ErrNoPermission},
		{"no permission to reset", fakenvml.Permission, fakenvml.Nobody, reset, gpu.ErrNoPermission},
		{"set not supported", fakenvml.Unsupported, fakenvml.NoLock, set, gpu.ErrNotSupported},
		{"lost before set", fakenvml.Lost, 1, set, gpu.ErrLost},
		{"lost before poll", fakenvml.Lost, 1, poll, gpu.ErrLost},
		{"lost before power", fakenvml.Lost, 1, power, gpu.ErrLost},
		{"set needs a GPU reset", fakenvml.SetFault, fakenvml.CodeResetRequired, set, gpu.ErrLost},
	} {
		t.Run(tc.name, func(t *testing.T) {
			st := fake(t, fakenvml.H100().With(fakenvml.SetFaultLeft, -1))
			d := open(t, 0)
			st.GPU(0).Set(tc.field, tc.value)
			err := tc.do(d)
			if !errors.Is(err, tc.want) {
				t.Errorf("%v; want one wrapping %q", err, tc.want)
			}
			if err != nil && strings.Contains(err.Error(), "\n") {
				t.Errorf("more than a line: %q", err)
			}
		})
	}
	t.Run("no driver", func(t *testing.T) {
		st := fake(t, fakenvml.H100())
		st.SetInitFault(fakenvml.CodeDriverNotLoaded)
		if _, err := Open(0); !errors.Is(err, gpu.ErrNoGPU) {
			t.Error(err)
		}
		if _, err := List(); !errors.Is(err, gpu.ErrNoGPU) {
			t.Error(err)
		}
	})
	t.Run("no GPU of that index", func(t *testing.T) {
		fake(t, fakenvml.H100())
		if _, err := Open(1); !errors.Is(err, gpu.ErrNoGPU) || !strings.Contains(err.Error(), "1") {
			t.Error(err)
		}
	})
	t.Run("no GPU at all", func(t *testing.T) {
		fake(t)
		if n, err := Count(); n != 0 || err != nil {
			t.Error(n, err)
		}
		if _, err := Open(0); !errors.Is(err, gpu.ErrNoGPU) {
			t.Error(err)
		}
	})
}

// A process of its own, since a process keeps the library it has loaded.
func TestNoLibrary(t *testing.T) {
	if os.Getenv("TEST_NO_LIBRARY") != "" {
		if _, err := Open(0); !errors.Is(err, gpu.ErrNoGPU) || !strings.Contains(err.Error(), "libnvidia-ml") {
			t.Fatal(err)
		}
		return
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestNoLibrary$")
	cmd.Env = append(os.Environ(), "TEST_NO_LIBRARY=1", EnvLibrary+"=/nonexistent/libnvidia-ml.so.1")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

func TestHidden(t *testing.T) {
	fake(t, fakenvml.H100().With(fakenvml.MIG, 1).With(fakenvml.Unsupported,
		fakenvml.NoGPM|fakenvml.NoClockList|fakenvml.NoThrottle|fakenvml.NoBuffer|fakenvml.NoInstant))
	d := open(t, 0)
	hidden := strings.Join(d.Info().Hidden, "\n")
	for _, want := range []string{"MIG", "GPM", "utilisation is not", "clocks cannot be set", "Throttle reasons"} {
		if !strings.Contains(hidden, want) {
			t.Errorf("nothing of %q in:\n%s", want, hidden)
		}
	}
	if s, err := d.Poll(); err != nil || !math.IsNaN(s.GPUUtil) || s.SMMHz != 1980 {
		t.Errorf("%+v, %v", s, err)
	}
	var names []string
	for _, s := range d.PowerSources() {
		names = append(names, s.Name)
	}
	if want := []string{gpu.SourceAverage, gpu.SourceCounter}; !slices.Equal(names, want) {
		t.Errorf("sources %v, want %v", names, want)
	}
	if _, err := d.ReadPowerBuffer(0); !errors.Is(err, gpu.ErrNotSupported) {
		t.Error(err)
	}
	if _, err := d.ReadPower("buffer"); !errors.Is(err, gpu.ErrNotSupported) {
		t.Error(err)
	}
}

func TestProcesses(t *testing.T) {
	st := fake(t, fakenvml.H100())
	d := open(t, 0)
	if list, err := d.Processes(); err != nil || len(list) != 0 {
		t.Errorf("%v, %v", list, err)
	}
	me := os.Getpid()
	procs := []fakenvml.Process{{PID: me, MemoryMiB: 700}, {PID: me, Kind: fakenvml.Graphics, MemoryMiB: 10}}
	for i := range 9 { // more than one call of NVML's size protocol
		procs = append(procs, fakenvml.Process{PID: 1<<30 + i, Kind: fakenvml.MPS, MemoryMiB: 5})
	}
	st.GPU(0).SetProcesses(procs...)
	list, err := d.Processes()
	if err != nil || len(list) != 10 {
		t.Fatalf("%v, %v", list, err)
	}
	if list[0].PID != me || list[0].MemoryMiB != 700 || list[0].Name != filepath.Base(os.Args[0]) || list[1].Name != "?" {
		t.Errorf("%+v", list[:2])
	}
	others, err := gpu.OtherProcesses(d, []int{me})
	if err != nil || len(others) != 9 {
		t.Errorf("others %v, %v", others, err)
	}
}

// The sources show one square wave each in its own way; see fakenvml.
func TestPower(t *testing.T) {
	st := fake(t, fakenvml.H100())
	g := st.GPU(0)
	g.Set(fakenvml.PowerLowMW, 100_000)
	g.Set(fakenvml.PowerHighMW, 500_000)
	g.Set(fakenvml.PowerPeriodNS, 1e9) // so that the 1 s average is always 300 W
	d := open(t, 0)
	if r, err := d.ReadPower(gpu.SourceAverage); err != nil || r.PowerW != 300 || !math.IsNaN(r.CounterJ) {
		t.Errorf("%+v, %v", r, err)
	}
	r, err := d.ReadPower(gpu.SourceInstant)
	if err != nil || r.PowerW < 100 || r.PowerW > 500 || r.TimeNS > d.clock.Now() || r.TimeNS < d.clock.Now()-1e9 {
		t.Errorf("%+v, %v", r, err)
	}
	r, err = d.ReadPower(gpu.SourceCounter)
	if err != nil || math.Abs(r.CounterJ-float64(r.TimeNS)/1e9*300) > 100 || !math.IsNaN(r.PowerW) {
		t.Errorf("%+v, %v", r, err)
	}

	buf, err := d.ReadPowerBuffer(0)
	if err != nil || len(buf) != 120 {
		t.Fatalf("%d samples, %v", len(buf), err)
	}
	for i, r := range buf {
		if i > 0 && abs(r.TimeNS-buf[i-1].TimeNS-20*ms) > 100_000 {
			t.Fatalf("sample %d is %d ns after the one before", i, r.TimeNS-buf[i-1].TimeNS)
		}
		if off := r.TimeNS % (20 * ms); off > 200_000 && off < 20*ms-200_000 {
			t.Fatalf("sample %d at %d ns: off the driver's 20 ms grid by %d ns", i, r.TimeNS, off)
		}
		want := 500.0
		if end := (r.TimeNS + 10*ms) / (20 * ms) % 50; end > 25 || end == 0 {
			want = 100
		}
		if r.PowerW != want || !r.Fresh || r.Source != gpu.SourceBuffer {
			t.Fatalf("sample %d: %+v, want %v W", i, r, want)
		}
	}
	last := buf[len(buf)-1].TimeNS
	if more, err := d.ReadPowerBuffer(last); err != nil || len(more) > 1 {
		t.Errorf("%v, %v: expected nothing or one more", more, err)
	}
	time.Sleep(45 * time.Millisecond)
	more, err := d.ReadPowerBuffer(last)
	if err != nil || len(more) < 2 || more[0].TimeNS < last+19*ms || more[0].TimeNS > last+21*ms {
		t.Errorf("after 45 ms: %v, %v", more, err)
	}
}

// A call that takes long, or whose thread loses the processor, moves no time stamp:
// the driver goes on recording while it runs.
func TestBufferReadSlowly(t *testing.T) {
	const period = 20 * ms
	fake(t, fakenvml.H100().With(fakenvml.BufferCallUS, 45_000))
	d := open(t, 0)
	for range 6 {
		buf, err := d.ReadPowerBuffer(0)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range buf {
			if off := (r.TimeNS+period/2)%period - period/2; abs(off) > ms {
				t.Fatalf("a sample is stamped %v off the time it was taken", time.Duration(off))
			}
		}
	}
}

func TestBufferOnAnotherClock(t *testing.T) {
	st := fake(t, fakenvml.H100())
	d := open(t, 0)
	st.ShiftStamps(3 * time.Second)
	if _, err := d.ReadPowerBuffer(0); err != nil { // sees the future, corrects
		t.Fatal(err)
	}
	buf, err := d.ReadPowerBuffer(0)
	if err != nil || len(buf) != 120 {
		t.Fatal(len(buf), err)
	}
	if age := d.clock.Now() - buf[119].TimeNS; age < -ms || age > 100*ms {
		t.Errorf("the newest sample is %d ms old", age/ms)
	}
}

// Samples stamped on another clock than the wall clock are placed by how they go on.
func TestBufferStampedOnAnotherClock(t *testing.T) {
	for _, by := range []time.Duration{-3 * time.Hour, 3 * time.Hour, -2 * time.Second} {
		st := fake(t, fakenvml.H100().With(fakenvml.StampShiftNS, int64(by)))
		_ = st
		d := open(t, 0)
		after := d.clock.Now()
		var last gpu.PowerReading
		for end := after + int64(1500*time.Millisecond); d.clock.Now() < end; time.Sleep(20 * time.Millisecond) {
			rs, err := d.ReadPowerBuffer(after)
			if err != nil {
				t.Fatal(err)
			}
			now := d.clock.Now()
			for _, r := range rs {
				if r.TimeNS > now+int64(time.Millisecond) && by < 0 {
					t.Fatalf("%v: a sample of %v from now", by, time.Duration(r.TimeNS-now))
				}
				if r.TimeNS <= now+int64(time.Second) {
					last, after = r, r.TimeNS
				}
			}
		}
		if age := d.clock.Now() - last.TimeNS; by < -time.Minute || by > 0 {
			if age < 0 || age > int64(150*time.Millisecond) {
				t.Errorf("%v: the newest sample is %v old", by, time.Duration(age))
			}
		}
	}
}

// After a reload of the driver the device goes on where it is told to recover.
func TestRecoversAfterAReload(t *testing.T) {
	st := fake(t, fakenvml.H100())
	d := open(t, 0)
	p, err := d.StartPolling(2*time.Millisecond, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Stop()
	st.ReloadDriver()
	if _, err := d.Poll(); !errors.Is(err, gpu.ErrNoGPU) {
		t.Fatalf("after the reload: %v, want one wrapping ErrNoGPU", err)
	}
	time.Sleep(10 * time.Millisecond)
	if err := d.Recover(); err != nil {
		t.Fatal(err)
	}
	if s, err := d.Poll(); err != nil || s.SMMHz != 1980 {
		t.Errorf("%+v, %v", s, err)
	}
	time.Sleep(1100 * time.Millisecond) // a lost GPU is tried once a second
	polls := p.Read(nil)
	if last := polls[len(polls)-1]; last.Err != nil || last.Sample.SMMHz != 1980 {
		t.Errorf("the poller: %+v", last)
	}
	failed := 0
	for _, q := range polls {
		if q.Err != nil {
			failed++
		}
	}
	if failed == 0 || failed > 2 {
		t.Errorf("%d polls failed", failed)
	}
}
