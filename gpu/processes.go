package gpu

import (
	"errors"
	"fmt"
	"slices"

	"jouletop/gpu/plaintext"
)

// Process is a process with a context on the GPU.
type Process struct {
	PID       int    `json:"pid"`
	Name      string `json:"name"`
	MemoryMiB int    `json:"memory_mib" null:"-1"` // -1 unknown
}

// ProcessUse is how much of a GPU a process used in the driver's newest sampling period
// (a second or less; the driver does not say how long).
type ProcessUse struct {
	PID    int
	SMPct  float64 // share of the time in which a kernel of its ran, whole %
	MemPct float64 // the same of the memory; NaN unknown
}

// ProcessMeter is implemented by a Device whose driver samples how busy each process
// keeps it.
type ProcessMeter interface {
	// ProcessUse returns what is new since its last call: the newest sample of each process
	// that did something. It wraps ErrNotSupported where the driver gives no samples (old
	// GPUs, MIG).
	ProcessUse() ([]ProcessUse, error)
}

// ErrResting: the device was let go of, for the GPU to sleep; see [Sleeper].
var ErrResting = errors.New("let go of, for the GPU to sleep")

// Sleeper is implemented by a Device whose GPU may be suspended by the operating system.
// Reading a suspended GPU wakes it, and whoever holds it open keeps it from being
// suspended (runtime D3 in the driver's manual), so a watcher that is to change nothing
// asks the bus first, and lets go of a GPU that nobody uses.
type Sleeper interface {
	// Asleep tells whether the GPU is suspended. Asking does not wake it.
	Asleep() bool
	// MaySleep tells whether it would be, once nobody holds it.
	MaySleep() bool
	// Rest lets go of the GPU: until Resume, readings return ErrResting.
	Rest() error
	// Resume takes it again, which wakes it.
	Resume() error
}

// OtherProcesses lists the processes on the GPU that are not among own: their
// energy would be counted as ours. In a container a GPU names processes by
// their ids outside it, so that our own cannot be told from others by id there;
// ask before our own work has begun. Names are plain text.
func OtherProcesses(dev Device, own []int) ([]Process, error) {
	all, err := dev.Processes()
	if err != nil {
		return nil, fmt.Errorf("looking for other processes on GPU %s: %w", dev.Info().ID(), err)
	}
	others := slices.DeleteFunc(slices.Clone(all), func(p Process) bool { return slices.Contains(own, p.PID) })
	for i := range others {
		others[i].Name = plaintext.Line(others[i].Name) // its user chose it
	}
	return others, nil
}
