//go:build cgo

package nvml

import (
	"fmt"

	"github.com/NVIDIA/go-nvml/pkg/nvml"

	"jouletop/gpu"
)

// fail turns a return code of the named call into an error: nil for success,
// else one that wraps a sentinel of package gpu where there is one for it.
func fail(call string, ret nvml.Return) error {
	switch ret {
	case nvml.SUCCESS:
		return nil
	case nvml.ERROR_LIBRARY_NOT_FOUND:
		return fmt.Errorf("%w: %s: the NVIDIA driver's libnvidia-ml.so.1 was not found", gpu.ErrNoGPU, call)
	case nvml.ERROR_DRIVER_NOT_LOADED:
		return fmt.Errorf("%w: %s: the NVIDIA driver is not loaded: nvidia-smi says more", gpu.ErrNoGPU, call)
	case nvml.ERROR_UNINITIALIZED:
		return fmt.Errorf("%w: %s: the NVIDIA driver was unloaded", gpu.ErrNoGPU, call)
	case nvml.ERROR_LIB_RM_VERSION_MISMATCH:
		return fmt.Errorf("%w: %s: the NVIDIA library and the loaded driver differ in version: reload the driver or reboot", gpu.ErrNoGPU, call)
	case nvml.ERROR_NOT_FOUND, nvml.ERROR_GPU_NOT_FOUND:
		return fmt.Errorf("%w: %s: not found", gpu.ErrNoGPU, call)
	case nvml.ERROR_NO_PERMISSION:
		return fmt.Errorf("%w: %s: the driver refuses this user: run it as root", gpu.ErrNoPermission, call)
	case nvml.ERROR_OPERATING_SYSTEM:
		return fmt.Errorf("%w: %s: the operating system (a container's device rules, perhaps) blocks the GPU's control device", gpu.ErrNoPermission, call)
	case nvml.ERROR_NOT_SUPPORTED, nvml.ERROR_FUNCTION_NOT_FOUND, nvml.ERROR_DEPRECATED,
		nvml.ERROR_ARGUMENT_VERSION_MISMATCH, nvml.ERROR_NO_DATA:
		return fmt.Errorf("%w: %s", gpu.ErrNotSupported, call)
	case nvml.ERROR_GPU_IS_LOST:
		return fmt.Errorf("%w: %s: it fell off the bus: look for Xid in the kernel log, then reset it or reboot", gpu.ErrLost, call)
	case nvml.ERROR_RESET_REQUIRED:
		return fmt.Errorf("%w: %s: it needs a reset (nvidia-smi --gpu-reset) or a reboot", gpu.ErrLost, call)
	}
	return fmt.Errorf("%s: NVML error %d%s", call, int(ret), errorText(ret))
}

// errorText is what the library calls a code. Outside of it (%v of a code too)
// the name would be asked for unguarded.
func errorText(ret nvml.Return) string {
	if l := loaded.Load(); l != nil && l.has("nvmlErrorString") {
		return ": " + nvml.ErrorString(ret)
	}
	return ""
}

// errAbsurd is a call that succeeded with a value that cannot be.
func errAbsurd(what string, value any) error {
	return fmt.Errorf("%w: reading %s: the driver says %v", gpu.ErrAbsurd, what, value)
}
