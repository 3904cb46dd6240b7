package llama

import (
	"os"

	"jouletop/engine"
	"jouletop/engine/gguf"
)

// graphsOff is llama.cpp's switch of CUDA graphs: they are off where it is set, to whatever.
const graphsOff = "GGML_CUDA_DISABLE_GRAPHS"

// NewGPUEnvironment is what a process that loads the model onto a GPU must find in its
// environment, in the form of os.Environ, and why, as a sentence for a person.
//
// A model that serves requests as they come, with matrices that cuBLAS multiplies, must do
// without CUDA graphs: with them a product of cuBLAS never ended on an H100, with an 8B model
// in F16, in five of six runs; without them none of 34 runs hung. Why is inferred, not
// proven: llama.cpp (0.5.0; pull request 26574) gives cuBLAS one workspace for what is
// captured in graphs and for what is not, and with cuBLAS's own workspaces the one run that
// was tried did not hang either. Batches never did: their shapes change seldom.
func NewGPUEnvironment(spec engine.ModelSpec) (env []string, why string) {
	return environmentOf(spec, installed)
}

func environmentOf(spec engine.ModelSpec, installed bool) (env []string, why string) {
	if _, set := os.LookupEnv(graphsOff); set || !installed || !spec.Serves || spec.GPULayers == 0 {
		return nil, ""
	}
	m, err := gguf.OpenModel(spec.Path)
	if err != nil || !multipliesPlain(m) { // loading it tells what is wrong with it
		return nil, ""
	}
	return []string{graphsOff + "=1"}, "CUDA graphs are off while it serves: with them, products of unquantised weights hang in llama.cpp (" + graphsOff + ")"
}

// multipliesPlain tells whether the model has matrices to multiply that are not quantised.
func multipliesPlain(m *gguf.Model) bool {
	embedding, output := false, false
	for _, f := range m.Files {
		for _, t := range f.Tensors {
			plain := t.Type == gguf.F32 || t.Type == gguf.F16 || t.Type == gguf.BF16
			switch {
			case t.Name == "token_embd.weight": // rows of it are read
				embedding = plain
			case plain && len(t.Shape) > 1 && t.Shape[1] > 1:
				return true
			}
			output = output || t.Name == "output.weight"
		}
	}
	return embedding && !output // then it is multiplied too
}
