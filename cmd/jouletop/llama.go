package main

import (
	"jouletop/engine"
	"jouletop/engine/llama"
)

// newLlama opens llama.cpp.
func newLlama(o *options) (engine.Backend, error) {
	return llama.New(llama.Options{BackendDir: o.backendDir})
}
