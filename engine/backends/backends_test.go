package backends

import (
	"debug/elf"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// compile makes a shared library of C functions of these names.
func compile(t *testing.T, path, soname string, functions []string, calls []string, args ...string) {
	t.Helper()
	gcc, err := exec.LookPath("gcc")
	if err != nil {
		t.Skip("no gcc to make shared libraries with")
	}
	var c strings.Builder
	for _, f := range functions {
		c.WriteString("void " + f + "(void) {}\n")
	}
	for _, f := range calls {
		c.WriteString("void " + f + "(void);\n")
	}
	c.WriteString("void calls(void) {\n")
	for _, f := range calls {
		c.WriteString(f + "();\n")
	}
	c.WriteString("}\n")
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(gcc, append([]string{"-shared", "-fPIC", "-fno-builtin", "-o", path, "-Wl,-soname," + soname, "-x", "c", "-", "-x", "none"}, args...)...)
	cmd.Stdin = strings.NewReader(c.String())
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("gcc: %v\n%s", err, out)
	}
}

// ourBase is a libggml-base with the functions of ours, once compiled.
var ourBase []byte

// makeBackend makes a folder of a backend with its libggml-base in baseDir.
func makeBackend(t *testing.T, dir, baseDir string, exports []string, needs ...string) {
	t.Helper()
	base := filepath.Join(baseDir, "libggml-base.so.0")
	if slices.Equal(exports, strings.Fields(baseSymbols)) && ourBase != nil {
		write(t, base, string(ourBase), 0o755)
	} else {
		compile(t, base, "libggml-base.so.0", exports, nil)
	}
	if slices.Equal(exports, strings.Fields(baseSymbols)) {
		var err error
		if ourBase, err = os.ReadFile(base); err != nil {
			t.Fatal(err)
		}
	}
	args := []string{base}
	for _, n := range needs {
		stub := filepath.Join(t.TempDir(), n)
		compile(t, stub, n, []string{"f_" + strings.Map(func(r rune) rune {
			if r == '.' || r == '-' {
				return '_'
			}
			return r
		}, n)}, nil)
		args = append(args, "-Wl,--no-as-needed", stub)
	}
	compile(t, filepath.Join(dir, "libggml-cuda.so"), "libggml-cuda.so", []string{"ggml_backend_init", "ggml_backend_score"}, []string{"ggml_init"}, args...)
}

func write(t *testing.T, path, text string, mode os.FileMode) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
}

func TestCheck(t *testing.T) {
	root := t.TempDir()
	ours := strings.Fields(baseSymbols)
	ollama := func(prefix, release string) string {
		write(t, filepath.Join(prefix, "bin", "ollama"), "#!/bin/sh\n[ \"$OLLAMA_HOST\" = 127.0.0.1:9 ] || exit 1\n"+
			"echo 'Warning: could not connect to a running Ollama instance'\necho 'Warning: client version is "+release+"'\n", 0o755)
		dir := filepath.Join(prefix, "lib", "ollama", "cuda_v13")
		makeBackend(t, dir, filepath.Dir(dir), ours)
		return dir
	}
	with := func(name, version string, exports []string, needs ...string) string {
		dir := filepath.Join(root, name)
		makeBackend(t, dir, dir, exports, needs...)
		if version != "" {
			write(t, filepath.Join(dir, versionFile), version, 0o644)
		}
		return dir
	}
	newer := append([]string{"ggml_brand_new_op", "dequantize_row_q9"}, ours[1:]...)
	for _, c := range []struct {
		name, dir string
		want      error
		text      string
	}{
		{"built here", with("built", "ollama "+Release+"\n", ours), nil, ""},
		{"of unknown origin", with("unknown", "", ours), nil, ""},
		{"an Ollama of this release", ollama(filepath.Join(root, "same"), Release), nil, ""},
		{"an Ollama of another", ollama(filepath.Join(root, "other"), "0.15.2"), ErrVersion, "is of Ollama 0.15.2"},
		{"an Ollama of a candidate", ollama(filepath.Join(root, "rc"), Release+"-rc1"), ErrVersion, "is of Ollama " + Release + "-rc1"},
		{"built from other sources", with("stamped", "ollama 0.18.0\n", ours), ErrVersion, "0.18.0"},
		{"other functions", with("newer", "", newer), ErrVersion, "it lacks 1 functions (such as " + ours[0] + ") and it adds 2 functions (such as dequantize_row_q9)"},
		{"libraries missing", with("missing", "", ours, "libcublas-of-nowhere.so.13"), ErrMissing, "libcublas-of-nowhere.so.13"},
		{"empty", t.TempDir(), ErrNone, ""},
		{"no folder", filepath.Join(root, "nowhere"), os.ErrNotExist, ""},
	} {
		err := Check(c.dir)
		if !errors.Is(err, c.want) || c.want == nil && err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if err != nil && (!strings.Contains(err.Error(), c.text) || errors.Is(err, ErrVersion) && !strings.Contains(err.Error(), Release)) {
			t.Errorf("%s: %v, want %q and %s", c.name, err, c.text, Release)
		}
	}
	if err := Check(with("nodriver", "", ours, "libcuda.so.1")); exists("/etc/ld.so.cache") && err != nil && !strings.Contains(err.Error(), "no NVIDIA driver") {
		t.Errorf("without a driver: %v", err)
	}

	same := filepath.Join(root, "same", "lib", "ollama", "cuda_v13")
	if got := LibraryPath(same); !slices.Equal(got, []string{same, filepath.Dir(same)}) {
		t.Errorf("LibraryPath = %q", got)
	}
	t.Setenv("LD_LIBRARY_PATH", "/old")
	if got := Env(same); len(got) != 1 || got[0] != "LD_LIBRARY_PATH="+same+":"+filepath.Dir(same)+":/old" {
		t.Errorf("Env = %q", got)
	}
	if got := Env(""); got != nil {
		t.Errorf("Env of none = %q", got)
	}
}

