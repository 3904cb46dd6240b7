package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"jouletop/engine"
	"jouletop/gpu"
	"jouletop/gpu/clockguard"
	"jouletop/gpu/nvml"
)

// rigGPU is one GPU of a rig.
type rigGPU struct {
	dev     gpu.Device
	sources []gpu.PowerSource
	control *clockguard.Client // nil: read-only
}

// Values of --device: where the user leaves it out, and for every GPU there is.
const (
	defaultDevice = "0"
	allDevices    = "all"
)

// indices reads --device: the GPUs that work together, in the order given.
func (o *options) indices() ([]int, error) {
	if slices.Equal(o.devices, []string{allDevices}) {
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
	for _, d := range o.devices {
		i, err := nvml.Find(d)
		if err != nil {
			return nil, err
		}
		if slices.Contains(out, i) {
			return nil, usagef("--device: GPU %d is named twice", i)
		}
		out = append(out, i)
	}
	if len(out) == 0 {
		return nil, usagef("--device: want the index or UUID of a GPU")
	}
	return out, nil
}

// openDevices opens the GPUs of these indices.
func openDevices(indices []int) ([]rigGPU, error) {
	var out []rigGPU
	for _, i := range indices {
		dev, err := nvml.Open(i)
		if err != nil {
			return nil, errors.Join(err, closeDevices(out))
		}
		out = append(out, rigGPU{dev: dev, sources: dev.PowerSources()})
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

func closeDevices(gpus []rigGPU) error {
	var errs []error
	for _, g := range gpus {
		errs = append(errs, g.dev.Close())
	}
	return errors.Join(errs...)
}

// openNVML opens a GPU for the clock guard.
func openNVML(index int) (gpu.Device, error) {
	dev, err := nvml.Open(index)
	if err != nil {
		return nil, err
	}
	return dev, nil
}

// use takes the GPUs as the rig's.
func (r *rig) use(gpus ...rigGPU) {
	r.gpus = gpus
	r.info = gpu.Together(r.infos()...)
}

// cards names the real GPUs to the engine. The error tells that CUDA's settings hide
// one of them from it.
func (r *rig) cards() ([]gpu.Card, error) {
	if r.simulated() {
		return nil, nil
	}
	all := r.infos()
	n, err := nvml.Count()
	if err == nil && n > 1 {
		all, err = nvml.List()
	}
	if err != nil {
		return nil, err
	}
	var cards []gpu.Card
	var wanted []int
	for _, i := range r.infos() {
		cards = append(cards, gpu.Card{Index: i.Index, PCI: i.PCI, Only: n == 1})
		wanted = append(wanted, i.Index)
	}
	return cards, gpu.CheckVisible(all, wanted, os.LookupEnv)
}

// infos describe the GPUs, each by itself.
func (r *rig) infos() []gpu.Info {
	var out []gpu.Info
	for _, g := range r.gpus {
		out = append(out, g.dev.Info())
	}
	return out
}

// openControls prepares the clock guard of each GPU, a lease of its own each.
func (r *rig) openControls(ctx context.Context) error {
	clockguard.PreferLatency()
	for i := range r.gpus {
		c, err := clockguard.Open(ctx, r.gpus[i].dev.Info(), clockguard.Options{Notify: r.alarm})
		if err != nil {
			return err
		}
		r.gpus[i].control = c
		r.notes = append(r.notes, c.Notes()...)
	}
	return nil
}

// controlled tells whether clocks may ever be set: not read-only.
func (r *rig) controlled() bool { return r.gpus[0].control != nil }

// armed tells whether clocks can be set now, on every GPU.
func (r *rig) armed() bool {
	for _, g := range r.gpus {
		if g.control == nil || !g.control.Armed() {
			return false
		}
	}
	return true
}

// arm switches clock control on or off; on for all GPUs or for none.
func (r *rig) arm(on bool) error {
	var errs []error
	for i, g := range r.gpus {
		err := g.control.Arm(on)
		if err != nil && on {
			for _, done := range r.gpus[:i] {
				err = errors.Join(err, done.control.Arm(false))
			}
			return err
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// armWarning is what to tell the operator before arming.
func (r *rig) armWarning() string {
	text := ""
	for i, g := range r.gpus {
		if i > 0 {
			text += "\n"
		}
		text += clockguard.ArmWarning(g.dev.Info(), clockguard.Bounds{})
	}
	return text
}

// noteLocks notes clocks that are, or may be, somebody else's setting.
func (r *rig) noteLocks() {
	for _, g := range r.gpus {
		if text := clockguard.LockedBy(g.dev.Info(), clockguard.Options{}); text != "" {
			r.notes = append(r.notes, text)
		}
	}
}

// engineGPUs are the GPUs as the engine takes them.
func (r *rig) engineGPUs() []engine.GPU {
	var out []engine.GPU
	for _, g := range r.gpus {
		e := engine.GPU{Device: g.dev, Sources: g.sources}
		if g.control != nil { // nil, not a nil pointer
			e.Control = g.control
		}
		out = append(out, e)
	}
	return out
}

// powerSources are the GPUs' power sources, by id.
func (r *rig) powerSources() map[string][]gpu.PowerSource {
	out := map[string][]gpu.PowerSource{}
	for _, g := range r.gpus {
		out[g.dev.Info().ID()] = g.sources
	}
	return out
}

// otherProcesses are those of others on the GPUs, by id; a GPU that cannot tell
// has none.
func (r *rig) otherProcesses() (map[string][]gpu.Process, error) {
	out := map[string][]gpu.Process{}
	var errs []error
	own := r.ownPIDs()
	for _, g := range r.gpus {
		others, err := gpu.OtherProcesses(g.dev, own)
		if err != nil && !errors.Is(err, gpu.ErrNotSupported) {
			errs = append(errs, fmt.Errorf("other processes on GPU %s: %w", g.dev.Info().ID(), err))
		}
		if len(others) > 0 {
			out[g.dev.Info().ID()] = others
		}
	}
	return out, errors.Join(errs...)
}
