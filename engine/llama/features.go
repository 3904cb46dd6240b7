//go:build cgo

package llama

import "golang.org/x/sys/cpu"

// BuildFlags lists what the engine is: the release of an installed llama.cpp, the
// instruction sets it was compiled for (AVX2, FMA, …) and options of ggml's CPU
// backend.
func BuildFlags() []string {
	if v := Version(); v != "" {
		return append([]string{"llama.cpp " + v}, features()...)
	}
	return features()
}

// BuildWarning tells what makes this build of the engine needlessly slow on
// this CPU, or its llama.cpp an untested one; "" if nothing does.
func BuildWarning() string {
	if w := buildWarning(features(), optimised(), cpu.X86.HasAVX2); w != "" {
		return w
	}
	w, _ := releases() // New has failed on the error
	return w
}

// releases is checkVersion for the llama.cpp at hand.
func releases() (warning string, err error) {
	if !installed {
		return "", nil
	}
	return checkVersion(headersVersion(), Version())
}
