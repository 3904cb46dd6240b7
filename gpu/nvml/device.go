//go:build cgo

package nvml

import (
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	"github.com/NVIDIA/go-nvml/pkg/nvml"

	"jouletop/gpu"
	"jouletop/gpu/timebase"
)

// Device is a real GPU; see [gpu.Device] for what its methods do.
type Device struct {
	lib     nvml.Interface
	dev     nvml.Device
	clock   timebase.Clock
	info    gpu.Info
	can     abilities
	sources []gpu.PowerSource

	mu     sync.Mutex // guards what follows
	wall   wallMap
	empty  int     // reads of the sample buffer in a row that had nothing new
	reader *reader // nil when closed
}

// abilities says which readings the GPU was found to offer. The others are left
// out for good, instead of failing at every poll.
type abilities struct {
	util, memV2, eventReasons, throttleReasons, gpm bool
}

var (
	_ gpu.Device    = (*Device)(nil)
	_ gpu.Poller    = (*Device)(nil)
	_ gpu.Recoverer = (*Device)(nil)
)

// Open opens the GPU of that index. It tries each reading once. The error wraps
// gpu.ErrNoGPU where there is no such GPU, gpu.ErrLost where it is lost.
func Open(index int) (*Device, error) {
	lib, err := library()
	if err != nil {
		return nil, err
	}
	n, ret := lib.DeviceGetCount()
	if err := fail("nvmlDeviceGetCount", ret); err != nil {
		return nil, err
	}
	if err := checkIndex(index, n); err != nil {
		return nil, err
	}
	dev, ret := lib.DeviceGetHandleByIndex(index)
	if err := fail(fmt.Sprintf("GPU %d: nvmlDeviceGetHandleByIndex", index), ret); err != nil {
		return nil, err
	}
	d := &Device{lib: lib, dev: dev, clock: timebase.Monotonic()}
	if d.info, err = identify(lib, dev, index); err != nil {
		return nil, fmt.Errorf("GPU %d: %w", index, err)
	}
	if err := d.probe(); err != nil {
		return nil, fmt.Errorf("GPU %d: %w", index, err)
	}
	return d, nil
}

// identify reads what does not change. Only a name and a UUID are indispensable.
func identify(lib nvml.Interface, dev nvml.Device, index int) (gpu.Info, error) {
	info := gpu.Info{Index: index, PowerLimitW: math.NaN(), MemoryMiB: -1}
	var ret nvml.Return
	if info.Name, ret = dev.GetName(); ret != nvml.SUCCESS {
		return info, fail("nvmlDeviceGetName", ret)
	}
	if info.UUID, ret = dev.GetUUID(); ret != nvml.SUCCESS {
		return info, fail("nvmlDeviceGetUUID", ret)
	}
	info.Driver, _ = lib.SystemGetDriverVersion() // "" where unknown
	info.VBIOS, _ = dev.GetVbiosVersion()
	mw, ret := dev.GetEnforcedPowerLimit()
	if ret != nvml.SUCCESS {
		mw, ret = dev.GetPowerManagementLimit()
	}
	if ret == nvml.SUCCESS {
		info.PowerLimitW = float64(mw) / 1000
	}
	if has(lib, "nvmlDeviceGetPowerManagementLimitConstraints") {
		if _, most, ret := dev.GetPowerManagementLimitConstraints(); ret == nvml.SUCCESS {
			info.PowerLimitMaxW = float64(most) / 1000
		}
	}
	if m, ret := dev.GetMemoryInfo(); ret == nvml.SUCCESS {
		info.MemoryMiB = int(m.Total >> 20)
	}
	var err error
	if info.MemMHz, info.SMClocks, err = supportedClocks(index); err != nil {
		info.Hidden = append(info.Hidden, fmt.Sprintf("The list of supported SM clocks is not available (%v): clocks cannot be set.", err))
	}
	return info, nil
}

// probe finds out which readings there are, and says what is hidden.
func (d *Device) probe() error {
	hide := func(format string, args ...any) {
		d.info.Hidden = append(d.info.Hidden, fmt.Sprintf(format, args...))
	}
	mig := false
	if has(d.lib, "nvmlDeviceGetMigMode") {
		mode, _, ret := d.dev.GetMigMode()
		if mig = ret == nvml.SUCCESS && mode == nvml.DEVICE_MIG_ENABLE; mig {
			hide("MIG mode is on: power, energy and clocks are those of the whole GPU, shared by all its instances, and utilisation is not available.")
		}
	}
	if has(d.lib, "nvmlDeviceGetMemoryInfo_v2") {
		_, ret := d.dev.GetMemoryInfo_v2()
		d.can.memV2 = ret == nvml.SUCCESS
	}
	_, ret := d.dev.GetUtilizationRates()
	d.can.util = offered(ret)
	if !d.can.util && !mig {
		hide("GPU utilisation is not available.")
	}
	if has(d.lib, "nvmlDeviceGetCurrentClocksEventReasons") {
		_, ret := d.dev.GetCurrentClocksEventReasons()
		d.can.eventReasons = offered(ret)
	} else if has(d.lib, "nvmlDeviceGetCurrentClocksThrottleReasons") {
		_, ret := d.dev.GetCurrentClocksThrottleReasons()
		d.can.throttleReasons = offered(ret)
	}
	if !d.can.eventReasons && !d.can.throttleReasons {
		hide("Throttle reasons are not available: a clock held down by a limit cannot be told.")
	}
	if err := d.probeGPM(); err != nil {
		hide("Tensor and memory-bandwidth utilisation (GPM) are not available: %v.", err)
	} else {
		d.can.gpm = true
	}
	var err error
	if d.reader, err = openReader(d.info.Index, d.can); err != nil {
		return err
	}
	d.probePower()
	if len(d.sources) == 0 {
		hide("No power reading at all is available: energy cannot be measured.")
	}
	return nil
}

