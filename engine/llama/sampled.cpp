//go:build system

// best_tokens with an installed llama.cpp: a sampler within the graph, by the
// interface that llama.h has for such (llama_sampler_i.backend_apply).
//
// It is not llama.h's own greedy one, which searches a row at a time on one
// multiprocessor: for 128k logits that takes 40 us of a 1B model's step of 1400 on
// an H100, and eight times that for a batch of eight. This one searches all rows
// together, in chunks.
//
// A llama.cpp without such samplers copies the logits.
#include "best.h"

#include "ggml-backend.h"
#include "ggml.h"

#include <type_traits>
#include <utility>
#include <vector>

// What the llama.h at hand has.
template <typename T, typename = void> struct has_samplers : std::false_type {};

template <typename T>
struct has_samplers<T, std::void_t<decltype(std::declval<T>().backend_apply), decltype(std::declval<T>().backend_reset)>>
    : std::true_type {};

template <typename T, typename = void> struct has_outputs_max : std::false_type {};

template <typename T>
struct has_outputs_max<
    T, std::void_t<decltype(std::declval<T>().n_outputs_max), decltype(std::declval<T>().n_outputs_max_per_seq)>>
    : std::true_type {};

// limit_outputs keeps llama.cpp from making room for the logits of every token of
// an evaluation: those of 2048 tokens are a gigabyte.
template <typename P> static void limit_outputs(P & p, uint32_t n_outputs) {
    if constexpr (has_outputs_max<P>::value) {
        p.n_outputs_max         = n_outputs;
        p.n_outputs_max_per_seq = 1; // of a sequence with a sampler
    }
}

// Logits of no number count as the lowest.
constexpr float lowest = -3e38f;

// search finds the best token of each part of the rows of one graph, the samplers
// of whose sequences share it. The best of the parts is found here: on a device it
// would take as many small steps again.
struct search {
    ggml_tensor * at     = nullptr; // in its part; nullptr: not built yet
    ggml_tensor * logits = nullptr; // the best ones
    bool          apart  = false;   // each row of the next graph answers for itself

    // The parts of a row.
    static int64_t parts(int64_t vocab) {
        int64_t n = 64;
        while (vocab % n != 0) {
            n--;
        }
        return n;
    }

    void build(ggml_context * c, ggml_tensor * x) {
        const int64_t n = parts(x->ne[0]), size = x->ne[0] / n, all = n * x->ne[1];
        // In place. A part without a number would have its best at -1, which is no
        // place to read from.
        ggml_tensor * y = ggml_clamp(c, x, lowest, -lowest);
        at              = ggml_argmax(c, ggml_reshape_2d(c, y, size, all));
        logits          = ggml_get_rows(c, ggml_reshape_3d(c, y, 1, size, all), ggml_reshape_2d(c, at, 1, all));
        ggml_set_output(at);
        ggml_set_output(logits);
    }

    // Answers for data->logits, a view of one row among all of the graph: after them
    // is one of padding, which is not searched. The first row answers with the parts
    // of all rows, so that they take two copies to the host and not two a row; the
    // others with nothing. Rows of many parts for their length answer for themselves,
    // and so do rows that may not follow each other.
    //
    // The graph of a pass that wants no token, of a long prompt, has as many nodes as
    // the one of the last pass, all empty. Were it another, llama.cpp would plan it
    // anew, twice a prompt, and wait for the GPU to be idle each time.
    void apply(ggml_context * c, llama_sampler_data * data) {
        ggml_tensor * row    = data->logits;
        ggml_tensor * padded = row->view_src;
        const bool    known  = padded && padded->op == GGML_OP_PAD && padded->src[0]->type == GGML_TYPE_F32 &&
                           padded->src[0]->ne[0] == row->ne[0] && ggml_is_contiguous(padded->src[0]);
        ggml_tensor * rows = known ? padded->src[0] : row; // row: a graph to count nodes with
        if (!known) {
            at = nullptr;
        }
        if (!at) {
            build(c, rows);
        }
        const int64_t r = known ? row->view_offs / padded->nb[1] : 0, all = ggml_nelements(at);
        int64_t       n = parts(row->ne[0]), first = r * n;
        if (all <= row->ne[0] && !apart) {
            n     = r == 0 ? all : 0;
            first = 0;
        } else if (all == 0) { // a part of prompts that end later
            n = 0;
        }
        data->candidates = ggml_view_1d(c, at, n, first * sizeof(int32_t));
        data->logits     = ggml_view_1d(c, ggml_reshape_1d(c, logits, all), n, first * sizeof(float));
        if (!known) {
            at = nullptr;
        }
    }
};

// with_samplers is the code for a llama.cpp whose graphs take samplers, S being
// llama_sampler_i; with another, nothing of it is looked up.
template <typename S, bool has> struct with_samplers {
    static bool set(llama_context *, int, search *, std::vector<llama_sampler *> &) { return false; }

    static void unset(llama_context *, std::vector<llama_sampler *> &) {}

    static bool read(llama_context *, int, std::vector<int32_t> &) { return false; }
};

