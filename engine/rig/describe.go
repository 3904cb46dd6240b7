package rig

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"jouletop/engine/llama"
	"jouletop/engine/nulljson"
	"jouletop/engine/usage"
	"jouletop/engine/worker"
	"jouletop/gpu"
	"jouletop/gpu/clockguard"
	"jouletop/gpu/plaintext"
	"jouletop/gpu/sampler"
)

// Report is what `jouletop gpu` tells.
type Report struct {
	Simulated bool         `json:"simulated"`
	Control   string       `json:"clock_control"`
	GPUs      []GPUState   `json:"gpus"`
	Host      HostReport   `json:"host"`
	Engine    EngineReport `json:"engine"`
}

// GPUState is one GPU; what could not be found out is null, and in Problems.
type GPUState struct {
	ID        string            `json:"id"`
	Info      gpu.Info          `json:"info"`
	Knobs     []KnobState       `json:"knobs"`
	Sensors   []gpu.PowerSource `json:"sensors"`
	Processes []gpu.Process     `json:"other_processes"`
	Problems  []string          `json:"problems,omitempty"`
	// Unusable says why nothing of it could be read but its index.
	Unusable string `json:"unusable,omitempty"`
}

// KnobState is one knob and whether this program may set it: as it was found, for a
// driver tells more only when it is asked to set it.
type KnobState struct {
	gpu.Knob
	// InForce is what is in force of a knob that was set, where the driver tells that
	// beside what is set: another limiter may hold power lower. -1 unknown.
	InForce int    `json:"in_force" null:"-1"`
	Can     string `json:"can"` // yes, service (through the clock guard's), root (who alone may), no
}

// Values of KnobState.Can.
const (
	canYes, canService, canRoot, canNo = "yes", "service", "root", "no"
)

// can tells how this program comes to set knobs.
func can(r *Rig, o *Config) string {
	switch {
	case o.ReadOnly || o.Monitor:
		return canNo
	case r.Simulated(), os.Geteuid() == 0:
		return canYes
	case serviceThere():
		return canService
	}
	return canRoot
}

// Permission says how to get permission to set knobs; "" where there is, or none is wanted.
func Permission(r *Rig, o *Config) string {
	if can(r, o) == canRoot {
		return controlText(r, o)
	}
	return ""
}

func knobStates(dev gpu.Device, may string) []KnobState {
	var out []KnobState
	for _, k := range gpu.KnobsOf(dev) {
		st := KnobState{k, inForce(dev, k), may}
		if k.Unavailable != "" {
			st.Can = canNo
		}
		out = append(out, st)
	}
	return out
}

// inForce reads what is in force of a knob, of a driver that may hang.
func inForce(dev gpu.Device, k gpu.Knob) int {
	if k.ID.Resets() || k.Now < 0 {
		return -1
	}
	got := make(chan int, 1)
	go func() {
		v, err := gpu.EnforcedKnob(dev, k.ID)
		if err != nil {
			v = -1
		}
		got <- v
	}()
	late := time.NewTimer(2 * time.Second)
	defer late.Stop()
	select {
	case v := <-got:
		return v
	case <-late.C:
		return -1
	}
}

// EngineReport is what llama.cpp sees, as its process tells it.
type EngineReport struct {
	Devices    []llama.Device `json:"devices"`
	BuildFlags []string       `json:"build_flags"`
	Warning    string         `json:"warning,omitempty"`
}

// openEach opens the GPUs one by one, so that one that fails hides no other.
func openEach(ctx context.Context, o *Config, named bool) (rigs []*Rig, unusable []GPUState, err error) {
	if _, sim, err := wantsSim(o.GPU); err != nil || sim {
		r, err := Open(ctx, o, 0, 0)
		return []*Rig{r}, nil, err
	}
	if !named {
		o.Devices = []string{allDevices}
	}
	indices, err := o.indices()
	if err != nil { // which Open tells of, or simulates a GPU
		if !named {
			o.Devices = []string{DefaultDevice}
		}
		r, err := Open(ctx, o, 0, 0)
		return []*Rig{r}, nil, err
	}
	for _, i := range indices {
		gpus, err := openDevices([]int{i})
		if err == nil {
			var r *Rig
			if r, err = realRig(ctx, o, gpus); err == nil {
				rigs = append(rigs, r)
				continue
			}
		}
		if _, bad := errors.AsType[usage.Error](err); bad {
			return nil, nil, err
		}
		unusable = append(unusable, GPUState{ID: strconv.Itoa(i), Info: gpu.UnknownInfo(i), Unusable: err.Error()})
	}
	return rigs, unusable, nil
}