// probeGPM tries NVML's GPU performance monitoring, which Hopper and later have.
func (d *Device) probeGPM() error {
	for _, f := range []string{"nvmlGpmQueryDeviceSupport", "nvmlGpmSampleAlloc", "nvmlGpmSampleGet", "nvmlGpmMetricsGet", "nvmlGpmSampleFree"} {
		if !has(d.lib, f) {
			return fmt.Errorf("%w: the driver lacks %s", gpu.ErrNotSupported, f)
		}
	}
	support, ret := d.lib.GpmQueryDeviceSupport(d.dev)
	if err := fail("nvmlGpmQueryDeviceSupport", ret); err != nil {
		return err
	}
	if support.IsSupportedDevice == 0 {
		return fmt.Errorf("%w: it takes Hopper or later, without MIG", gpu.ErrNotSupported)
	}
	sample, ret := d.lib.GpmSampleAlloc()
	if err := fail("nvmlGpmSampleAlloc", ret); err != nil {
		return err
	}
	ret = sample.Get(d.dev)
	_ = sample.Free() // freeing cannot fail on what was allocated
	if offered(ret) {
		return nil
	}
	return fail("nvmlGpmSampleGet", ret)
}

// offered tells whether a reading exists, even if it failed this time.
func offered(ret nvml.Return) bool {
	switch ret {
	case nvml.ERROR_NOT_SUPPORTED, nvml.ERROR_FUNCTION_NOT_FOUND, nvml.ERROR_NO_PERMISSION,
		nvml.ERROR_DEPRECATED, nvml.ERROR_ARGUMENT_VERSION_MISMATCH:
		return false
	}
	return true
}

// Info implements gpu.Device.
func (d *Device) Info() gpu.Info { return d.info }

// errClosed is what a closed device's readings return.
var errClosed = errors.New("the GPU has been closed")

// Poll implements gpu.Device. With an error, which names the first reading that
// failed, the sample holds what could be read. Temperature, memory clock, memory
// in use and GPM's utilisations are renewed every 100 ms.
func (d *Device) Poll() (gpu.Sample, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.reader == nil {
		return gpu.UnknownSample(), errClosed
	}
	return d.reader.poll()
}

// SetSMClock implements gpu.Device.
func (d *Device) SetSMClock(mhz int) error {
	if err := d.info.CheckSMClock(mhz); err != nil {
		return err
	}
	ret := d.dev.SetGpuLockedClocks(uint32(mhz), uint32(mhz))
	if ret == nvml.ERROR_INVALID_ARGUMENT {
		return fmt.Errorf("%w: %d MHz: the driver refuses it", gpu.ErrBadClock, mhz)
	}
	return fail(fmt.Sprintf("locking the SM clock of GPU %d to %d MHz", d.info.Index, mhz), ret)
}

// ResetSMClock implements gpu.Device.
func (d *Device) ResetSMClock() error {
	return fail(fmt.Sprintf("giving back the SM clock of GPU %d", d.info.Index), d.dev.ResetGpuLockedClocks())
}

// Close implements gpu.Device. It is harmless to call it twice. The library
// itself stays loaded.
func (d *Device) Close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.reader != nil {
		d.reader.close()
		d.reader = nil
	}
	return nil
}

// Processes implements gpu.Device: compute, graphics and MPS contexts. NVML
// counts process ids in the host's namespace; in a container a process of
// another namespace has the name "?".
func (d *Device) Processes() ([]gpu.Process, error) {
	lists := []struct {
		symbol string
		get    func() ([]nvml.ProcessInfo, nvml.Return)
	}{
		{"nvmlDeviceGetComputeRunningProcesses", d.dev.GetComputeRunningProcesses},
		{"nvmlDeviceGetGraphicsRunningProcesses", d.dev.GetGraphicsRunningProcesses},
		{"nvmlDeviceGetMPSComputeRunningProcesses", d.dev.GetMPSComputeRunningProcesses},
	}
	var all []gpu.Process
	seen := map[int]bool{}
	any := false
	var first error
	for _, l := range lists {
		if !has(d.lib, l.symbol) && !has(d.lib, l.symbol+"_v2") && !has(d.lib, l.symbol+"_v3") {
			continue
		}
		infos, ret := l.get()
		if ret != nvml.SUCCESS {
			if first == nil {
				first = fail("listing the processes on the GPU", ret)
			}
			continue
		}
		any = true
		for _, p := range infos {
			pid := int(p.Pid)
			if seen[pid] {
				continue
			}
			seen[pid] = true
			mib := -1
			if p.UsedGpuMemory != math.MaxUint64 { // NVML_VALUE_NOT_AVAILABLE
				mib = int(p.UsedGpuMemory >> 20)
			}
			all = append(all, gpu.Process{PID: pid, Name: processName(pid), MemoryMiB: mib})
		}
	}
	if !any {
		return nil, first
	}
	return all, nil
}

// processName returns a program's name by /proc, "?" where it is not there.
func processName(pid int) string {
	dir := filepath.Join("/proc", strconv.Itoa(pid))
	if args, err := os.ReadFile(filepath.Join(dir, "cmdline")); err == nil && len(args) > 0 {
		arg0, _, _ := strings.Cut(string(args), "\x00")
		if name := filepath.Base(arg0); arg0 != "" {
			return name
		}
	}
	if comm, err := os.ReadFile(filepath.Join(dir, "comm")); err == nil {
		return strings.TrimSpace(string(comm))
	}
	return "?"
}
