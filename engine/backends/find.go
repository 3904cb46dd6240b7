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

	"github.com/adrg/xdg"
)

// places is where to look; tests have their own.
type places struct {
	executable string   // of this program
	data       []string // XDG data folders, the user's first
	prefixes   []string // that may hold lib/ollama
	driver     int      // major version of NVIDIA's; 0 unknown
}

func here() places {
	p := places{data: append([]string{xdg.DataHome}, xdg.DataDirs...), driver: driverMajor()}
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

// DefaultDirs lists the folders with backends that are used where none is named,
// best first: build/cuda of the program's own build (`make cuda`),
// jouletop/backends of the XDG data folders, and an installed Ollama's. It does
// not check them.
func DefaultDirs() []string { return here().dirs() }

func (p places) dirs() []string {
	var out []string
	add := func(names ...string) {
		dir := filepath.Join(names...)
		if _, err := backendFiles(dir); err == nil && !slices.Contains(out, dir) {
			out = append(out, dir)
		}
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

// Find returns the first of DefaultDirs that can be used, "" if none can, and
// why those before it cannot.
func Find() (dir string, err error) { return here().find() }

func (p places) find() (string, error) {
	var errs []error
	for _, dir := range p.dirs() {
		err := check(dir)
		if err == nil {
			return dir, errors.Join(errs...)
		}
		errs = append(errs, err)
	}
	if len(errs) > 0 {
		errs[len(errs)-1] = fmt.Errorf("%w; %s", errs[len(errs)-1], remedy)
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
