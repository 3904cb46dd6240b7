//go:build !system

// best_tokens with llama.cpp as the Go module carries it, which needs something
// done to the backends of a context:
//
//   - it frees them before the scheduler, which calls them once more
//     (ggml_backend_i.reset), so they are kept until after it;
//   - it copies all logits to the host. So the backends are asked for the best
//     tokens in place of the copy: a device that computes the logits finds them
//     too, and a few bytes a row are copied; in the host's memory they are searched
//     where they are.
#include "best.h"

#include "argmax.h"

#include "ggml-backend-impl.h"
#include "ggml-backend.h"
#include "ggml-impl.h"
#include "ggml.h"

#include <map>
#include <mutex>
#include <utility>

// kept_backend is a backend of a context, with the functions that it had before
// they were replaced.
class kept_backend {
  public:
    const ggml_backend_t backend;
    const ggml_backend_i was;
    // The node that the last graph ended with, where its best tokens are found.
    const ggml_tensor *  logits = nullptr;

    explicit kept_backend(ggml_backend_t b) : backend(b), was(b->iface), memory(8 * ggml_tensor_overhead()) {}

    ~kept_backend() {
        ggml_free(tensors);
        ggml_backend_buffer_free(device);
        ggml_backend_buffer_free(host);
        was.free(backend);
    }

    // Computes g. Where it ends with the logits asked for and these are on a device,
    // it finds the best tokens too: then they are part of the one CUDA graph that is
    // launched for a step.
    ggml_status compute(ggml_cgraph * g, int batch_size, int n_rows, int n_vocab, bool on_device) {
        ggml_tensor * x = n_rows > 0 && g->n_nodes > 0 ? g->nodes[g->n_nodes - 1] : nullptr;
        const bool asked_for = x && x->type == GGML_TYPE_F32 && ggml_is_contiguous(x) && x->ne[0] == n_vocab &&
                               x->ne[1] == n_rows && ggml_nrows(x) == n_rows;
        here   = asked_for && !on_device && ggml_backend_buffer_is_host(buffer_of(x));
        logits = here || (asked_for && prepare(x)) ? x : nullptr;
        if (here || !logits) {
            return was.graph_compute(backend, g, batch_size);
        }
        nodes.assign(g->nodes, g->nodes + g->n_nodes);
        nodes.insert(nodes.end(), { in_chunk, values, chunk });
        ggml_cgraph more = *g;
        more.nodes       = nodes.data();
        more.n_nodes     = (int) nodes.size();
        return was.graph_compute(backend, &more, batch_size);
    }

    // Copies a tensor to the host.
    void get(const ggml_tensor * x, void * data, size_t offset, size_t size) {
        if (was.get_tensor_async) {
            was.get_tensor_async(backend, x, data, offset, size);
        } else {
            ggml_backend_synchronize(backend);
            ggml_backend_tensor_get(x, data, offset, size);
        }
    }

    // Copies the best tokens to the host, or finds them there.
    void get_best() {
        if (!here) {
            get(answer, ggml_backend_buffer_get_base(host), 0, ggml_nbytes(answer));
            return;
        }
        ggml_backend_synchronize(backend);
        tokens.resize(logits->ne[1]);
        for (size_t r = 0; r < tokens.size(); r++) {
            tokens[r] = argmax((const float *) logits->data + r * logits->ne[0], (int) logits->ne[0]);
        }
    }

    const int32_t * best() {
        if (here) {
            return tokens.data();
        }
        const int32_t * of_chunk = (const int32_t *) ggml_backend_buffer_get_base(host);
        const int32_t * of_row   = of_chunk + in_chunk->ne[0];
        tokens.resize(chunk->ne[0]);
        for (size_t r = 0; r < tokens.size(); r++, of_chunk += n_chunks) {
            const int32_t c = of_row[r];
            tokens[r]       = c < 0 || of_chunk[c] < 0 ? -1 : c * (int32_t) (logits->ne[0] / n_chunks) + of_chunk[c];
        }
        return tokens.data();
    }

  private:
    ggml_backend_buffer_t      device = nullptr, host = nullptr; // for the best tokens
    std::vector<uint8_t>       memory;                           // of tensors
    ggml_context *             tensors  = nullptr;
    int                        n_chunks = 0;       // of a row
    ggml_tensor *              in_chunk = nullptr; // the best of each chunk of each row, within it
    ggml_tensor *              values   = nullptr; // their logits
    ggml_tensor *              chunk    = nullptr; // the chunk with the best, of each row
    ggml_tensor *              answer   = nullptr; // in_chunk and chunk
    std::vector<ggml_tensor *> nodes;
    std::vector<int32_t>       tokens;
    bool                       here = false; // the logits are in the host's memory

    static ggml_backend_buffer_t buffer_of(const ggml_tensor * x) { return x->view_src ? x->view_src->buffer : x->buffer; }

