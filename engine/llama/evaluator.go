//go:build cgo

package llama

// #include "bridge.h"
import "C"

import (
	"slices"
	"unsafe"
)

// shape is what a context was made for.
type shape struct {
	sequences int // at once
	tokens    int // a sequence may have
	ubatch    int // tokens evaluated at once inside llama.cpp
	rows      int // that may be wanted in one pass; 0: as few as there are sequences
}

// covers tells whether a context of shape s can do what o asks.
func (s shape) covers(o shape) bool {
	return s.sequences >= o.sequences && s.tokens >= o.tokens && s.ubatch >= o.ubatch && s.rows >= o.rows
}

// and is the least shape that covers both.
func (s shape) and(o shape) shape {
	return shape{max(s.sequences, o.sequences), max(s.tokens, o.tokens), max(s.ubatch, o.ubatch), max(s.rows, o.rows)}
}

// evaluator owns a jt_context and the arrays of the batch under way.
type evaluator struct {
	c     *C.jt_context
	shape shape

	tokens, pos, seq []int32
	want             []int8
	rows             int  // wanted
	onDevice         bool // best tokens are found where a GPU has the logits
	best             []int32
}

// What wait answers in place of a best token.
const (
	noToken = C.JT_NONE // none of the logits is a number
	endsNow = C.JT_ENDS // it would end the generation, and others are not known
)

// newEvaluator returns nil where llama.cpp cannot make one; its log says why.
// threads evaluate on the CPU and stay between evaluations; on a GPU they have
// next to nothing to do. onDevice tells that a GPU computes the logits; search, that
// the best tokens may be found where these are.
func newEvaluator(m *model, s shape, threads int, gpu, onDevice, search bool) *evaluator {
	c := C.jt_context_new(m.c, C.uint32_t(s.sequences), C.uint32_t(s.tokens),
		C.uint32_t(s.sequences*s.tokens), C.uint32_t(s.ubatch), C.uint32_t(max(s.sequences, m.scoreRows(), s.rows)),
		C.int(threads), cbool(!gpu), cbool(search))
	if c == nil {
		return nil
	}
	s.tokens = int(C.jt_context_size(c))
	return &evaluator{c: c, shape: s, onDevice: onDevice}
}

func (x *evaluator) free() { C.jt_context_free(x.c) }

// clear forgets all sequences; the memory stays.
func (x *evaluator) clear() { C.jt_clear(x.c) }

// forget drops what sequence seq has from position p0 on, or tells that this
// can't be done.
func (x *evaluator) forget(seq, p0 int) bool { return C.jt_seq_rm(x.c, C.int(seq), C.int(p0)) != 0 }

// copy makes sequence to what from is.
func (x *evaluator) copy(from, to int) { C.jt_seq_copy(x.c, C.int(from), C.int(to)) }

// move makes sequence to what from was.
func (x *evaluator) move(from, to int) { C.jt_seq_move(x.c, C.int(from), C.int(to)) }

// abort makes the evaluation under way (on a CPU) stop soon.
func (x *evaluator) abort(on bool) { C.jt_abort(x.c, cbool(on)) }

// reset begins a new batch.
func (x *evaluator) reset() {
	x.tokens, x.pos, x.seq, x.want, x.rows = x.tokens[:0], x.pos[:0], x.seq[:0], x.want[:0], 0
}

// add puts a token in the batch; want asks for the logits after it.
func (x *evaluator) add(token int32, pos, seq int, want bool) {
	if want {
		x.rows++
	}
	x.tokens = append(x.tokens, token)
	x.pos = append(x.pos, int32(pos))
	x.seq = append(x.seq, int32(seq))
	x.want = append(x.want, int8(cbool(want)))
}

// submit starts evaluating the batch. On a GPU it returns before that is done.
// bestOnly tells that no logits will be asked for, and that the rows are one a
// sequence, in their order, or none; the llama.cpp of the Go module takes several of a
// sequence too (see severalRows). The result is llama_decode's.
func (x *evaluator) submit(bestOnly bool) int {
	best := cbool(bestOnly)
	if bestOnly && x.onDevice {
		best = 2
	}
	return int(C.jt_submit(x.c, C.int(len(x.tokens)), i32(x.tokens), i32(x.pos), i32(x.seq),
		(*C.int8_t)(unsafe.SliceData(x.want)), best))
}

// wait waits for the batch and returns the best token after each that was
// wanted, or noToken, and the time. noEnd leaves out tokens that end a
// generation, or answers endsNow. The tokens are good until the next wait.
func (x *evaluator) wait(noEnd bool) ([]int32, int64) {
	x.best = slices.Grow(x.best[:0], x.rows)[:x.rows]
	t := C.jt_wait(x.c, cbool(noEnd), i32(x.best))
	return x.best, int64(t)
}

// goesOn returns the best token after a row that does not end the generation, or
// endsNow where nobody can tell any more. The batch must have been waited for.
func (x *evaluator) goesOn(row int) int32 { return int32(C.jt_going_on(x.c, C.int(row))) }

// sync is wait where no best token is asked for.
func (x *evaluator) sync() int64 { return int64(C.jt_wait(x.c, 0, nil)) }

// logprobs returns the log-probability of each token after a wanted row.
func (x *evaluator) logprobs(row int, tokens ...int32) []float64 {
	out := make([]float64, len(tokens))
	C.jt_logprobs(x.c, C.int(row), C.int(len(tokens)), i32(tokens), (*C.double)(unsafe.SliceData(out)))
	return out
}

// found tells whether the best tokens were found where the logits are.
func (x *evaluator) found() bool { return C.jt_found(x.c) != 0 }

// logits returns a wanted row, good until the next call; the batch must have been
// submitted for more than the best tokens.
func (x *evaluator) logits(row, nVocab int) []float32 {
	return unsafe.Slice((*float32)(C.jt_logits(x.c, C.int(row))), nVocab)
}

func i32(s []int32) *C.int32_t { return (*C.int32_t)(unsafe.SliceData(s)) }
