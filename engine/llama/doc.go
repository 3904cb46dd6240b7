// Package llama runs language models with llama.cpp: the only cgo of this
// program, behind [engine.Backend].
//
// llama.cpp and ggml are compiled from the Go module github.com/ollama/ollama,
// which carries them with cgo build files (or taken from the system, with the
// build tag system). Backends for GPUs are loaded at run time from
// [Options].BackendDir. Without cgo the package has the same API, and [New]
// returns [ErrNoCgo].
//
// A batch is evaluated as: one prefill over all prompts, each in a key-value
// stream of its own (on a GPU, prompts of nearly the same length are padded to
// one, see padding, and long ones are handed over in parts, see stride); then one decode step a token for all sequences that are not
// done, or the scoring of the answer options on the prompts' streams (of a recurrent
// model, on copies of them). The best tokens are found where the logits are, which
// then are not copied (best.h), unless [Options].NoGraphSearch is set.
// Every phase boundary follows llama_synchronize and is stamped with
// CLOCK_MONOTONIC.
//
// Caveats. llama.cpp aborts the process on a failed assertion: model files are
// checked by engine/gguf before it sees them, and engine/worker keeps the rest
// out of the program. Its log is global to the process: the newest Backend's
// Options.Log gets it.
package llama

import (
	"errors"
	"io"
)

// ErrNoCgo is returned where the engine was not compiled in.
var ErrNoCgo = errors.New("engine/llama: built without cgo, so without llama.cpp: build with CGO_ENABLED=1 and gcc, g++ installed, or use --backend sim")

// Options configure a Backend.
type Options struct {
	// BackendDir is a folder of libggml-*.so for GPUs to load at run time, such
	// as Ollama's lib/ollama/cuda_v13; "" for none. Backends stay loaded for the
	// life of the process.
	BackendDir string
	// Log receives llama.cpp's log, line by line; nil keeps only what error messages
	// quote. Nothing is ever written to standard error.
	Log io.Writer
	// NoGraphSearch copies all logits and searches them for the best token here, as
	// llama.cpp does by itself: then nothing of ours is in what the device computes,
	// and a step takes as much longer as the copy.
	NoGraphSearch bool
}

// Device is something ggml can compute on.
type Device struct {
	Name        string `json:"name"` // CPU, CUDA0
	Description string `json:"description"`
	// ID is the PCI bus id ("0000:01:00.0") of a GPU, "" if unknown.
	ID          string `json:"id,omitempty"`
	GPU         bool   `json:"gpu"`
	MemoryFree  uint64 `json:"memory_free"`  // bytes
	MemoryTotal uint64 `json:"memory_total"` // bytes
}