func TestDamagedFoldersAreRefused(t *testing.T) {
	dir := t.TempDir()
	makeBackend(t, dir, dir, strings.Fields(baseSymbols))
	cuda, base := filepath.Join(dir, "libggml-cuda.so"), filepath.Join(dir, "libggml-base.so.0")
	whole, err := os.ReadFile(cuda)
	if err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(){
		"truncated":  func() { write(t, cuda, string(whole[:len(whole)/2]), 0o644) },
		"text":       func() { write(t, cuda, "#!/bin/sh\n", 0o644) },
		"empty":      func() { write(t, cuda, "", 0o644) },
		"no backend": func() { compile(t, cuda, "libggml-cuda.so", []string{"other"}, nil) },
		"two releases": func() {
			compile(t, cuda, "libggml-cuda.so", []string{"ggml_backend_init"}, []string{"ggml_of_tomorrow"}, "-Wl,--unresolved-symbols=ignore-all")
		},
		"no base": func() {
			write(t, cuda, string(whole), 0o644)
			if err := os.Remove(base); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			if name == "no base" {
				t.Cleanup(func() { makeBackend(t, dir, dir, strings.Fields(baseSymbols)) })
			}
			spoil()
			if err := Check(dir); !errors.Is(err, ErrLibrary) && !errors.Is(err, ErrVersion) && !errors.Is(err, ErrMissing) {
				t.Errorf("Check: %v", err)
			}
		})
	}
}

