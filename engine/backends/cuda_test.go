package backends

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// fakeCMake stands for cmake: it writes down how it is called, and "builds".
const fakeCMake = `#!/bin/sh
[ "$1" = --version ] && { echo "cmake version ${FAKE_CMAKE:-3.25.1}"; exit 0; }
echo "cmake $*" >>"$FAKE_LOG"
[ -n "$FAKE_FAIL" ] && { echo "error: nvcc fatal"; exit 1; }
if [ "$1" = --build ]; then
	mkdir -p "$2/lib/ollama" && cd "$2/lib/ollama" && touch libggml-base.so.0.0.0 libggml-cuda.so &&
		ln -sf libggml-base.so.0.0.0 libggml-base.so.0 && ln -sf libggml-base.so.0 libggml-base.so
fi
`

// TestMakeCUDA runs the target with tools that only pretend: what it asks of
// them, what it says where one is missing, what it leaves behind.
func TestMakeCUDA(t *testing.T) {
	makePath, err := exec.LookPath("make")
	if err != nil {
		t.Skip("no make")
	}
	if found, _ := filepath.Glob("/usr/local/cuda*/bin/nvcc"); len(found) > 0 {
		t.Skip("a CUDA toolkit is here: it would be found")
	}
	mk, err := filepath.Abs("cuda.mk")
	if err != nil {
		t.Fatal(err)
	}
	tools := t.TempDir()
	for _, name := range []string{"sh", "ls", "sort", "head", "tail", "sed", "mkdir", "rm", "cp", "touch", "ln", "basename", "dirname", "realpath", "nproc"} {
		real, err := exec.LookPath(name)
		if err != nil {
			t.Skipf("no %s", name)
		}
		if err := os.Symlink(real, filepath.Join(tools, name)); err != nil {
			t.Fatal(err)
		}
	}
	src := filepath.Join(t.TempDir(), "ollama@v1.2.3")
	write(t, filepath.Join(src, "CMakeLists.txt"), "", 0o644)
	write(t, filepath.Join(src, "ml/backend/ggml/ggml/src/ggml-cuda/CMakeLists.txt"), "", 0o644)

	for _, c := range []struct {
		name string
		has  string // tools beside the ordinary ones
		env  string
		args []string
		want string // in the output
		ok   bool
	}{
		{"no nvcc", "", "", nil, "make: nvcc is missing: install the CUDA toolkit", false},
		{"no cmake", "nvcc", "", nil, "make: cmake is missing: apt-get install cmake", false},
		{"no compiler", "nvcc cmake", "", nil, "make: a C++ compiler is missing", false},
		{"no sources", "nvcc cmake c++", "", []string{"CUDA_ARCH=90"}, "make: go is missing: install it, or name a folder of the sources", false},
		{"wrong sources", "nvcc cmake c++", "", []string{"CUDA_ARCH=90", "SRC=/nowhere"}, "make: SRC=/nowhere: it lacks CMakeLists.txt", false},
		{"wrong toolkit", "nvcc cmake c++", "", []string{"CUDA=/nowhere"}, "make: CUDA=/nowhere: there is no bin/nvcc in it", false},
		{"old cmake", "nvcc cmake c++", "FAKE_CMAKE=3.22.1", []string{"SRC=" + src}, "make: cmake 3.22 does not know the native architecture", false},
		{"build fails", "nvcc cmake c++", "FAKE_FAIL=1", []string{"CUDA_ARCH=90", "SRC=" + src}, "error: nvcc fatal", false},
		{"with make", "nvcc cmake c++", "", []string{"CUDA_ARCH=80;90", "SRC=" + src, "CUDA_JOBS=3"}, "built build/cuda/libggml-cuda.so", true},
		{"with ninja", "nvcc cmake c++ ninja", "", []string{"CUDA_ARCH=90", "SRC=" + src}, "built build/cuda/libggml-cuda.so", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir, bin := t.TempDir(), t.TempDir()
			for tool := range strings.FieldsSeq(c.has) {
				text := "#!/bin/sh\n"
				if tool == "cmake" {
					text = fakeCMake
				}
				write(t, filepath.Join(bin, tool), text, 0o755)
			}
			log := filepath.Join(dir, "log")
			cmd := exec.Command(makePath, append([]string{"-f", mk, "cuda"}, c.args...)...)
			cmd.Dir = dir
			cmd.Env = []string{"PATH=" + bin + ":" + tools, "FAKE_LOG=" + log, c.env}
			out, err := cmd.CombinedOutput()
			if (err == nil) != c.ok || !strings.Contains(string(out), c.want) {
				t.Fatalf("%v, %s; want %q", err, out, c.want)
			}
			if !c.ok {
				if exists(filepath.Join(dir, "build/cuda/VERSION")) {
					t.Error("a version without a backend")
				}
				return
			}
			called, err := os.ReadFile(log)
			if err != nil {
				t.Fatal(err)
			}
			generator := "-G Unix Makefiles"
			if strings.Contains(c.has, "ninja") {
				generator = "-G Ninja"
			}
			for _, want := range []string{"-S " + src, generator, "-DCMAKE_CUDA_COMPILER=" + filepath.Join(bin, "nvcc"), "-DCMAKE_CUDA_ARCHITECTURES=" + strings.TrimPrefix(c.args[0], "CUDA_ARCH="), "--target ggml-cuda ggml-base"} {
				if !strings.Contains(string(called), want) {
					t.Errorf("cmake was called as\n%swithout %q", called, want)
				}
			}
			for _, f := range []string{"libggml-cuda.so", "libggml-base.so.0"} {
				if !exists(filepath.Join(dir, "build/cuda", f)) {
					t.Errorf("%s was not left in build/cuda", f)
				}
			}
			if v, _ := releaseOf(filepath.Join(dir, "build/cuda")); v != "1.2.3" {
				t.Errorf("release %q, want 1.2.3", v)
			}
		})
	}
}
