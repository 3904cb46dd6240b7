package models

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"jouletop/engine"
	"jouletop/engine/gguf"
)

// Find lists the models of o.Paths, of the Ollama stores and of the Hugging Face
// cache, each group sorted by name.
func Find(o Options) []Found {
	var out []Found
	h := headers{}
	for _, p := range distinct(o.Paths) {
		out = append(out, h.findPath(p)...)
	}
	out = append(out, o.findOllama(h)...)
	out = append(out, o.findHuggingFace(h)...)
	for i := range out {
		out[i] = out[i].shown()
	}
	return out
}

// shown makes fit for a terminal all that is there to be shown.
func (f Found) shown() Found {
	f.Name, f.Architecture, f.Problem = shown(f.Name), shown(f.Architecture), shown(f.Problem)
	f.Unknown = shown(f.Unknown)
	return f
}

// headers remembers what was read of files by their real paths: a store may have
// thousands of names for one.
type headers map[string]Found

// inspect is the function, with each file read once. Parts of a split model are
// told from their names and not remembered.
func (h headers) inspect(f Found) Found {
	real, err := filepath.EvalSymlinks(f.Path)
	if _, split := splitBase(f.Path); split || err != nil {
		return inspect(f)
	}
	known, ok := h[real]
	if !ok {
		known = inspect(f)
		h[real] = known
	}
	known.Name, known.Path, known.Source = f.Name, f.Path, f.Source
	if known.Problem == "" {
		known.Paths = []string{f.Path}
	}
	return known
}

// findPath lists a file, or the GGUF files of a folder.
func (h headers) findPath(path string) []Found {
	st, err := os.Stat(path)
	if err != nil {
		return []Found{{Name: path, Path: path, Source: SourceFile, Problem: problem(err)}}
	}
	if !st.IsDir() {
		return []Found{h.inspect(Found{Name: path, Path: path, Source: SourceFile})}
	}
	files, _ := filepath.Glob(filepath.Join(escape(path), "*.gguf")) // fails for bad patterns only
	var out []Found
	for _, f := range firstParts(files) {
		out = append(out, h.inspect(Found{Name: f, Path: f, Source: SourceFile}))
	}
	return out
}

// escape makes a path literal in a pattern.
func escape(path string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(path)
}

// firstParts drops the parts of split models but for one of each, and sorts.
func firstParts(files []string) []string {
	files = slices.Clone(files)
	slices.Sort(files)
	seen := map[string]bool{}
	return slices.DeleteFunc(files, func(f string) bool {
		base, split := splitBase(f)
		if !split {
			return false
		}
		if seen[base] {
			return true
		}
		seen[base] = true
		return false
	})
}

// splitBase returns what the parts of a split model have in common.
func splitBase(path string) (base string, split bool) {
	name, ok := strings.CutSuffix(path, ".gguf")
	const tail = len("-00001-of-00003")
	if !ok || len(name) <= tail {
		return path, false
	}
	t := name[len(name)-tail:]
	for i, c := range []byte(t) {
		want := "-ddddd-of-ddddd"[i]
		if want == 'd' && (c < '0' || c > '9') || want != 'd' && c != want {
			return path, false
		}
	}
	return name[:len(name)-tail] + t[len("-00001"):], true
}

// Inspect reads the header of the model at path, the other parts of a split one
// included.
func Inspect(path string) Found {
	return inspect(Found{Name: path, Path: path, Source: SourceFile}).shown()
}

// projector is the architecture of files that belong to a model that also sees
// or hears.
const projector = "clip"

// noGenerator tells whether the file is known to be something else than a model
// that generates text, such as the projector beside one.
func noGenerator(path string) bool {
	_, err := gguf.OpenModel(path)
	return errors.Is(err, gguf.ErrNoGenerator)
}

// inspect fills in what the header says.
func inspect(f Found) Found {
	m, err := gguf.OpenModel(f.Path)
	if err != nil {
		f.Problem = strings.TrimPrefix(problem(err), f.Path+": ")
		if st, err := os.Stat(f.Path); err == nil {
			f.SizeBytes = st.Size()
		}
		if g, e := gguf.Open(f.Path); e == nil && errors.Is(err, gguf.ErrNoGenerator) {
			f.Architecture = g.Architecture()
		}
		return f
	}
	head := m.Files[0]
	f.Path, f.Paths = m.Paths[0], m.Paths
	f.Architecture, f.Parameters = head.Architecture(), m.Parameters()
	f.Quantisation, f.SizeBytes, f.ContextMax = head.Quantisation(), m.Size, head.ContextLength()
	f.ChatTemplate = head.Text("tokenizer.chat_template") != ""
	if err := m.Generates(); err != nil {
		f.Unknown = err.Error()
	}
	f.kvBytes = head.KVBytesPerToken()
	f.embd, f.wide = head.Hyper("embedding_length"), head.Hyper("feed_forward_length")
	for _, part := range m.Files {
		if t, ok := part.Tensor("token_embd.weight"); ok && len(t.Shape) == 2 {
			f.vocab = t.Shape[1]
		}
	}
	return f
}

