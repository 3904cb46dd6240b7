//go:build cgo

// Package bareloop is the least that runs a model: the calls of llama.cpp in a
// C loop. It is the yardstick for what the binding costs on top.
package bareloop

/*
#cgo !system CPPFLAGS: -I${SRCDIR}/../../upstream/llama/llama.cpp/include
#cgo !system CPPFLAGS: -I${SRCDIR}/../../upstream/ml/backend/ggml/ggml/include
#include <stdlib.h>
#include <time.h>
#include "llama.h"

static long long now_ns(void) {
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (long long) t.tv_sec * 1000000000LL + t.tv_nsec;
}

// step evaluates n_tok tokens in each of n_seq sequences from position pos on.
static int step(struct llama_context * c, int n_seq, int n_tok, int pos) {
	struct llama_batch b = llama_batch_init(n_seq * n_tok, 0, 1);
	b.n_tokens = n_seq * n_tok;
	for (int s = 0; s < n_seq; s++) {
		for (int i = 0; i < n_tok; i++) {
			int k = s * n_tok + i;
			b.token[k]     = (k * 7919 + 13 + pos) % 256;
			b.pos[k]       = pos + i;
			b.n_seq_id[k]  = 1;
			b.seq_id[k][0] = s;
			b.logits[k]    = i == n_tok - 1;
		}
	}
	int r = llama_decode(c, b);
	llama_synchronize(c);
	llama_batch_free(b);
	return r;
}

// run times one prefill and n_gen decode steps after it.
static int run(struct llama_context * c, int n_seq, int n_prompt, int n_gen, long long * prefill, long long * decode) {
	llama_memory_clear(llama_get_memory(c), false);
	long long t0 = now_ns();
	int r = step(c, n_seq, n_prompt, 0);
	long long t1 = now_ns();
	for (int i = 0; i < n_gen && r == 0; i++) {
		r = step(c, n_seq, 1, n_prompt + i);
	}
	*prefill = t1 - t0;
	*decode  = now_ns() - t1;
	return r;
}
*/
import "C"

import (
	"errors"
	"time"
	"unsafe"
)

// Loop is a model and a context for batches of one size.
type Loop struct {
	model                *C.struct_llama_model
	ctx                  *C.struct_llama_context
	Batch, Prompt, Steps int
}

// Open loads the model for batches of prompts of prompt tokens, with steps
// decode steps after them. The library must have been started.
func Open(path string, gpuLayers, threads, batch, prompt, steps int) (*Loop, error) {
	p := C.CString(path)
	defer C.free(unsafe.Pointer(p))
	mp := C.llama_model_default_params()
	mp.n_gpu_layers = C.int32_t(gpuLayers)
	l := &Loop{Batch: batch, Prompt: prompt, Steps: steps}
	if l.model = C.llama_model_load_from_file(p, mp); l.model == nil {
		return nil, errors.New("bare loop: cannot load " + path)
	}
	cp := C.llama_context_default_params()
	cp.n_ctx = C.uint32_t(batch * (prompt + steps + 8))
	cp.n_batch = C.uint32_t(batch * prompt)
	cp.n_ubatch = C.uint32_t(min(batch*prompt, 2048))
	cp.n_seq_max = C.uint32_t(batch)
	cp.n_threads, cp.n_threads_batch = C.int32_t(threads), C.int32_t(threads)
	if l.ctx = C.llama_init_from_model(l.model, cp); l.ctx == nil {
		C.llama_model_free(l.model)
		return nil, errors.New("bare loop: cannot make a context")
	}
	return l, nil
}

// Run evaluates one batch and returns the times of its two phases.
func (l *Loop) Run() (prefill, decode time.Duration, err error) {
	var p, d C.longlong
	if C.run(l.ctx, C.int(l.Batch), C.int(l.Prompt), C.int(l.Steps), &p, &d) != 0 {
		return 0, 0, errors.New("bare loop: llama_decode failed")
	}
	return time.Duration(p), time.Duration(d), nil
}

// Close does nothing: llama_free as the Go module carries it crashes with a GPU
// (the binding takes care of that), and a bench ends soon.
func (l *Loop) Close() {}
