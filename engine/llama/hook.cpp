//go:build !system

#include "hook.h"

#include <map>
#include <mutex>
#include <string_view>
#include <utility>

// What llama.cpp the module carries, as it says of itself.
namespace {
#define char constexpr char
#include "upstream/llama/build-info.cpp"
#undef char
} // namespace

static_assert(std::string_view(LLAMA_COMMIT) == "ec98e2002",
              "another llama.cpp than the hook was written for: read hook.h, and whether it can go");
static_assert(GGML_BACKEND_API_VERSION == 2, "ggml's backends have other functions than the hook was written for");

typedef decltype(ggml_backend_device_i::init_backend) init_function;

static std::mutex                                  scopes;   // held by the scope there is
static std::mutex                                  tables;   // guards what follows
static std::map<ggml_backend_dev_t, init_function> own_init; // of the devices that a scope has rewritten
static std::map<ggml_backend_t, part *>            parts;

static thread_local hook * making; // whose backends this thread makes

static part * part_of(ggml_backend_t b) {
    std::lock_guard<std::mutex> lock(tables);
    return parts.at(b);
}

// held is a backend with the functions that it had.
class hook::held {
  public:
    held(ggml_backend_t b, const make_part & make) : backend(b), was(b->iface), own(make ? make(b, was) : nullptr) {
        b->iface.free = [](ggml_backend_t) {};
        if (!own) {
            return;
        }
        std::lock_guard<std::mutex> lock(tables);
        parts[b]               = own.get();
        b->iface.graph_compute = [](ggml_backend_t b, ggml_cgraph * g, int batch_size) {
            return part_of(b)->compute(g, batch_size);
        };
        b->iface.get_tensor_async = [](ggml_backend_t b, const ggml_tensor * x, void * data, size_t offset, size_t size) {
            part_of(b)->get(x, data, offset, size);
        };
    }

    ~held() {
        {
            std::lock_guard<std::mutex> lock(tables);
            parts.erase(backend);
        }
        own.reset();
        backend->iface = was;
        ggml_backend_free(backend);
    }

    held(const held &)             = delete;
    held & operator=(const held &) = delete;

  private:
    const ggml_backend_t  backend;
    const ggml_backend_i  was;
    std::unique_ptr<part> own;
};

hook::hook(make_part make) : make(std::move(make)) {}

hook::~hook() = default;

ggml_backend_t hook::init(ggml_backend_dev_t dev, const char * params) {
    init_function f;
    {
        std::lock_guard<std::mutex> lock(tables);
        f = own_init.at(dev);
    }
    ggml_backend_t b = f(dev, params);
    if (b && making) {
        making->backends.emplace_back(new held(b, making->make));
    }
    return b;
}

struct hook::scope::state {
    std::lock_guard<std::mutex>     one{ scopes };
    std::vector<ggml_backend_dev_t> devices; // rewritten
};

hook::scope::scope(hook & h) : s(new state) {
    std::lock_guard<std::mutex> lock(tables);
    for (size_t i = 0; i < ggml_backend_dev_count(); i++) {
        ggml_backend_dev_t dev = ggml_backend_dev_get(i);
        s->devices.push_back(dev);
        own_init[dev]           = dev->iface.init_backend; // stays: another thread may be about to ask for it
        dev->iface.init_backend = hook::init;
    }
    making = &h;
}

hook::scope::~scope() {
    making = nullptr;
    std::lock_guard<std::mutex> lock(tables);
    for (ggml_backend_dev_t dev : s->devices) {
        dev->iface.init_backend = own_init.at(dev);
    }
}
