# The native part: llama.cpp and ggml. By default cgo compiles them from the Go
# module github.com/ollama/ollama. `native` makes their headers reachable and
# names what is missing; GO_ENV goes before every go command, since its flags are
# part of the build cache's key. Given with every make command:
#
#   LLAMA=PREFIX         an installed llama.cpp instead: PREFIX/include/llama.h and
#                        libllama.so in a folder of PREFIX; LLAMA=system is the one
#                        that pkg-config knows
#   LLAMA_SRC=FOLDER     sources of llama.cpp: built with cmake into build/llama,
#                        with CUDA where nvcc is (for CUDA_ARCH, see cuda.mk)
#   MARCH=x86-64-v3      for other machines than this one
#   CGO_ENABLED=0        without the engine

MARCH ?= native
NATIVE_MODULE := github.com/ollama/ollama
NATIVE_PACKAGE := $(NATIVE_MODULE)/llama/llama.cpp/src
# The warnings left out are of others' code: go-nvml's deprecated calls, ggml's
# repacking.
NATIVE_FLAGS := -O3 -march=$(MARCH) -Wno-deprecated-declarations -Wno-stringop-overflow
# Without AMX, whose part of ggml the module leaves out: a machine that has it would
# call what is not there.
ifeq ($(shell uname -m),x86_64)
NATIVE_FLAGS += -mno-amx-int8
endif
INSTALLED := sh engine/llama/installed.sh
ifneq ($(LLAMA_SRC),)
LLAMA := $(CURDIR)/build/llama
endif

# installed.sh answers with -I and -L flags; it says what is missing by itself.
GO_ENV = CGO_CFLAGS="$(NATIVE_FLAGS)" CGO_CXXFLAGS="$(NATIVE_FLAGS)" \
	$(if $(LLAMA),$(shell $(INSTALLED) $(LLAMA)) GOFLAGS="$(GOFLAGS) -tags=system")

.PHONY: native llama-src
native: $(if $(LLAMA_SRC),llama-src)
	@command -v go >/dev/null || { echo "make: go is missing: apt-get install golang-go (1.26 or later), or https://go.dev/dl" >&2; exit 1; }
	@v=$$(go env GOVERSION | sed 's/^go//'); \
	case "$$v" in 1.2[6-9]*|1.[3-9][0-9]*|devel*) ;; \
	*) echo "make: go $$v is too old: 1.26 or later is needed, https://go.dev/dl" >&2; exit 1;; esac
	@if [ "$(CGO_ENABLED)" = 0 ]; then exit 0; fi; \
	for tool in $$(go env CC CXX); do command -v $$tool >/dev/null || { \
		echo "make: $$tool is missing: apt-get install $$tool (or CGO_ENABLED=0 make, without the engine)" >&2; exit 1; }; done; \
	if [ -n "$(LLAMA)" ]; then $(INSTALLED) $(LLAMA) >/dev/null; exit; fi; \
	go mod download $(NATIVE_MODULE) && dir=$$(go list -m -f '{{.Dir}}' $(NATIVE_MODULE)) && \
	ln -sfn "$$dir" engine/llama/upstream || exit 1; \
	if [ "$$($(GO_ENV) go list -f '{{.Stale}}' $(NATIVE_PACKAGE))" != false ]; then \
		echo "compiling llama.cpp (about 3 minutes, once)"; fi

llama-src:
	@MARCH="$(MARCH)" CUDA="$(CUDA)" CUDA_ARCH="$(CUDA_ARCH)" JOBS="$(CUDA_JOBS)" sh engine/llama/build.sh "$(LLAMA_SRC)" build/llama
