//go:build !cgo

// Command benchworker needs cgo.
package main

import (
	"fmt"
	"os"

	"jouletop/engine/llama"
)

func main() {
	fmt.Fprintln(os.Stderr, "bench-worker:", llama.ErrNoCgo)
	os.Exit(1)
}
