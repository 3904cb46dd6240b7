//go:build !cgo

// Package bareloop needs cgo.
package bareloop
