//go:build cgo

package nvml

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"

	"github.com/NVIDIA/go-nvml/pkg/nvml"

	"jouletop/gpu"
)

var (
	loadMutex sync.Mutex
	loaded    nvml.Interface
)

// library loads the library on first use and starts a session of it. It is
// never unloaded: go-nvml binds each function to its address at the first call
// for good.
func library() (nvml.Interface, error) {
	loadMutex.Lock()
	defer loadMutex.Unlock()
	lib := loaded
	if lib == nil {
		if path := os.Getenv(EnvLibrary); path != "" {
			lib = nvml.New(nvml.WithLibraryPath(path))
		} else {
			lib = nvml.New()
		}
	}
	ret := lib.Init()
	if ret != nvml.ERROR_LIBRARY_NOT_FOUND {
		loaded = lib
	}
	if err := fail("nvmlInit", ret); err != nil {
		return nil, err
	}
	return lib, nil
}

// restart ends the session of the library, whoever began it, and begins another,
// where the driver that it talked to is gone.
func restart() error {
	loadMutex.Lock()
	defer loadMutex.Unlock()
	if _, ret := loaded.DeviceGetCount(); ret == nvml.SUCCESS {
		return nil // done already, for another GPU
	}
	for loaded.Shutdown() == nvml.SUCCESS { // it counts how often it was begun
	}
	return fail("nvmlInit", loaded.Init())
}

// has tells whether the loaded library has a function. One that it lacks must
// never be called: the dynamic linker would end the program.
func has(lib nvml.Interface, function string) bool {
	return lib.Extensions().LookupSymbol(function) == nil
}

// Count returns how many GPUs there are. No library and no driver are an error
// wrapping gpu.ErrNoGPU.
func Count() (int, error) {
	lib, err := library()
	if err != nil {
		return 0, err
	}
	n, ret := lib.DeviceGetCount()
	return n, fail("nvmlDeviceGetCount", ret)
}

// List describes every GPU, by index. A GPU that cannot be opened (a lost one)
// has its index and, as the only sentence of Hidden, the reason.
func List() ([]gpu.Info, error) {
	n, err := Count()
	if err != nil {
		return nil, err
	}
	infos := make([]gpu.Info, n)
	for i := range infos {
		d, err := Open(i)
		if err != nil {
			infos[i] = gpu.Info{Index: i, Hidden: []string{err.Error()}}
			continue
		}
		infos[i] = d.Info()
		_ = d.Close() // it never fails
	}
	return infos, nil
}

// Find returns the index of the GPU that a user means: an index ("1"), a UUID
// ("GPU-1a2b3c4d-…"), or the beginning of one. The error wraps gpu.ErrNoGPU and
// lists what there is.
func Find(selector string) (int, error) {
	n, err := Count()
	if err != nil {
		return 0, err
	}
	if i, err := strconv.Atoi(selector); err == nil {
		return i, checkIndex(i, n)
	}
	infos, err := List()
	if err != nil {
		return 0, err
	}
	found, names := -1, make([]string, 0, n)
	for _, info := range infos {
		names = append(names, fmt.Sprintf("%d (%s)", info.Index, info.UUID))
		if selector == "" || !strings.HasPrefix(strings.ToLower(info.UUID), strings.ToLower(selector)) {
			continue
		}
		if found >= 0 {
			return 0, fmt.Errorf("%w of UUID %q alone: it fits GPU %d and GPU %d: give more of it", gpu.ErrNoGPU, selector, found, info.Index)
		}
		found = info.Index
	}
	if found < 0 {
		return 0, fmt.Errorf("%w of index or UUID %q: there are %s", gpu.ErrNoGPU, selector, strings.Join(names, ", "))
	}
	return found, nil
}

func checkIndex(i, n int) error {
	switch {
	case n == 0:
		return fmt.Errorf("%w: the driver lists none", gpu.ErrNoGPU)
	case i < 0 || i >= n:
		return fmt.Errorf("%w of index %d: there are %d, from 0 to %d", gpu.ErrNoGPU, i, n, n-1)
	}
	return nil
}
