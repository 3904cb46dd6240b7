package rig

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"jouletop/engine"
	"jouletop/engine/usage"
	"jouletop/gpu"
	"jouletop/gpu/clockguard"
	"jouletop/gpu/nvml"
)

// GPU is one GPU of a rig.
type GPU struct {
	Device  gpu.Device
	Sources []gpu.PowerSource
	Control *clockguard.Client // nil: read-only
}

// Values of --device: where the user leaves it out, and for every GPU there is.
const (
	DefaultDevice = "0"
	allDevices    = "all"
)

// indices reads --device: the GPUs that work together, in the order given.
func (o *Config) indices() ([]int, error) {
	if err := o.leaveClockList(); err != nil {
		return nil, err
	}
	if slices.Equal(o.Devices, []string{allDevices}) {
		n, err := nvml.Count()
		if err != nil {
			return nil, err
		}
		if n == 0 {
			return nil, fmt.Errorf("%w: the driver lists none", gpu.ErrNoGPU)
		}
		all := make([]int, n)
		for i := range all {
			all[i] = i
		}
		return all, nil
	}
	var out []int
	for _, d := range o.Devices {
		i, err := nvml.Find(d)
		if err != nil {
			return nil, err
		}
		if slices.Contains(out, i) {
			return nil, usage.Errorf("--device: GPU %d is named twice", i)
		}
		out = append(out, i)
	}
	if len(out) == 0 {
		return nil, usage.Errorf("--device: want the index or UUID of a GPU")
	}
	return out, nil
}

// leaveClockList has the driver's list of supported clocks left unread, by this process
// and those that it starts, where that is asked for.
func (o *Config) leaveClockList() error {
	if !o.NoClockList {
		return nil
	}
	return os.Setenv(nvml.EnvClockList, nvml.SkipClockList)
}

// openDevices opens the GPUs of these indices.
func openDevices(indices []int) ([]GPU, error) {
	var out []GPU
	for _, i := range indices {
		dev, err := nvml.Open(i)
		if err != nil {
			return nil, errors.Join(err, closeDevices(out))
		}
		out = append(out, GPU{Device: dev, Sources: dev.PowerSources()})
	}
	return out, nil
}

// usable names the GPUs that can be used; nil where there is none.
func usable() error {
	infos, err := nvml.List()
	if err != nil {
		return nil // it has been told
	}
	var names []string
	for _, i := range infos {
		if i.UUID != "" {
			names = append(names, strconv.Itoa(i.Index))
		}
	}
	if len(names) == 0 {
		return nil
	}
	return fmt.Errorf("in working order: --device %s", strings.Join(names, ","))
}

func closeDevices(gpus []GPU) error {
	var errs []error
	for _, g := range gpus {
		errs = append(errs, g.Device.Close())
	}
	return errors.Join(errs...)
}

// OpenNVML opens a GPU for the clock guard.
func OpenNVML(index int) (gpu.Device, error) {
	dev, err := nvml.Open(index)
	if err != nil {
		return nil, err
	}
	return dev, nil
}

// use takes the GPUs as the rig's.
func (r *Rig) use(gpus ...GPU) {
	r.GPUs = gpus
	r.Info = gpu.Together(r.Infos()...)
}

// cards names the real GPUs to the engine. The error tells that CUDA's settings hide
// one of them from it.
func (r *Rig) cards() ([]gpu.Card, error) {
	if r.Simulated() {
		return nil, nil
	}
	all := r.Infos()
	n, err := nvml.Count()
	if err == nil && n > 1 {
		all, err = nvml.List()
	}
	if err != nil {
		return nil, err
	}
	var cards []gpu.Card
	var wanted []int
	for _, i := range r.Infos() {
		cards = append(cards, gpu.Card{Index: i.Index, PCI: i.PCI, Only: n == 1})
		wanted = append(wanted, i.Index)
	}
	return cards, gpu.CheckVisible(all, wanted, os.LookupEnv)
}

// Infos describe the GPUs, each by itself.
func (r *Rig) Infos() []gpu.Info {
	var out []gpu.Info
	for _, g := range r.GPUs {
		out = append(out, g.Device.Info())
	}
	return out
}

