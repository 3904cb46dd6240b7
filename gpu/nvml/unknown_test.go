//go:build cgo

package nvml

import (
	"errors"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"jouletop/gpu"
	"jouletop/gpu/nvml/fakenvml"
)

const allOnes = 0xffffffff

// What a driver says in place of "unknown", in calls that succeed.
func TestAbsurdValuesAreUnknown(t *testing.T) {
	conf := fakenvml.H100()
	for f, v := range map[fakenvml.Field]int64{
		fakenvml.UnlockedMHz: 65535, fakenvml.TempC: allOnes - 1e6, fakenvml.GPUUtil: allOnes, fakenvml.MemUsedMiB: 1<<44 - 1,
		fakenvml.MemTotalMiB: 1<<44 - 1, fakenvml.PowerLimitMW: allOnes, fakenvml.PowerLowMW: allOnes, fakenvml.PowerHighMW: allOnes,
		fakenvml.CounterOffsetMJ: math.MaxInt64, fakenvml.TensorMilliPct: math.MaxInt64, fakenvml.DRAMMilliPct: math.MaxInt64,
	} {
		conf = conf.With(f, v)
	}
	st := fake(t, conf)
	d := open(t, 0)
	i := d.Info()
	if !math.IsNaN(i.PowerLimitW) || i.MemoryMiB != -1 {
		t.Errorf("limit %v W, memory %d MiB", i.PowerLimitW, i.MemoryMiB)
	}
	if s := d.PowerSources(); len(s) != 4 { // they are there; reading them says what they are worth
		t.Errorf("sources %v; hidden: %q", s, i.Hidden)
	}
	check := func(s gpu.Sample, err error) {
		t.Helper()
		if err != nil || s.SMMHz != -1 || !math.IsNaN(s.TempC) || !math.IsNaN(s.GPUUtil) || !math.IsNaN(s.MemUsedMiB) ||
			!math.IsNaN(s.TensorUtil) || !math.IsNaN(s.DRAMUtil) {
			t.Errorf("%+v, %v", s, err)
		}
	}
	check(d.Poll())
	time.Sleep(110 * time.Millisecond) // GPM's pace
	check(d.Poll())
	for _, source := range []string{gpu.SourceAverage, gpu.SourceInstant, gpu.SourceCounter} {
		if r, err := d.ReadPower(source); !errors.Is(err, gpu.ErrAbsurd) || !math.IsNaN(r.PowerW) || !math.IsNaN(r.CounterJ) {
			t.Errorf("%s: %+v, %v", source, r, err)
		}
	}
	if rs, err := d.ReadPowerBuffer(0); !errors.Is(err, gpu.ErrAbsurd) || len(rs) > 0 {
		t.Errorf("buffer: %v, %v", rs, err)
	}
	p, err := d.StartPolling(time.Millisecond, []gpu.DueSource{{Name: gpu.SourceAverage, Every: 1}})
	if err != nil {
		t.Fatal(err)
	}
	var polls []gpu.Poll
	until(t, "a poll", func() bool { polls = p.Read(polls); return len(polls) > 0 })
	p.Stop()
	p.Read(nil)
	if check(polls[0].Sample, polls[0].Err); !math.IsNaN(polls[0].Power[0].PowerW) || !errors.Is(polls[0].PowerErr[0], gpu.ErrAbsurd) {
		t.Errorf("%+v", polls[0])
	}
	st.GPU(0).SetProcesses(fakenvml.Process{PID: 1 << 30, MemoryMiB: -1})
	if list, err := d.Processes(); err != nil || len(list) != 1 || list[0].MemoryMiB != -1 {
		t.Errorf("%v, %v", list, err)
	}
}

func TestBelief(t *testing.T) {
	nan := math.NaN()
	for _, c := range []struct{ got, want float64 }{
		{float64(clockMHz(3200)), 3200}, {float64(clockMHz(0)), 0}, {float64(clockMHz(65535)), -1}, {float64(clockMHz(-1)), -1}, {float64(clockMHz(allOnes)), -1},
		{watts(700_000), 700}, {watts(allOnes), nan}, {watts(-5), nan}, {watts(nan), nan}, {watts(math.Inf(1)), nan}, {watts(0), 0},
		{limitWatts(450_000), 450}, {limitWatts(0), nan}, {limitWatts(allOnes), nan},
		{joules(12_345), 12.345}, {joules(math.MaxUint64), nan},
		{celsius(34), 34}, {celsius(-5), -5}, {celsius(-1), -1}, {celsius(255), nan}, {celsius(math.MaxInt32), nan},
		{percent(43.2), 43.2}, {percent(100.4), 100}, {percent(255), nan}, {percent(-1), nan}, {percent(nan), nan},
		{mebibytes(3 << 20), 3}, {mebibytes(math.MaxUint64), nan}, {float64(wholeMiB(5 << 20)), 5}, {float64(wholeMiB(math.MaxUint64)), -1},
	} {
		if c.got != c.want && !(math.IsNaN(c.got) && math.IsNaN(c.want)) {
			t.Errorf("%v, want %v", c.got, c.want)
		}
	}
}

