package rig

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"jouletop/engine"
	"jouletop/engine/simllm"
	"jouletop/engine/usage"
	"jouletop/gpu"
)

// realInference tells whether the flags ask for a backend that takes real time.
func (o *Config) realInference() bool {
	switch o.Backend {
	case "llama", "remote":
		return true
	case "sim":
		return false
	}
	return o.URL != "" || len(o.Models) > 0 && !simKnows(o.Models[0])
}

// backendName settles --backend auto.
func (o *Config) backendName(simulatedGPU bool) (string, error) {
	switch {
	case o.Backend != "auto":
	case o.URL != "":
		return "remote", nil
	case o.realInference():
		return "llama", nil
	case simulatedGPU:
		return "sim", nil
	default:
		return "", usage.Errorf("no model: give --model with a GGUF file or an Ollama name (`jouletop models` lists what is here), or --gpu sim for a simulation")
	}
	if o.Backend == "sim" && !simulatedGPU {
		return "", usage.Errorf("--backend sim needs a simulated GPU: add --gpu sim")
	}
	return o.Backend, nil
}

// modelNames are the models asked for, or the default of a simulation.
func (o *Config) modelNames(backend string) ([]string, error) {
	if len(o.Models) > 0 {
		return o.Models, nil
	}
	if backend == "sim" && len(o.SimModels) > 0 {
		return o.SimModels, nil
	}
	if backend == "sim" {
		return []string{"llama-3.1-8b"}, nil
	}
	if backend == "remote" {
		return nil, nil // the server is asked
	}
	return nil, usage.Errorf("--backend %s: no model; give --model", backend)
}

// OpenBackend makes the backend and names the models to run.
func (r *Rig) OpenBackend(ctx context.Context, o *Config) ([]engine.ModelSpec, error) {
	name, err := o.backendName(r.Simulated())
	if err != nil {
		return nil, err
	}
	if o.NoGraphSearch && name != "llama" {
		return nil, usage.Errorf("--no-graph-search is about llama.cpp's graphs; --backend %s has none", name)
	}
	names, err := o.modelNames(name)
	if err != nil {
		return nil, err
	}
	if name == "remote" {
		b, err := remoteBackend(o, r)
		if err != nil {
			return nil, err
		}
		r.Backend = b
		if len(names) == 0 {
			m, err := onlyModel(ctx, b, o.URL)
			if err != nil {
				return nil, err
			}
			names = []string{m}
		}
	}
	var cards []gpu.Card
	if name == "llama" && o.GPULayers != 0 {
		if cards, err = r.cards(); err != nil {
			return nil, err
		}
	}
	var specs []engine.ModelSpec
	for _, m := range names {
		spec, err := r.modelSpec(o, name, m, cards)
		if err != nil {
			return nil, err
		}
		if slices.ContainsFunc(specs, func(s engine.ModelSpec) bool { return s.Name == spec.Name }) {
			return nil, usage.Errorf("--model %s: there is another model named %s, and what they run could not be told apart", m, spec.Name)
		}
		specs = append(specs, spec)
	}
	switch name {
	case "sim":
		for _, g := range r.Sims[1:] {
			if a, b := r.Sims[0].Info().Profile, g.Info().Profile; a != b {
				return nil, usage.Errorf("--gpu %s: a simulated model is split over equal GPUs alone; --monitor watches several kinds", o.GPU)
			}
		}
		r.Backend = simllm.New(r.Sims[0], r.Clock, int64(o.Seed), append(simOptions(), simllm.WithSplit(r.Sims[1:]...))...)
	case "llama":
		if r.log, err = nativeLog(); err != nil {
			return nil, fmt.Errorf("log file: %w", err)
		}
		r.Backend, _, err = llamaBackend(o, !r.Simulated(), r.log)
	}
	if err != nil {
		return nil, err
	}
	return specs, nil
}

// ModelSpec names one more model for the backend that was opened: a file, or a name as
// --model takes it.
func (r *Rig) ModelSpec(o *Config, m string) (engine.ModelSpec, error) {
	var cards []gpu.Card
	if r.Backend.Name() == "llama" && o.GPULayers != 0 {
		var err error
		if cards, err = r.cards(); err != nil {
			return engine.ModelSpec{}, err
		}
	}
	return r.modelSpec(o, r.Backend.Name(), m, cards)
}

func (r *Rig) modelSpec(o *Config, backend, m string, cards []gpu.Card) (engine.ModelSpec, error) {
	spec := engine.ModelSpec{Name: m, GPULayers: o.GPULayers, Devices: cards, Threads: o.Threads}
	if r.Simulated() && spec.GPULayers < 0 {
		spec.GPULayers = 0 // beside a simulated GPU inference is the CPU's
	}
	drafter, err := o.drafter(backend)
	if err != nil {
		return spec, err
	}
	spec.Drafter = drafter
	switch backend {
	case "sim":
		if !simKnows(m) {
			return spec, usage.Errorf("--model %s: the simulated model knows %s", m, strings.Join(SimNames(), ", "))
		}
	case "llama":
		f, err := resolveModel(m)
		if err != nil {
			return spec, err
		}
		if o.Template && !f.ChatTemplate {
			return spec, usage.Errorf("--chat: model %s has no chat template; leave --chat out, or take the model's instruct variant", m)
		}
		spec.Path = f.Path
		if spec.Path == m {
			spec.Name = strings.TrimSuffix(filepath.Base(m), ".gguf")
		}
	}
	return spec, nil
}

// ownPIDs are the program's processes that may be on the GPU.
func (r *Rig) ownPIDs() []int {
	pids := []int{os.Getpid()}
	if c, ok := r.Backend.(interface{ ChildPID() int }); ok {
		pids = append(pids, c.ChildPID())
	}
	return pids
}