// openControls prepares the clock guard of each GPU, a lease of its own each.
func (r *Rig) openControls(ctx context.Context) error {
	clockguard.PreferLatency()
	for i := range r.GPUs {
		c, err := clockguard.Open(ctx, r.GPUs[i].Device.Info(), clockguard.Options{Notify: r.alarm})
		if err != nil {
			return err
		}
		r.GPUs[i].Control = c
		r.notes = append(r.notes, c.Notes()...)
	}
	return nil
}

// Controlled tells whether clocks may ever be set: not read-only.
func (r *Rig) Controlled() bool { return r.GPUs[0].Control != nil }

// Armed tells whether clocks can be set now, on every GPU.
func (r *Rig) Armed() bool {
	for _, g := range r.GPUs {
		if g.Control == nil || !g.Control.Armed() {
			return false
		}
	}
	return true
}

// ArmClocks switches clock control on or off; on for all GPUs or for none.
func (r *Rig) ArmClocks(on bool) error {
	var errs []error
	for i, g := range r.GPUs {
		err := g.Control.Arm(on)
		if err != nil && on {
			for _, done := range r.GPUs[:i] {
				err = errors.Join(err, done.Control.Arm(false))
			}
			return err
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// ArmWarning is what to tell the operator before arming; "" where there is nothing to
// arm, or the GPU is simulated and nothing lost.
func (r *Rig) ArmWarning() string {
	if !r.Controlled() || r.Simulated() {
		return ""
	}
	text := ""
	for i, g := range r.GPUs {
		if i > 0 {
			text += "\n"
		}
		text += clockguard.ArmWarning(g.Device.Info(), gpu.KnobsOf(g.Device), clockguard.Bounds{})
	}
	return text
}

// noteLocks notes knobs that are, or may be, somebody else's setting.
func (r *Rig) noteLocks() {
	if text := HeldBy(r.Infos()...); text != "" {
		r.notes = append(r.notes, strings.Split(text, "\n")...)
	}
}

// HeldBy says who else holds knobs of the GPUs and what is set, a line a GPU; "" nobody.
// It is not to be asked while they are armed: that is who holds them then.
func HeldBy(gpus ...gpu.Info) string {
	var out []string
	for _, info := range gpus {
		if !info.Simulated() {
			if text := clockguard.LockedBy(info, clockguard.Options{}); text != "" {
				out = append(out, text)
			}
		}
	}
	return strings.Join(out, "\n")
}

// EngineGPUs are the GPUs as the engine takes them.
func (r *Rig) EngineGPUs() []engine.GPU {
	var out []engine.GPU
	for _, g := range r.GPUs {
		e := engine.GPU{Device: g.Device, Sources: g.Sources}
		if g.Control != nil { // nil, not a nil pointer
			e.Control = g.Control
		}
		out = append(out, e)
	}
	return out
}

// Knobs lists what can be set of the GPUs, the same on all: each as far as all of them
// take it.
func (r *Rig) Knobs() []gpu.Knob {
	all := gpu.KnobsOf(r.GPUs[0].Device)
	for _, g := range r.GPUs[1:] {
		for i, k := range gpu.KnobsOf(g.Device) {
			all[i] = all[i].And(k)
		}
	}
	return all
}

// PowerSources are the GPUs' power sources, by id.
func (r *Rig) PowerSources() map[string][]gpu.PowerSource {
	out := map[string][]gpu.PowerSource{}
	for _, g := range r.GPUs {
		out[g.Device.Info().ID()] = g.Sources
	}
	return out
}

// OtherProcesses are those of others on the GPUs, by id; a GPU that cannot tell
// has none.
func (r *Rig) OtherProcesses() (map[string][]gpu.Process, error) {
	out := map[string][]gpu.Process{}
	var errs []error
	own := r.ownPIDs()
	for _, g := range r.GPUs {
		others, err := gpu.OtherProcesses(g.Device, own)
		if err != nil && !errors.Is(err, gpu.ErrNotSupported) {
			errs = append(errs, fmt.Errorf("other processes on GPU %s: %w", g.Device.Info().ID(), err))
		}
		if len(others) > 0 {
			out[g.Device.Info().ID()] = others
		}
	}
	return out, errors.Join(errs...)
}
