//go:build cgo

package nvml

/*
#cgo LDFLAGS: -ldl
#include <dlfcn.h>
#include <stdlib.h>
*/
import "C"

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"unsafe"

	"github.com/NVIDIA/go-nvml/pkg/nvml"

	"jouletop/gpu"
)

// library is the loaded library. go-nvml binds a function at its first call, and
// the dynamic linker ends the program where the library lacks it; so every call is
// made through [ask], which looks first.
type library struct {
	nvml.Interface
	handle unsafe.Pointer // dlopen's
}

var (
	loadMutex sync.Mutex
	loaded    atomic.Pointer[library]
)

// session loads the library on first use and starts a session of it. It is
// never unloaded: go-nvml binds each function to its address at the first call
// for good.
func session() (*library, error) {
	loadMutex.Lock()
	defer loadMutex.Unlock()
	l := loaded.Load()
	if l == nil {
		var err error
		if l, err = load(); err != nil {
			return nil, err
		}
		loaded.Store(l)
	}
	return l, fail("nvmlInit", l.Init())
}

// load finds the library and sees that it is one.
func load() (*library, error) {
	path, options := "libnvidia-ml.so.1", []nvml.LibraryOption(nil)
	if named := os.Getenv(EnvLibrary); named != "" {
		// Opening a pipe or a device would wait for ever.
		if st, err := os.Stat(named); err != nil {
			return nil, without(err.Error(), "/")
		} else if !st.Mode().IsRegular() {
			return nil, without(named+" is not a regular file", "/")
		}
		path, options = named, append(options, nvml.WithLibraryPath(named))
	}
	handle, err := dlopen(path)
	if err != nil {
		return nil, without(err.Error(), "/")
	}
	l := &library{nvml.New(options...), handle}
	for _, f := range [][]string{initCalls, countCalls, handleCalls, {"nvmlDeviceGetUUID"}} {
		if !l.has(f...) {
			return nil, fmt.Errorf("%w: the library %s lacks %s: it is no NVML, or too old", gpu.ErrNoGPU, path, f[0])
		}
	}
	return l, nil
}

// dlopen loads a library as go-nvml does, which gets the same one then.
func dlopen(path string) (unsafe.Pointer, error) {
	name := C.CString(path)
	defer C.free(unsafe.Pointer(name))
	runtime.LockOSThread() // dlerror is the thread's
	defer runtime.UnlockOSThread()
	if handle := C.dlopen(name, C.RTLD_LAZY|C.RTLD_GLOBAL); handle != nil {
		return handle, nil
	}
	if text := C.dlerror(); text != nil {
		return nil, errors.New(C.GoString(text))
	}
	return nil, fmt.Errorf("%s cannot be loaded", path)
}

// has tells whether the library has one of these functions.
func (l *library) has(functions ...string) bool {
	for _, f := range functions {
		name := C.CString(f)
		found := C.dlsym(l.handle, name) != nil
		C.free(unsafe.Pointer(name))
		if found {
			return true
		}
	}
	return false
}

// The functions that go-nvml chooses from, newest first.
var (
	initCalls   = []string{"nvmlInit_v2", "nvmlInit"}
	countCalls  = []string{"nvmlDeviceGetCount_v2", "nvmlDeviceGetCount"}
	handleCalls = []string{"nvmlDeviceGetHandleByIndex_v2", "nvmlDeviceGetHandleByIndex"}
	pciCalls    = []string{"nvmlDeviceGetPciInfo_v3", "nvmlDeviceGetPciInfo_v2", "nvmlDeviceGetPciInfo"}
)

// ask makes a call that goes to one of the functions named. Where the library
// has none of them the answer is ERROR_FUNCTION_NOT_FOUND.
func ask[T any](l *library, call func() (T, nvml.Return), functions ...string) (T, nvml.Return) {
	if !l.has(functions...) {
		var none T
		return none, nvml.ERROR_FUNCTION_NOT_FOUND
	}
	return call()
}

// order is ask for a call that answers with nothing but its return code.
func order(l *library, call func() nvml.Return, function string) nvml.Return {
	_, ret := ask(l, func() (struct{}, nvml.Return) { return struct{}{}, call() }, function)
	return ret
}
