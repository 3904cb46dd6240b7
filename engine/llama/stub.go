//go:build !cgo

package llama

import (
	"context"

	"jouletop/engine"
)

// Backend cannot be made without cgo.
type Backend struct{}

var _ engine.Backend = (*Backend)(nil)

const installed = false

// New returns ErrNoCgo.
func New(Options) (*Backend, error) { return nil, ErrNoCgo }

// Name returns "llama".
func (*Backend) Name() string { return "llama" }

// Load returns ErrNoCgo.
func (*Backend) Load(context.Context, engine.ModelSpec, func(float64)) (engine.ModelInfo, error) {
	return engine.ModelInfo{}, ErrNoCgo
}

// CountTokens returns ErrNoCgo.
func (*Backend) CountTokens(string) (int, error) { return 0, ErrNoCgo }

// Run returns ErrNoCgo.
func (*Backend) Run(context.Context, engine.Batch, engine.Observer) ([]engine.Result, error) {
	return nil, ErrNoCgo
}

// Close does nothing.
func (*Backend) Close() error { return nil }

// Devices returns none.
func Devices() []Device { return nil }

// BuildFlags returns none.
func BuildFlags() []string { return nil }

// Version returns "": there is no llama.cpp.
func Version() string { return "" }

// BuildWarning returns "": there is nothing to be slow.
func BuildWarning() string { return "" }
