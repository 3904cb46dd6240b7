// Package backends finds llama.cpp's GPU backends (folders with libggml-cuda.so
// and the like) and tells whether one belongs to the llama.cpp that this program
// is built with, before the loader runs any code of it: a backend of another
// release shares no binary interface with it, and would crash or compute
// nonsense.
//
// ggml names no version that could be compared: in these builds it calls itself
// 0x0, and GGML_BACKEND_API_VERSION, which ggml compares itself, stays the same
// over many incompatible releases. What can be relied on:
//
//   - An installed Ollama tells its release (`ollama --version`).
//   - `make cuda` writes the sources' release into the folder (the file VERSION).
//   - Whatever the folder's origin, the functions that its libggml-base exports
//     are compared with those of this program's ggml: a new operation, type or
//     call adds one, so releases that differ in their interface differ in these.
//
// A program that is linked with an installed llama.cpp is held to the libggml-base
// of that one, and to its functions.
package backends

import (
	_ "embed"
	"errors"
	"strings"
)

// Release is the Ollama release whose llama.cpp and ggml this program carries;
// go.mod pins it.
const Release = "0.17.4"

// versionFile is where `make cuda` notes the release it built.
const versionFile = "VERSION"

// Errors that a caller decides by; wrapped with what was found.
var (
	// ErrNone: the folder holds no backend.
	ErrNone = errors.New("no backend (libggml-*.so)")
	// ErrLibrary: what is there is no backend, or none for this kind of machine,
	// or cannot be read.
	ErrLibrary = errors.New("backend cannot be loaded")
	// ErrVersion: the backend belongs to another release.
	ErrVersion = errors.New("backend of another release")
	// ErrMissing: the backend needs libraries that the loader does not find.
	ErrMissing = errors.New("libraries are missing")
)

// baseSymbols are the C functions that libggml-base of Release exports, sorted:
//
//	nm -D --defined-only build/cuda/libggml-base.so | awk '{print $3}' |
//	  grep -E '^(ggml|gguf|dequantize|quantize)_' | LC_ALL=C sort
//
//go:embed base-symbols.txt
var baseSymbols string

// interfaceName tells whether a symbol is one of those of baseSymbols.
func interfaceName(s string) bool {
	for _, p := range []string{"ggml_", "gguf_", "dequantize_", "quantize_"} {
		if strings.HasPrefix(s, p) {
			return true
		}
	}
	return false
}
