//go:build cgo

package nvml

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"

	"github.com/NVIDIA/go-nvml/pkg/nvml"

	"jouletop/gpu"
	"jouletop/gpu/plaintext"
	"jouletop/gpu/timebase"
)

// Device is a real GPU; see [gpu.Device] for what its methods do.
type Device struct {
	lib     *library
	dev     nvml.Device
	clock   timebase.Clock
	info    gpu.Info
	can     abilities
	sources []gpu.PowerSource

	listing sync.Mutex
	list    clockList

	mu      sync.Mutex // guards what follows
	wall    wallMap
	empty   int     // reads of the sample buffer in a row that had nothing new
	reader  *reader // nil when closed, or resting
	resting bool    // let go of, for the GPU to sleep
	rests   int     // how often it was
	use     uses
}

// abilities says which readings the GPU was found to offer. The others are left
// out for good, instead of failing at every poll.
type abilities struct {
	util, memV2, eventReasons, throttleReasons, gpm bool
	limitTimes                                      uint8 // 1 << its place in limitPolicies
}

var (
	_ gpu.Device    = (*Device)(nil)
	_ gpu.Poller    = (*Device)(nil)
	_ gpu.Recoverer = (*Device)(nil)
)

// Open opens the GPU of that index. It tries each reading once. The error wraps
// gpu.ErrNoGPU where there is no such GPU, gpu.ErrLost where it is lost.
func Open(index int) (*Device, error) {
	lib, err := session()
	if err != nil {
		return nil, err
	}
	n, ret := ask(lib, lib.DeviceGetCount, countCalls...)
	if err := fail("nvmlDeviceGetCount", ret); err != nil {
		return nil, err
	}
	if err := checkIndex(index, n); err != nil {
		return nil, err
	}
	dev, ret := ask(lib, func() (nvml.Device, nvml.Return) { return lib.DeviceGetHandleByIndex(index) }, handleCalls...)
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
	d.held(1)
	return d, nil
}

// identify reads what does not change. Only the UUID is indispensable.
func identify(lib *library, dev nvml.Device, index int) (gpu.Info, error) {
	info := gpu.UnknownInfo(index)
	var ret nvml.Return
	if info.UUID, ret = ask(lib, dev.GetUUID, "nvmlDeviceGetUUID"); ret != nvml.SUCCESS {
		return info, fail("nvmlDeviceGetUUID", ret)
	}
	// What cannot be read of these is "", which is unknown. Like a process's name they
	// come from outside and end on a terminal.
	info.Name, _ = ask(lib, dev.GetName, "nvmlDeviceGetName")
	info.Driver, _ = ask(lib, lib.SystemGetDriverVersion, "nvmlSystemGetDriverVersion")
	info.VBIOS, _ = ask(lib, dev.GetVbiosVersion, "nvmlDeviceGetVbiosVersion")
	for _, text := range []*string{&info.UUID, &info.Name, &info.Driver, &info.VBIOS} {
		*text = plaintext.Line(*text)
	}
	if pci, ret := ask(lib, dev.GetPciInfo, pciCalls...); ret == nvml.SUCCESS {
		info.PCI = gpu.PCIID(pci.Domain, pci.Bus, pci.Device)
	}
	mw, ret := ask(lib, dev.GetEnforcedPowerLimit, "nvmlDeviceGetEnforcedPowerLimit")
	if ret != nvml.SUCCESS || math.IsNaN(limitWatts(mw)) {
		mw, ret = ask(lib, dev.GetPowerManagementLimit, "nvmlDeviceGetPowerManagementLimit")
	}
	if ret == nvml.SUCCESS {
		info.PowerLimitW = limitWatts(mw)
	}
	_, ret = ask(lib, func() (_ uint32, ret nvml.Return) {
		_, mw, ret = dev.GetPowerManagementLimitConstraints()
		return 0, ret
	}, "nvmlDeviceGetPowerManagementLimitConstraints")
	if most := limitWatts(mw); ret == nvml.SUCCESS && !math.IsNaN(most) {
		info.PowerLimitMaxW = most
	}
	if m, ret := ask(lib, dev.GetMemoryInfo, "nvmlDeviceGetMemoryInfo"); ret == nvml.SUCCESS {
		info.MemoryMiB = wholeMiB(m.Total)
	}
	return info, nil
}