func TestWhatIsNoBackendIsToldSo(t *testing.T) {
	dir := t.TempDir()
	makeBackend(t, dir, dir, strings.Fields(baseSymbols))
	cuda := filepath.Join(dir, "libggml-cuda.so")
	whole, err := os.ReadFile(cuda)
	if err != nil {
		t.Fatal(err)
	}
	patched := func(at int, b ...byte) func() error {
		spoilt := slices.Clone(whole)
		copy(spoilt[at:], b)
		return func() error { return os.WriteFile(cuda, spoilt, 0o644) }
	}
	for name, c := range map[string]struct {
		make func() error
		want string
	}{
		"text":            {func() error { return os.WriteFile(cuda, []byte("#!/bin/sh\n"), 0o644) }, "not a shared library"},
		"a folder":        {func() error { return os.Mkdir(cuda, 0o755) }, "a folder"},
		"a named pipe":    {func() error { return syscall.Mkfifo(cuda, 0o644) }, "not a regular file"},
		"another machine": {patched(18, byte(elf.EM_S390), 0), "a library for s390, 64 bits, and this program is for"},
		"an object file":  {patched(16, byte(elf.ET_REL), 0), "an ELF file of type ET_REL"},
		"no backend": {func() error {
			compile(t, cuda, "libggml-cuda.so", []string{"other"}, nil)
			return nil
		}, "no ggml_backend_init"},
		"a program": {func() error {
			exe, err := exec.Command("gcc", "-pie", "-fPIE", "-o", cuda, "-x", "c", "/dev/null", "-nostdlib", "-Wl,-e,0").CombinedOutput()
			if err != nil {
				return fmt.Errorf("%w: %s", err, exe)
			}
			return nil
		}, "a program, not a shared library"},
	} {
		if err := os.RemoveAll(cuda); err != nil {
			t.Fatal(err)
		}
		if err := c.make(); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		err := Check(dir)
		if !errors.Is(err, ErrLibrary) || errors.Is(err, ErrVersion) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		} else if !strings.HasSuffix(err.Error(), "`make cuda` builds one that fits, or leave out --backend-dir") {
			t.Errorf("%s: %v tells not what to do", name, err)
		}
	}
	if os.Getuid() != 0 { // who may read everything
		if err := errors.Join(os.RemoveAll(cuda), os.WriteFile(cuda, whole, 0)); err != nil {
			t.Fatal(err)
		}
		if err := Check(dir); !errors.Is(err, ErrLibrary) || !strings.Contains(err.Error(), "no permission") {
			t.Errorf("no permission: %v", err)
		}
	}
}

func TestEmptyVersionIsNone(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "lib", "ollama", "cuda_v13")
	write(t, filepath.Join(dir, "..", "..", "..", "bin", "ollama"), "#!/bin/sh\necho 'ollama version is 0.15.2'\n", 0o755)
	note := filepath.Join(dir, versionFile)
	for _, text := range []string{"", " \n"} {
		write(t, note, text, 0o644)
		if v, _ := releaseOf(dir); v != "0.15.2" {
			t.Errorf("with %q the release is %q", text, v)
		}
	}
	if err := errors.Join(os.Remove(note), syscall.Mkfifo(note, 0o644)); err != nil {
		t.Fatal(err)
	}
	if v, _ := releaseOf(dir); v != "0.15.2" {
		t.Errorf("with a named pipe the release is %q", v)
	}
}

func TestOrderOfFolders(t *testing.T) {
	root := t.TempDir()
	p := places{
		executable: filepath.Join(root, "bin", "jouletop"), data: []string{filepath.Join(root, "share")},
		prefixes: []string{filepath.Join(root, "usr")}, driver: 580,
	}
	if got := p.dirs(); len(got) != 0 {
		t.Errorf("nothing there: %q", got)
	}
	dirs := []string{"build/cuda", "share/jouletop/backends", "usr/lib/ollama/cuda_v13", "usr/lib/ollama/cuda_v12"}
	for i, d := range dirs {
		dirs[i] = filepath.Join(root, d)
		write(t, filepath.Join(dirs[i], "libggml-cuda.so"), "no library", 0o644)
	}
	if got := p.dirs(); !slices.Equal(got, dirs) {
		t.Errorf("%q, want %q", got, dirs)
	}
	if dir, err := p.find(); dir != "" || err == nil {
		t.Errorf("find = %q, %v", dir, err)
	}
	p.driver = 570 // too old for CUDA 13
	if got := p.dirs(); got[2] != dirs[3] {
		t.Errorf("%q", got)
	}
	base := filepath.Join(root, "usr", "lib", "ollama")
	makeBackend(t, dirs[2], base, strings.Fields(baseSymbols))
	dir, err := p.find()
	if dir != dirs[2] || err == nil || !strings.Contains(err.Error(), dirs[0]) {
		t.Errorf("find = %q, %v", dir, err)
	}
}

