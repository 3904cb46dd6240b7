#include "kept.h"

#ifdef JT_BUNDLED

#include "ggml-backend-impl.h"
#include "ggml-backend.h"
#include "ggml.h"

#include <map>
#include <mutex>

// finder finds best tokens on a device, on a backend of its own: the context's
// keeps the CUDA graph of the last graph it computed, and would have to capture
// the model's anew for every step.
class finder {
  public:
    explicit finder(ggml_backend_dev_t dev, int rows) : rows(rows) {
        own    = ggml_backend_dev_init(dev, nullptr);
        device = own ? ggml_backend_alloc_buffer(own, rows * sizeof(int32_t)) : nullptr;
        event  = ggml_backend_event_new(dev);
        // Pinned, where the device has such memory: copies to other are not asynchronous.
        ggml_backend_buffer_type_t pinned = ggml_backend_dev_host_buffer_type(dev);
        host = ggml_backend_buft_alloc_buffer(pinned ? pinned : ggml_backend_cpu_buffer_type(), rows * sizeof(int32_t));
        memory.resize(2 * ggml_tensor_overhead() + ggml_graph_overhead_custom(graph_size, false));
    }

    ~finder() {
        ggml_free(graph_memory);
        if (own) {
            ggml_backend_synchronize(own);
        }
        ggml_backend_buffer_free(device);
        ggml_backend_buffer_free(host);
        ggml_backend_event_free(event);
        ggml_backend_free(own);
    }

    // Starts finding the best token of each row of x, which from computes.
    bool start(ggml_backend_t from, const ggml_tensor * x) {
        if (!own || !device || !host || x->ne[1] > rows) {
            return false;
        }
        ggml_free(graph_memory);
        graph_memory = ggml_init({ memory.size(), memory.data(), true });
        // A leaf with the data of x: x itself would bring the model's graph along.
        logits = ggml_new_tensor_2d(graph_memory, GGML_TYPE_F32, x->ne[0], x->ne[1]);
        ggml_tensor * ids = ggml_argmax(graph_memory, logits);
        if (!ggml_backend_dev_supports_op(ggml_backend_get_device(own), ids) ||
            ggml_backend_tensor_alloc(x->view_src ? x->view_src->buffer : x->buffer, logits, x->data) != GGML_STATUS_SUCCESS ||
            ggml_backend_tensor_alloc(device, ids, ggml_backend_buffer_get_base(device)) != GGML_STATUS_SUCCESS) {
            return false;
        }
        ggml_cgraph * graph = ggml_new_graph_custom(graph_memory, graph_size, false);
        ggml_build_forward_expand(graph, ids);
        if (event) {
            ggml_backend_event_record(event, from);
            ggml_backend_event_wait(own, event);
        } else {
            ggml_backend_synchronize(from);
        }
        if (ggml_backend_graph_compute_async(own, graph, -1) != GGML_STATUS_SUCCESS) {
            return false;
        }
        ggml_backend_tensor_get_async(own, ids, ggml_backend_buffer_get_base(host), 0, x->ne[1] * sizeof(int32_t));
        return true;
    }

    const int32_t * wait() {
        ggml_backend_synchronize(own);
        return (const int32_t *) ggml_backend_buffer_get_base(host);
    }

    void row(int r, float * to) {
        const size_t size = logits->ne[0] * sizeof(float);
        ggml_backend_tensor_get(logits, to, r * size, size);
    }

    const int rows; // at most

  private:
    static constexpr size_t graph_size = 4; // nodes

    ggml_backend_t        own;
    ggml_backend_buffer_t device, host; // for the answer
    ggml_backend_event_t  event;        // nullptr where the device has none
    std::vector<uint8_t>  memory;
    ggml_context *        graph_memory = nullptr;
    ggml_tensor *         logits       = nullptr;
};

typedef decltype(ggml_backend_device_i::init_backend) init_function;
typedef decltype(ggml_backend_i::get_tensor_async)    get_function;

