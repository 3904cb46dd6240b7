// A hook into the backends of a context, for the llama.cpp that the Go module carries:
// commit ec98e2002, which hook.cpp asserts.
//
// It keeps them alive: that llama.cpp frees the backends of a context before their
// scheduler, which then calls them once more (ggml_backend_i.reset). So with a hook
// they are freed after the context. And somebody may take part in what they do:
// best_token.cpp, which asks for best tokens instead of logits.
//
// Both can go once the module's llama.cpp has what newer ones have: backends that
// outlive the scheduler, and samplers within the graph (llama_sampler_i.backend_apply),
// which sampled.cpp uses.
#ifndef JOULETOP_HOOK_H
#define JOULETOP_HOOK_H

#include "ggml-backend-impl.h"
#include "ggml-backend.h"

#include <functional>
#include <memory>
#include <vector>

// part takes part in what one backend does.
class part {
  public:
    virtual ~part() = default;
    // In place of the backend's graph_compute.
    virtual ggml_status compute(ggml_cgraph * g, int batch_size) = 0;
    // In place of its get_tensor_async, which may be missing.
    virtual void get(const ggml_tensor * x, void * data, size_t offset, size_t size) = 0;
};

// make_part makes the part in a backend, whose functions were those of was; an empty
// one makes none: then but for their end the backends are as they were.
typedef std::function<std::unique_ptr<part>(ggml_backend_t backend, const ggml_backend_i & was)> make_part;

// hook owns the backends of one context. It outlives that.
class hook {
  public:
    explicit hook(make_part make);
    ~hook();
    hook(const hook &)             = delete;
    hook & operator=(const hook &) = delete;

    // While a scope lives, the backends that its thread makes are the hook's. It
    // rewrites what the process makes backends with, and restores it at its end; scopes
    // of other threads wait.
    class scope {
      public:
        explicit scope(hook & h);
        ~scope();
        scope(const scope &)             = delete;
        scope & operator=(const scope &) = delete;

      private:
        struct state;
        std::unique_ptr<state> s;
    };

  private:
    class held;
    make_part                          make;
    std::vector<std::unique_ptr<held>> backends;

    static ggml_backend_t init(ggml_backend_dev_t dev, const char * params);
};

#endif
