# GPU inference: `make cuda` builds libggml-cuda.so from the sources of the
# llama.cpp that the program itself is built with, into build/cuda, where the
# program looks for it.
#
#   make cuda                    for the GPUs of this machine
#   make cuda CUDA_ARCH=90       for others (compute capability 9.0; "80;90" for two)
#   make cuda SRC=FOLDER         from a copy of the sources (CMakeLists.txt and
#                                ml/backend/ggml of the module), without Go
#   make cuda CUDA=FOLDER        with a CUDA toolkit that is not in PATH
#   make cuda CUDA_DIR=FOLDER    into another folder (--backend-dir names it)

CUDA_ARCH ?= native
CUDA_DIR ?= build/cuda
CUDA_JOBS ?= $(shell nproc 2>/dev/null || echo 2)
CUDA_MODULE := github.com/ollama/ollama

.PHONY: cuda
cuda: ## build llama.cpp's CUDA backend
	@fail() { echo "make: $$*" >&2; exit 1; }; \
	nvcc=$$(PATH="$${CUDA_HOME:-/none}/bin:$$PATH:/usr/local/cuda/bin" command -v nvcc || ls -d /usr/local/cuda-*/bin/nvcc /opt/cuda/bin/nvcc 2>/dev/null | sort -V | tail -1); \
	if [ -n "$(CUDA)" ]; then nvcc="$(CUDA)/bin/nvcc"; [ -x "$$nvcc" ] || fail "CUDA=$(CUDA): there is no bin/nvcc in it"; fi; \
	[ -n "$$nvcc" ] || fail "nvcc is missing: install the CUDA toolkit (apt-get install nvidia-cuda-toolkit, or developer.nvidia.com/cuda-downloads) or name its folder, make cuda CUDA=/usr/local/cuda-13; an installed Ollama of the matching release is used without it"; \
	command -v cmake >/dev/null || fail "cmake is missing: apt-get install cmake"; \
	command -v "$${CXX:-c++}" >/dev/null || fail "a C++ compiler is missing: apt-get install g++"; \
	v=$$(cmake --version | sed -n '1s/[^0-9]*\([0-9]*\.[0-9]*\).*/\1/p'); \
	if [ "$(CUDA_ARCH)" = native ]; then \
		[ "$$(printf '3.24\n%s\n' "$$v" | sort -V | head -1)" = 3.24 ] || fail "cmake $$v does not know the native architecture, 3.24 does: give CUDA_ARCH, such as CUDA_ARCH=90"; \
		[ -e /dev/nvidiactl ] || [ -e /dev/dxg ] || fail "there is no NVIDIA GPU here to build for: give CUDA_ARCH, such as CUDA_ARCH=90 for Hopper or 89 for Ada"; \
	fi; \
	src="$(SRC)"; release=""; \
	if [ -z "$$src" ]; then \
		command -v go >/dev/null || fail "go is missing: install it, or name a folder of the sources, make cuda SRC=FOLDER (CMakeLists.txt and ml/backend/ggml of $(CUDA_MODULE))"; \
		go mod download $(CUDA_MODULE) || exit 1; \
		src=$$(go list -m -f '{{.Dir}}' $(CUDA_MODULE)) || exit 1; \
		release=$$(go list -m -f '{{.Version}}' $(CUDA_MODULE)); \
	fi; \
	[ -f "$$src/CMakeLists.txt" ] && [ -d "$$src/ml/backend/ggml/ggml/src/ggml-cuda" ] || fail "SRC=$$src: it lacks CMakeLists.txt or ml/backend/ggml"; \
	[ -n "$$release" ] || release=$$(basename "$$(realpath "$$src")" | sed -n 's/.*@\(v[0-9].*\)/\1/p'); \
	if command -v ninja >/dev/null; then generator=Ninja; else generator="Unix Makefiles"; fi; \
	echo "building libggml-cuda.so with $$nvcc for architecture $(CUDA_ARCH) (some minutes)"; \
	mkdir -p "$(CUDA_DIR)" && rm -f "$(CUDA_DIR)"/libggml-*.so* "$(CUDA_DIR)/VERSION" && \
	PATH="$$(dirname "$$nvcc"):$$PATH" && export PATH && \
	cmake -S "$$src" -B "$(CUDA_DIR)/cmake" -G "$$generator" -DCMAKE_CUDA_COMPILER="$$nvcc" -DCMAKE_CUDA_ARCHITECTURES="$(CUDA_ARCH)" \
		-DCMAKE_BUILD_RPATH_USE_ORIGIN=ON -DCMAKE_DISABLE_FIND_PACKAGE_Vulkan=ON -DCMAKE_HIP_COMPILER=NOTFOUND -Wno-dev >"$(CUDA_DIR)/build.log" 2>&1 && \
	cmake --build "$(CUDA_DIR)/cmake" --parallel $(CUDA_JOBS) --target ggml-cuda ggml-base >>"$(CUDA_DIR)/build.log" 2>&1 && \
	cp -a "$(CUDA_DIR)"/cmake/lib/ollama/libggml-base.so* "$(CUDA_DIR)"/cmake/lib/ollama/libggml-cuda.so "$(CUDA_DIR)/" || \
		{ tail -15 "$(CUDA_DIR)/build.log" >&2; fail "libggml-cuda.so could not be built; all of it is in $(CUDA_DIR)/build.log"; }; \
	if [ -n "$$release" ]; then echo "ollama $${release#v}" >"$(CUDA_DIR)/VERSION"; fi; \
	echo "built $(CUDA_DIR)/libggml-cuda.so"
