//go:build cgo

package nvml

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/NVIDIA/go-nvml/pkg/nvml"

	"jouletop/gpu"
	"jouletop/gpu/plaintext"
)

var _ gpu.Sleeper = (*Device)(nil)

// holders are the devices in this process that hold the driver, and those that have let
// go of it. The library is shut down once all have: an open session alone keeps GPUs from
// being suspended.
var holders struct {
	sync.Mutex
	open, resting int
}

// Asleep implements gpu.Sleeper.
func (d *Device) Asleep() bool { return Suspended(d.info.PCI) }

// MaySleep implements gpu.Sleeper.
func (d *Device) MaySleep() bool { return maySleep(d.info.PCI) }

// Rest implements gpu.Sleeper.
func (d *Device) Rest() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.reader == nil {
		return d.gone()
	}
	d.reader.close()
	d.reader, d.resting = nil, true
	d.rests++
	holders.Lock()
	defer holders.Unlock()
	if holders.resting++; holders.resting < holders.open {
		return nil
	}
	loadMutex.Lock()
	defer loadMutex.Unlock()
	for order(d.lib, d.lib.Shutdown, "nvmlShutdown") == nvml.SUCCESS { // it counts how often it was begun
	}
	return nil
}

// Resume implements gpu.Sleeper.
func (d *Device) Resume() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.reader != nil {
		return nil
	}
	if !d.resting {
		return errClosed
	}
	dev, err := d.again("it slept")
	if err != nil {
		return err
	}
	reader, err := openReader(d.info.Index, d.can)
	if err != nil {
		return err
	}
	d.dev, d.reader, d.resting = dev, reader, false
	holders.Lock()
	holders.resting--
	holders.Unlock()
	return nil
}

// again returns the handle of the GPU after the library was shut down; since says since
// when it may be another one.
func (d *Device) again(since string) (nvml.Device, error) {
	if err := restart(); err != nil {
		return nil, err
	}
	dev, ret := ask(d.lib, func() (nvml.Device, nvml.Return) { return d.lib.DeviceGetHandleByIndex(d.info.Index) }, handleCalls...)
	if err := fail("nvmlDeviceGetHandleByIndex", ret); err != nil {
		return nil, err
	}
	if uuid, ret := ask(d.lib, dev.GetUUID, "nvmlDeviceGetUUID"); ret != nvml.SUCCESS || plaintext.Line(uuid) != d.info.UUID {
		return nil, fmt.Errorf("%w: GPU %d is another one since %s: start anew", gpu.ErrLost, d.info.Index, since)
	}
	return dev, nil
}

// held counts a device that is opened or closed.
func (d *Device) held(by int) {
	holders.Lock()
	holders.open += by
	if by < 0 && d.resting {
		holders.resting--
	}
	holders.Unlock()
}

// pciDevices is where Linux lists what is on the bus; tests have another.
var pciDevices = "/sys/bus/pci/devices"

// driverGPUs is where the driver tells of its GPUs without touching them.
var driverGPUs = "/proc/driver/nvidia/gpus"

// busFile reads a file about a GPU on the bus, "" where there is none. Neither of these
// files' reading wakes it (Documentation/ABI/testing/sysfs-devices-power).
func busFile(pci, name string) string {
	if pci == "" {
		return ""
	}
	b, err := os.ReadFile(filepath.Join(pciDevices, pci, name))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}

// Suspended tells whether the GPU at that place on the bus (see gpu.Info.PCI) is
// suspended, by what the bus says; false where that is not known.
func Suspended(pci string) bool {
	switch busFile(pci, "power/runtime_status") {
	case "suspended", "suspending":
		return true
	case "active", "resuming":
		return false
	}
	return strings.HasPrefix(busFile(pci, "power_state"), "D3")
}

// maySleep tells whether the system would suspend the GPU once nobody holds it: its power
// is managed, and the driver does not say that it cannot be.
func maySleep(pci string) bool {
	if busFile(pci, "power/control") != "auto" {
		return false
	}
	b, err := os.ReadFile(filepath.Join(driverGPUs, pci, "power"))
	if err != nil {
		return true // a driver that does not tell
	}
	for line := range strings.Lines(string(b)) {
		if name, status, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "Runtime D3 status" {
			return strings.HasPrefix(strings.TrimSpace(status), "Enabled")
		}
	}
	return true
}

// OnBus lists the places on the bus of NVIDIA's GPUs, by what the system says, without
// touching them.
func OnBus() []string {
	const vendor, display = "0x10de", "0x03"
	entries, err := os.ReadDir(pciDevices)
	if err != nil {
		return nil
	}
	var out []string
	for _, e := range entries {
		if pci := e.Name(); busFile(pci, "vendor") == vendor && strings.HasPrefix(busFile(pci, "class"), display) {
			out = append(out, pci)
		}
	}
	return out
}
