//go:build !system

// best_tokens with llama.cpp as the Go module carries it, which copies all logits to
// the host. So its backends (see hook.h) are asked for the best tokens in place of the
// copy: a device that computes the logits finds them too, and a few bytes a row are
// copied; in the host's memory they are searched where they are.
#include "best.h"

#include "argmax.h"
#include "hook.h"

#include "ggml-backend.h"
#include "ggml-impl.h"
#include "ggml.h"

#include <algorithm>
#include <utility>

class searching;

// Of this thread, which calls llama.cpp: what is asked for while it evaluates.
static thread_local struct {
    int         n_rows = 0; // 0: nothing
    int         n_vocab;
    bool        on_device;
    searching * found;
} asked;

// searching is a backend's part in finding the best tokens.
class searching : public part {
  public:
    // The node that the last graph ended with, where its best tokens are found.
    const ggml_tensor * logits = nullptr;

    searching(ggml_backend_t b, const ggml_backend_i & was) : backend(b), was(was), memory(8 * ggml_tensor_overhead()) {}

    ~searching() override {
        ggml_free(tensors);
        ggml_backend_buffer_free(device);
        ggml_backend_buffer_free(host);
    }

    // Computes g. Where it ends with the logits asked for and these are on a device,
    // it finds the best tokens too: then they are part of the one CUDA graph that is
    // launched for a step.
    //
    // llama.cpp may evaluate a batch in several graphs: where an earlier one had all the
    // rows, its answer stands, and its logits are overwritten.
    ggml_status compute(ggml_cgraph * g, int batch_size) override {
        if (asked.found == this) {
            logits = nullptr;
            return was.graph_compute(backend, g, batch_size);
        }
        ggml_tensor * x = asked.n_rows > 0 && g->n_nodes > 0 ? g->nodes[g->n_nodes - 1] : nullptr;
        const bool asked_for = x && x->type == GGML_TYPE_F32 && ggml_is_contiguous(x) && x->ne[0] == asked.n_vocab &&
                               x->ne[1] == asked.n_rows && ggml_nrows(x) == asked.n_rows;
        here   = asked_for && !asked.on_device && ggml_backend_buffer_is_host(buffer_of(x));
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

    // Copies a tensor to the host, or in place of the logits their best tokens.
    void get(const ggml_tensor * x, void * data, size_t offset, size_t size) override {
        if (asked.n_rows == 0 || x != logits || offset != 0 || size != ggml_nbytes(x)) {
            copy(x, data, offset, size);
            return;
        }
        asked.found = this;
        part_size   = (int32_t) (logits->ne[0] / std::max(n_chunks, 1));
        if (!here) {
            copy(answer, ggml_backend_buffer_get_base(host), 0, ggml_nbytes(answer));
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
            tokens[r]       = c < 0 || of_chunk[c] < 0 ? -1 : c * part_size + of_chunk[c];
        }
        return tokens.data();
    }

  private:
    const ggml_backend_t       backend;
    const ggml_backend_i       was;
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
    bool                       here = false;  // the logits are in the host's memory
    int32_t                    part_size = 0; // of a row: what a chunk has of it

    static ggml_backend_buffer_t buffer_of(const ggml_tensor * x) { return x->view_src ? x->view_src->buffer : x->buffer; }

    void copy(const ggml_tensor * x, void * data, size_t offset, size_t size) {
        if (was.get_tensor_async) {
            was.get_tensor_async(backend, x, data, offset, size);
        } else {
            ggml_backend_synchronize(backend);
            ggml_backend_tensor_get(x, data, offset, size);
        }
    }

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

static std::unique_ptr<part> search(ggml_backend_t b, const ggml_backend_i & was) {
    return std::unique_ptr<part>(new searching(b, was));
}

struct best_tokens::state {
    hook               backends;
    searching *        found = nullptr; // who has the answer
    std::vector<float> row;             // scratch
};

best_tokens::best_tokens(bool in_graph) : s(new state{ hook(in_graph ? search : make_part()), nullptr, {} }) {}

best_tokens::~best_tokens() = default;

llama_context * best_tokens::make_context(llama_model * model, llama_context_params p, uint32_t) {
    hook::scope scope(s->backends);
    return llama_init_from_model(model, p);
}

void best_tokens::ask(int n_rows, int n_vocab, bool on_device, bool) {
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
    if (!x) {
        return nullptr;
    }
    s->row.resize(x->ne[0]);
    ggml_backend_tensor_get(x, s->row.data(), row * x->ne[0] * sizeof(float), x->ne[0] * sizeof(float));
    return s->row.data();
}
