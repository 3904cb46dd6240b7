package llama

import "slices"

// buildWarning judges a build by its features on a CPU.
func buildWarning(features []string, optimised, cpuHasAVX2 bool) string {
	switch {
	case !optimised:
		return "the engine was compiled without optimisation and is many times slower than it could be: build with make"
	case cpuHasAVX2 && !slices.Contains(features, "AVX2"):
		return "this CPU has AVX2 and the engine was compiled without it, which makes it several times slower: build with make (or MARCH=x86-64-v3)"
	}
	return ""
}
