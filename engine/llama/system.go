//go:build cgo && system

package llama

// #cgo pkg-config: llama
// #cgo CXXFLAGS: -std=c++17
import "C"
