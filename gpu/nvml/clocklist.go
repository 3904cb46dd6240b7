//go:build cgo

package nvml

// go-nvml 0.13 asks for the supported clocks with room for none, so that the
// driver returns their number and never their values. The few lines of C below
// make these two calls properly, on the library that go-nvml has loaded for the
// whole process (RTLD_GLOBAL).

/*
#cgo LDFLAGS: -ldl
#define _GNU_SOURCE
#include <dlfcn.h>

enum { functionNotFound = 13 };

static int supportedClocks(unsigned index, unsigned most, unsigned *memory, unsigned *count, unsigned *mhz)
{
	int (*handle)(unsigned, void **) = dlsym(RTLD_DEFAULT, "nvmlDeviceGetHandleByIndex_v2");
	if (!handle)
		handle = dlsym(RTLD_DEFAULT, "nvmlDeviceGetHandleByIndex");
	int (*mem)(void *, unsigned *, unsigned *) = dlsym(RTLD_DEFAULT, "nvmlDeviceGetSupportedMemoryClocks");
	int (*sm)(void *, unsigned, unsigned *, unsigned *) = dlsym(RTLD_DEFAULT, "nvmlDeviceGetSupportedGraphicsClocks");
	void *dev;
	if (!handle || !mem || !sm)
		return functionNotFound;
	int r = handle(index, &dev);
	if (r)
		return r;
	unsigned list[256], n = sizeof list / sizeof *list;
	r = mem(dev, &n, list);
	if (r)
		return r;
	*memory = 0;
	for (unsigned i = 0; i < n && i < sizeof list / sizeof *list; i++)
		if (list[i] > *memory && list[i] <= most)
			*memory = list[i];
	return sm(dev, *memory, count, mhz);
}
*/
import "C"

import (
	"slices"

	"github.com/NVIDIA/go-nvml/pkg/nvml"
)

// supportedClocks returns the highest memory clock of the GPU (its default; -1
// unknown) and the SM clocks supported at it, ascending, in MHz.
func supportedClocks(index int) (mem int, sm []int, err error) {
	list := make([]C.uint, 1024) // an H100 has 110
	for {
		count, memory := C.uint(len(list)), C.uint(0)
		ret := nvml.Return(C.supportedClocks(C.uint(index), mostMHz, &memory, &count, &list[0]))
		if ret == nvml.ERROR_INSUFFICIENT_SIZE && int(count) > len(list) && int(count) <= mostMHz {
			list = make([]C.uint, count)
			continue
		}
		if ret != nvml.SUCCESS {
			return -1, nil, fail("nvmlDeviceGetSupportedGraphicsClocks", ret)
		}
		for _, mhz := range list[:min(int(count), len(list))] {
			if v := clockMHz(int64(mhz)); v > 0 {
				sm = append(sm, v)
			}
		}
		slices.Sort(sm)
		return int(memory), slices.Compact(sm), nil
	}
}
