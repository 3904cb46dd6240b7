// Package nvml is a real GPU: [gpu.Device] on NVIDIA's management library
// through github.com/NVIDIA/go-nvml, which loads libnvidia-ml.so.1 at run time,
// so that a program built with it also runs where there is none. No library, no
// driver and no GPU are [gpu.ErrNoGPU], not a failure of the program; only where
// nothing of a driver is on the machine is it [gpu.ErrNoDriver], and may a program
// take the machine for one without a GPU.
//
// Nothing is taken for granted: a function that the library lacks is "not
// supported" (see ask), and a value that cannot be is unknown (see believe.go).
//
// [Find] turns what a user typed (an index or a UUID) into an index, [Open]
// opens the GPU of an index, [List] tells which there are. Every return code of
// NVML becomes an error that names the call, wraps one of gpu's sentinels where
// a caller may decide by it, and says what to do.
//
// Readings are on CLOCK_MONOTONIC, like gpu/timebase's real clock. The driver
// stamps its sample buffer with the wall clock; see wallMap for how that is
// mapped when the wall clock is set meanwhile.
//
// The environment variable JOULETOP_NVML_LIBRARY names another library file to
// load: one in an unusual place, or gpu/nvml/fakenvml in tests. A process loads
// one library only and keeps it until it ends.
//
// It needs cgo. Built without, every function says so, wrapped in gpu.ErrNoGPU.
package nvml

// EnvLibrary names the environment variable with the library's path.
const EnvLibrary = "JOULETOP_NVML_LIBRARY"

// EnvClockList names the environment variable that, at SkipClockList, has the list of
// supported clocks left unread, by this process and its clock guard.
const (
	EnvClockList  = "JOULETOP_CLOCK_LIST"
	SkipClockList = "skip"
)
