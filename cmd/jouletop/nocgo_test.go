//go:build !cgo

package main

const withNVML = false