// TestOfALinkedLlama takes the view of a program that is linked with an installed
// llama.cpp: its libggml-base counts, not the module's.
func TestOfALinkedLlama(t *testing.T) {
	root := t.TempDir()
	theirs := []string{"ggml_init", "ggml_of_next_year", "quantize_row_new"}
	lib, bin := filepath.Join(root, "lib"), filepath.Join(root, "bin")
	makeBackend(t, bin, lib, theirs)
	own := filepath.Join(lib, "libggml-base.so.0")
	p := places{linked: own, prefixes: []string{filepath.Join(root, "usr")}, executable: filepath.Join(root, "bin", "jouletop")}
	makeBackend(t, filepath.Join(root, "usr", "lib", "ollama", "cuda_v13"), filepath.Join(root, "usr", "lib", "ollama"), strings.Fields(baseSymbols))
	if dir, err := p.find(); dir != bin || err != nil {
		t.Errorf("find = %q, %v", dir, err)
	}
	if err := checkFor(filepath.Join(root, "usr", "lib", "ollama", "cuda_v13"), own); !errors.Is(err, ErrVersion) ||
		!strings.Contains(err.Error(), own) || !strings.Contains(err.Error(), "ggml_of_next_year") {
		t.Errorf("the module's: %v", err)
	}
	other := filepath.Join(root, "other")
	makeBackend(t, other, other, append(slices.Clone(theirs), "ggml_of_the_year_after"))
	if err := checkFor(other, own); !errors.Is(err, ErrVersion) || !strings.Contains(err.Error(), "ggml_of_the_year_after") {
		t.Errorf("a newer one: %v", err)
	}
	if remedy(own) == remedy("") || !strings.Contains(remedy(own), lib) {
		t.Errorf("remedy: %s", remedy(own))
	}
}

func TestLinked(t *testing.T) {
	if !mapped("libc.so") && !mapped("backends.test") || mapped("libggml-of-nobody.so") {
		t.Error("the libraries of this process are not found")
	}
}

// TestFitsTheModule holds Release and the list of functions to the sources that
// go.mod pins.
func TestFitsTheModule(t *testing.T) {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Version}} {{.Dir}}", "github.com/ollama/ollama").Output()
	version, dir, _ := strings.Cut(strings.TrimSpace(string(out)), " ")
	if err != nil || dir == "" {
		t.Skipf("the module is not here: %v", err)
	}
	if version != "v"+Release {
		t.Errorf("Release is %s, go.mod pins %s", Release, version)
	}
	names := strings.Fields(baseSymbols)
	if !slices.IsSorted(names) {
		t.Error("base-symbols.txt is not sorted")
	}
	// What the headers declare, base-symbols.txt has, but for the registry of
	// backends, which is in a library of its own.
	registry, err := os.ReadFile(filepath.Join(dir, "ml/backend/ggml/ggml/src/ggml-backend-reg.cpp"))
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range []string{"ggml.h", "ggml-alloc.h", "ggml-backend.h", "gguf.h"} {
		text, err := os.ReadFile(filepath.Join(dir, "ml/backend/ggml/ggml/include", h))
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for line := range strings.Lines(string(text)) {
			f := strings.Fields(strings.TrimSpace(line))
			if len(f) < 3 || f[0] != "GGML_API" {
				continue
			}
			name, _, ok := strings.Cut(line, "(")
			if !ok {
				continue
			}
			name = strings.TrimLeft(name[strings.LastIndexAny(strings.TrimRight(name, " "), " *")+1:], "*")
			name = strings.TrimSpace(name)
			if strings.Contains(name, "deprecated") || strings.HasPrefix(name, "GGML_") || !interfaceName(name) {
				continue
			}
			n++
			if _, ok := slices.BinarySearch(names, name); !ok && !strings.Contains(string(registry), " "+name+"(") {
				t.Errorf("%s declares %s, which base-symbols.txt lacks", h, name)
			}
		}
		if n < 5 {
			t.Errorf("%s: only %d declarations read", h, n)
		}
	}
}

func TestReadLibraryNeverPanics(t *testing.T) {
	path := filepath.Join(t.TempDir(), "libggml-cuda.so")
	compile(t, path, "libggml-cuda.so", []string{"ggml_backend_init"}, nil)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if l, err := readLibrary(path); err != nil || !slices.Contains(l.exports, "ggml_backend_init") {
		t.Fatalf("%+v, %v", l, err)
	}
	for n := 0; n < len(whole); n += 97 {
		spoilt := slices.Clone(whole)
		for i := n; i < min(n+4, len(spoilt)); i++ {
			spoilt[i] ^= 0xff
		}
		write(t, path, string(spoilt), 0o644)
		_, _ = readLibrary(path) // an error or not, but an answer
		write(t, path, string(whole[:n]), 0o644)
		if _, err := readLibrary(path); err == nil {
			t.Errorf("the first %d bytes pass for a library", n)
		}
	}
}