class kept_backend {
  public:
    const ggml_backend_t    backend;
    void (*const            free)(ggml_backend_t);
    const get_function      get;
    std::unique_ptr<finder> best;

    explicit kept_backend(ggml_backend_t b) : backend(b), free(b->iface.free), get(b->iface.get_tensor_async) {}

    ~kept_backend() {
        best.reset();
        free(backend);
    }

    // Starts finding the best tokens of x, all of n_rows × n_vocab of it.
    bool find(const ggml_tensor * x, size_t offset, size_t size, int n_rows, int n_vocab) {
        if (x->type != GGML_TYPE_F32 || !ggml_is_contiguous(x) || x->ne[0] != n_vocab || x->ne[1] != n_rows ||
            ggml_nelements(x) != (int64_t) n_vocab * n_rows || offset != 0 || size != ggml_nbytes(x)) {
            return false;
        }
        if (!best || best->rows < n_rows) {
            best.reset();
            best.reset(new finder(ggml_backend_get_device(backend), n_rows));
        }
        return best->start(backend, x);
    }
};

static std::mutex                                  mutex;
static std::map<ggml_backend_dev_t, init_function> init_of; // as they were
static std::map<ggml_backend_t, kept_backend *>    kept_of; // both guarded by mutex

// Of this thread, which calls llama.cpp: who collects what it makes, and what is
// asked for while it evaluates.
static thread_local std::vector<std::unique_ptr<kept_backend>> * collected;
static thread_local struct {
    int            n_rows = 0; // 0: nothing
    int            n_vocab;
    kept_backend * found;
} asked;

static void get_or_find(ggml_backend_t b, const ggml_tensor * x, void * data, size_t offset, size_t size) {
    kept_backend * k;
    {
        std::lock_guard<std::mutex> lock(mutex);
        k = kept_of.at(b);
    }
    if (asked.n_rows > 0 && k->find(x, offset, size, asked.n_rows, asked.n_vocab)) {
        asked.found = k;
    } else if (k->get) {
        k->get(b, x, data, offset, size);
    } else {
        ggml_backend_synchronize(b);
        ggml_backend_tensor_get(x, data, offset, size);
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
        std::lock_guard<std::mutex> lock(mutex);
        kept_of[b]                = collected->back().get();
        b->iface.free             = [](ggml_backend_t) {};
        b->iface.get_tensor_async = get_or_find;
    }
    return b;
}

kept_backends::kept_backends() = default;

kept_backends::~kept_backends() {
    {
        std::lock_guard<std::mutex> lock(mutex);
        for (auto & k : list) {
            kept_of.erase(k->backend);
        }
    }
    list.clear();
}

void kept_backends::collect(bool on) {
    collected = on ? &list : nullptr;
    std::lock_guard<std::mutex> lock(mutex);
    for (size_t i = 0; on && i < ggml_backend_dev_count(); i++) {
        ggml_backend_dev_t dev = ggml_backend_dev_get(i);
        if (dev->iface.init_backend != init_and_keep) {
            init_of[dev]            = dev->iface.init_backend;
            dev->iface.init_backend = init_and_keep;
        }
    }
}

void kept_backends::ask(int n_rows, int n_vocab) {
    found = nullptr;
    asked = { n_rows, n_vocab, nullptr };
}

void kept_backends::submitted() {
    found = asked.found;
    asked = {};
}

const int32_t * kept_backends::best() {
    return found ? found->best->wait() : nullptr;
}

void kept_backends::logits(int row, float * to) {
    found->best->row(row, to);
}

#else

class kept_backend {};

kept_backends::kept_backends() = default;
kept_backends::~kept_backends() = default;
void kept_backends::collect(bool) {}
void kept_backends::ask(int, int) {}
void kept_backends::submitted() {}
const int32_t * kept_backends::best() { return nullptr; }
void kept_backends::logits(int, float *) {}

#endif
