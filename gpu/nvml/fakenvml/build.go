package fakenvml

import (
	"bytes"
	"crypto/sha256"
	"debug/elf"
	_ "embed"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// The library is one unit of three files.
var (
	//go:embed csrc/fakenvml.c
	librarySource string
	//go:embed csrc/sensors.c
	sensorsSource string
	//go:embed csrc/knobs.c
	knobsSource string
)

// Build compiles the library with gcc (or $CC) unless it is already in the
// user's cache folder, and returns its path. Several processes may call it at
// once. The error says so where there is no compiler: skip the test then.
func Build() (string, error) {
	dir, err := os.UserCacheDir()
	if err != nil {
		dir = os.TempDir()
	}
	return BuildIn(filepath.Join(dir, "jouletop", "fakenvml"))
}

// BuildIn is Build with another cache folder, for processes of users who may
// not read this user's.
func BuildIn(dir string) (string, error) {
	cc := os.Getenv("CC")
	if cc == "" {
		cc = "gcc"
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("fake NVML: %w", err)
	}
	source := "#line 1 \"fakenvml.c\"\n" + librarySource + "#line 1 \"sensors.c\"\n" + sensorsSource + "#line 1 \"knobs.c\"\n" + knobsSource
	sum := sha256.Sum256([]byte(cc + " symbolic\n" + source))
	lib := filepath.Join(dir, fmt.Sprintf("libfakenvml-%x.so", sum[:6]))
	if _, err := os.Stat(lib); err == nil {
		return lib, nil
	}
	tmp, err := os.CreateTemp(dir, "build-*.so")
	if err != nil {
		return "", fmt.Errorf("fake NVML: %w", err)
	}
	defer os.Remove(tmp.Name()) // gone already when all went well
	_ = tmp.Close()
	cmd := exec.Command(cc, "-O2", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-Wl,-Bsymbolic-functions", "-pthread", "-x", "c", "-", "-o", tmp.Name())
	cmd.Stdin = strings.NewReader(source)
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("fake NVML: compiling with %s: %w\n%s", cc, err, out)
	}
	if err := os.Chmod(tmp.Name(), 0o755); err != nil {
		return "", fmt.Errorf("fake NVML: %w", err)
	}
	return lib, os.Rename(tmp.Name(), lib)
}

// Functions lists the functions that the library offers.
func Functions(lib string) ([]string, error) {
	f, err := elf.Open(lib)
	if err != nil {
		return nil, fmt.Errorf("fake NVML: %w", err)
	}
	defer f.Close()
	symbols, err := f.DynamicSymbols()
	if err != nil {
		return nil, fmt.Errorf("fake NVML: %w", err)
	}
	var names []string
	for _, s := range symbols {
		if s.Section != elf.SHN_UNDEF && strings.HasPrefix(s.Name, "nvml") {
			names = append(names, s.Name)
		}
	}
	return names, nil
}

// Without writes to path a copy of the library that lacks the given functions: a
// driver's library of another age. Inside it they still call each other.
func Without(lib, path string, functions ...string) error {
	f, err := elf.Open(lib)
	if err != nil {
		return fmt.Errorf("fake NVML: %w", err)
	}
	defer f.Close()
	names := f.Section(".dynstr")
	text, err := names.Data()
	if err != nil {
		return fmt.Errorf("fake NVML: %w", err)
	}
	whole, err := os.ReadFile(lib)
	if err != nil {
		return fmt.Errorf("fake NVML: %w", err)
	}
	for _, name := range functions {
		at := bytes.Index(text, []byte("\x00"+name+"\x00"))
		if at < 0 {
			return fmt.Errorf("fake NVML: no function %s", name)
		}
		whole[int(names.Offset)+at+1] = 'x' // a name that nobody looks up
	}
	return os.WriteFile(path, whole, 0o755)
}
