// The best token of each row of logits, found where the logits are: greedy
// decoding wants a few bytes of them, not a copy of all. How depends on the
// llama.cpp that is linked: best_token.cpp for the one of the Go module, sampled.cpp
// for an installed one.
#ifndef JOULETOP_BEST_H
#define JOULETOP_BEST_H

#include <cstdint>
#include <memory>
#include "llama.h"

// best_tokens belongs to a context and outlives it.
class best_tokens {
  public:
    // Without in_graph nothing is added to what llama.cpp computes, and nothing left
    // out: the logits are copied, and found() answers nullptr.
    explicit best_tokens(bool in_graph);
    ~best_tokens();

    // Makes the context, which has n_outputs rows in an evaluation at most; nullptr
    // where llama.cpp can't.
    llama_context * make_context(llama_model * model, llama_context_params p, uint32_t n_outputs);

    // What is wanted of the next evaluation: of n_rows rows, one a sequence, the
    // best tokens only; with n_rows 0, the logits of what rows there are. on_device
    // tells that a device other than the CPU computes the logits, or (for tests) that
    // the way of such a one is to be taken; then n_rows is 0 only where there is no
    // row. apart tells that rows which llama.cpp evaluates together may have others
    // between them in the order of the batch. Where the best tokens can't be found
    // there, the logits are copied as ever. submitted() follows once the evaluation is
    // submitted.
    void ask(int n_rows, int n_vocab, bool on_device, bool apart);
    void submitted();

    // The best tokens asked for, once the context is synchronized; nullptr if the
    // logits were copied. Which of equal ones it is depends on the backend; never
    // NaN; -1 where all are NaN. Good until the next evaluation.
    const int32_t * found();
    // A row of the logits whose best tokens were found, good until the next call;
    // nullptr where these are gone.
    const float * logits(int row);

  private:
    struct state;
    std::unique_ptr<state> s;
};

#endif
