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

// search finds the best tokens of the rows of one graph. The samplers of a
// context's sequences share it.
struct search {
    ggml_tensor * best = nullptr; // of each row; nullptr: not built yet

    // Adds the nodes that find the best token of each of n rows of logits. They are
    // searched in chunks, then the chunks' best. Argmax answers -1 where there is no
    // number, which is no row to read: hence the clamps.
    static ggml_tensor * build(ggml_context * c, ggml_tensor * logits, int64_t n) {
        const int64_t vocab = logits->ne[0];
        int64_t       parts = 64;
        while (vocab % parts != 0) {
            parts--;
        }
        const int64_t size     = vocab / parts;
        ggml_tensor * x        = ggml_view_2d(c, logits, vocab, n, logits->nb[1], 0);
        ggml_tensor * in_part  = ggml_argmax(c, ggml_reshape_2d(c, x, size, parts * n));
        ggml_tensor * number   = ggml_cast(c, in_part, GGML_TYPE_F32); // exact: less than 2^24
        ggml_tensor * index    = ggml_cast(c, ggml_clamp(c, number, 0, (float) size), GGML_TYPE_I32);
        ggml_tensor * values   = ggml_get_rows(c, ggml_reshape_3d(c, x, 1, size, parts * n), ggml_reshape_2d(c, index, 1, parts * n));
        ggml_tensor * of_parts = ggml_clamp(c, ggml_reshape_2d(c, values, parts, n), -3e38f, 3e38f);
        ggml_tensor * part     = ggml_argmax(c, of_parts);
        ggml_tensor * first    = ggml_arange(c, 0, (float) vocab, (float) size); // tokens of the parts
        ggml_tensor * tokens   = ggml_add(c, ggml_reshape_2d(c, number, parts, n), first);
        ggml_tensor * best     = ggml_get_rows(c, ggml_reshape_3d(c, tokens, 1, parts, n), ggml_reshape_2d(c, part, 1, n));
        ggml_tensor * answer   = ggml_cast(c, ggml_reshape_1d(c, best, n), GGML_TYPE_I32);
        ggml_set_output(answer);
        return answer;
    }

    // The best token of row, a view of one row among all those of the graph.
    ggml_tensor * token(ggml_context * c, ggml_tensor * row) {
        ggml_tensor * all = row->view_src;
        if (!all || all->type != GGML_TYPE_F32 || all->ne[0] != row->ne[0] || all->ne[1] < 2 || !ggml_is_contiguous(all)) {
            return build(c, row, 1); // a graph to count nodes with
        }
        if (!best) {
            best = build(c, all, all->ne[1] - 1); // the last one is padding
        }
        const size_t at = row->view_offs / all->nb[1];
        return ggml_view_1d(c, best, 1, at * best->nb[0]);
    }
};

// with_samplers is the code for a llama.cpp whose graphs take samplers, S being
// llama_sampler_i; with another, nothing of it is looked up.
template <typename S, bool has> struct with_samplers {
    static bool set(llama_context *, int, search *, std::vector<llama_sampler *> &) { return false; }

    static void unset(llama_context *, std::vector<llama_sampler *> &) {}

    static int32_t token(llama_context *, int, int) { return -1; }
};

template <typename S> struct with_samplers<S, true> {
    static S * interface() {
        static S i = [] {
            S s             = {};
            s.name          = [](const llama_sampler *) { return "best"; };
            s.apply         = [](llama_sampler *, llama_token_data_array *) {};
            s.backend_init  = [](llama_sampler *, auto...) { return true; };
            s.backend_reset = [](llama_sampler * smpl) { ((search *) smpl->ctx)->best = nullptr; };
            s.backend_apply = [](llama_sampler * smpl, ggml_context * c, ggml_cgraph *, llama_sampler_data * data) {
                data->sampled = ((search *) smpl->ctx)->token(c, data->logits);
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

    // The best token of a row: counted from the last one, rows are in the order of
    // the batch, whatever tokens of it they are of.
    template <typename C> static int32_t token(C * ctx, int row, int n_rows) {
        return llama_get_sampled_token_ith(ctx, row - n_rows);
    }
};

using samplers = with_samplers<llama_sampler_i, has_samplers<llama_sampler_i>::value>;

struct best_tokens::state {
    llama_context *              ctx = nullptr;
    int                          n_seq = 0, n_rows = 0; // n_rows: whose best tokens are asked for
    bool                         refused = false;       // this llama.cpp, or this model, has no samplers
    search                       shared;
    std::vector<llama_sampler *> list; // of the sequences, while they are set
    std::vector<int32_t>         tokens;

    ~state() { samplers::unset((llama_context *) nullptr, list); } // the context is gone
};

best_tokens::best_tokens() : s(new state) {}

best_tokens::~best_tokens() = default;

void best_tokens::before(llama_context_params & p, uint32_t n_outputs) {
    limit_outputs(p, n_outputs);
}

void best_tokens::after(llama_context * ctx) {
    s->ctx = ctx;
    if (ctx) {
        s->n_seq = (int) llama_n_seq_max(ctx);
    }
}

void best_tokens::ask(int n_rows, int, bool on_device) {
    const bool want = n_rows > 0 && on_device && !s->refused;
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
    for (int r = 0; r < s->n_rows; r++) {
        s->tokens[r] = samplers::token(s->ctx, r, s->n_rows);
    }
    return s->tokens.data();
}

const float * best_tokens::logits(int) {
    return nullptr;
}
