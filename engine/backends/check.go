package backends

import (
	"bytes"
	"context"
	"debug/elf"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
)

// library is what a shared library's header says.
type library struct {
	exports []string // functions and data it defines
	imports []string // those it takes from others
	needed  []string // the others
	runPath []string // where to look for them, $ORIGIN replaced
}

// readLibrary reads a header; it runs nothing. Errors wrap ErrLibrary.
func readLibrary(path string) (library, error) {
	fail := func(format string, args ...any) (library, error) {
		return library{}, fmt.Errorf("%w: %s: %w", ErrLibrary, path, fmt.Errorf(format, args...))
	}
	st, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrPermission):
		return fail("no permission to read it")
	case err != nil:
		return fail("%w", err)
	case st.IsDir():
		return fail("a folder, not a shared library")
	case !st.Mode().IsRegular(): // to open a named pipe would wait for a writer
		return fail("not a regular file")
	}
	f, err := elf.Open(path)
	switch {
	case errors.Is(err, fs.ErrPermission):
		return fail("no permission to read it")
	case err != nil:
		return fail("not a shared library: its ELF header is damaged, or it has none (%w)", err)
	}
	defer f.Close()
	own := ownHeader()
	flags, _ := f.DynValue(elf.DT_FLAGS_1) // none where it is damaged, which the rest tells
	switch {
	case slices.ContainsFunc(flags, func(v uint64) bool { return elf.DynFlag1(v)&elf.DF_1_PIE != 0 }):
		return fail("a program, not a shared library")
	case f.Type != elf.ET_DYN:
		return fail("not a shared library: an ELF file of type %s", f.Type)
	case own.Machine != elf.EM_NONE && (f.Machine != own.Machine || f.Class != own.Class || f.Data != own.Data):
		return fail("a library for %s, and this program is for %s", architecture(f.FileHeader), architecture(own))
	}
	symbols, err := f.DynamicSymbols()
	if err != nil && !errors.Is(err, elf.ErrNoSymbols) {
		return fail("damaged: %w", err)
	}
	var l library
	for _, s := range symbols {
		if s.Section == elf.SHN_UNDEF {
			l.imports = append(l.imports, s.Name)
		} else {
			l.exports = append(l.exports, s.Name)
		}
	}
	if l.needed, err = f.DynString(elf.DT_NEEDED); err != nil {
		return fail("damaged: %w", err)
	}
	for _, tag := range []elf.DynTag{elf.DT_RPATH, elf.DT_RUNPATH} {
		paths, err := f.DynString(tag)
		if err != nil {
			return fail("damaged: %w", err)
		}
		for _, list := range paths {
			for p := range strings.SplitSeq(list, ":") {
				p = strings.NewReplacer("$ORIGIN", filepath.Dir(path), "${ORIGIN}", filepath.Dir(path)).Replace(p)
				l.runPath = append(l.runPath, p)
			}
		}
	}
	return l, nil
}

// ownHeader is the ELF header of the running program; zero where it has none.
var ownHeader = sync.OnceValue(func() elf.FileHeader {
	path, err := os.Executable()
	if err != nil {
		return elf.FileHeader{}
	}
	f, err := elf.Open(path)
	if err != nil {
		return elf.FileHeader{}
	}
	defer f.Close()
	return f.FileHeader
})

// architecture words what a machine must be to run a file: "x86_64, 64 bits".
func architecture(h elf.FileHeader) string {
	bits := map[elf.Class]int{elf.ELFCLASS32: 32, elf.ELFCLASS64: 64}[h.Class]
	text := fmt.Sprintf("%s, %d bits", strings.ToLower(strings.TrimPrefix(h.Machine.String(), "EM_")), bits)
	if h.Data == elf.ELFDATA2MSB {
		text += ", big-endian"
	}
	return text
}

// Check tells why the backends of dir cannot be used with this program, and what
// to do about it: errors wrap ErrNone, ErrLibrary, ErrVersion or ErrMissing. nil
// says that they can be loaded, not that there is a GPU for them.
func Check(dir string) error {
	err := check(dir)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, ErrMissing): // says itself what is to be had
		return fmt.Errorf("%w, or leave out --backend-dir", err)
	}
	return fmt.Errorf("%w; %s, or leave out --backend-dir", err, remedy(linked()))
}

