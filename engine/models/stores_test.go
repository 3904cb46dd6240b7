package models

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"jouletop/engine"
	"jouletop/engine/gguf"
)

// pipe makes a named pipe, which to open would wait for ever.
func pipe(t *testing.T, path string) {
	t.Helper()
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), syscall.Mkfifo(path, 0o644)); err != nil {
		t.Fatal(err)
	}
}

// refused tells where Resolve does not say what is wanted.
func refused(t *testing.T, o Options, name string, sentinel error, want ...string) {
	t.Helper()
	_, err := Resolve(o, name)
	if !errors.Is(err, sentinel) {
		t.Errorf("%s: %v", name, err)
		return
	}
	for _, w := range want {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("%s: %v, want %q", name, err, w)
		}
	}
}

// problems is what Find tells, by name.
func problems(o Options) map[string]string {
	out := map[string]string{}
	for _, f := range Find(o) {
		out[f.Name] = f.Problem
	}
	return out
}

func TestNamedPipesAreNotOpened(t *testing.T) {
	o, root := machine(t, nil)
	o.Paths = []string{root}
	pipe(t, filepath.Join(root, "a.gguf"))
	link(t, "a.gguf", filepath.Join(root, "b.gguf"))
	store := filepath.Join(o.Home, ".ollama", "models")
	pipe(t, filepath.Join(store, "manifests/registry.ollama.ai/library/m/latest"))
	blob := pull(t, store, "registry.ollama.ai/library/n/latest", tiny(t))
	if err := os.Remove(blob); err != nil {
		t.Fatal(err)
	}
	pipe(t, blob)
	pipe(t, filepath.Join(o.Home, ".cache/huggingface/hub/models--a--b/refs/main"))
	cached(t, filepath.Join(o.Home, ".cache/huggingface/hub"), "a/c", "r", "m.gguf", tiny(t))

	got := problems(o)
	for _, name := range []string{filepath.Join(root, "a.gguf"), filepath.Join(root, "b.gguf"), "m:latest", "n:latest"} {
		if !strings.Contains(got[name], "not a regular file") {
			t.Errorf("%s: %q", name, got[name])
		}
		refused(t, o, name, engine.ErrModel, "not a regular file")
	}
}

func TestPartialBlobsOfAnyName(t *testing.T) {
	o, _ := machine(t, nil)
	store := filepath.Join(o.Home, ".ollama", "models")
	for _, name := range []string{"sha256-abc-partial", "sha256--partial", "sha256-" + strings.Repeat("d", 64) + "-partial"} {
		write(t, filepath.Join(store, "blobs", name), nil)
	}
	got := problems(o)
	for _, name := range []string{"sha256-abc…", "sha256-…", "sha256-dddddddddddd…"} {
		if !strings.Contains(got[name], "unfinished") {
			t.Errorf("%s is not among %q", name, got)
		}
	}
}

func TestAdaptersAreRefused(t *testing.T) {
	o, _ := machine(t, nil)
	store := filepath.Join(o.Home, ".ollama", "models")
	for name, kind := range map[string]string{"adapted": adapterLayer, "seeing": "application/vnd.ollama.image.projector"} {
		path := filepath.Join(store, "manifests/registry.ollama.ai/library", name, "latest")
		pull(t, store, "registry.ollama.ai/library/"+name+"/latest", tiny(t))
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		write(t, path, []byte(strings.Replace(string(text), "application/vnd.ollama.image.license", kind, 1)))
	}
	const want = "it has an adapter, which jouletop does not apply"
	refused(t, o, "adapted", engine.ErrModel, "adapted:latest: "+want)
	if _, err := Resolve(o, "seeing"); err != nil {
		t.Error(err)
	}
	if got := problems(o); got["adapted:latest"] != want || got["seeing:latest"] != "" {
		t.Errorf("%q", got)
	}
}

func TestClosedFoldersHaveAnOwner(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "ollama")
	if err := errors.Join(os.Mkdir(dir, 0o700), os.Chmod(dir, 0o750)); err != nil {
		t.Fatal(err)
	}
	got := closed(filepath.Join(dir, "manifests", "x"))
	if !strings.HasPrefix(got, "no permission to read the Ollama store in "+dir+" (drwxr-x---): run as user ") || !strings.Contains(got, "or as one of the group ") {
		t.Error(got)
	}
}

