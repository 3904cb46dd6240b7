//go:build !cgo

// Command benchengine needs cgo.
package main

import (
	"fmt"
	"os"

	"jouletop/engine/llama"
)

func main() {
	fmt.Fprintln(os.Stderr, "bench-engine:", llama.ErrNoCgo)
	os.Exit(1)
}
