#include "bridge.h"
#include "crew.h"
#include "ggml-cpu.h"

#include <atomic>
#include <cmath>
#include <cstring>
#include <dlfcn.h>
#include <exception>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <time.h>
#include <vector>

#ifdef JT_BUNDLED
#include "ggml-backend-impl.h"
#endif

extern "C" {
// In Go.
void jtLog(int level, char * text);
int jtProgress(uintptr_t handle, float progress);
}

// The log.

static void log_to_go(enum ggml_log_level level, const char * text, void *) {
    if (level != GGML_LOG_LEVEL_DEBUG) {
        jtLog(level, const_cast<char *>(text));
    }
}

static void last_words(const char * text) {
    jtLog(GGML_LOG_LEVEL_ERROR, const_cast<char *>((std::string(text) + "\n").c_str()));
}

static void threw(const char * where, const char * what) {
    last_words((std::string(where) + ": " + what).c_str());
}

// guarded keeps C++ exceptions out of Go.
template <typename T, typename F> static T guarded(const char * where, T otherwise, F f) {
    try {
        return f();
    } catch (const std::exception & e) {
        threw(where, e.what());
    } catch (...) {
        threw(where, "unknown exception");
    }
    return otherwise;
}

void jt_init(void) {
    llama_log_set(log_to_go, nullptr);
    ggml_log_set(log_to_go, nullptr);
    ggml_set_abort_callback(last_words);
    llama_backend_init();
}

void jt_load_base(const char * path) {
    void * lib = dlopen(path, RTLD_NOW | RTLD_LOCAL); // stays open
    if (!lib) {
        return;
    }
    auto set_log   = (decltype(&ggml_log_set)) dlsym(lib, "ggml_log_set");
    auto set_abort = (decltype(&ggml_set_abort_callback)) dlsym(lib, "ggml_set_abort_callback");
    if (set_log) {
        set_log(log_to_go, nullptr);
    }
    if (set_abort) {
        set_abort(last_words);
    }
}

int jt_load_backend(const char * path) {
    return guarded("loading a backend", 0, [&] { return ggml_backend_load(path) != nullptr; });
}

int64_t jt_now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t) t.tv_sec * 1000000000 + t.tv_nsec;
}

int jt_optimised(void) {
#ifdef __OPTIMIZE__
    return 1;
#else
    return 0;
#endif
}

const char * jt_feature(const char * backend, int i, const char ** value) {
    ggml_backend_reg_t reg = ggml_backend_reg_by_name(backend);
    if (!reg) {
        return nullptr;
    }
    auto get = (ggml_backend_get_features_t) ggml_backend_reg_get_proc_address(reg, "ggml_backend_get_features");
    if (!get) {
        return nullptr;
    }
    struct ggml_backend_feature * f = get(reg);
    for (; f->name && i > 0; i--) {
        f++;
    }
    *value = f->value;
    return f->name;
}

// The model.

struct llama_model * jt_load(const char * path, const int * devices, int n_devices, int gpu_layers, uintptr_t handle) {
    std::vector<ggml_backend_dev_t> list;
    for (int i = 0; i < n_devices; i++) {
        list.push_back(ggml_backend_dev_get(devices[i]));
    }
    list.push_back(nullptr);
    struct llama_model_params p = llama_model_default_params();
    p.devices                     = list.data();
    p.n_gpu_layers                = gpu_layers;
    p.progress_callback_user_data = (void *) handle;
    p.progress_callback           = [](float progress, void * h) { return jtProgress((uintptr_t) h, progress) != 0; };
    return guarded<llama_model *>("loading", nullptr, [&] { return llama_model_load_from_file(path, p); });
}

// The context.

// llama.cpp as the Go module carries it frees a context's backends before the
// scheduler, which calls them once more (ggml_backend_i.reset). So a context's
// backends are made not to free themselves, and freed after it.
#ifdef JT_BUNDLED
struct kept {
    ggml_backend_t backend;
    void (*free)(ggml_backend_t);
};

typedef decltype(ggml_backend_device_i::init_backend) init_backend;

static thread_local std::vector<kept> *           keeper; // of the context being made
static std::mutex                                 init_mutex;
static std::map<ggml_backend_dev_t, init_backend> init_of; // as they were; guarded by init_mutex