func TestOllamaNamesAtHand(t *testing.T) {
	o, _ := machine(t, nil)
	store := filepath.Join(o.Home, ".ollama", "models")
	for _, name := range []string{"registry.ollama.ai/library/llama3.2/1b", "registry.ollama.ai/library/llama3.2/3b-Q8", "hf.co/Org/Some-GGUF/Q4_K_M"} {
		pull(t, store, name, tiny(t))
	}
	write(t, filepath.Join(store, "manifests/registry.ollama.ai/library/llama3.2/.DS_Store"), nil)
	for name, want := range map[string]string{"Llama3.2:1B": "llama3.2:1b", "hf.co/org/some-gguf:q4_k_m": "hf.co/Org/Some-GGUF:Q4_K_M"} {
		if f, err := Resolve(o, name); err != nil || f.Name != want {
			t.Errorf("%s: %+v, %v", name, f, err)
		}
	}
	refused(t, o, "llama3.2", ErrNotFound, "the Ollama store has llama3.2:1b, llama3.2:3b-Q8")
	refused(t, o, "mistral", ErrNotFound, "the Ollama store has hf.co/Org/Some-GGUF:Q4_K_M, llama3.2:1b")
	if _, err := Resolve(o, "llama3.2"); strings.Contains(err.Error(), "DS_Store") || strings.Contains(err.Error(), "Some-GGUF") {
		t.Error(err)
	}
	pull(t, store, "registry.ollama.ai/library/llama3.2/1B", tiny(t))
	if f, err := Resolve(o, "llama3.2:1B"); err != nil || f.Name != "llama3.2:1B" {
		t.Errorf("exact: %+v, %v", f, err)
	}
	refused(t, o, "LLAMA3.2:1b", ErrNotFound, "the Ollama store has llama3.2:1B, llama3.2:1b")
	for i := range 20 {
		pull(t, store, fmt.Sprintf("registry.ollama.ai/library/m%d/latest", i), tiny(t))
	}
	refused(t, o, "mistral", ErrNotFound, "more")
}

func TestStoresOfTwoSpellings(t *testing.T) {
	env := map[string]string{}
	o, root := machine(t, env)
	store := filepath.Join(o.Home, ".ollama", "models")
	hub := filepath.Join(o.Home, ".cache/huggingface/hub")
	pull(t, store, "registry.ollama.ai/library/m/latest", tiny(t))
	cached(t, hub, "org/one", "aaa", "model.gguf", tiny(t))
	write(t, filepath.Join(root, "files", "f.gguf"), tiny(t))
	link(t, hub, filepath.Join(root, "hub"))
	env["OLLAMA_MODELS"], env["HF_HUB_CACHE"], env["HUGGINGFACE_HUB_CACHE"] = store+"/", filepath.Join(root, "hub"), hub+"/../hub"
	o.Paths = []string{filepath.Join(root, "files"), filepath.Join(root, "files") + "/"}
	if got := Find(o); len(got) != 3 {
		t.Errorf("%d found: %+v", len(got), got)
	}

	// Manifests that are kept elsewhere.
	manifests := filepath.Join(store, "manifests")
	if err := os.Rename(manifests, filepath.Join(root, "kept")); err != nil {
		t.Fatal(err)
	}
	link(t, filepath.Join(root, "kept"), manifests)
	if got, ok := problems(o)["m:latest"]; !ok || got != "" {
		t.Errorf("by a link: %v, %q", ok, got)
	}
	if err := os.RemoveAll(filepath.Join(root, "kept")); err != nil {
		t.Fatal(err)
	}
	if got := problems(o)[store+"/"]; !strings.Contains(got, "dangling link") {
		t.Errorf("by a dangling link: %q", got)
	}
}

func TestManyNamesOfOneFile(t *testing.T) {
	o, _ := machine(t, nil)
	store := filepath.Join(o.Home, ".ollama", "models")
	blob := pull(t, store, "registry.ollama.ai/library/m/t0", tiny(t))
	text, err := os.ReadFile(filepath.Join(store, "manifests/registry.ollama.ai/library/m/t0"))
	if err != nil {
		t.Fatal(err)
	}
	for i := range 500 {
		write(t, filepath.Join(store, "manifests/registry.ollama.ai/library/m", fmt.Sprint("t", i)), text)
	}
	begin := time.Now()
	found := Find(o)
	if d := time.Since(begin); len(found) != 500 || d > 5*time.Second {
		t.Errorf("%d found in %v", len(found), d)
	}
	for _, f := range found {
		if f.Problem != "" || f.Path != blob || !slices.Equal(f.Paths, []string{blob}) || f.Architecture != "llama" {
			t.Fatalf("%+v", f)
		}
	}
	h := headers{}
	if h.inspect(Found{Path: blob}); len(h) != 1 {
		t.Fatal("not remembered")
	}
	h[blob] = Found{Architecture: "remembered"}
	if f := h.inspect(Found{Name: "x", Path: filepath.Join(store, "blobs", "..", "blobs", filepath.Base(blob))}); f.Architecture != "remembered" || f.Name != "x" {
		t.Errorf("read again: %+v", f)
	}
}