// remedy tells where a backend is to be had that fits this program, which is
// linked with the libggml-base at own ("": compiled with its own).
func remedy(own string) string {
	if own != "" {
		return "take the one of the llama.cpp in " + filepath.Dir(own) + ", which this program is linked with"
	}
	return "`make cuda` builds one that fits"
}

func check(dir string) error { return checkFor(dir, linked()) }

// checkFor is check for a program that is linked with the libggml-base at own.
func checkFor(dir, own string) error {
	files, err := backendFiles(dir)
	if err != nil {
		return err
	}
	functions, of := strings.Fields(baseSymbols), "Ollama "+Release+", which this program is built with"
	if own == "" {
		if err := checkRelease(dir); err != nil {
			return err
		}
	} else {
		lib, err := readLibrary(own)
		if err != nil {
			return err
		}
		functions, of = interfaceOf(lib.exports), "the llama.cpp that this program is linked with ("+own+")"
	}
	base, ok := basePath(dir)
	exports := functions
	if ok {
		lib, err := readLibrary(base)
		if err != nil {
			return err
		}
		if diff := difference(lib.exports, functions); diff != "" {
			return fmt.Errorf("%w: %s is not of %s: %s", ErrVersion, base, of, diff)
		}
		exports = lib.exports
	} else if own == "" {
		return fmt.Errorf("%s: %w: libggml-base.so, which belongs beside the backend: %s", dir, ErrMissing, remedy(own))
	}
	first := LibraryPath(dir)
	if own != "" {
		first = append(first, filepath.Dir(own)) // loaded already
	}
	for _, f := range files {
		if err := checkBackend(f, exports, first); err != nil {
			return err
		}
	}
	return nil
}

// backendFiles lists the backends of a folder, but for those of the CPU, which
// the program has itself.
func backendFiles(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("backend folder: %w", err)
	}
	var files []string
	for _, e := range entries {
		name := e.Name()
		if strings.HasPrefix(name, "libggml-") && strings.HasSuffix(name, ".so") &&
			!strings.HasPrefix(name, "libggml-base") && !strings.HasPrefix(name, "libggml-cpu") {
			files = append(files, filepath.Join(dir, name))
		}
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("%s: %w", dir, ErrNone)
	}
	return files, nil
}

