#include "argmax.h"

#include <cmath>

// Numbers are read 16 at a time, in whatever vectors the CPU has.
typedef float lanes __attribute__((vector_size(64)));
typedef float lanes_in_memory __attribute__((vector_size(64), aligned(4)));

int argmax(const float * x, int n) {
    constexpr int block = 1024;
    float         best  = -INFINITY;
    int           at = -1, i = 0;
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
    for (; at >= 0 && x[at] != best; at++) {
    }
    for (; i < n; i++) {
        if (x[i] > best) {
            best = x[i];
            at   = i;
        }
    }
    return at;
}
