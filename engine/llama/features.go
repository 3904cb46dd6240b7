//go:build cgo

package llama

import "golang.org/x/sys/cpu"

// BuildFlags lists what the engine was compiled for: instruction sets (AVX2,
// FMA, …) and options of ggml's CPU backend.
func BuildFlags() []string { return features() }

// BuildWarning tells what makes this build of the engine needlessly slow on
// this CPU; "" if nothing does.
func BuildWarning() string {
	return buildWarning(features(), optimised(), cpu.X86.HasAVX2)
}
