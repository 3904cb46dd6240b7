// The C side of the binding: what must not be done a call at a time from Go,
// and what may throw C++ exceptions.
#ifndef JOULETOP_BRIDGE_H
#define JOULETOP_BRIDGE_H

#include <stdint.h>
#include "llama.h"
#include "ggml-backend.h"

#ifdef __cplusplus
extern "C" {
#endif

// Returned where C++ threw; what it said is in the log.
#define JT_THREW INT32_MIN

typedef struct jt_context jt_context;

// Once: starts the library and sends its log, and its last words, to Go.
void jt_init(void);
// The release of the llama.cpp that is linked; NULL where it tells none: it is
// older, or the Go module's.
const char * jt_version(void);
// The release of the headers that this was compiled with; NULL if unknown.
const char * jt_headers_version(void);
// Loads the libggml-base.so that a backend needs, if it is there, and sends its
// log to Go as well: it is another copy than the one compiled in.
void jt_load_base(const char * path);
// Loads a backend; whether that went well.
int jt_load_backend(const char * path);
// CLOCK_MONOTONIC in ns.
int64_t jt_now(void);
// Whether this file, and so the library, was compiled with optimisation.
int jt_optimised(void);
// The features of a backend ("CPU") by index; NULL past the last.
const char * jt_feature(const char * backend, int i, const char ** value);

// Loads a model onto the devices of these indices (none: the CPU alone).
// handle is given back to jtProgress.
struct llama_model * jt_load(const char * path, const int * devices, int n_devices, int gpu_layers, uintptr_t handle);

// n_batch bounds the tokens of one jt_submit, n_outputs those of them that are
// wanted. keep_threads keeps the threads that evaluate from one jt_submit to the
// next. Without graph_search the best tokens are always searched in copied logits.
jt_context * jt_context_new(struct llama_model * model, uint32_t n_seq, uint32_t n_ctx_seq, uint32_t n_batch,
    uint32_t n_ubatch, uint32_t n_outputs, int threads, int keep_threads, int graph_search);
void jt_context_free(jt_context * c);
uint32_t jt_context_size(const jt_context * c); // tokens a sequence
// Forgets every sequence; seq_rm forgets from position p0 on, or returns 0 where
// that can't be done; seq_copy takes a sequence to another too, whose content is
// lost, and seq_move to that alone.
void jt_clear(jt_context * c);
int jt_seq_rm(jt_context * c, int seq, int p0);
void jt_seq_copy(jt_context * c, int from, int to);
void jt_seq_move(jt_context * c, int from, int to);
// Makes a running evaluation on the CPU stop soon, or lets the next one run.
void jt_abort(jt_context * c, int on);

// Starts evaluating n tokens: what llama_decode returns, or JT_THREW. With
// best_only the best tokens alone are wanted afterwards, not the logits, which
// then need not be copied (see best.h; 2 where a device computes them); the rows
// must be in the order of their sequences, one each, or none. On a GPU it returns
// before they are evaluated, and the next may be submitted at once.
int jt_submit(jt_context * c, int n, int32_t * tokens, int32_t * pos, int32_t * seq, int8_t * want, int best_only);
// Waits for it and returns the time. If best is not NULL, finds the best token
// of each row (the tokens for which want was set, in their order) first; where
// no_end is not 0, the best that does not end the generation. JT_NONE: no logits,
// or none of them a number; JT_ENDS: the best token ends the generation, and the
// logits that would tell the best other are gone.
#define JT_NONE (-1)
#define JT_ENDS (-2)
int64_t jt_wait(jt_context * c, int no_end, int32_t * best);
// The best token of a row that does not end the generation; JT_NONE and JT_ENDS as above.
int jt_going_on(jt_context * c, int row);
// Whether the best tokens were found where the logits are.
int jt_found(jt_context * c);
// A row's n_vocab numbers, good until the next call; NULL if there are none.
const float * jt_logits(jt_context * c, int row);
// The natural logarithm of the probability of each of the tokens after a row.
void jt_logprobs(jt_context * c, int row, int n, const int32_t * tokens, double * out);

// As llama_tokenize, llama_token_to_piece and llama_chat_apply_template.
int jt_tokenize(const struct llama_vocab * v, const char * text, int len, int32_t * out, int cap, int special, int parse);
int jt_piece(const struct llama_vocab * v, int32_t token, char * buf, int cap);
int jt_chat(const char * tmpl, const char * user, char * buf, int cap);

#ifdef __cplusplus
}
#endif
#endif
