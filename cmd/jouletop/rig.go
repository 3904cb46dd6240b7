package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"

	"jouletop/engine"
	"jouletop/engine/event"
	"jouletop/engine/session"
	"jouletop/engine/simllm"
	"jouletop/gpu"
	"jouletop/gpu/clockguard"
	"jouletop/gpu/simgpu"
	"jouletop/gpu/timebase"
)

// rig is what a command works with: a clock, GPUs (mostly one), whoever may set
// their clocks, and a backend.
type rig struct {
	clk     timebase.Clock
	sim     *timebase.Sim // clk, where time is simulated
	gpus    []rigGPU
	info    gpu.Info       // of the GPUs together
	simGPU  *simgpu.GPU    // the GPU, where it is simulated
	backend engine.Backend // nil until openBackend
	log     *os.File       // of native code; nil without any
	note    string         // what the numbers do not mean
	heard   atomic.Pointer[func(string)]
	alarmed atomic.Pointer[func(string)]
	rearm   bool     // --on-clock-loss
	notes   []string // of before anybody listened
	// promptCache is what is done about a server's; nil without a server.
	promptCache *session.PromptCache
}

// wantsSim reads --gpu as far as it names a simulated GPU.
func wantsSim(name string) (profile string, sim bool, err error) {
	switch kind, profile, _ := strings.Cut(name, ":"); {
	case kind == "sim" && profile == "":
		return "h100", true, nil
	case kind == "sim":
		return profile, true, nil
	case name == "auto" || name == "nvml":
		return "", false, nil
	}
	return "", false, usagef("--gpu %q: want auto, nvml, sim, sim:h100 or sim:rtx-pro-6000", name)
}

// openRig opens the GPU and the backend. Simulated time goes at defaultSpeed
// (0: as fast as it goes) unless --sim-speed says otherwise.
func openRig(ctx context.Context, o *options, defaultSpeed float64, startNS int64) (*rig, error) {
	profile, sim, err := wantsSim(o.gpu)
	if err != nil {
		return nil, err
	}
	speed, err := o.speed(defaultSpeed)
	if err != nil {
		return nil, err
	}
	if !sim {
		indices, err := o.indices()
		var gpus []rigGPU
		if err == nil {
			if gpus, err = openDevices(indices); err != nil {
				err = errors.Join(err, usable())
			}
		}
		switch {
		case err == nil:
			return realRig(ctx, o, gpus)
		case o.gpu == "nvml" || !o.defaultDevice():
			return nil, err
		case !errors.Is(err, gpu.ErrNoDriver): // there is one: a simulation must be asked for
			return nil, fmt.Errorf("%w; --gpu sim simulates one", err)
		}
		profile = "h100"
	}
	if !o.defaultDevice() {
		return nil, usagef("--device %s: --gpu sim simulates one GPU", strings.Join(o.devices, ","))
	}
	return simRig(o, profile, speed, startNS)
}

