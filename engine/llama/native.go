//go:build cgo

package llama

/*
#include <stdlib.h>
#include "bridge.h"
*/
import "C"

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime/cgo"
	"slices"
	"strings"
	"sync"
	"unsafe"
)

//export jtLog
func jtLog(level C.int, text *C.char) { nativeLog.add(int(level), C.GoString(text)) }

//export jtProgress
func jtProgress(handle C.uintptr_t, progress C.float) C.int {
	if cgo.Handle(handle).Value().(func(float64) bool)(float64(progress)) {
		return 1
	}
	return 0
}

// start starts the library, once in a process.
var start = sync.OnceFunc(func() {
	// The order in which nvidia-smi and NVML count GPUs, not the fastest first.
	if os.Getenv("CUDA_DEVICE_ORDER") == "" {
		_ = os.Setenv("CUDA_DEVICE_ORDER", "PCI_BUS_ID") // fails for impossible names only
	}
	C.jt_init()
})

var backendDirs struct {
	sync.Mutex
	loaded []string
}

// loadBackends loads the GPU backends of a folder, each folder once.
func loadBackends(dir string) error {
	backendDirs.Lock()
	defer backendDirs.Unlock()
	if slices.Contains(backendDirs.loaded, dir) {
		return nil
	}
	if _, err := os.Stat(dir); err != nil {
		return fmt.Errorf("backend folder: %w", err)
	}
	files, err := filepath.Glob(filepath.Join(dir, "libggml-*.so"))
	if err != nil {
		return fmt.Errorf("backend folder %s: %w", dir, err)
	}
	files = slices.DeleteFunc(files, func(f string) bool {
		name := strings.TrimPrefix(filepath.Base(f), "libggml-")
		return strings.HasPrefix(name, "base.") || strings.HasPrefix(name, "cpu") // it is compiled in
	})
	if len(files) == 0 {
		return fmt.Errorf("backend folder %s has no libggml-*.so for a GPU", dir)
	}
	nativeLog.mark()
	for _, d := range []string{dir, filepath.Dir(filepath.Clean(dir))} { // where Ollama keeps it
		for _, base := range []string{"libggml-base.so.0", "libggml-base.so"} {
			withString(filepath.Join(d, base), func(c *C.char) { C.jt_load_base(c) })
		}
	}
	for _, f := range files {
		ok := false
		withString(f, func(c *C.char) { ok = C.jt_load_backend(c) != 0 })
		if !ok {
			return fmt.Errorf("backend %s cannot be loaded: %s", f, nativeLog.firstError("llama.cpp gives no reason"))
		}
	}
	backendDirs.loaded = append(backendDirs.loaded, dir)
	return nil
}

func withString(s string, use func(*C.char)) {
	c := C.CString(s)
	defer C.free(unsafe.Pointer(c))
	use(c)
}

// Devices lists what ggml can compute on: the CPU, and what loaded backends
// brought.
func Devices() []Device {
	start()
	var devices []Device
	for i := range C.ggml_backend_dev_count() {
		d := C.ggml_backend_dev_get(i)
		var free, total C.size_t
		C.ggml_backend_dev_memory(d, &free, &total)
		var props C.struct_ggml_backend_dev_props
		C.ggml_backend_dev_get_props(d, &props)
		kind := C.ggml_backend_dev_type(d)
		dev := Device{
			Name:        C.GoString(C.ggml_backend_dev_name(d)),
			Description: C.GoString(C.ggml_backend_dev_description(d)),
			GPU:         kind == C.GGML_BACKEND_DEVICE_TYPE_GPU || kind == C.GGML_BACKEND_DEVICE_TYPE_IGPU,
			MemoryFree:  uint64(free),
			MemoryTotal: uint64(total),
		}
		if props.device_id != nil {
			dev.ID = C.GoString(props.device_id)
		}
		devices = append(devices, dev)
	}
	return devices
}

// features returns what the CPU backend was compiled for.
func features() []string {
	start()
	name := C.CString("CPU")
	defer C.free(unsafe.Pointer(name))
	var list []string
	for i := C.int(0); ; i++ {
		var value *C.char
		f := C.jt_feature(name, i, &value)
		if f == nil {
			return list
		}
		if v := C.GoString(value); v != "0" {
			list = append(list, C.GoString(f))
		}
	}
}

// optimised tells whether the library was compiled with optimisation.
func optimised() bool { return C.jt_optimised() != 0 }

// Version returns the release of the installed llama.cpp, as "0.5.0"; "" where it
// tells none, and for the one of the Go module.
func Version() string { return C.GoString(C.jt_version()) }

// headersVersion returns the release of the headers; "" if unknown.
func headersVersion() string { return C.GoString(C.jt_headers_version()) }

// now returns CLOCK_MONOTONIC in ns.
func now() int64 { return int64(C.jt_now()) }