// problem words an error for a list, without the path that stands beside it.
func problem(err error) string {
	var pe *fs.PathError
	switch {
	case errors.As(err, &pe) && errors.Is(err, fs.ErrNotExist):
		if target, linkErr := os.Readlink(pe.Path); linkErr == nil {
			return fmt.Sprintf("dangling link: %s points to %s, which is not there", filepath.Base(pe.Path), target)
		}
		return fmt.Sprintf("%s is missing", filepath.Base(pe.Path))
	case errors.Is(err, fs.ErrPermission):
		return fmt.Sprintf("no permission to read %s", pe.Path)
	}
	return err.Error()
}

// Resolve finds a model by name: a path to a GGUF file (any part of a split
// one), a folder that holds one model, an Ollama name ("llama3.2:1b",
// "user/model"), or a repository in the Hugging Face cache
// ("org/name[:FILE or quantisation]"). It does not read the header: loading
// does. Errors wrap ErrNotFound where nothing has the name, engine.ErrModel
// where something has and is not whole.
func Resolve(o Options, name string) (Found, error) {
	f, err := o.resolve(name)
	if err != nil {
		return Found{}, shownError{err}
	}
	return f.shown(), nil
}

func (o Options) resolve(name string) (Found, error) {
	if name == "" {
		return Found{}, fmt.Errorf("%w: the name is empty", ErrNotFound)
	}
	f, err := resolveFile(name)
	if !errors.Is(err, ErrNotFound) {
		return f, err
	}
	if looksLikePath(name) {
		return Found{}, fmt.Errorf("%w: %s: no such file", ErrNotFound, name)
	}
	var hints []string
	for _, in := range []func(string) (Found, string, error){o.resolveOllama, o.resolveHuggingFace} {
		f, hint, err := in(name)
		if err == nil || !errors.Is(err, ErrNotFound) {
			return f, err
		}
		if hint != "" {
			hints = append(hints, hint)
		}
	}
	return Found{}, fmt.Errorf("%w: %s is no file here, no model of an Ollama store and not in the Hugging Face cache%s",
		ErrNotFound, name, cmp.Or(prefixed("; ", strings.Join(hints, "; ")), "; `jouletop models` lists what there is"))
}

func prefixed(prefix, s string) string {
	if s == "" {
		return ""
	}
	return prefix + s
}

// looksLikePath tells a path from a name that a store may know.
func looksLikePath(name string) bool {
	return strings.HasSuffix(strings.ToLower(name), ".gguf") && !strings.Contains(name, ":") && strings.Count(name, "/") < 2 ||
		strings.HasPrefix(name, "/") || strings.HasPrefix(name, "./") || strings.HasPrefix(name, "../") || strings.HasPrefix(name, "~")
}

func resolveFile(path string) (Found, error) {
	st, err := os.Stat(path)
	switch {
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		if looksLikePath(path) {
			return Found{}, fmt.Errorf("%w: %s: %s", engine.ErrModel, path, problem(err))
		}
		return Found{}, ErrNotFound
	case err != nil:
		if _, linkErr := os.Readlink(path); linkErr == nil {
			return Found{}, fmt.Errorf("%w: %s: %s", engine.ErrModel, path, problem(err))
		}
		return Found{}, ErrNotFound
	case st.IsDir():
		files, _ := filepath.Glob(filepath.Join(escape(path), "*.gguf")) // fails for bad patterns only
		files = firstParts(files)
		if len(files) != 1 {
			if !looksLikePath(path) && len(files) == 0 {
				return Found{}, ErrNotFound // a folder that is called like a model
			}
			return Found{}, fmt.Errorf("%w: %s: a folder of %d models; name one of its files", engine.ErrModel, path, len(files))
		}
		path = files[0]
	case !st.Mode().IsRegular():
		return Found{}, fmt.Errorf("%w: %s: not a regular file", engine.ErrModel, path)
	}
	return whole(Found{Name: path, Path: path, Source: SourceFile})
}

// whole completes f with the parts of a split model.
func whole(f Found) (Found, error) {
	parts, err := gguf.Parts(f.Path)
	if err != nil {
		return Found{}, fmt.Errorf("%w: %s: %s", engine.ErrModel, f.Name, partProblem(err))
	}
	f.Path, f.Paths = parts[0], parts
	for _, p := range parts {
		st, err := os.Stat(p)
		if err != nil {
			return Found{}, fmt.Errorf("%w: %s: %s", engine.ErrModel, f.Name, problem(err))
		}
		f.SizeBytes += st.Size()
	}
	return f, nil
}

// partProblem keeps which part it is about.
func partProblem(err error) string {
	if which, _, ok := strings.Cut(err.Error(), ": "); ok && strings.HasPrefix(which, "part ") {
		return which + ": " + problem(err)
	}
	return problem(err)
}

func byName(a, b Found) int {
	return cmp.Or(strings.Compare(a.Name, b.Name), strings.Compare(a.Path, b.Path))
}
