package rig

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync/atomic"

	"jouletop/engine"
	"jouletop/engine/event"
	"jouletop/engine/serverword"
	"jouletop/engine/session"
	"jouletop/engine/usage"
	"jouletop/gpu"
	"jouletop/gpu/clockguard"
	"jouletop/gpu/host"
	"jouletop/gpu/simgpu"
	"jouletop/gpu/timebase"
)

// Rig is what a command works with: a clock, GPUs (mostly one), whoever may set
// their clocks, and a backend.
type Rig struct {
	Clock   timebase.Clock
	Sim     *timebase.Sim // Clock, where time is simulated
	GPUs    []GPU
	Info    gpu.Info       // of the GPUs together
	Sims    simgpu.Joined  // the GPUs, where they are simulated
	Watches bool           // others' work is watched, and none is done (--monitor)
	Backend engine.Backend // nil until OpenBackend
	log     *os.File       // of native code; nil without any
	Note    string         // what the numbers do not mean
	heard   atomic.Pointer[func(string)]
	alarmed atomic.Pointer[func(string)]
	// Host are the sources of what the machine around the GPUs draws, and HostUnread those
	// that cannot be read.
	Host       []host.Source
	HostUnread []host.Problem
	Rearm      bool     // --on-clock-loss
	notes      []string // of before anybody listened
	// promptCache is what is done about a server's; nil without a server.
	promptCache *session.PromptCache
	// endTenants ends what simulated GPUs that are watched are given to do; nil: nothing.
	endTenants func()
	telemetry  *serverword.Watch // of a server that serves; nil without
}

// mostSims is how many simulated GPUs there may be.
const mostSims = 16

// wantsSim reads --gpu as far as it names simulated GPUs, separated by commas.
func wantsSim(name string) (profiles []string, sim bool, err error) {
	if name == "auto" || name == "nvml" {
		return nil, false, nil
	}
	for one := range strings.SplitSeq(name, ",") {
		switch kind, profile, _ := strings.Cut(strings.TrimSpace(one), ":"); {
		case kind == "sim" && profile == "":
			profiles = append(profiles, "h100")
		case kind == "sim":
			profiles = append(profiles, profile)
		default:
			return nil, false, usage.Errorf("--gpu %q: want auto, nvml, sim, sim:h100 or sim:rtx-pro-6000; several as in sim,sim (real ones: --device 0,1)", name)
		}
	}
	if len(profiles) > mostSims {
		return nil, false, usage.Errorf("--gpu: %d simulated GPUs, and %d is the most", len(profiles), mostSims)
	}
	return profiles, true, nil
}

// Open opens the GPU and the backend. Simulated time goes at defaultSpeed
// (0: as fast as it goes) unless --sim-speed says otherwise.
func Open(ctx context.Context, o *Config, defaultSpeed float64, startNS int64) (*Rig, error) {
	profiles, sim, err := wantsSim(o.GPU)
	if err != nil {
		return nil, err
	}
	speed, err := o.speed(defaultSpeed)
	if err != nil {
		return nil, err
	}
	if !sim {
		if err := o.awaitWaking(ctx); err != nil {
			return nil, err
		}
		indices, err := o.indices()
		var gpus []GPU
		if err == nil {
			if gpus, err = openDevices(indices); err != nil {
				err = errors.Join(err, usable())
			}
		}
		switch {
		case err == nil:
			return realRig(ctx, o, gpus)
		case o.GPU == "nvml" || !o.defaultDevice():
			return nil, err
		case !errors.Is(err, gpu.ErrNoDriver): // there is one: a simulation must be asked for
			return nil, fmt.Errorf("%w; --gpu sim simulates one", err)
		}
		profiles = []string{"h100"}
	}
	if !o.defaultDevice() {
		return nil, usage.Errorf("--device %s: --gpu sim simulates as many GPUs as it names: sim,sim are two", strings.Join(o.Devices, ","))
	}
	return simRig(o, profiles, speed, startNS)
}

func realRig(ctx context.Context, o *Config, gpus []GPU) (*Rig, error) {
	r := &Rig{Clock: timebase.Monotonic(), Rearm: o.ClockLoss == ClockLossRearm}
	r.use(gpus...)
	r.Host, r.HostUnread = hostSources()
	if o.SimSpeed != "" {
		return nil, errors.Join(usage.Errorf("--sim-speed goes with a simulated GPU; this is a %s", r.Info.Name), r.Close())
	}
	if o.ReadOnly || o.Monitor {
		for i := range r.GPUs {
			r.GPUs[i].Device = gpu.ReadOnly(r.GPUs[i].Device)
		}
		if r.Watches = o.watches(); r.Watches {
			r.notes = append(r.notes, persistence(r.GPUs)...)
		}
		r.noteLocks()
		return r, nil
	}
	if err := r.openControls(ctx); err != nil {
		return nil, errors.Join(err, r.Close())
	}
	r.noteLocks()
	return r, nil
}

// Listen has heard told what a backend has to say from now on, and alarmed that a
// clock guard has ended.
func (r *Rig) Listen(heard, alarmed func(string)) {
	r.heard.Store(&heard)
	r.alarmed.Store(&alarmed)
}

