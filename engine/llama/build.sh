#!/bin/sh
# build.sh SOURCES PREFIX: builds llama.cpp from its sources with cmake and installs
# the libraries and headers into PREFIX; what is built already stays. With nvcc it
# builds libggml-cuda.so beside them, which the program loads where there is a GPU.
# MARCH, CUDA, CUDA_ARCH and JOBS as with make.
set -u
fail() { echo "make: $*" >&2; exit 1; }
[ -f "$1/include/llama.h" ] && [ -f "$1/CMakeLists.txt" ] || fail "LLAMA_SRC=$1: these are no sources of llama.cpp (CMakeLists.txt and include/llama.h)"
command -v cmake >/dev/null || fail "cmake is missing: apt-get install cmake"
src=$(cd "$1" && pwd) && mkdir -p "$2" && prefix=$(cd "$2" && pwd) || exit 1
log=$prefix/build.log
generator="Unix Makefiles"
command -v ninja >/dev/null && generator=Ninja
jobs=${JOBS:-$(nproc 2>/dev/null || echo 2)}
: >"$log"

# configure FOLDER OPTION…: a build folder that belongs to these sources.
configure() {
	build=$1
	shift
	if [ -f "$build/CMakeCache.txt" ] && ! grep -qxF "CMAKE_HOME_DIRECTORY:INTERNAL=$src" "$build/CMakeCache.txt"; then
		rm -rf "$build"
	fi
	cmake -S "$src" -B "$build" -G "$generator" -Wno-dev -DCMAKE_BUILD_TYPE=Release -DCMAKE_INSTALL_PREFIX="$prefix" \
		-DCMAKE_INSTALL_LIBDIR=lib -DCMAKE_INSTALL_RPATH='$ORIGIN' -DBUILD_SHARED_LIBS=ON -DLLAMA_CURL=OFF -DLLAMA_BUILD_COMMON=OFF \
		-DLLAMA_BUILD_TESTS=OFF -DLLAMA_BUILD_EXAMPLES=OFF -DLLAMA_BUILD_TOOLS=OFF -DLLAMA_BUILD_SERVER=OFF -DLLAMA_BUILD_APP=OFF "$@" >>"$log" 2>&1
}
broken() {
	tail -15 "$log" >&2
	fail "llama.cpp could not be built; all of it is in $log"
}

# Without two parts of the processor that llama.cpp (0.5.0) would use: AMX, as in
# native.mk, for its code for that ended in illegal instructions on a machine that has
# it; and half-precision arithmetic, in which it adds up whole rows of F16 products, so
# that what a model says depends on how many tokens are evaluated together.
native=ON flags=""
[ "$MARCH" = native ] || native=OFF flags="-march=$MARCH"
for part in amx-int8 avx512fp16; do
	! echo | ${CC:-cc} -mno-$part -E - >/dev/null 2>&1 || flags="$flags -mno-$part"
done
[ -e "$prefix/lib/libllama.so" ] || echo "building llama.cpp of $src (some minutes, once)"
configure "$prefix/cmake" -DGGML_NATIVE=$native "-DCMAKE_C_FLAGS=$flags" "-DCMAKE_CXX_FLAGS=$flags" && cmake --build "$prefix/cmake" --parallel "$jobs" >>"$log" 2>&1 &&
	cmake --install "$prefix/cmake" >>"$log" 2>&1 || broken

nvcc=$(PATH="${CUDA_HOME:-/none}/bin:$PATH:/usr/local/cuda/bin" command -v nvcc || ls -d /usr/local/cuda-*/bin/nvcc /opt/cuda/bin/nvcc 2>/dev/null | sort -V | tail -1)
[ -z "${CUDA:-}" ] || nvcc=$CUDA/bin/nvcc
[ -n "$nvcc" ] || exit 0
arch=$CUDA_ARCH
if [ "$arch" = native ] && ! [ -e /dev/nvidiactl ] && ! [ -e /dev/dxg ]; then
	fail "there is no NVIDIA GPU here to build for: give CUDA_ARCH, such as CUDA_ARCH=90 for Hopper or 89 for Ada"
fi
[ -e "$prefix/lib/libggml-cuda.so" ] || echo "building its CUDA backend with $nvcc for architecture $arch (some minutes, once)"
# A backend to load at run time, so that the program starts without a driver too.
PATH="$(dirname "$nvcc"):$PATH" configure "$prefix/cmake-cuda" -DGGML_NATIVE=OFF -DGGML_CPU=OFF -DGGML_BACKEND_DL=ON -DGGML_CUDA=ON \
	-DCMAKE_CUDA_COMPILER="$nvcc" -DCMAKE_CUDA_ARCHITECTURES="$arch" -DCMAKE_BUILD_RPATH_USE_ORIGIN=ON &&
	cmake --build "$prefix/cmake-cuda" --parallel "$jobs" --target ggml-cuda >>"$log" 2>&1 &&
	cp "$prefix/cmake-cuda/bin/libggml-cuda.so" "$prefix/lib/" || broken
