// Package rig opens what a command works with as it was asked for: GPUs with whoever
// may set their clocks, and a backend to infer with; real, simulated, several. Its
// configuration takes values as the flags do.
package rig

import (
	"slices"
	"strconv"
	"strings"

	"jouletop/engine/usage"
)

// Config says which GPUs to open and how, and what is to infer on them.
type Config struct {
	GPU      string   // auto, nvml, sim, sim:PROFILE
	Devices  []string // indices or UUIDs, or all
	ReadOnly bool     // never set a clock or a limit
	// NoClockList leaves the list of supported clocks unread.
	NoClockList bool
	Monitor     bool // watch only: nothing runs
	Watch       bool // somebody else's command runs, in real time whatever the GPU is
	// SimSpeed is simulated time against real time: a factor, max, or "" for the
	// caller's default.
	SimSpeed  string
	ClockLoss string // what to do about a lost clock: stop or rearm
	Seed      uint64 // of everything simulated

	Backend       string   // auto, llama, sim, remote
	Models        []string // as --model takes them
	SimModels     []string // what a simulation runs where Models names none; nil its default
	GPULayers     int      // -1 for all
	Threads       int      // 0 for the cores there are
	BackendDir    string   // of llama.cpp's GPU backends; "" is searched for
	InProcess     bool     // llama.cpp in this process
	NoGraphSearch bool     // llama.cpp's graphs as they are: see llama.Options
	Template      bool     // the models must have a chat template
	URL           string   // of an OpenAI-compatible server
	DraftModel    string   // drafts tokens for the models: as --model takes it, or self
	Draft         string   // ngram, which drafts without a model
	Server        Server
}

// Check finds what is wrong with a configuration taken alone.
func (o *Config) Check() error {
	if !slices.Contains([]string{"auto", "llama", "sim", "remote"}, o.Backend) {
		return usage.Errorf("--backend %q: want auto, llama, sim or remote", o.Backend)
	}
	if o.Backend == "remote" && o.URL == "" {
		return usage.Errorf("--backend remote: --url is needed")
	}
	if o.URL != "" && o.Backend != "remote" && o.Backend != "auto" {
		return usage.Errorf("--url goes with --backend remote")
	}
	if o.GPULayers < -1 {
		return usage.Errorf("--gpu-layers %d: want -1 (all) or more", o.GPULayers)
	}
	if o.Threads < 0 {
		return usage.Errorf("--threads %d: want 0 (the cores there are) or more", o.Threads)
	}
	if err := o.Server.Check(o.URL); err != nil {
		return err
	}
	if err := o.checkDrafts(); err != nil {
		return err
	}
	if o.ClockLoss != ClockLossStop && o.ClockLoss != ClockLossRearm {
		return usage.Errorf("--on-clock-loss %q: want %s or %s", o.ClockLoss, ClockLossStop, ClockLossRearm)
	}
	return nil
}

// speed reads --sim-speed: 0 is as fast as it goes.
func (o *Config) speed(byDefault float64) (float64, error) {
	switch o.SimSpeed {
	case "":
		return byDefault, nil
	case "max":
		return 0, nil
	}
	v, err := strconv.ParseFloat(strings.TrimSuffix(o.SimSpeed, "x"), 64)
	if err != nil || !(v > 0) || v > 1e6 {
		return 0, usage.Errorf("--sim-speed %q: want a factor above 0, or max", o.SimSpeed)
	}
	return v, nil
}

// defaultDevice tells whether --device asks for nothing but the first GPU.
func (o *Config) defaultDevice() bool { return slices.Equal(o.Devices, []string{DefaultDevice}) }

// Values of --on-clock-loss.
const (
	ClockLossStop  = "stop"
	ClockLossRearm = "rearm"
)
