package backends

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/adrg/xdg"
)

// places is where to look; tests have their own.
type places struct {
	executable string   // of this program
	data       []string // XDG data folders, the user's first
	linked     string   // libggml-base that this program is linked with; "" none
	prefixes   []string // that may hold lib/ollama
	driver     int      // major version of NVIDIA's; 0 unknown
}

func here() places {
	p := places{data: append([]string{xdg.DataHome}, xdg.DataDirs...), driver: driverMajor(), linked: linked()}
	if exe, err := os.Executable(); err == nil {
		if p.executable, err = filepath.EvalSymlinks(exe); err != nil {
			p.executable = exe
		}
	}
	if program, err := exec.LookPath("ollama"); err == nil {
		if real, err := filepath.EvalSymlinks(program); err == nil {
			program = real
		}
		p.prefixes = append(p.prefixes, filepath.Dir(filepath.Dir(program)))
	}
	p.prefixes = append(p.prefixes, "/usr/local", "/usr", "/opt/ollama")
	return p
}

// dirs lists the folders with backends that are used where none is named,
// best first: build/cuda of the program's own build (`make cuda`),
// jouletop/backends of the XDG data folders, and an installed Ollama's. A program
// that is linked with an installed llama.cpp takes that one's: beside its libraries
// or in the bin folder, where ggml installs them; none where they are linked as
// well. It does not check them.
func (p places) dirs() []string {
	var out []string
	add := func(names ...string) {
		dir := filepath.Join(names...)
		if _, err := backendFiles(dir); err == nil && !slices.Contains(out, dir) {
			out = append(out, dir)
		}
	}
	if p.linked != "" {
		lib := filepath.Dir(p.linked)
		if !mapped("libggml-cuda.so") {
			add(lib)
			add(lib, "..", "bin")
		}
		return out
	}
	if p.executable != "" {
		bin := filepath.Dir(p.executable)
		add(bin, "build", "cuda")
		add(bin, "..", "build", "cuda")
	}
	for _, d := range p.data {
		add(d, "jouletop", "backends")
	}
	// CUDA 13 needs a driver of 580 or later (CUDA Toolkit Release Notes, table 3).
	versions := []string{"cuda_v12", "cuda_v13"}
	if p.driver >= 580 {
		slices.Reverse(versions)
	}
	for _, prefix := range p.prefixes {
		for _, v := range versions {
			add(prefix, "lib", "ollama", v)
		}
	}
	return out
}

// Find returns the first folder of backends that can be used where none is named (see
// places.dirs), "" if none can, and why those before it cannot.
func Find() (dir string, err error) { return here().find() }

func (p places) find() (string, error) {
	var errs []error
	for _, dir := range p.dirs() {
		err := checkFor(dir, p.linked)
		if err == nil {
			return dir, errors.Join(errs...)
		}
		errs = append(errs, err)
	}
	if len(errs) > 0 {
		errs[len(errs)-1] = fmt.Errorf("%w; %s", errs[len(errs)-1], remedy(p.linked))
	}
	return "", errors.Join(errs...)
}

// driverMajor returns the major version of NVIDIA's kernel driver, 0 where
// there is none.
func driverMajor() int {
	text, err := os.ReadFile("/sys/module/nvidia/version")
	if err != nil {
		return 0
	}
	major, _, _ := strings.Cut(strings.TrimSpace(string(text)), ".")
	n, _ := strconv.Atoi(major) // 0 where the format changed
	return n
}

// linked returns the libggml-base that the loader gave this program, which then is
// linked with an installed llama.cpp; "" where ggml is compiled in, or not at all.
var linked = sync.OnceValue(func() string { return mappedPath("libggml-base.so") })

// mapped tells whether the loader gave this program a library of that name.
func mapped(name string) bool { return mappedPath(name) != "" }

// mappedPath returns the file of a library in this process, by the beginning of its
// name; "" for none.
func mappedPath(name string) string {
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(maps)) {
		if at := strings.IndexByte(line, '/'); at >= 0 {
			if path := strings.TrimSpace(line[at:]); strings.HasPrefix(filepath.Base(path), name) {
				return path
			}
		}
	}
	return ""
}