// basePath finds the libggml-base that the backends of dir belong to: beside
// them, or one folder up, as Ollama has it.
func basePath(dir string) (string, bool) {
	for _, d := range []string{dir, filepath.Dir(filepath.Clean(dir))} {
		for _, name := range []string{"libggml-base.so.0", "libggml-base.so"} {
			p := filepath.Join(d, name)
			if _, err := os.Stat(p); err == nil || errors.Is(err, fs.ErrPermission) {
				return p, true // reading it tells that it may not be read
			}
		}
	}
	return "", false
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// interfaceOf returns those of a library's functions that baseSymbols would list,
// sorted.
func interfaceOf(exports []string) []string {
	list := slices.DeleteFunc(slices.Clone(exports), func(s string) bool { return !interfaceName(s) })
	slices.Sort(list)
	return list
}

// difference names functions by which exports differ from this program's ggml,
// which has those of want, sorted; "" if in none.
func difference(exports, want []string) string {
	has := map[string]bool{}
	var extra []string
	for _, s := range interfaceOf(exports) {
		has[s] = true
		if _, ok := slices.BinarySearch(want, s); !ok {
			extra = append(extra, s)
		}
	}
	var parts []string
	lacks := slices.DeleteFunc(slices.Clone(want), func(s string) bool { return has[s] })
	for _, d := range []struct {
		word  string
		names []string
	}{{"it lacks", lacks}, {"it adds", extra}} {
		if n := len(d.names); n > 0 {
			slices.Sort(d.names)
			parts = append(parts, fmt.Sprintf("%s %d functions (such as %s)", d.word, n, d.names[0]))
		}
	}
	return strings.Join(parts, " and ")
}

// checkBackend checks one backend against the functions of its libggml-base; first
// are the folders where the loader looks for libraries before others.
func checkBackend(path string, base, first []string) error {
	lib, err := readLibrary(path)
	if err != nil {
		return err
	}
	if !slices.Contains(lib.exports, "ggml_backend_init") {
		return fmt.Errorf("%w: %s: no backend of ggml: it has no ggml_backend_init", ErrLibrary, path)
	}
	for _, s := range lib.imports {
		if interfaceName(s) && !slices.Contains(base, s) && !slices.Contains(lib.exports, s) {
			return fmt.Errorf("%w: %s and its libggml-base are of two releases: %s is missing", ErrVersion, path, s)
		}
	}
	missing := unresolved(lib, first)
	switch {
	case len(missing) == 0:
		return nil
	case slices.Contains(missing, "libcuda.so.1"):
		return fmt.Errorf("%s: %w: libcuda.so.1: there is no NVIDIA driver here: install it", path, ErrMissing)
	}
	return fmt.Errorf("%s: %w: %s: install the CUDA runtime, or name its folder in LD_LIBRARY_PATH", path, ErrMissing, strings.Join(missing, ", "))
}

// LibraryPath lists the folders to put before LD_LIBRARY_PATH of a process that
// loads the backends of dir: Ollama's name no place for the libraries they need.
func LibraryPath(dir string) []string {
	dirs := []string{filepath.Clean(dir)}
	if base, ok := basePath(dir); ok && filepath.Dir(base) != dirs[0] {
		dirs = append(dirs, filepath.Dir(base))
	}
	return dirs
}

// Env is LibraryPath as an entry of the environment, with what is in
// LD_LIBRARY_PATH already; none for no folder.
func Env(dir string) []string {
	if dir == "" {
		return nil
	}
	list := LibraryPath(dir)
	if old := os.Getenv("LD_LIBRARY_PATH"); old != "" {
		list = append(list, old)
	}
	return []string{"LD_LIBRARY_PATH=" + strings.Join(list, ":")}
}

// unresolved lists the libraries that the loader would not find, as far as can
// be told; nothing where it keeps no cache.
func unresolved(lib library, first []string) []string {
	cache, err := os.ReadFile("/etc/ld.so.cache")
	if err != nil {
		return nil
	}
	dirs := slices.Concat(first, lib.runPath, filepath.SplitList(os.Getenv("LD_LIBRARY_PATH")),
		[]string{"/lib64", "/usr/lib64", "/lib", "/usr/lib"})
	var out []string
	for _, name := range lib.needed {
		if bytes.Contains(cache, append([]byte(name), 0)) {
			continue
		}
		if !slices.ContainsFunc(dirs, func(d string) bool { return d != "" && exists(filepath.Join(d, name)) }) {
			out = append(out, name)
		}
	}
	return out
}

// checkRelease compares the release that the folder's origin tells, if it does.
func checkRelease(dir string) error {
	release, from := releaseOf(dir)
	if release == "" || release == Release {
		return nil
	}
	return fmt.Errorf("%w: %s is of Ollama %s (%s), and this program is built with %s", ErrVersion, dir, release, from, Release)
}

var releasePattern = regexp.MustCompile(`\b\d+\.\d+\.\d+(-[0-9A-Za-z.]+)?\b`)

// releaseOf tells the release of a folder and how that is known; "" if it is
// not.
func releaseOf(dir string) (release, from string) {
	note := filepath.Join(dir, versionFile)
	if st, err := os.Stat(note); err == nil && st.Mode().IsRegular() && st.Size() > 0 {
		text, err := os.ReadFile(note)
		if err != nil {
			return "", ""
		}
		if len(bytes.TrimSpace(text)) > 0 {
			return releasePattern.FindString(string(text)), note
		}
	}
	// PREFIX/lib/ollama/cuda_v13 belongs to PREFIX/bin/ollama.
	clean, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return "", ""
	}
	for d := clean; d != "/" && d != "."; d = filepath.Dir(d) {
		if filepath.Base(d) == "ollama" && filepath.Base(filepath.Dir(d)) == "lib" {
			program := filepath.Join(filepath.Dir(filepath.Dir(d)), "bin", "ollama")
			return ollamaRelease(program), program
		}
	}
	return "", ""
}

// ollamaRelease asks an Ollama program for its release; "" if it does not tell.
func ollamaRelease(program string) string {
	if !exists(program) {
		return ""
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, "--version")
	// Of the program itself, not of a server that runs elsewhere: port 9 discards.
	cmd.Env = append(os.Environ(), "OLLAMA_HOST=127.0.0.1:9")
	cmd.WaitDelay = time.Second
	text, err := cmd.Output()
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(text)) {
		if strings.Contains(line, "version is") {
			if v := releasePattern.FindString(line); v != "" {
				return v
			}
		}
	}
	return ""
}
