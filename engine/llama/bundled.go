//go:build cgo && !system

package llama

// #cgo CPPFLAGS: -I${SRCDIR}/upstream/llama/llama.cpp/include
// #cgo CPPFLAGS: -I${SRCDIR}/upstream/ml/backend/ggml/ggml/include
// #cgo CPPFLAGS: -I${SRCDIR}/upstream/ml/backend/ggml/ggml/src
// #cgo CXXFLAGS: -std=c++17
// #cgo linux LDFLAGS: -ldl
import "C"

// Compiles and links llama.cpp and ggml.
import _ "github.com/ollama/ollama/llama/llama.cpp/src"

// installed tells whether llama.cpp is linked rather than compiled in.
const installed = false

// severalRows: best tokens are found where the logits are for several rows of a sequence,
// too.
const severalRows = true

// gpuUbatch is how many tokens a GPU evaluates at once at most.
const gpuUbatch = 2048