func realRig(ctx context.Context, o *options, gpus []rigGPU) (*rig, error) {
	r := &rig{clk: timebase.Monotonic(), rearm: o.clockLoss == clockLossRearm}
	r.use(gpus...)
	if o.simSpeed != "" {
		return nil, errors.Join(usagef("--sim-speed goes with a simulated GPU; this is a %s", r.info.Name), r.Close())
	}
	if o.readOnly || o.monitor {
		for i := range r.gpus {
			r.gpus[i].dev = gpu.ReadOnly(r.gpus[i].dev)
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

// notify hands on what a backend has to say.
func (r *rig) notify(text string) {
	if f := r.heard.Load(); f != nil {
		(*f)(text)
	}
}

// alarm hands on that a clock guard has ended.
func (r *rig) alarm(text string) {
	if !r.rearm {
		text += "; clock control is off until armed again"
	}
	if f := r.alarmed.Load(); f != nil {
		(*f)(text)
	}
}

// takeNotes returns, once, what was found out before anybody listened.
func (r *rig) takeNotes() []string {
	notes := r.notes
	r.notes = nil
	return notes
}

// closeInto closes the rig as a command ends: that a clock was not given back is
// the command's failure.
func (r *rig) closeInto(err *error) { *err = errors.Join(*err, r.Close()) }

// closeControls gives the clocks back for good; the error says what to do where
// that did not succeed. It may be called again.
func (r *rig) closeControls() error {
	var errs []error
	for _, g := range r.gpus {
		if g.control != nil {
			errs = append(errs, g.control.Close())
		}
	}
	return errors.Join(errs...)
}

// armForRun arms clock control for a command that was asked to set clocks.
func (r *rig) armForRun() error {
	if !r.controlled() {
		return gpu.ErrReadOnly
	}
	if r.simulated() {
		return nil
	}
	fmt.Fprintln(os.Stderr, r.armWarning())
	return r.arm(true)
}

// simRig makes a simulated GPU. Under real inference its time is real.
func simRig(o *options, profile string, speed float64, startNS int64) (*rig, error) {
	r := &rig{}
	if o.realInference() {
		if o.simSpeed != "" {
			return nil, usagef("--sim-speed %s: real inference takes the time it takes; leave the flag out or use --backend sim", o.simSpeed)
		}
		r.clk = timebase.Monotonic()
		r.note = "real inference on a CPU beside a simulated GPU: the times are the CPU's and the joules mean nothing"
		if o.url != "" {
			r.note = "a server's inference beside a simulated GPU: the times are the server's and the joules mean nothing"
		}
	} else {
		r.sim = timebase.NewSimAt(startNS, speed)
		r.clk = r.sim
	}
	g, err := simgpu.New(profile, r.clk, int64(o.seed))
	if err != nil {
		return nil, usageError{err}
	}
	r.simGPU = g
	one := rigGPU{dev: g, sources: g.PowerSources()}
	if o.readOnly {
		one.dev = gpu.ReadOnly(g)
	} else if one.control, err = clockguard.InProcess(g, r.clk, clockguard.Options{}); err != nil {
		return nil, err
	}
	r.use(one)
	return r, nil
}

// simulated tells whether anything of the rig is.
func (r *rig) simulated() bool { return r.simGPU != nil }

// load tells a simulated GPU what a real backend would be doing to it: the
// shares seen on an H100 with a 3B model at batch 1.
func (r *rig) load() func(event.Phase) {
	if r.simGPU == nil || r.sim != nil {
		return nil
	}
	if r.promptCache != nil {
		return r.serverLoad
	}
	return func(p event.Phase) {
		switch p {
		case event.Prefill, event.Score:
			r.simGPU.SetLoad(0.16, 0.21)
		case event.Decode, event.Mixed:
			r.simGPU.SetLoad(0.014, 0.56)
		default:
			r.simGPU.SetLoad(0, 0)
		}
	}
}

// do runs f by the rig's clock and waits for it.
func (r *rig) do(f func() error) error {
	done := make(chan error, 1)
	r.clk.Go(func() { done <- f() })
	return <-done
}

// Close gives clocks back and ends backend and device. What nobody was told of
// goes to stderr.
func (r *rig) Close() error {
	var errs []error
	for _, n := range r.takeNotes() {
		fmt.Fprintln(os.Stderr, "jouletop:", n)
	}
	if r.backend != nil {
		errs = append(errs, r.backend.Close())
	}
	errs = append(errs, r.closeControls(), closeDevices(r.gpus))
	if r.log != nil {
		errs = append(errs, r.log.Close())
	}
	return errors.Join(errs...)
}

// realInference tells whether the flags ask for a backend that takes real time.
func (o *options) realInference() bool {
	switch o.backend {
	case "llama", "remote":
		return true
	case "sim":
		return false
	}
	return o.url != "" || len(o.models) > 0 && !simKnows(o.models[0])
}

// backendName settles --backend auto.
func (o *options) backendName(simulatedGPU bool) (string, error) {
	switch {
	case o.backend != "auto":
	case o.url != "":
		return "remote", nil
	case o.realInference():
		return "llama", nil
	case simulatedGPU:
		return "sim", nil
	default:
		return "", usagef("no model: give --model with a GGUF file or an Ollama name (`jouletop models` lists what is here), or --gpu sim for a simulation")
	}
	if o.backend == "sim" && !simulatedGPU {
		return "", usagef("--backend sim needs a simulated GPU: add --gpu sim")
	}
	return o.backend, nil
}

// modelNames are the models asked for, or the default of a simulation.
func (o *options) modelNames(backend string) ([]string, error) {
	if len(o.models) > 0 {
		return o.models, nil
	}
	if backend == "sim" && o.route != "" {
		return routeModels, nil
	}
	if backend == "sim" {
		return []string{"llama-3.1-8b"}, nil
	}
	if backend == "remote" {
		return nil, nil // the server is asked
	}
	return nil, usagef("--backend %s: no model; give --model", backend)
}

// openBackend makes the backend and names the models to run.
func (r *rig) openBackend(ctx context.Context, o *options) ([]engine.ModelSpec, error) {
	name, err := o.backendName(r.simulated())
	if err != nil {
		return nil, err
	}
	names, err := o.modelNames(name)
	if err != nil {
		return nil, err
	}
	if name == "remote" {
		b, err := newRemote(o, r)
		if err != nil {
			return nil, err
		}
		r.backend = b
		if len(names) == 0 {
			m, err := onlyModel(ctx, b, o.url)
			if err != nil {
				return nil, err
			}
			names = []string{m}
		}
	}
	var cards []gpu.Card
	if name == "llama" && o.gpuLayers != 0 {
		if cards, err = r.cards(); err != nil {
			return nil, err
		}
	}
	var specs []engine.ModelSpec
	for _, m := range names {
		spec := engine.ModelSpec{Name: m, GPULayers: o.gpuLayers, Devices: cards, Threads: o.threads}
		if r.simulated() && spec.GPULayers < 0 {
			spec.GPULayers = 0 // beside a simulated GPU inference is the CPU's
		}
		switch name {
		case "sim":
			if !simKnows(m) {
				return nil, usagef("--model %s: the simulated model knows %s", m, strings.Join(simNames(), ", "))
			}
		case "llama":
			f, err := resolveModel(m)
			if err != nil {
				return nil, err
			}
			if o.chat && !f.ChatTemplate {
				return nil, usagef("--chat: model %s has no chat template; leave --chat out, or take the model's instruct variant", m)
			}
			spec.Path = f.Path
			if spec.Path == m {
				spec.Name = strings.TrimSuffix(filepath.Base(m), ".gguf")
			}
		}
		specs = append(specs, spec)
	}
	switch name {
	case "sim":
		r.backend = simllm.New(r.simGPU, r.clk, int64(o.seed), simOptions()...)
	case "llama":
		if r.log, err = nativeLog(); err != nil {
			return nil, fmt.Errorf("log file: %w", err)
		}
		r.backend, err = newLlama(o, !r.simulated(), r.log)
	}
	if err != nil {
		return nil, err
	}
	return specs, nil
}

// ownPIDs are the program's processes that may be on the GPU.
func (r *rig) ownPIDs() []int {
	pids := []int{os.Getpid()}
	if c, ok := r.backend.(interface{ ChildPID() int }); ok {
		pids = append(pids, c.ChildPID())
	}
	return pids
}