static ggml_backend_t init_and_keep(ggml_backend_dev_t dev, const char * params) {
    init_backend init;
    {
        std::lock_guard<std::mutex> lock(init_mutex);
        init = init_of.at(dev);
    }
    ggml_backend_t b = init(dev, params);
    if (b && keeper) {
        keeper->push_back({ b, b->iface.free });
        b->iface.free = [](ggml_backend_t) {};
    }
    return b;
}

static void keep_backends_of(std::vector<kept> * list) {
    std::lock_guard<std::mutex> lock(init_mutex);
    for (size_t i = 0; list && i < ggml_backend_dev_count(); i++) {
        ggml_backend_dev_t dev = ggml_backend_dev_get(i);
        if (dev->iface.init_backend != init_and_keep) {
            init_of[dev]            = dev->iface.init_backend;
            dev->iface.init_backend = init_and_keep;
        }
    }
    keeper = list;
}

static void free_kept(std::vector<kept> & list) {
    for (auto & k : list) {
        k.free(k.backend);
    }
}
#else
struct kept {};
static void keep_backends_of(std::vector<kept> *) {}
static void free_kept(std::vector<kept> &) {}
#endif

// pool keeps the CPU's threads from one evaluation to the next. Without one
// llama.cpp starts them anew for every decode step.
struct pool {
    ggml_threadpool_t threads = nullptr;
    decltype(&ggml_threadpool_free) stop = nullptr;

    void start(int n) {
        ggml_backend_dev_t cpu = ggml_backend_dev_by_type(GGML_BACKEND_DEVICE_TYPE_CPU);
        ggml_backend_reg_t reg = cpu ? ggml_backend_dev_backend_reg(cpu) : nullptr;
        if (!reg || n < 2) {
            return;
        }
        auto make = (decltype(&ggml_threadpool_new)) ggml_backend_reg_get_proc_address(reg, "ggml_threadpool_new");
        stop      = (decltype(stop)) ggml_backend_reg_get_proc_address(reg, "ggml_threadpool_free");
        if (!make || !stop) {
            return;
        }
        struct ggml_threadpool_params p = ggml_threadpool_params_default(n);
        p.poll  = 1; // of 100: some ms, so that a thread is awake for the next step but sleeps between jobs
        threads = make(&p);
    }

    ~pool() {
        if (threads) {
            stop(threads);
        }
    }
};

struct jt_context {
    pool                        cores; // outlives ctx
    llama_context *             ctx = nullptr;
    const llama_vocab *         vocab;
    int                         n_vocab;
    std::vector<int32_t>        ones;    // sequences a token belongs to: one
    std::vector<llama_seq_id *> seq_ptr; // as llama_batch wants them
    int                         n_rows = 0; // wanted in the last batch
    std::atomic<bool>           aborted{ false };
    std::vector<kept>           backends;
    crew                        helpers;

    explicit jt_context(int n_helpers) : helpers(n_helpers) {}

    ~jt_context() {
        if (ctx) {
            llama_free(ctx);
        }
        free_kept(backends);
    }
};

jt_context * jt_context_new(struct llama_model * model, uint32_t n_seq, uint32_t n_ctx_seq, uint32_t n_batch,
                            uint32_t n_ubatch, int threads, int keep_threads, int helpers) {
    return guarded<jt_context *>("context", nullptr, [&]() -> jt_context * {
        std::unique_ptr<jt_context> c(new jt_context(helpers));
        c->vocab       = llama_model_get_vocab(model);
        c->n_vocab     = llama_vocab_n_tokens(c->vocab);
        c->ones.assign(n_batch, 1);
        c->seq_ptr.assign(n_batch, nullptr);

        struct llama_context_params p = llama_context_default_params();
        p.n_ctx               = n_seq * n_ctx_seq;
        p.n_batch             = n_batch;
        p.n_ubatch            = n_ubatch;
        p.n_seq_max           = n_seq;
        p.n_threads           = threads;
        p.n_threads_batch     = threads;
        p.kv_unified          = false; // one KV stream a sequence
        p.pooling_type        = LLAMA_POOLING_TYPE_NONE;
        p.abort_callback_data = c.get();
        p.abort_callback      = [](void * d) { return ((jt_context *) d)->aborted.load(std::memory_order_relaxed); };
        keep_backends_of(&c->backends);
        c->ctx = llama_init_from_model(model, p);
        keep_backends_of(nullptr);
        if (!c->ctx) {
            return nullptr;
        }
        if (keep_threads) {
            c->cores.start(threads);
        }
        if (c->cores.threads) {
            llama_attach_threadpool(c->ctx, c->cores.threads, nullptr);
        }
        return c.release();
    });
}