func TestHuggingFaceOddities(t *testing.T) {
	env := map[string]string{"HF_HOME": "~/hf"}
	o, _ := machine(t, env)
	hub := filepath.Join(o.Home, "hf", "hub")
	weights := tiny(t)
	clip := &gguf.File{Meta: []gguf.Pair{{Key: "general.architecture", Value: gguf.New("clip")}}}
	cached(t, hub, "org/seeing", "r", "m-Q4_K_M.gguf", weights)
	cached(t, hub, "org/seeing", "r", "mmproj-F16.gguf", weights)
	cached(t, hub, "org/seeing", "r", "vision-tower.gguf", clip.Encode())
	cached(t, hub, "org/many", "r", "m-Q4_0.gguf", weights)
	cached(t, hub, "org/many", "r", "m-Q8_0.gguf", weights)
	for ref, id := range map[string]string{"": "org/none", "..": "org/up", ".": "org/here", "../../../models--org--many/snapshots/r": "org/aside"} {
		cached(t, hub, id, "r", "m.gguf", weights)
		write(t, filepath.Join(hub, "models--"+strings.ReplaceAll(id, "/", "--"), "refs", "main"), []byte(ref))
	}
	for name, want := range map[string]string{
		"org/seeing": "m-Q4_K_M.gguf", "org/seeing:latest": "m-Q4_K_M.gguf", "hf.co/org/seeing:Latest": "m-Q4_K_M.gguf",
		"org/none": "m.gguf", "org/up": "m.gguf", "org/here": "m.gguf", "org/aside": "m.gguf",
	} {
		f, err := Resolve(o, name)
		if err != nil || filepath.Base(f.Path) != want {
			t.Errorf("%s: %+v, %v", name, f, err)
		}
	}
	refused(t, o, "org/many", engine.ErrModel, "names 2 files", "org/many:FILE", "m-Q4_0.gguf, m-Q8_0.gguf")
	if f := Inspect(filepath.Join(hub, "models--org--seeing/snapshots/r/vision-tower.gguf")); !strings.Contains(f.Problem, "a projector") {
		t.Errorf("%+v", f)
	}
	got := problems(o)
	for _, id := range []string{"org/none", "org/up", "org/here", "org/aside"} {
		if p, ok := got[id+":m.gguf"]; !ok || p != "" {
			t.Errorf("%s: listed %v, %q", id, ok, p)
		}
	}
	if len(got) != 7 {
		t.Errorf("%d listed: %q", len(got), got)
	}
}

func TestNamesHoldNoEscapes(t *testing.T) {
	o, root := machine(t, nil)
	path := write(t, filepath.Join(root, "e", "\x1b]0;PWN\x07\u202e.gguf"), tiny(t))
	hub := filepath.Join(o.Home, ".cache/huggingface/hub")
	cached(t, hub, "esc/\x1b[31mred", "r", "a\x07.gguf", tiny(t))
	cached(t, hub, "esc/\x1b[31mred", "r", "b\n.gguf", []byte("GGUF"))
	o.Paths = []string{filepath.Dir(path)}
	found := Find(o)
	if len(found) != 3 || found[0].Path != path {
		t.Fatalf("%+v", found)
	}
	texts := []string{Inspect(path).Name}
	for _, f := range found {
		texts = append(texts, f.Name, f.Problem)
	}
	for _, name := range []string{path + "\x1b", "esc/\x1b[31mred"} {
		_, err := Resolve(o, name)
		if err == nil {
			t.Fatal("resolved")
		}
		texts = append(texts, err.Error())
	}
	for _, s := range texts {
		if strings.ContainsAny(s, "\x1b\x07\n\u202e") {
			t.Errorf("%q", s)
		}
	}
}
