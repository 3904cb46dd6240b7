//go:build cgo

package nvml

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/NVIDIA/go-nvml/pkg/nvml"

	"jouletop/gpu"
)

// restart ends the session of the library, whoever began it, and begins another,
// where the driver that it talked to is gone.
func restart() error {
	loadMutex.Lock()
	defer loadMutex.Unlock()
	l := loaded.Load()
	if _, ret := ask(l, l.DeviceGetCount, countCalls...); ret == nvml.SUCCESS {
		return nil // done already, for another GPU
	}
	for order(l, l.Shutdown, "nvmlShutdown") == nvml.SUCCESS { // it counts how often it was begun
	}
	return fail("nvmlInit", l.Init())
}

// Count returns how many GPUs there are. Where there is nothing of a driver the
// error wraps gpu.ErrNoDriver; a library or a driver that doesn't work is
// gpu.ErrNoGPU.
func Count() (int, error) {
	lib, err := session()
	if err != nil {
		return 0, err
	}
	n, ret := ask(lib, lib.DeviceGetCount, countCalls...)
	return n, fail("nvmlDeviceGetCount", ret)
}

// List describes every GPU, by index, but for its supported clocks. A GPU that cannot be opened (a lost one)
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
			infos[i] = gpu.UnknownInfo(i)
			infos[i].Hidden = []string{err.Error()}
			continue
		}
		infos[i] = d.info
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
		name := fmt.Sprintf("%d (%s)", info.Index, info.UUID)
		if info.UUID == "" {
			name = fmt.Sprintf("%d (%s)", info.Index, strings.Join(info.Hidden, "; "))
		}
		names = append(names, name)
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