template <typename S> struct with_samplers<S, true> {
    static S * interface() {
        static S i = [] {
            S s             = {};
            s.name          = [](const llama_sampler *) { return "best"; };
            s.apply         = [](llama_sampler *, llama_token_data_array *) {};
            s.backend_init  = [](llama_sampler *, auto...) { return true; };
            s.backend_reset = [](llama_sampler * smpl) { ((search *) smpl->ctx)->at = nullptr; };
            s.backend_apply = [](llama_sampler * smpl, ggml_context * c, ggml_cgraph *, llama_sampler_data * data) {
                ((search *) smpl->ctx)->apply(c, data);
            };
            return s;
        }();
        return &i;
    }

    // Gives every sequence a sampler.
    template <typename C> static bool set(C * ctx, int n_seq, search * shared, std::vector<llama_sampler *> & list) {
        bool ok = true;
        for (int seq = 0; ok && seq < n_seq; seq++) {
            list.push_back(llama_sampler_chain_init(llama_sampler_chain_default_params()));
            llama_sampler_chain_add(list.back(), llama_sampler_init(interface(), shared));
            ok = llama_set_sampler(ctx, seq, list.back());
        }
        if (!ok) {
            unset(ctx, list);
        }
        return ok;
    }

    template <typename C> static void unset(C * ctx, std::vector<llama_sampler *> & list) {
        for (size_t seq = 0; ctx && seq < list.size(); seq++) {
            llama_set_sampler(ctx, (llama_seq_id) seq, nullptr);
        }
        for (llama_sampler * smpl : list) {
            llama_sampler_free(smpl);
        }
        list.clear();
    }

    // Finds the best tokens of rows, which are in the order of the batch; negative
    // numbers count them from the last. Those that answer together follow each other,
    // for ask() was told so; a graph that was made for an evaluation without prompts is
    // used again for the end of some alike, and llama.cpp evaluates sequences of
    // consecutive numbers together. Each function called here waits for the GPU, which takes a microsecond or two.
    template <typename C> static bool read(C * ctx, int n_vocab, std::vector<int32_t> & tokens) {
        const int64_t each = search::parts(n_vocab), rows = (int64_t) tokens.size();
        for (int64_t r = 0; r < rows;) {
            const int     i = (int) (r - rows);
            const int64_t n = llama_get_sampled_candidates_count_ith(ctx, i), last = r + n / each;
            if (n == 0 || n % each != 0 || last > rows) {
                return false;
            }
            const int32_t * at = llama_get_sampled_candidates_ith(ctx, i);
            const float *   x  = llama_get_sampled_logits_ith(ctx, i);
            if (!x) {
                return false;
            }
            for (; r < last; r++, at += each, x += each) {
                float most = lowest;
                tokens[r]  = -1;
                for (int64_t part = 0; part < each; part++) {
                    if (x[part] > most) {
                        most      = x[part];
                        tokens[r] = (int32_t) (part * (n_vocab / each)) + at[part];
                    }
                }
            }
        }
        return true;
    }
};

using samplers = with_samplers<llama_sampler_i, has_samplers<llama_sampler_i>::value>;

struct best_tokens::state {
    llama_context *              ctx = nullptr;
    int                          n_seq = 0, n_vocab = 0, n_rows = 0; // n_rows: whose best tokens are asked for
    bool                         refused = false;       // not wanted, or this llama.cpp, or this model, has no samplers
    search                       shared;
    std::vector<llama_sampler *> list; // of the sequences, while they are set
    std::vector<int32_t>         tokens;

    ~state() { samplers::unset((llama_context *) nullptr, list); } // the context is gone
};

best_tokens::best_tokens(bool in_graph) : s(new state) {
    s->refused = !in_graph;
}

best_tokens::~best_tokens() = default;

llama_context * best_tokens::make_context(llama_model * model, llama_context_params p, uint32_t n_outputs) {
    limit_outputs(p, n_outputs);
    s->ctx = llama_init_from_model(model, p);
    if (s->ctx) {
        s->n_seq = (int) llama_n_seq_max(s->ctx);
    }
    return s->ctx;
}

void best_tokens::ask(int n_rows, int n_vocab, bool on_device, bool apart) {
    s->n_vocab      = n_vocab;
    s->shared.apart = apart;
    const bool want = on_device && !s->refused;
    if (want && s->list.empty()) { // llama.cpp plans its graphs anew, so they stay for as long as they can
        s->refused = !samplers::set(s->ctx, s->n_seq, &s->shared, s->list);
    } else if (!want && !s->list.empty()) {
        samplers::unset(s->ctx, s->list);
    }
    s->n_rows = s->list.empty() ? 0 : n_rows;
}

void best_tokens::submitted() {}

const int32_t * best_tokens::found() {
    if (s->n_rows == 0) {
        return nullptr;
    }
    s->tokens.resize(s->n_rows);
    if (!samplers::read(s->ctx, s->n_vocab, s->tokens)) {
        s->tokens.assign(s->n_rows, -1);
    }
    return s->tokens.data();
}

const float * best_tokens::logits(int) {
    return nullptr;
}
