#!/bin/sh
# installed.sh PREFIX|system: prints the environment that builds the engine on an
# installed llama.cpp, or says on standard error what it lacks.
set -u
prefix=$1
fail() { echo "make: LLAMA=$prefix: $*" >&2; exit 1; }

if [ "$prefix" = system ]; then
	command -v pkg-config >/dev/null || fail "pkg-config is missing: apt-get install pkg-config, or name the folder, LLAMA=PREFIX"
	pkg-config --exists llama || fail "pkg-config knows no llama: name the folder, LLAMA=PREFIX"
	include=$(pkg-config --variable=includedir llama) lib=$(pkg-config --variable=libdir llama)
else
	[ -d "$prefix" ] || fail "there is no such folder"
	prefix=$(cd "$prefix" && pwd)
	include="" lib=""
	for d in "$prefix"/include "$prefix"/include/llama "$prefix"/include/llama.cpp; do
		[ -f "$d/llama.h" ] && include=$d && break
	done
	for d in "$prefix"/lib "$prefix"/lib64 "$prefix"/lib/*-linux-gnu "$prefix"/bin "$prefix"; do
		[ -e "$d/libllama.so" ] && lib=$d && break
	done
fi
[ -f "$include/llama.h" ] || fail "there is no include/llama.h in it (sources go with LLAMA_SRC=FOLDER)"
[ -f "$include/ggml-backend.h" ] || fail "$include has llama.h without ggml-backend.h"
for name in llama ggml ggml-base; do
	[ -e "$lib/lib$name.so" ] || fail "there is no lib$name.so in its lib folder (a static llama.cpp cannot be linked)"
done
# The release of the headers, for the program to compare with the library's own.
version=$(sed -n 's/^Version: *//p' "$lib/pkgconfig/llama.pc" 2>/dev/null)
[ -n "$version" ] || version=$(sed -n 's/^set(PACKAGE_VERSION "\(.*\)")/\1/p' "$lib/cmake/llama/llama-config-version.cmake" 2>/dev/null)

# $ORIGIN lets bin/jouletop and build/llama move together.
rpath="-Wl,-rpath,$lib"
case $lib in "$PWD"/build/*) rpath="-Wl,-rpath,\$ORIGIN/..${lib#"$PWD"} $rpath" ;; esac
echo "CGO_CPPFLAGS='-I$include${version:+ -DJT_LLAMA_VERSION=$version}'" \
	"CGO_LDFLAGS='-L$lib $rpath -lllama -lggml -lggml-base'"
