// Finding the best tokens of several rows of logits on several cores.
#ifndef JOULETOP_CREW_H
#define JOULETOP_CREW_H

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <thread>
#include <vector>

// The first index of the largest number, ignoring NaN.
int argmax(const float * x, int n);

// A crew helps one thread. Logits that a GPU has written are in no cache: one
// core takes 15 us and more to read a row of 128k, and a step of a 1B model
// takes 1.5 ms. Helpers that slept until the logits are there would wake too
// late, so begin tells them that a step begins: they sleep for most of the
// time that the last one took and then watch for the end. Steps longer than
// max_step_ns are left to the one thread, for which they make no difference.
class crew {
  public:
    explicit crew(int helpers);
    ~crew();
    // A step begins.
    void begin();
    // Its logits, n_rows × n_vocab, are there: finds the best of each row.
    void finish(const float * rows, int n_rows, int n_vocab, int32_t * best);

  private:
    static constexpr int64_t max_step_ns = 20000000;

    void help();
    void work(uint32_t step);

    std::vector<std::thread> threads;
    std::mutex               mutex;
    std::condition_variable  wake;
    bool                     quit  = false; // both guarded by mutex
    uint32_t                 begun = 0;
    int64_t                  start = 0, last = 0; // ns: when this step began, how long the last took

    // The job: rows in parts of part_size. next holds the step in its upper half
    // and the part to take in its lower one; between steps it is closed, so that
    // a helper that is late can take none.
    static constexpr int      part_size = 16384;
    static constexpr uint64_t closed = 0x7fffffff;

    std::atomic<uint32_t> ready{ 0 };
    std::atomic<uint64_t> next{ closed };
    std::atomic<int>      n_parts{ 0 }, done{ 0 };
    const float *         rows    = nullptr;
    int                   n_vocab = 0;
    std::vector<int32_t>  found; // by part: the index within its row
};

#endif