// model owns a llama_model.
type model struct {
	c        *C.struct_llama_model
	vocab    *C.struct_llama_vocab
	nVocab   int
	layers   int
	text     bool   // has a tokenizer
	forgets  bool   // can drop the last tokens of a sequence: it is not recurrent
	template string // chat template, "" for none
}

// loadModel loads a model onto devices, indices into Devices(). keep is asked
// as it goes on (progress 0 to 1) and cancels by returning false. It returns
// nil on failure; the native log says why.
func loadModel(path string, devices []int, gpuLayers int, keep func(progress float64) bool) *model {
	cpath := C.CString(path)
	defer C.free(unsafe.Pointer(cpath))
	h := cgo.NewHandle(keep)
	defer h.Delete()
	list := make([]C.int, len(devices))
	for i, d := range devices {
		list[i] = C.int(d)
	}
	c := C.jt_load(cpath, unsafe.SliceData(list), C.int(len(list)), C.int(gpuLayers), C.uintptr_t(h))
	if c == nil {
		return nil
	}
	m := &model{c: c, vocab: C.llama_model_get_vocab(c)}
	m.nVocab = int(C.llama_vocab_n_tokens(m.vocab))
	m.layers = int(C.llama_model_n_layer(c))
	m.text = C.llama_vocab_type(m.vocab) != C.LLAMA_VOCAB_TYPE_NONE
	m.forgets = !bool(C.llama_model_is_recurrent(c)) && !bool(C.llama_model_is_hybrid(c))
	if t := C.llama_model_chat_template(c, nil); t != nil {
		m.template = C.GoString(t)
	}
	return m
}

func (m *model) free() { C.llama_model_free(m.c) }

// ends tells whether token ends a generation.
func (m *model) ends(token int32) bool {
	return m.text && bool(C.llama_vocab_is_eog(m.vocab, C.llama_token(token)))
}

// tokenize returns text's tokens; special adds those that begin a prompt, parse
// reads control tokens written out in text.
func (m *model) tokenize(text string, special, parse bool) ([]int32, error) {
	c := C.CString(text)
	defer C.free(unsafe.Pointer(c))
	out := make([]int32, len(text)/2+16)
	for {
		n := C.jt_tokenize(m.vocab, c, C.int(len(text)), (*C.int32_t)(unsafe.SliceData(out)), C.int(len(out)),
			cbool(special), cbool(parse))
		switch {
		case n == C.JT_THREW:
			return nil, fmt.Errorf("cannot tokenize %d bytes: %s", len(text), nativeLog.firstError("no reason given"))
		case n < 0:
			out = make([]int32, -n)
		default:
			return out[:n], nil
		}
	}
}

// random returns a prompt of n random tokens, the same for the same sequence of a
// batch, as llama-bench does: after the one that begins a prompt, if there is one.
func (m *model) random(n, sequence int) []int32 {
	rng := rand.New(rand.NewPCG(uint64(n), uint64(sequence)))
	tokens := make([]int32, n)
	for i := range tokens {
		tokens[i] = rng.Int32N(int32(m.nVocab))
	}
	if m.text && bool(C.llama_vocab_get_add_bos(m.vocab)) {
		tokens[0] = int32(C.llama_vocab_bos(m.vocab))
	}
	return tokens
}

// piece appends the bytes that token stands for.
func (m *model) piece(dst []byte, token int32) []byte {
	if !m.text {
		return dst
	}
	var buf [128]byte
	n := C.jt_piece(m.vocab, C.int32_t(token), (*C.char)(unsafe.Pointer(&buf)), C.int(len(buf)))
	if n >= 0 {
		return append(dst, buf[:n]...)
	}
	if n == C.JT_THREW {
		return dst
	}
	long := make([]byte, -n)
	n = C.jt_piece(m.vocab, C.int32_t(token), (*C.char)(unsafe.Pointer(unsafe.SliceData(long))), C.int(len(long)))
	return append(dst, long[:max(0, n)]...)
}

// chat wraps a user's message in the model's chat template.
func (m *model) chat(user string) (string, error) {
	tmpl, msg := C.CString(m.template), C.CString(user)
	defer C.free(unsafe.Pointer(tmpl))
	defer C.free(unsafe.Pointer(msg))
	buf := make([]byte, len(user)+1024)
	for range 2 {
		n := C.jt_chat(tmpl, msg, (*C.char)(unsafe.Pointer(unsafe.SliceData(buf))), C.int(len(buf)))
		if n < 0 {
			break
		}
		if int(n) <= len(buf) {
			return string(buf[:n]), nil
		}
		buf = make([]byte, n)
	}
	return "", fmt.Errorf("the model's chat template is of a kind that llama.cpp does not know")
}

func cbool(b bool) C.int {
	if b {
		return 1
	}
	return 0
}
