// What llama.cpp as the Go module carries it needs done to the backends of a
// context:
//
//   - it frees them before the scheduler, which calls them once more
//     (ggml_backend_i.reset), so they are kept until after it;
//   - it copies all logits to the host, and greedy decoding wants the best token
//     of each row alone. So they can be asked for those in place of the copy: a
//     device that computes the logits finds them too, and a few bytes a row are
//     copied; in the host's memory they are searched where they are.
//
// A system's llama.cpp is left as it is.
#ifndef JOULETOP_KEPT_H
#define JOULETOP_KEPT_H

#include <cstdint>
#include <memory>
#include <vector>

class kept_backend;

class kept_backends {
  public:
    kept_backends();
    // Frees the backends; the context they are of must be gone.
    ~kept_backends();

    // The backends that this thread makes from here on are this context's, or no
    // longer.
    void collect(bool on);

    // The next evaluation's logits, n_rows × n_vocab, are wanted for their best
    // tokens only; with n_rows 0, as they are. in_graph (for tests) takes the way of
    // a device on the host too. Where a backend can't find the best
    // tokens, or does not get all rows at once, the logits are copied as ever.
    // submitted() follows once the evaluation is submitted.
    void ask(int n_rows, int n_vocab, bool in_graph);
    void submitted();
    // The best tokens asked for, once the context is synchronized; nullptr if the
    // logits were copied. Which of equal ones it is depends on the backend; never
    // NaN; -1 where all are NaN. Good until the next evaluation.
    const int32_t * best() const;
    // Copies a row of the logits whose best tokens were found.
    void logits(int row, float * to) const;

  private:
    std::vector<std::unique_ptr<kept_backend>> list;
    kept_backend * found = nullptr; // who has the answer
};

#endif
