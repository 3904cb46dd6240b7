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

static int supportedClocks(unsigned index, unsigned most, unsigned *list, unsigned *n, unsigned *count, unsigned *mhz)
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
	r = mem(dev, n, list);
	if (r)
		return r;
	unsigned memory = 0;
	for (unsigned i = 0; i < *n; i++)
		if (list[i] > memory && list[i] <= most)
			memory = list[i];
	return sm(dev, memory, count, mhz);
}
*/
import "C"

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/NVIDIA/go-nvml/pkg/nvml"

	"jouletop/gpu"
)

// clockList is what a GPU says of the clocks it supports, ascending, in MHz.
type clockList struct {
	memory []int
	sm     []int // at the highest memory clock
	err    error
}

// clockListLimit is how long the list is waited for: a driver was reported to hang
// there. The call that hangs is left to itself.
const clockListLimit = 2 * time.Second

var errListSkipped = errors.New("not read, as asked")

var errListHangs = fmt.Errorf("%w: the driver has not answered within %v", gpu.ErrNotSupported, clockListLimit)

// clockList reads the list the first time it is asked for, and again where that failed.
func (d *Device) clockList() clockList {
	d.listing.Lock()
	defer d.listing.Unlock()
	switch {
	case d.list.sm != nil, errors.Is(d.list.err, errListHangs):
		return d.list
	case os.Getenv(EnvClockList) == SkipClockList:
		return clockList{err: errListSkipped}
	}
	read := make(chan clockList, 1)
	go func() { read <- supportedClocks(d.info.Index) }()
	late := time.NewTimer(clockListLimit)
	defer late.Stop()
	select {
	case d.list = <-read:
	case <-late.C:
		d.list = clockList{err: errListHangs}
	}
	return d.list
}

// supportedClocks asks the driver for them. The highest memory clock is taken for the
// default.
func supportedClocks(index int) (out clockList) {
	list := make([]C.uint, 1024) // an H100 has 110
	memory := make([]C.uint, 256)
	for {
		count, n := C.uint(len(list)), C.uint(len(memory))
		ret := nvml.Return(C.supportedClocks(C.uint(index), mostMHz, &memory[0], &n, &count, &list[0]))
		if ret == nvml.ERROR_INSUFFICIENT_SIZE && int(count) > len(list) && int(count) <= mostMHz {
			list = make([]C.uint, count)
			continue
		}
		if ret != nvml.SUCCESS {
			return clockList{err: fail("nvmlDeviceGetSupportedGraphicsClocks", ret)}
		}
		return clockList{memory: ascending(memory[:min(int(n), len(memory))]), sm: ascending(list[:min(int(count), len(list))])}
	}
}

// ascending returns those of a driver's clocks that can be, in order.
func ascending(list []C.uint) (out []int) {
	for _, mhz := range list {
		if v := clockMHz(int64(mhz)); v > 0 {
			out = append(out, v)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}
