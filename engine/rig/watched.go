package rig

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"jouletop/gpu"
	"jouletop/gpu/nvml"
	"jouletop/gpu/simgpu"
)

// watches tells whether GPUs are opened to watch what others do with them.
func (o *Config) watches() bool { return o.Monitor && !o.Watch }

// awaitWaking waits, before a driver is touched, until one of the machine's GPUs is awake:
// opening the driver would wake them all.
func (o *Config) awaitWaking(ctx context.Context) error {
	if !o.watches() {
		return nil
	}
	told := false
	for {
		all := nvml.OnBus()
		asleep := 0
		for _, pci := range all {
			if nvml.Suspended(pci) {
				asleep++
			}
		}
		if len(all) == 0 || asleep < len(all) {
			return nil
		}
		if !told {
			told = true
			fmt.Fprintf(os.Stderr, "jouletop: asleep: GPU %s; watching begins when somebody wakes it (Ctrl+C ends)\n", strings.Join(all, ", "))
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(time.Second):
		}
	}
}

// Occupy gives simulated GPUs that are watched something to do. It is called within the
// rig's clock.
func Occupy(r *Rig) {
	if r.Watches && r.Simulated() {
		r.endTenants = simgpu.Occupy(r.Clock, r.Sims)
	}
}

// persistence notes GPUs whose driver is there only while somebody uses them: watching is a
// use.
func persistence(gpus []GPU) (notes []string) {
	for _, g := range gpus {
		if d, ok := gpu.As[interface{ Persistent() bool }](g.Device); ok && !d.Persistent() {
			notes = append(notes, fmt.Sprintf("GPU %s: persistence mode is off: while it is watched the driver stays loaded on it, so that it draws more than one that nobody uses", g.Device.Info().ID()))
		}
	}
	return notes
}
