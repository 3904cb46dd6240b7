//go:build !cgo

// Command benchserve needs cgo.
package main

import (
	"fmt"
	"os"

	"jouletop/engine/llama"
)

func main() {
	fmt.Fprintln(os.Stderr, "bench-serve:", llama.ErrNoCgo)
	os.Exit(1)
}
