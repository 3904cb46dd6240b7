//go:build cgo && system

package llama

// #cgo CXXFLAGS: -std=c++17
// #cgo linux LDFLAGS: -ldl
import "C" // the flags that find the installed llama.cpp are make's: see installed.sh

// installed tells whether llama.cpp is linked rather than compiled in.
const installed = true

// severalRows: a sequence's sampler answers for one row of it in a pass; the logits of
// several are copied.
const severalRows = false

// gpuUbatch is how many tokens a GPU evaluates at once at most. More take the host
// longer to prepare, while the GPU waits: the mask of attention grows with the
// square. On an H100 a 1B model read a prompt of 2048 tokens in passes of 512 at
// 81,000 tokens a second, of 1024 at 88,000 and of 2048 at 65,000; and passes of 1024
// take 250 MiB less of an 8B model's GPU memory than those of 2048.
const gpuUbatch = 1024
