package nvml

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"jouletop/gpu"
)

// traces are what an NVIDIA driver leaves on a machine: its devices, its kernel
// module, its library.
var traces = []string{
	"dev/nvidia*", "proc/driver/nvidia",
	"usr/lib/*/libnvidia-ml.so.1", "usr/lib64/libnvidia-ml.so.1", "usr/lib/libnvidia-ml.so.1", "usr/lib/wsl/lib/libnvidia-ml.so.1",
}

// tracesIn returns what there is of a driver below root, "" for nothing.
func tracesIn(root string) string {
	for _, pattern := range traces {
		if found, _ := filepath.Glob(filepath.Join(root, pattern)); len(found) > 0 { // the patterns are well formed
			return found[0]
		}
	}
	return ""
}

// without is the error of a library that cannot be had. Only where nothing of a
// driver is on the machine, and nobody named a library, may a program take it for
// one without a GPU: the error wraps gpu.ErrNoDriver then, else gpu.ErrNoGPU.
func without(why, root string) error {
	if path := os.Getenv(EnvLibrary); path != "" {
		return fmt.Errorf("%w: the library that %s names cannot be used: %s", gpu.ErrNoGPU, EnvLibrary, why)
	}
	if trace := tracesIn(root); trace != "" {
		return fmt.Errorf("%w to be reached, though this machine has %s: %s", gpu.ErrNoGPU, trace, why)
	}
	return fmt.Errorf("%w: %s", gpu.ErrNoDriver, strings.TrimSpace(why))
}