// notify hands on what a backend has to say.
func (r *Rig) notify(text string) {
	if f := r.heard.Load(); f != nil {
		(*f)(text)
	}
}

// alarm hands on that a clock guard has ended.
func (r *Rig) alarm(text string) {
	if !r.Rearm {
		text += "; clock control is off until armed again"
	}
	if f := r.alarmed.Load(); f != nil {
		(*f)(text)
	}
}

// PendingNotes are what takeNotes will return.
func (r *Rig) PendingNotes() []string { return r.notes }

// TakeNotes returns, once, what was found out before anybody listened.
func (r *Rig) TakeNotes() []string {
	notes := r.notes
	r.notes = nil
	return notes
}

// CloseInto closes the rig as a command ends: that a clock was not given back is
// the command's failure.
func (r *Rig) CloseInto(err *error) { *err = errors.Join(*err, r.Close()) }

// CloseControls gives the clocks back for good; the error says what to do where
// that did not succeed. It may be called again.
func (r *Rig) CloseControls() error {
	var errs []error
	for _, g := range r.GPUs {
		if g.Control != nil {
			errs = append(errs, g.Control.Close())
		}
	}
	return errors.Join(errs...)
}

// ArmForRun arms clock control for a command that was asked to set clocks.
func (r *Rig) ArmForRun() error {
	if !r.Controlled() {
		return gpu.ErrReadOnly
	}
	if r.Simulated() {
		return nil
	}
	fmt.Fprintln(os.Stderr, r.ArmWarning())
	return r.ArmClocks(true)
}

// simRig makes simulated GPUs. Under real inference their time is real.
func simRig(o *Config, profiles []string, speed float64, startNS int64) (*Rig, error) {
	r := &Rig{}
	if o.Watch {
		r.Clock, r.Note = timebase.Monotonic(), "the command did not run on this simulated GPU: its times are real, and the joules mean nothing"
	} else if o.realInference() {
		if o.SimSpeed != "" {
			return nil, usage.Errorf("--sim-speed %s: real inference takes the time it takes; leave the flag out or use --backend sim", o.SimSpeed)
		}
		r.Clock = timebase.Monotonic()
		r.Note = "real inference on a CPU beside a simulated GPU: the times are the CPU's and the joules mean nothing"
		if o.URL != "" {
			r.Note = "a server's inference beside a simulated GPU: the times are the server's and the joules mean nothing"
		}
	} else {
		r.Sim = timebase.NewSimAt(startNS, speed)
		r.Clock = r.Sim
	}
	r.Watches = o.watches()
	var all []GPU
	for i, profile := range profiles {
		opts := []simgpu.Option{simgpu.WithIndex(i)}
		if r.Watches {
			opts = append(opts, simgpu.WithSleep())
		}
		g, err := simgpu.New(profile, r.Clock, int64(o.Seed), opts...)
		if err != nil {
			return nil, usage.Errorf("--gpu sim:%s: there is no such simulated GPU: want sim:%s", profile, strings.Join(simgpu.Profiles(), " or sim:"))
		}
		one := GPU{Device: g, Sources: g.PowerSources()}
		if o.ReadOnly || r.Watches {
			one.Device = gpu.ReadOnly(g)
		} else if one.Control, err = clockguard.InProcess(g, r.Clock, clockguard.Options{}); err != nil {
			return nil, err
		}
		r.Sims, all = append(r.Sims, g), append(all, one)
	}
	r.use(all...)
	if r.Sim == nil {
		r.Host, r.HostUnread = hostSources()
	}
	return r, nil
}

// Simulated tells whether anything of the rig is.
func (r *Rig) Simulated() bool { return len(r.Sims) > 0 }

// Load tells a simulated GPU what a real backend would be doing to it: the
// shares seen on an H100 with a 3B model at batch 1.
func (r *Rig) Load() func(event.Phase) {
	if !r.Simulated() || r.Sim != nil {
		return nil
	}
	if r.promptCache != nil {
		return serverLoad(r.Sims)
	}
	return func(p event.Phase) {
		switch p.Decoding() {
		case event.Prefill, event.Score:
			r.Sims.SetLoad(0.16, 0.21)
		case event.Decode, event.Mixed:
			r.Sims.SetLoad(0.014, 0.56)
		default:
			r.Sims.SetLoad(0, 0)
		}
	}
}

// Do runs f by the rig's clock and waits for it.
func (r *Rig) Do(f func() error) error {
	done := make(chan error, 1)
	r.Clock.Go(func() { done <- f() })
	return <-done
}

// Close gives clocks back and ends backend and device. What nobody was told of
// goes to stderr.
func (r *Rig) Close() error {
	var errs []error
	for _, n := range r.TakeNotes() {
		fmt.Fprintln(os.Stderr, "jouletop:", n)
	}
	if r.endTenants != nil {
		r.endTenants()
	}
	if r.telemetry != nil {
		errs = append(errs, r.telemetry.Close())
	}
	if r.Backend != nil {
		errs = append(errs, r.Backend.Close())
	}
	errs = append(errs, r.CloseControls(), closeDevices(r.GPUs))
	if r.log != nil {
		errs = append(errs, r.log.Close())
	}
	return errors.Join(errs...)
}
