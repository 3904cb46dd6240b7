//go:build !cgo

package nvml

import "jouletop/gpu"

// Device is never made in a build without cgo.
type Device struct{ gpu.Device }

// errNoCgo is gpu.ErrNoDriver only where there is no driver that a build with cgo
// would use.
func errNoCgo() error {
	return without("this jouletop was built without cgo, which a real GPU needs: build it with CGO_ENABLED=1 and gcc", "/")
}

// Suspended is never known.
func Suspended(string) bool { return false }

// OnBus lists none.
func OnBus() []string { return nil }

// Open returns an error wrapping gpu.ErrNoGPU.
func Open(int) (*Device, error) { return nil, errNoCgo() }

// Count returns an error wrapping gpu.ErrNoGPU.
func Count() (int, error) { return 0, errNoCgo() }

// List returns an error wrapping gpu.ErrNoGPU.
func List() ([]gpu.Info, error) { return nil, errNoCgo() }

// Find returns an error wrapping gpu.ErrNoGPU.
func Find(string) (int, error) { return 0, errNoCgo() }