// probe finds out which readings there are, and says what is hidden.
func (d *Device) probe() error {
	hide := func(format string, args ...any) {
		d.info.Hidden = append(d.info.Hidden, fmt.Sprintf(format, args...))
	}
	mig := false
	mode, ret := ask(d.lib, func() (int, nvml.Return) { now, _, ret := d.dev.GetMigMode(); return now, ret }, "nvmlDeviceGetMigMode")
	if mig = ret == nvml.SUCCESS && mode == nvml.DEVICE_MIG_ENABLE; mig {
		hide("MIG mode is on: power, energy and clocks are those of the whole GPU, shared by all its instances, and utilisation is not available.")
	}
	_, ret = ask(d.lib, d.dev.GetMemoryInfo_v2, "nvmlDeviceGetMemoryInfo_v2")
	d.can.memV2 = ret == nvml.SUCCESS
	_, ret = ask(d.lib, d.dev.GetUtilizationRates, "nvmlDeviceGetUtilizationRates")
	d.can.util = offered(ret)
	if !d.can.util && !mig {
		hide("GPU utilisation is not available.")
	}
	_, ret = ask(d.lib, d.dev.GetCurrentClocksEventReasons, "nvmlDeviceGetCurrentClocksEventReasons")
	if d.can.eventReasons = offered(ret); ret == nvml.ERROR_FUNCTION_NOT_FOUND { // its old name
		_, ret = ask(d.lib, d.dev.GetCurrentClocksThrottleReasons, "nvmlDeviceGetCurrentClocksThrottleReasons")
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
	d.probeLimitTimes()
	d.probePower()
	if len(d.sources) == 0 {
		hide("No power reading at all is available: energy cannot be measured.")
	}
	return nil
}

// probeGPM tries NVML's GPU performance monitoring, which Hopper and later have.
func (d *Device) probeGPM() error {
	for _, f := range []string{"nvmlGpmQueryDeviceSupport", "nvmlGpmSampleAlloc", "nvmlGpmSampleGet", "nvmlGpmMetricsGet", "nvmlGpmSampleFree"} {
		if !d.lib.has(f) {
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

// Info implements gpu.Device. The first call may have to wait for the list of supported
// clocks, for clockListLimit at most.
func (d *Device) Info() gpu.Info {
	i, list := d.info, d.clockList()
	if n := len(list.memory); n > 0 {
		i.MemMHz = list.memory[n-1]
	}
	if i.SMClocks = list.sm; list.err != nil {
		i.Hidden = append(slices.Clone(i.Hidden), fmt.Sprintf("The list of supported clocks is not available (%v): clocks cannot be set.", list.err))
	}
	return i
}

// errClosed is what a closed device's readings return.
var errClosed = errors.New("the GPU has been closed")

// Poll implements gpu.Device. With an error, which names the first reading that
// failed, the sample holds what could be read. Temperature, memory clock, memory
// in use and GPM's utilisations are renewed every 100 ms.
func (d *Device) Poll() (gpu.Sample, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.reader == nil {
		return gpu.UnknownSample(), d.gone()
	}
	return d.reader.poll()
}

// SetSMClock implements gpu.Device.
func (d *Device) SetSMClock(mhz int) error {
	if err := d.checkClock(gpu.KnobSM, mhz); err != nil {
		return err
	}
	ret := order(d.lib, func() nvml.Return { return d.dev.SetGpuLockedClocks(uint32(mhz), uint32(mhz)) }, "nvmlDeviceSetGpuLockedClocks")
	if ret == nvml.ERROR_INVALID_ARGUMENT {
		return fmt.Errorf("%w: %d MHz: the driver refuses it", gpu.ErrBadClock, mhz)
	}
	return fail(fmt.Sprintf("locking the SM clock of GPU %d to %d MHz", d.info.Index, mhz), ret)
}

// ResetSMClock implements gpu.Device.
func (d *Device) ResetSMClock() error {
	return fail(fmt.Sprintf("giving back the SM clock of GPU %d", d.info.Index), order(d.lib, d.dev.ResetGpuLockedClocks, "nvmlDeviceResetGpuLockedClocks"))
}

// Close implements gpu.Device. It is harmless to call it twice. The library
// itself stays loaded.
func (d *Device) Close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.reader != nil {
		d.reader.close()
		d.reader = nil
		d.held(-1)
	} else if d.resting {
		d.held(-1)
		d.resting = false
	}
	return nil
}
