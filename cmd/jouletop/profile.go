package main

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"runtime/pprof"
)

// profileHz is how often a profile looks where the program is, a second of CPU time. The
// usual 100 would say little of a program that takes a hundredth of a core.
const profileHz = 1000

// profileCPU writes where CPU time goes to a file until stop is called; "" is no file. It is
// for `make bench-tui`.
func profileCPU(path string) (stop func() error, err error) {
	if path == "" {
		return func() error { return nil }, nil
	}
	f, err := os.Create(path)
	if err != nil {
		return nil, fmt.Errorf("--cpu-profile: %w", err)
	}
	// Go keeps the first rate that is set, and says so on the standard error.
	runtime.SetCPUProfileRate(profileHz)
	if err := pprof.StartCPUProfile(f); err != nil {
		return nil, errors.Join(fmt.Errorf("--cpu-profile: %w", err), f.Close())
	}
	return func() error {
		pprof.StopCPUProfile()
		return f.Close()
	}, nil
}
