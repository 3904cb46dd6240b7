//go:build cgo

package main

// withNVML: a build without cgo knows no real GPU.
const withNVML = true