// describeGPU finds out what there is to tell of a rig's GPU.
func describeGPU(r *Rig, g GPU, o *Config) GPUState {
	dev := g.Device
	info := dev.Info()
	st := GPUState{ID: info.ID(), Info: info, Knobs: knobStates(dev, can(r, o))}
	problem := func(err error) {
		if err != nil {
			st.Problems = append(st.Problems, plaintext.OneLine(err.Error()))
		}
	}
	others, err := gpu.OtherProcesses(dev, r.ownPIDs())
	if problem(err); err == nil {
		st.Processes = append([]gpu.Process{}, others...) // none is not unknown
	}
	problem(r.Do(func() (err error) {
		st.Sensors, err = sampler.Discover(dev, r.Clock, discoverTime)
		return err
	}))
	st.Problems = append(st.Problems, r.TakeNotes()...)
	return st
}

// describeEngine asks llama.cpp, in a process of its own, what it sees.
func describeEngine(o *Config, realGPU bool) EngineReport {
	b, passedOver, err := llamaBackend(o, realGPU, io.Discard)
	if err != nil {
		return EngineReport{Warning: err.Error()}
	}
	defer b.Close()
	var rep EngineReport
	if w, ok := b.(*worker.Backend); ok {
		err = w.About(&rep)
	}
	if err != nil {
		return EngineReport{Warning: err.Error()}
	}
	gpus := 0
	for _, d := range rep.Devices {
		if d.GPU {
			gpus++
		}
	}
	if realGPU && gpus == 0 && rep.Warning == "" {
		rep.Warning = "the engine sees no GPU: `make cuda` builds the backend it needs (or --backend-dir names it)"
		if passedOver != nil {
			why, _, _ := strings.Cut(passedOver.Error(), "\n")
			rep.Warning += "; GPU backends passed over: " + why
		}
	}
	return rep
}

// controlText says whether clocks can be set here, and how to get there.
func controlText(r *Rig, o *Config) string {
	switch can(r, o) {
	case canNo:
		return "off (--read-only)"
	case canYes:
		if r.Simulated() {
			return "simulated: clocks and power limit can be set freely"
		}
		return "this user may set clocks and power limit; the dashboard does so only once armed (key a)"
	case canService:
		return "through the clock guard's service at " + clockguard.DefaultSocket
	}
	return "setting clocks and power limit needs root: run `sudo jouletop clock-guard --serve " + clockguard.DefaultSocket + "` (or its systemd unit, see the README) beside this program"
}

// discoverTime is how long the sensors are watched to learn their periods.
const discoverTime = 3 * time.Second

// serviceThere tells whether the clock guard's service listens.
func serviceThere() bool {
	st, err := os.Stat(clockguard.DefaultSocket)
	return err == nil && st.Mode()&os.ModeSocket != 0
}

// Show reports on the GPUs named, or on all there are. What one of them cannot
// tell, or that it cannot be used, keeps nothing else from the report.
func Show(ctx context.Context, o *Config, named, asJSON bool, out io.Writer) error {
	rigs, unusable, err := openEach(ctx, o, named)
	if err != nil {
		return err
	}
	for _, r := range rigs {
		defer r.Close()
	}
	rep := Report{GPUs: []GPUState{}}
	show := func(st GPUState) error {
		rep.GPUs = append(rep.GPUs, st)
		if asJSON {
			return nil
		}
		return st.write(out, rep) // at once: each takes some seconds
	}
	for _, r := range rigs {
		rep.Simulated, rep.Control = r.Simulated(), controlText(r, o)
		for _, g := range r.GPUs {
			if err := show(describeGPU(r, g, o)); err != nil {
				return err
			}
		}
	}
	for _, st := range unusable {
		if err := show(st); err != nil {
			return err
		}
	}
	rep.Engine = describeEngine(o, !rep.Simulated)
	rep.Host.Sources, rep.Host.Unread = hostSources()
	if asJSON {
		err = nulljson.Write(out, rep)
	} else if err = rep.Host.write(out); err == nil {
		err = rep.Engine.write(out)
	}
	if err == nil && (named || len(rigs) == 0) && len(unusable) > 0 {
		err = fmt.Errorf("GPU %s: %s", unusable[0].ID, unusable[0].Unusable)
	}
	return err
}
