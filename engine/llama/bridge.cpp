#include "bridge.h"
#include "argmax.h"
#include "best.h"
#include "ggml-cpu.h"

#include <atomic>
#include <cmath>
#include <cstring>
#include <dlfcn.h>
#include <exception>
#include <memory>
#include <string>
#include <time.h>
#include <vector>

extern "C" {
// In Go.
void jtLog(int level, char * text);
int jtProgress(uintptr_t handle, float progress);

// Not in every llama.cpp.
__attribute__((weak)) const char * llama_version(void);
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

// load_cpu loads the CPU's backend, and the others beside it, where the installed
// llama.cpp keeps them in libraries of their own: beside libggml or, with ggml's
// default, in the bin folder, or where it looks by itself.
static void load_cpu() {
    auto there = [] { return ggml_backend_dev_by_type(GGML_BACKEND_DEVICE_TYPE_CPU) != nullptr; };
    Dl_info info;
    void *  load = dlsym(RTLD_DEFAULT, "ggml_backend_load"); // not its entry in the program's own table
    if (!there() && load && dladdr(load, &info) && info.dli_fname) {
        const std::string path = info.dli_fname, lib = path.substr(0, path.rfind('/'));
        for (const std::string & dir : { lib, lib + "/../bin" }) {
            if (!there()) {
                ggml_backend_load_all_from_path(dir.c_str());
            }
        }
    }
    if (!there()) {
        ggml_backend_load_all();
    }
}

void jt_init(void) {
    llama_log_set(log_to_go, nullptr);
    ggml_log_set(log_to_go, nullptr);
    ggml_set_abort_callback(last_words);
    llama_backend_init();
    guarded("loading the CPU's backend", 0, [] { return load_cpu(), 1; });
}

const char * jt_version(void) {
    return llama_version ? llama_version() : nullptr;
}

const char * jt_headers_version(void) {
#define JT_TEXT_OF(x) #x
#define JT_TEXT(x) JT_TEXT_OF(x)
#ifdef JT_LLAMA_VERSION
    return JT_TEXT(JT_LLAMA_VERSION);
#else
    return nullptr;
#endif
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
    best_tokens                 best; // outlives ctx

    explicit jt_context(bool graph_search) : best(graph_search) {}

    ~jt_context() {
        if (ctx) {
            llama_free(ctx);
        }
    }
};

jt_context * jt_context_new(struct llama_model * model, uint32_t n_seq, uint32_t n_ctx_seq, uint32_t n_batch,
                            uint32_t n_ubatch, uint32_t n_outputs, int threads, int keep_threads,
                            int graph_search) {
    return guarded<jt_context *>("context", nullptr, [&]() -> jt_context * {
        std::unique_ptr<jt_context> c(new jt_context(graph_search != 0));
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
        c->ctx = c->best.make_context(model, p, n_outputs);
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

int jt_seq_rm(jt_context * c, int seq, int p0) {
    return llama_memory_seq_rm(llama_get_memory(c->ctx), seq, p0, -1);
}

void jt_seq_copy(jt_context * c, int from, int to) {
    llama_memory_t m = llama_get_memory(c->ctx);
    llama_memory_seq_rm(m, to, -1, -1);
    llama_memory_seq_cp(m, from, to, -1, -1);
}

void jt_seq_move(jt_context * c, int from, int to) {
    jt_seq_copy(c, from, to);
    llama_memory_seq_rm(llama_get_memory(c->ctx), from, -1, -1);
}

void jt_abort(jt_context * c, int on) {
    c->aborted.store(on != 0, std::memory_order_relaxed);
}

int jt_submit(jt_context * c, int n, int32_t * tokens, int32_t * pos, int32_t * seq, int8_t * want, int best_only) {
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
    const int r = guarded("llama_decode", JT_THREW, [&] {
        // Where prompts are read, they may end in any order.
        c->best.ask(best_only ? c->n_rows : 0, c->n_vocab, best_only > 1, n > c->n_rows);
        return llama_decode(c->ctx, b);
    });
    c->best.submitted();
    return r;
}

// best_going_on returns the best token of a row that does not end the generation.
static int32_t best_going_on(const jt_context * c, const float * x) {
    float   most = -INFINITY;
    int32_t best = -1;
    for (int i = 0; i < c->n_vocab; i++) {
        if (x[i] > most && !llama_vocab_is_eog(c->vocab, i)) {
            most = x[i];
            best = i;
        }
    }
    return best;
}

const float * jt_logits(jt_context * c, int row) {
    if (c->best.found()) {
        return c->best.logits(row);
    }
    const float * x = llama_get_logits(c->ctx);
    return x ? x + (size_t) row * c->n_vocab : nullptr;
}

int jt_going_on(jt_context * c, int row) {
    const float * x = jt_logits(c, row);
    return x ? best_going_on(c, x) : JT_ENDS;
}

int jt_found(jt_context * c) {
    return c->best.found() != nullptr;
}

int64_t jt_wait(jt_context * c, int no_end, int32_t * best) {
    llama_synchronize(c->ctx);
    const int32_t * found = best ? c->best.found() : nullptr;
    for (int r = 0; best && r < c->n_rows; r++) {
        if (found) {
            best[r] = found[r];
        } else {
            const float * x = jt_logits(c, r);
            best[r]         = x ? argmax(x, c->n_vocab) : JT_NONE;
        }
        if (no_end && best[r] >= 0 && llama_vocab_is_eog(c->vocab, best[r])) {
            const float * x = jt_logits(c, r);
            best[r]         = x ? best_going_on(c, x) : JT_ENDS;
        }
    }
    return jt_now();
}

void jt_logprobs(jt_context * c, int row, int n, const int32_t * tokens, double * out) {
    const float * x    = jt_logits(c, row);
    const int     best = argmax(x, c->n_vocab);
    const float   most = best < 0 ? NAN : x[best];
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
