//go:build cgo && system

package llama

// #cgo CXXFLAGS: -std=c++17
// #cgo linux LDFLAGS: -ldl
import "C" // the flags that find the installed llama.cpp are make's: see installed.sh

// installed tells whether llama.cpp is linked rather than compiled in.
const installed = true