// A laptop, a GB10: much of it not there, nothing of which is a failure.
func TestNotAvailable(t *testing.T) {
	fake(t, fakenvml.H100().With(fakenvml.Unsupported, fakenvml.NoPowerLimit|fakenvml.NoMemory|fakenvml.NoMemoryClock|
		fakenvml.NoTemperature|fakenvml.NoVBIOS|fakenvml.NoClockList|fakenvml.NoProcesses))
	d := open(t, 0)
	i := d.Info()
	if !math.IsNaN(i.PowerLimitW) || i.MemoryMiB != -1 || i.MemMHz != -1 || i.VBIOS != "" || len(i.SMClocks) > 0 || i.Name == "" {
		t.Errorf("%+v", i)
	}
	if s, err := d.Poll(); err != nil || s.SMMHz != 1980 || s.MemMHz != -1 || !math.IsNaN(s.TempC) || !math.IsNaN(s.MemUsedMiB) || s.GPUUtil != 0 {
		t.Errorf("%+v, %v", s, err)
	}
	if _, err := d.Processes(); !errors.Is(err, gpu.ErrNotSupported) {
		t.Error(err)
	}
}

// A GPU that is lost, or that this user may not open, hides no other.
func TestListNamesWhatItCannotOpen(t *testing.T) {
	conf := fakenvml.H100()
	conf.UUID = "GPU-0badc0de-0000-1"
	fake(t, fakenvml.H100().With(fakenvml.Lost, 1), conf, fakenvml.H100().With(fakenvml.HandleFault, fakenvml.CodeNoPermission))
	list, err := List()
	if err != nil || len(list) != 3 {
		t.Fatal(list, err)
	}
	if list[1].Name == "" || len(list[1].Hidden) > 0 {
		t.Errorf("the healthy one: %+v", list[1])
	}
	for i, want := range map[int]string{0: "GPU lost", 2: "no permission"} {
		if l := list[i]; l.Index != i || len(l.Hidden) != 1 || !strings.Contains(l.Hidden[0], want) || !math.IsNaN(l.PowerLimitW) {
			t.Errorf("%+v, want it to say %q", l, want)
		}
	}
	if i, err := Find("GPU-0badc0de"); err != nil || i != 1 {
		t.Error(i, err)
	}
	if _, err := Find("GPU-x"); err == nil || !strings.Contains(err.Error(), "GPU lost") {
		t.Error(err)
	}
}

const libraryMode = "NVML_TEST_LIBRARY"

// Only where there is nothing of a driver may a program go on as if this were a
// machine without a GPU. Processes of their own: one keeps the library it loaded.
func TestWhatIsNoDriver(t *testing.T) {
	if os.Getenv(libraryMode) != "" {
		_, err := Count()
		if errors.Is(err, gpu.ErrNoDriver) {
			t.Fatal("taken for a machine without a driver: ", err)
		}
		if !errors.Is(err, gpu.ErrNoGPU) || !strings.Contains(err.Error(), os.Getenv(libraryMode)) || strings.Contains(err.Error(), "\n") {
			t.Fatal(err)
		}
		return
	}
	dir := t.TempDir()
	text := filepath.Join(dir, "text.so")
	if err := os.WriteFile(text, []byte("no library"), 0o600); err != nil {
		t.Fatal(err)
	}
	lib, err := fakenvml.Build()
	if err != nil {
		t.Skip(err)
	}
	st, err := fakenvml.Create(filepath.Join(dir, "gpu"), fakenvml.H100())
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		path  string
		fault int
		want  string
	}{
		{filepath.Join(dir, "none.so"), 0, "none.so"},
		{dir, 0, "not a regular file"},
		{text, 0, "text.so"},
		{lib, fakenvml.CodeDriverNotLoaded, "not loaded"},
		{lib, fakenvml.CodeVersionMismatch, "differ in version"},
	} {
		st.SetInitFault(c.fault)
		cmd := exec.Command(os.Args[0], "-test.run=^TestWhatIsNoDriver$")
		cmd.Env = append(append(os.Environ(), st.Env(c.path)...), libraryMode+"="+c.want)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%+v: %v\n%s", c, err, out)
		}
	}
}

func TestTraces(t *testing.T) {
	for path, want := range map[string]bool{
		"dev/nvidia0": true, "dev/nvidiactl": true, "proc/driver/nvidia/version": true,
		"usr/lib/x86_64-linux-gnu/libnvidia-ml.so.1": true, "usr/lib/wsl/lib/libnvidia-ml.so.1": true,
		"dev/null": false, "usr/lib/libcuda.so": false,
	} {
		root := t.TempDir()
		if err := os.MkdirAll(filepath.Join(root, filepath.Dir(path)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(root, path), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if got := tracesIn(root) != ""; got != want {
			t.Errorf("%s: %v, want %v", path, got, want)
		}
		t.Setenv(EnvLibrary, "")
		if err := without("why", root); errors.Is(err, gpu.ErrNoDriver) == want || !errors.Is(err, gpu.ErrNoGPU) {
			t.Errorf("%s: %v", path, err)
		}
	}
}