void jt_context_free(jt_context * c) {
    delete c;
}

uint32_t jt_context_size(const jt_context * c) {
    return llama_n_ctx_seq(c->ctx);
}

void jt_clear(jt_context * c) {
    llama_memory_clear(llama_get_memory(c->ctx), false);
}

void jt_seq_rm(jt_context * c, int seq, int p0) {
    llama_memory_seq_rm(llama_get_memory(c->ctx), seq, p0, -1);
}

void jt_seq_move(jt_context * c, int from, int to) {
    llama_memory_t m = llama_get_memory(c->ctx);
    llama_memory_seq_rm(m, to, -1, -1);
    llama_memory_seq_cp(m, from, to, -1, -1);
    llama_memory_seq_rm(m, from, -1, -1);
}

void jt_abort(jt_context * c, int on) {
    c->aborted.store(on != 0, std::memory_order_relaxed);
}

int jt_submit(jt_context * c, int n, int32_t * tokens, int32_t * pos, int32_t * seq, int8_t * want) {
    if (n > (int) c->ones.size()) {
        threw("jt_submit", "batch too large");
        return JT_THREW;
    }
    c->n_rows = 0;
    for (int i = 0; i < n; i++) {
        c->seq_ptr[i] = &seq[i];
        c->n_rows += want[i];
    }
    struct llama_batch b = { n, tokens, nullptr, pos, c->ones.data(), c->seq_ptr.data(), want };
    c->helpers.begin();
    return guarded("llama_decode", JT_THREW, [&] { return llama_decode(c->ctx, b); });
}

int64_t jt_wait(jt_context * c, int no_end, int32_t * best) {
    const float * x = best ? llama_get_logits(c->ctx) : nullptr; // synchronizes
    if (!x) {
        llama_synchronize(c->ctx);
        for (int r = 0; best && r < c->n_rows; r++) {
            best[r] = -1;
        }
        return jt_now();
    }
    c->helpers.finish(x, c->n_rows, c->n_vocab, best);
    for (int r = 0; no_end && r < c->n_rows; r++, x += c->n_vocab) {
        if (!llama_vocab_is_eog(c->vocab, best[r])) {
            continue;
        }
        float most = -INFINITY;
        for (int i = 0; i < c->n_vocab; i++) {
            if (x[i] > most && !llama_vocab_is_eog(c->vocab, i)) {
                most    = x[i];
                best[r] = i;
            }
        }
    }
    return jt_now();
}

const float * jt_logits(jt_context * c) {
    return llama_get_logits(c->ctx);
}

void jt_logprobs(jt_context * c, int row, int n, const int32_t * tokens, double * out) {
    const float * x    = llama_get_logits(c->ctx) + (size_t) row * c->n_vocab;
    const float   most = x[argmax(x, c->n_vocab)];
    double        sum  = 0;
    for (int i = 0; i < c->n_vocab; i++) {
        sum += expf(x[i] - most);
    }
    const double log_sum = most + log(sum);
    for (int i = 0; i < n; i++) {
        out[i] = x[tokens[i]] - log_sum;
    }
}

// Text.

int jt_tokenize(const struct llama_vocab * v, const char * text, int len, int32_t * out, int cap, int special, int parse) {
    return guarded("llama_tokenize", JT_THREW,
                   [&] { return llama_tokenize(v, text, len, out, cap, special != 0, parse != 0); });
}

int jt_piece(const struct llama_vocab * v, int32_t token, char * buf, int cap) {
    return guarded("llama_token_to_piece", JT_THREW, [&] { return llama_token_to_piece(v, token, buf, cap, 0, false); });
}

int jt_chat(const char * tmpl, const char * user, char * buf, int cap) {
    struct llama_chat_message message = { "user", user };
    return guarded("llama_chat_apply_template", JT_THREW,
                   [&] { return llama_chat_apply_template(tmpl, &message, 1, true, buf, cap); });
}