    // Makes the tensors that find the best tokens of x. A GPU's argmax reads a row
    // on one multiprocessor: for 128k logits that took 40 us of a 1B model's step of
    // 1500 on an H100. In chunks it takes less than the copy of the row did.
    bool prepare(ggml_tensor * x) {
        const int64_t rows = x->ne[1], vocab = x->ne[0];
        for (n_chunks = 64; vocab % n_chunks != 0;) {
            n_chunks--;
        }
        const int64_t n = rows * n_chunks, size = vocab / n_chunks;
        const size_t  bytes = (n + rows + n) * sizeof(int32_t);
        if (!device || ggml_backend_buffer_get_size(device) < bytes) {
            ggml_backend_buffer_free(device);
            ggml_backend_buffer_free(host);
            device = ggml_backend_alloc_buffer(backend, bytes);
            // Pinned where there is such memory: copies to other are not asynchronous.
            ggml_backend_buffer_type_t pinned = ggml_backend_dev_host_buffer_type(ggml_backend_get_device(backend));
            host = ggml_backend_buft_alloc_buffer(pinned ? pinned : ggml_backend_cpu_buffer_type(), bytes);
        }
        // A chunk without a number has its best at -1, which values then reads: it
        // must be memory of the buffer.
        if (!device || !host || x->data == ggml_backend_buffer_get_base(buffer_of(x))) {
            return false;
        }
        ggml_free(tensors);
        tensors = ggml_init({ memory.size(), memory.data(), true });

        ggml_tensor * chunks = ggml_reshape_2d(tensors, x, size, n);
        ggml_tensor * column = ggml_reshape_3d(tensors, x, 1, size, n);
        in_chunk             = ggml_argmax(tensors, chunks);
        ggml_tensor * index  = ggml_reshape_2d(tensors, in_chunk, 1, n);
        values               = ggml_get_rows(tensors, column, index);
        ggml_tensor * of_row = ggml_reshape_2d(tensors, values, n_chunks, rows);
        chunk                = ggml_argmax(tensors, of_row);
        answer               = ggml_new_tensor_1d(tensors, GGML_TYPE_I32, n + rows);

        int32_t * at = (int32_t *) ggml_backend_buffer_get_base(device);
        bool      ok = true;
        for (auto place : { std::make_pair(answer, at), std::make_pair(in_chunk, at), std::make_pair(chunk, at + n),
                            std::make_pair(values, at + n + rows) }) {
            ok = ok && ggml_backend_tensor_alloc(device, place.first, place.second) == GGML_STATUS_SUCCESS;
        }
        for (ggml_tensor * view : { chunks, column, index, of_row }) {
            ok = ok && ggml_backend_view_init(view) == GGML_STATUS_SUCCESS;
        }
        for (ggml_tensor * node : { in_chunk, values, chunk }) {
            ok = ok && ggml_backend_supports_op(backend, node);
        }
        return ok;
    }
};

typedef decltype(ggml_backend_device_i::init_backend) init_function;

static std::mutex                                  mutex;
static std::map<ggml_backend_dev_t, init_function> init_of; // as they were
static std::map<ggml_backend_t, kept_backend *>    kept_of; // both guarded by mutex

// Of this thread, which calls llama.cpp: where to keep the backends it makes, and
// what is asked for while it evaluates.
static thread_local std::vector<std::unique_ptr<kept_backend>> * collected;
static thread_local struct {
    int            n_rows = 0; // 0: nothing
    int            n_vocab;
    bool           on_device;
    kept_backend * found;
} asked;

static kept_backend * kept(ggml_backend_t b) {
    std::lock_guard<std::mutex> lock(mutex);
    return kept_of.at(b);
}

static ggml_status compute_and_find(ggml_backend_t b, ggml_cgraph * g, int batch_size) {
    return kept(b)->compute(g, batch_size, asked.n_rows, asked.n_vocab, asked.on_device);
}

static void get_or_take_best(ggml_backend_t b, const ggml_tensor * x, void * data, size_t offset, size_t size) {
    kept_backend * k = kept(b);
    if (asked.n_rows > 0 && x == k->logits && offset == 0 && size == ggml_nbytes(x)) {
        k->get_best();
        asked.found = k;
    } else {
        k->get(x, data, offset, size);
    }
}

static ggml_backend_t init_and_keep(ggml_backend_dev_t dev, const char * params) {
    init_function init;
    {
        std::lock_guard<std::mutex> lock(mutex);
        init = init_of.at(dev);
    }
    ggml_backend_t b = init(dev, params);
    if (b && collected) {
        collected->emplace_back(new kept_backend(b));
        b->iface.free             = [](ggml_backend_t) {};
        b->iface.graph_compute    = compute_and_find;
        b->iface.get_tensor_async = get_or_take_best;
        std::lock_guard<std::mutex> lock(mutex);
        kept_of[b] = collected->back().get();
    }
    return b;
}

// collect makes the backends that this thread makes from here on those of list,
// or of none.
static void collect(std::vector<std::unique_ptr<kept_backend>> * list) {
    collected = list;
    std::lock_guard<std::mutex> lock(mutex);
    for (size_t i = 0; list && i < ggml_backend_dev_count(); i++) {
        ggml_backend_dev_t dev = ggml_backend_dev_get(i);
        if (dev->iface.init_backend != init_and_keep) {
            init_of[dev]            = dev->iface.init_backend;
            dev->iface.init_backend = init_and_keep;
        }
    }
}

struct best_tokens::state {
    std::vector<std::unique_ptr<kept_backend>> list;
    kept_backend *                             found = nullptr; // who has the answer
    std::vector<float>                         row;             // scratch

    ~state() {
        std::lock_guard<std::mutex> lock(mutex);
        for (auto & k : list) {
            kept_of.erase(k->backend);
        }
    }
};

best_tokens::best_tokens() : s(new state) {}

best_tokens::~best_tokens() = default;

void best_tokens::before(llama_context_params &, uint32_t) {
    collect(&s->list);
}

void best_tokens::after(llama_context *) {
    collect(nullptr);
}

void best_tokens::ask(int n_rows, int n_vocab, bool on_device) {
    asked = { n_rows, n_vocab, on_device, nullptr };
}

void best_tokens::submitted() {
    s->found = asked.found;
    asked    = {};
}

const int32_t * best_tokens::found() {
    return s->found ? s->found->best() : nullptr;
}

const float * best_tokens::logits(int row) {
    const ggml_tensor * x = s->found->logits;
    s->row.resize(x->ne[0]);
    ggml_backend_tensor_get(x, s->row.data(), row * x->ne[0] * sizeof(float), x->ne[0] * sizeof(float));
    return s->row.data();
}
