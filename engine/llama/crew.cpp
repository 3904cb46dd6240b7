#include "crew.h"

#include "bridge.h"

#include <cmath>
#include <sys/prctl.h>
#include <time.h>

// Numbers are read 16 at a time, in whatever vectors the CPU has.
typedef float lanes __attribute__((vector_size(64)));
typedef float lanes_in_memory __attribute__((vector_size(64), aligned(4)));

int argmax(const float * x, int n) {
    constexpr int block = 1024;
    float         best  = -INFINITY;
    int           at = 0, i = 0;
    for (; i + block <= n; i += block) {
        lanes m = lanes{} - INFINITY;
        for (int j = 0; j < block; j += 16) {
            const lanes v = *(const lanes_in_memory *) (x + i + j);
            m             = v > m ? v : m; // not where v is NaN
        }
        float most = -INFINITY;
        for (int k = 0; k < 16; k++) {
            most = m[k] > most ? m[k] : most;
        }
        if (most > best) {
            best = most;
            at   = i;
        }
    }
    for (int end = at + block; best > -INFINITY && at < end && x[at] != best;) {
        at++;
    }
    for (; i < n; i++) {
        if (x[i] > best) {
            best = x[i];
            at   = i;
        }
    }
    return at;
}

static void pause() {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#endif
}

crew::crew(int helpers) {
    for (int i = 0; i < helpers; i++) {
        threads.emplace_back([this] { help(); });
    }
}

crew::~crew() {
    {
        std::lock_guard<std::mutex> lock(mutex);
        quit = true;
    }
    wake.notify_all();
    ready.fetch_add(1); // whoever watches looks up
    for (auto & t : threads) {
        t.join();
    }
}

void crew::begin() {
    if (threads.empty()) {
        return;
    }
    std::lock_guard<std::mutex> lock(mutex);
    start = jt_now();
    begun++;
    if (last < max_step_ns) {
        wake.notify_all();
    }
}

void crew::help() {
    prctl(PR_SET_TIMERSLACK, 1000); // ns; the default is longer than the work
    uint32_t seen = 0;
    for (;;) {
        int64_t until;
        {
            std::unique_lock<std::mutex> lock(mutex);
            wake.wait(lock, [&] { return quit || (begun != seen && last < max_step_ns); });
            if (quit) {
                return;
            }
            seen  = begun;
            until = start + last * 9 / 10;
        }
        const struct timespec t = { (time_t) (until / 1000000000), (long) (until % 1000000000) };
        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, nullptr);
        const int64_t give_up = until + max_step_ns;
        while (ready.load(std::memory_order_acquire) < seen && jt_now() < give_up) {
            for (int i = 0; i < 64; i++) {
                pause();
            }
        }
        work(seen);
    }
}

static int parts_of(int n_vocab, int part_size) {
    return (n_vocab + part_size - 1) / part_size;
}

void crew::work(uint32_t step) {
    uint64_t n = next.load(std::memory_order_acquire);
    while ((uint32_t) (n >> 32) == step && (int) (uint32_t) n < n_parts.load(std::memory_order_relaxed)) {
        if (!next.compare_exchange_weak(n, n + 1, std::memory_order_acq_rel)) {
            continue;
        }
        const int part = (int) (uint32_t) n;
        const int row = part / parts_of(n_vocab, part_size), from = part % parts_of(n_vocab, part_size) * part_size;
        const int size = n_vocab - from < part_size ? n_vocab - from : part_size;
        found[part]    = from + argmax(rows + (size_t) row * n_vocab + from, size);
        done.fetch_add(1, std::memory_order_release);
        n = next.load(std::memory_order_acquire);
    }
}

void crew::finish(const float * logits, int n_rows, int vocab, int32_t * best) {
    if (threads.empty()) {
        for (int r = 0; r < n_rows; r++) {
            best[r] = argmax(logits + (size_t) r * vocab, vocab);
        }
        return;
    }
    uint32_t step;
    {
        std::lock_guard<std::mutex> lock(mutex);
        last = jt_now() - start;
        step = begun;
    }
    const int parts = parts_of(vocab, part_size);
    rows    = logits;
    n_vocab = vocab;
    found.resize((size_t) n_rows * parts);
    n_parts.store(n_rows * parts, std::memory_order_relaxed);
    done.store(0, std::memory_order_relaxed);
    next.store((uint64_t) step << 32, std::memory_order_release);
    ready.store(step, std::memory_order_release);
    work(step);
    while (done.load(std::memory_order_acquire) < n_rows * parts) {
        pause();
    }
    next.store(closed, std::memory_order_release);
    for (int r = 0; r < n_rows; r++, logits += vocab) {
        best[r] = found[r * parts];
        for (int p = 1; p < parts; p++) {
            const int32_t f = found[r * parts + p];
            // The first part may have found nothing but NaN.
            if (logits[f] > logits[best[r]] || std::isnan(logits[best[r]])) {
                best[r] = f;
            }
        }
    }
}
