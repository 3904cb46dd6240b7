//go:build cgo

package nvml

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/NVIDIA/go-nvml/pkg/nvml"

	"jouletop/gpu"
	"jouletop/gpu/plaintext"
)

var _ gpu.ProcessMeter = (*Device)(nil)

// uses is what was asked last of the driver's samples of processes.
type uses struct {
	stamp uint64 // newest, µs on the driver's clock
	heard int64  // when it was taken, ns
}

const (
	// useSymbol is the call that tells how busy processes are.
	useSymbol = "nvmlDeviceGetProcessUtilization"
	// newUse is how old a sample may be, by the wall clock, where the one before it does
	// not say what is new.
	newUse = 2 * time.Second
	// silentUses is after how long without a sample the newest stamp is forgotten: the clock
	// of the stamps may have been set back. It is longer than newUse.
	silentUses = 10 * time.Second
)

// ProcessUse implements gpu.ProcessMeter.
func (d *Device) ProcessUse() ([]gpu.ProcessUse, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.reader == nil {
		return nil, d.gone()
	}
	now := d.clock.Now()
	list, ret := ask(d.lib, func() ([]nvml.ProcessUtilizationSample, nvml.Return) { return d.dev.GetProcessUtilization(d.use.stamp) }, useSymbol)
	switch ret {
	case nvml.SUCCESS:
	case nvml.ERROR_NOT_FOUND, nvml.ERROR_INSUFFICIENT_SIZE: // none; or more by now than there was room for
		if now-d.use.heard > int64(silentUses) {
			d.use = uses{}
		}
		return nil, nil
	default:
		return nil, fail("reading how busy the processes are", ret)
	}
	out, newest := newestUses(list, d.use.stamp, uint64(time.Now().Add(-newUse).UnixMicro()))
	d.use = uses{newest, now}
	return out, nil
}

// newestUses returns the newest sample of each process that is newer than after, and than
// oldest where after is 0; and the newest stamp of all. Values that cannot be are left out.
func newestUses(list []nvml.ProcessUtilizationSample, after, oldest uint64) (out []gpu.ProcessUse, newest uint64) {
	const most = 100 // %
	from := after
	if after == 0 {
		from = oldest
	}
	newest = after
	at := map[uint32]int{}
	stamps := map[uint32]uint64{}
	for _, s := range list {
		newest = max(newest, s.TimeStamp)
		if s.TimeStamp <= from || s.SmUtil > most || s.Pid == 0 || s.TimeStamp < stamps[s.Pid] {
			continue
		}
		u := gpu.ProcessUse{PID: int(s.Pid), SMPct: float64(s.SmUtil), MemPct: math.NaN()}
		if s.MemUtil <= most {
			u.MemPct = float64(s.MemUtil)
		}
		stamps[s.Pid] = s.TimeStamp
		if i, ok := at[s.Pid]; ok {
			out[i] = u
			continue
		}
		at[s.Pid] = len(out)
		out = append(out, u)
	}
	return out, newest
}

// Processes implements gpu.Device: compute, graphics and MPS contexts. NVML
// counts process ids in the host's namespace; in a container a process of
// another namespace has the name "?".
func (d *Device) Processes() ([]gpu.Process, error) {
	d.mu.Lock()
	dev, resting, rests := d.dev, d.resting, d.rests
	d.mu.Unlock()
	atRest := fmt.Errorf("GPU %d: %w", d.info.Index, gpu.ErrResting)
	if resting {
		return nil, atRest
	}
	lists := []struct {
		symbol string
		get    func() ([]nvml.ProcessInfo, nvml.Return)
	}{
		{"nvmlDeviceGetComputeRunningProcesses", dev.GetComputeRunningProcesses},
		{"nvmlDeviceGetGraphicsRunningProcesses", dev.GetGraphicsRunningProcesses},
		{"nvmlDeviceGetMPSComputeRunningProcesses", dev.GetMPSComputeRunningProcesses},
	}
	var all []gpu.Process
	seen := map[int]bool{}
	any := false
	var first error
	for _, l := range lists {
		infos, ret := ask(d.lib, l.get, l.symbol, l.symbol+"_v2", l.symbol+"_v3")
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
			all = append(all, gpu.Process{PID: pid, Name: plaintext.Line(processName(pid)), MemoryMiB: wholeMiB(p.UsedGpuMemory)})
		}
	}
	if !any {
		d.mu.Lock()
		defer d.mu.Unlock()
		if d.rests != rests {
			return nil, atRest // it was let go of meanwhile
		}
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

// Persistent tells whether the driver stays loaded on the GPU when nobody uses it; true
// where that is not known.
func (d *Device) Persistent() bool {
	mode, ret := ask(d.lib, d.dev.GetPersistenceMode, "nvmlDeviceGetPersistenceMode")
	return ret != nvml.SUCCESS || mode == nvml.FEATURE_ENABLED
}

// gone says why a device has no reader.
func (d *Device) gone() error {
	if d.resting {
		return fmt.Errorf("GPU %d: %w", d.info.Index, gpu.ErrResting)
	}
	return errClosed
}
