package figures

import (
	"context"
	"flag"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"jouletop/engine"
	"jouletop/engine/event"
	"jouletop/engine/synth"
)

// Llama is what a bench of llama.cpp runs, as its flags say.
type Llama struct {
	Model, BackendDir string
	Layers, Threads   int
	Prompt, Generate  int
	Rounds            int           // at most, a batch size
	Limit             time.Duration // at most, a batch size
	batches           string
}

// Flags defines the flags, threads, generate and limit being defaults.
func (o *Llama) Flags(threads, generate int, limit time.Duration) {
	flag.StringVar(&o.batches, "batch", "1,4", "batch sizes")
	flag.StringVar(&o.Model, "model", "llama-15m", "GGUF, or a published shape to synthesize")
	flag.StringVar(&o.BackendDir, "backend-dir", "", "folder of libggml-*.so")
	flag.IntVar(&o.Layers, "gpu-layers", 0, "layers on the GPU; -1: all")
	flag.IntVar(&o.Threads, "threads", threads, "threads")
	flag.IntVar(&o.Prompt, "prompt", 340, "tokens of a prompt, about")
	flag.IntVar(&o.Generate, "generate", generate, "tokens to generate")
	flag.IntVar(&o.Rounds, "rounds", 150, "the most rounds a batch size")
	flag.DurationVar(&o.Limit, "limit", limit, "the most time a batch size")
}

// Synthesize writes the model where it is named by its shape, until done is called.
func (o *Llama) Synthesize() (done func(), err error) {
	shape, err := synth.Lookup(o.Model)
	if err != nil {
		return func() {}, nil // it is a file
	}
	dir, err := os.MkdirTemp("", "jouletop-bench")
	if err != nil {
		return nil, err
	}
	done = func() { _ = os.RemoveAll(dir) }
	o.Model = shape.DefaultPath(dir, synth.F16)
	if err := synth.Write(context.Background(), shape, synth.F16, 1, o.Model, nil); err != nil {
		done()
		return nil, err
	}
	return done, nil
}

// Batches are the batch sizes.
func (o *Llama) Batches() (sizes []int, err error) {
	for s := range strings.SplitSeq(o.batches, ",") {
		n, err := strconv.Atoi(s)
		if err != nil || n < 1 {
			return nil, fmt.Errorf("batch %q", s)
		}
		sizes = append(sizes, n)
	}
	return sizes, nil
}

// Spec is the model to load.
func (o *Llama) Spec() engine.ModelSpec {
	return engine.ModelSpec{Path: o.Model, GPULayers: o.Layers, Threads: o.Threads}
}

// PromptOf returns a text of about n tokens, and how many it has.
func PromptOf(b engine.Backend, n int) (text string, tokens int, err error) {
	for i := 0; tokens < n; i++ {
		text += " " + []string{"energy", "clock", "power", "token", "phase", "memory", "bound"}[i*i%7]
		if tokens, err = b.CountTokens(text); err != nil {
			return "", 0, err
		}
	}
	return text, tokens, nil
}

// Rates are tokens/s of prefill and decode, taken from what an engine would hear.
type Rates struct {
	Of    [2]float64
	start int64
}

// PhaseStart implements engine.Observer.
func (r *Rates) PhaseStart(_ event.Phase, t int64, _ int) { r.start = t }

// PhaseEnd implements engine.Observer.
func (r *Rates) PhaseEnd(phase event.Phase, t int64, tokens int) {
	i := 0
	if phase == event.Decode {
		i = 1
	}
	r.Of[i] = float64(tokens) / (float64(t-r.start) / 1e9)
}

// Token implements engine.Observer.
func (r *Rates) Token(int, int64, string) {}
