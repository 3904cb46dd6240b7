package models

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"jouletop/engine"
	"jouletop/engine/gguf"
)

// tiny is a model of 64 dimensions with random weights.
func tiny(t *testing.T) []byte {
	t.Helper()
	b, err := os.ReadFile("../llama/testdata/llama-untied.gguf")
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// write makes a file and the folders above it.
func write(t *testing.T, path string, content []byte) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, content, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func link(t *testing.T, target, path string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(target, path); err != nil {
		t.Fatal(err)
	}
}

// split writes the tiny model as two files; it returns their paths.
func split(t *testing.T, base string) []string {
	t.Helper()
	f, err := gguf.Open("../llama/testdata/llama-untied.gguf")
	if err != nil {
		t.Fatal(err)
	}
	var paths []string
	half := len(f.Tensors) / 2
	for i, tensors := range [][]gguf.Tensor{f.Tensors[:half], f.Tensors[half:]} {
		part := &gguf.File{Tensors: slices.Clone(tensors)}
		if i == 0 {
			part.Meta = slices.Clone(f.Meta)
		}
		part.Meta = append(part.Meta,
			gguf.Pair{Key: "split.no", Value: gguf.New(uint16(i))}, gguf.Pair{Key: "split.count", Value: gguf.New(uint16(2))},
			gguf.Pair{Key: "split.tensors.count", Value: gguf.New(int32(len(f.Tensors)))})
		head := part.Encode()
		content := append(head, make([]byte, part.Size-int64(len(head)))...)
		paths = append(paths, write(t, fmt.Sprintf("%s-%05d-of-00002.gguf", base, i+1), content))
	}
	return paths
}

// machine is a computer without any model but those a test puts there.
func machine(t *testing.T, env map[string]string) (Options, string) {
	root := t.TempDir()
	o := Options{Home: filepath.Join(root, "home"), Root: filepath.Join(root, "system"), Getenv: func(k string) string { return env[k] }}
	return o, root
}

// pull puts a model into an Ollama store, laid out as `ollama pull` does.
func pull(t *testing.T, store, name string, weights []byte) (blob string) {
	t.Helper()
	sum := sha256.Sum256(weights)
	digest := hex.EncodeToString(sum[:])
	type layer struct {
		MediaType string `json:"mediaType"`
		Digest    string `json:"digest"`
		Size      int    `json:"size"`
	}
	manifest, err := json.Marshal(map[string]any{
		"schemaVersion": 2, "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
		"config": layer{"application/vnd.docker.container.image.v1+json", "sha256:" + strings.Repeat("c", 64), 3},
		"layers": []layer{
			{"application/vnd.ollama.image.template", "sha256:" + strings.Repeat("a", 64), 5},
			{modelLayer, "sha256:" + digest, len(weights)},
			{"application/vnd.ollama.image.license", "sha256:" + strings.Repeat("b", 64), 7},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(store, "manifests", name), manifest)
	return write(t, filepath.Join(store, "blobs", "sha256-"+digest), weights)
}

func TestOllamaStore(t *testing.T) {
	env := map[string]string{}
	o, root := machine(t, env)
	user := filepath.Join(o.Home, ".ollama", "models")
	system := filepath.Join(o.Root, "usr/share/ollama/.ollama/models")
	other := filepath.Join(root, "elsewhere")
	weights := tiny(t)
	blob := pull(t, user, "registry.ollama.ai/library/llama3.2/1b", weights)
	pull(t, user, "registry.ollama.ai/library/qwen2/latest", weights)
	pull(t, system, "registry.ollama.ai/someone/tuned/q8_0", weights)
	pull(t, other, "hf.co/bartowski/Some-GGUF/Q4_K_M", weights)
	env["OLLAMA_MODELS"] = other

	for name, want := range map[string]string{
		"llama3.2:1b":                                 user,
		"library/llama3.2:1b":                         user,
		"registry.ollama.ai/library/llama3.2:1b":      user,
		"LLAMA3.2:1b":                                 user,
		"qwen2":                                       user,
		"qwen2:latest":                                user,
		"someone/tuned:q8_0":                          system,
		"hf.co/bartowski/Some-GGUF:Q4_K_M":            other,
		"llama3.2":                                    "", // latest is not there
		"llama3.2:3b":                                 "",
		"registry.ollama.ai/../../../etc/passwd":      "",
		"registry.ollama.ai/library/../llama3.2:1b":   "",
		"http://registry.ollama.ai/library/qwen2:../": "",
	} {
		f, err := Resolve(o, name)
		if want == "" {
			if !errors.Is(err, ErrNotFound) {
				t.Errorf("%s: %+v, %v", name, f, err)
			}
			continue
		}
		if err != nil || f.Source != SourceOllama || filepath.Dir(filepath.Dir(f.Path)) != want || filepath.Base(f.Path) != filepath.Base(blob) {
			t.Errorf("%s: %+v, %v; want a blob of %s", name, f, err, want)
		}
	}
	if _, err := Resolve(o, "llama3.2"); err == nil || !strings.Contains(err.Error(), "the Ollama store has llama3.2:1b") {
		t.Errorf("no hint: %v", err)
	}

	found := Find(o)
	var names []string
	for _, f := range found {
		names = append(names, f.Name)
		if f.Problem != "" || f.Architecture != "llama" || f.Parameters == 0 || f.ContextMax == 0 || f.SizeBytes != int64(len(weights)) || f.Quantisation != "F32" {
			t.Errorf("%+v", f)
		}
	}
	if want := []string{"hf.co/bartowski/Some-GGUF:Q4_K_M", "llama3.2:1b", "qwen2:latest", "someone/tuned:q8_0"}; !slices.Equal(names, want) {
		t.Errorf("found %q, want %q", names, want)
	}
}

func TestOllamaStoreInDisorder(t *testing.T) {
	o, _ := machine(t, nil)
	store := filepath.Join(o.Home, ".ollama", "models")
	library := "registry.ollama.ai/library/"
	blob := func(name, content string) string { return pull(t, store, library+name, []byte(content)) }
	manifest := func(name, text string) { write(t, filepath.Join(store, "manifests", library, name), []byte(text)) }

	remove := func(path string) {
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
	remove(blob("pruned/latest", "one"))
	dangling := blob("dangling/latest", "two")
	remove(dangling)
	link(t, "/mnt/gone/blob", dangling)
	half := blob("half/latest", "three")
	if err := os.Rename(half, half+"-partial"); err != nil {
		t.Fatal(err)
	}
	write(t, half+"-partial-0", []byte("{}"))
	blob("garbage/latest", "this is no GGUF file at all, whatever the manifest says")
	short := blob("short/latest", "four and more")
	write(t, short, []byte("four"))
	pull(t, store, library+"truncated/latest", tiny(t)[:2000])
	manifest("torn/latest", `{"layers":[{"mediaType":"application/vnd.oll`)
	manifest("cloud/latest", `{"layers":[]}`)
	manifest("escape/latest", `{"layers":[{"mediaType":"application/vnd.ollama.image.model","digest":"sha256:../../../etc/passwd"}]}`)
	manifest("huge/latest", strings.Repeat(" ", maxManifest+1))
	write(t, filepath.Join(store, "manifests", ".DS_Store"), []byte("x"))

	want := map[string]string{
		"pruned":    "is missing",
		"dangling":  "dangling link",
		"half":      "unfinished download",
		"garbage":   "not GGUF",
		"short":     "has 4 bytes, the manifest says 13",
		"truncated": "GGUF",
		"torn":      "manifest is damaged",
		"cloud":     "no GGUF weights",
		"escape":    "manifest is damaged: digest",
		"huge":      "more than 1048576 bytes",
	}
	got := map[string]string{}
	for _, f := range Find(o) {
		got[strings.TrimSuffix(f.Name, ":latest")] = f.Problem
	}
	for name, part := range want {
		if !strings.Contains(got[name], part) {
			t.Errorf("%s: problem %q, want %q", name, got[name], part)
		}
		if name == "garbage" || name == "truncated" {
			continue // found when it is loaded
		}
		if _, err := Resolve(o, name); !errors.Is(err, engine.ErrModel) || !strings.Contains(err.Error(), part) || !strings.Contains(err.Error(), name) {
			t.Errorf("Resolve(%s): %v, want %q", name, err, part)
		}
	}
	if n := len(want) + 1; len(got) != n { // and the partial blob itself
		t.Errorf("%d found, want %d: %q", len(got), n, got)
	}
}

func TestUnreadableStoreIsTold(t *testing.T) {
	if os.Getuid() == 0 {
		t.Skip("root may read everything")
	}
	o, _ := machine(t, nil)
	store := filepath.Join(o.Root, "usr/share/ollama/.ollama/models")
	pull(t, store, "registry.ollama.ai/library/x/latest", []byte("x"))
	if err := os.Chmod(filepath.Join(store, "manifests"), 0); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.Chmod(filepath.Join(store, "manifests"), 0o755) })
	found := Find(o)
	if len(found) != 1 || !strings.Contains(found[0].Problem, "no permission") {
		t.Errorf("%+v", found)
	}
	if _, err := Resolve(o, "x"); !errors.Is(err, ErrNotFound) || !strings.Contains(err.Error(), "no permission to read the Ollama store in "+filepath.Join(store, "manifests")+" (d---------): run as user ") {
		t.Errorf("Resolve: %v", err)
	}
}

// cached puts a file into a Hugging Face cache, laid out as huggingface_hub
// does.
func cached(t *testing.T, hub, id, rev, file string, content []byte) {
	t.Helper()
	repo := filepath.Join(hub, "models--"+strings.ReplaceAll(id, "/", "--"))
	sum := sha256.Sum256(append([]byte(file), content...))
	etag := hex.EncodeToString(sum[:])
	write(t, filepath.Join(repo, "blobs", etag), content)
	up := strings.Repeat("../", 2+strings.Count(file, "/"))
	link(t, up+"blobs/"+etag, filepath.Join(repo, "snapshots", rev, file))
	write(t, filepath.Join(repo, "refs", "main"), []byte(rev))
}

func TestHuggingFaceCache(t *testing.T) {
	env := map[string]string{}
	o, root := machine(t, env)
	home := filepath.Join(o.Home, ".cache/huggingface/hub")
	env["HF_HOME"] = filepath.Join(root, "hf")
	weights := tiny(t)
	cached(t, home, "org/one", "aaa", "model.gguf", weights)
	cached(t, home, "org/one", "aaa", "config.json", []byte("{}"))
	hub := filepath.Join(env["HF_HOME"], "hub")
	for _, file := range []string{"Many-Q4_K_S.gguf", "Many-Q4_K_M.gguf", "Many-Q8_0.gguf", "BF16/Many-BF16.gguf"} {
		cached(t, hub, "org/Many-GGUF", "bbb", file, weights)
	}
	cached(t, hub, "org/safetensors", "ccc", "model.safetensors", []byte("x"))
	// An old revision, after which main has moved.
	cached(t, hub, "org/moved", "old", "was.gguf", weights)
	cached(t, hub, "org/moved", "new", "is.gguf", weights)
	// Unfinished.
	repo := filepath.Join(hub, "models--org--half")
	write(t, filepath.Join(repo, "blobs", strings.Repeat("d", 64)+".incomplete"), weights[:100])
	write(t, filepath.Join(repo, "refs", "main"), []byte("ddd"))
	// A link whose blob was deleted, and a split model of which a part is missing.
	link(t, "../../blobs/"+strings.Repeat("e", 64), filepath.Join(hub, "models--org--dangling", "snapshots", "eee", "m.gguf"))
	parts := split(t, filepath.Join(root, "parts", "big"))
	for _, p := range parts {
		content, err := os.ReadFile(p)
		if err != nil {
			t.Fatal(err)
		}
		cached(t, hub, "org/split", "fff", "Q4_0/"+filepath.Base(p), content)
	}
	first, err := os.ReadFile(parts[0])
	if err != nil {
		t.Fatal(err)
	}
	cached(t, hub, "org/partly", "ggg", filepath.Base(parts[0]), first)
	write(t, filepath.Join(hub, "models--org--partly", "blobs", strings.Repeat("f", 64)+".incomplete"), nil)

	for name, want := range map[string]string{
		"org/one":                           "model.gguf",
		"ORG/One":                           "model.gguf",
		"https://huggingface.co/org/one":    "model.gguf",
		"org/one:model.gguf":                "model.gguf",
		"hf.co/org/Many-GGUF:Q4_K_M":        "Many-Q4_K_M.gguf",
		"org/Many-GGUF:q8_0":                "Many-Q8_0.gguf",
		"org/Many-GGUF:Many-Q4_K_S":         "Many-Q4_K_S.gguf",
		"org/Many-GGUF:BF16":                "Many-BF16.gguf",
		"org/Many-GGUF/BF16/Many-BF16.gguf": "Many-BF16.gguf",
		"org/moved":                         "is.gguf",
		"org/split":                         "big-00001-of-00002.gguf",
		"org/split:big-00001-of-00002.gguf": "big-00001-of-00002.gguf",
		"!org/Many-GGUF":                    "names 4 files",
		"!org/Many-GGUF:Q4_K":               "names 2 files",
		"!org/Many-GGUF:Q2_K":               "has BF16/Many-BF16.gguf, Many-Q4_K_M.gguf",
		"!org/safetensors":                  "no GGUF file",
		"!org/half":                         "unfinished download: `hf download org/half`",
		"!org/dangling":                     "dangling link: m.gguf points to",
		"!org/partly":                       "part 2 of 2: big-00002-of-00002.gguf is missing (a download is unfinished",
		"!org/absent":                       "no such model",
	} {
		bad := strings.HasPrefix(name, "!")
		f, err := Resolve(o, strings.TrimPrefix(name, "!"))
		switch {
		case bad && (err == nil || !strings.Contains(err.Error(), want)):
			t.Errorf("%s: %v, want %q", name, err, want)
		case bad && !errors.Is(err, engine.ErrModel) && !errors.Is(err, ErrNotFound):
			t.Errorf("%s: %v wraps no sentinel", name, err)
		case !bad && (err != nil || filepath.Base(f.Path) != want || f.Source != SourceHuggingFace):
			t.Errorf("%s: %+v, %v", name, f, err)
		}
	}

	got := map[string]string{}
	for _, f := range Find(o) {
		got[f.Name] = f.Problem
		if f.Problem == "" && (f.Architecture != "llama" || f.Parameters == 0) {
			t.Errorf("%+v", f)
		}
	}
	for name, part := range map[string]string{
		"org/one:model.gguf":                     "",
		"org/Many-GGUF:BF16/Many-BF16.gguf":      "",
		"org/moved:is.gguf":                      "",
		"org/split:Q4_0/big-00001-of-00002.gguf": "",
		"org/half":                               "unfinished",
		"org/dangling:m.gguf":                    "dangling link",
		"org/partly:big-00001-of-00002.gguf":     "is missing",
		"org/partly":                             "unfinished",
	} {
		p, ok := got[name]
		if !ok || !strings.Contains(p, part) || part == "" && p != "" {
			t.Errorf("%s: listed %v with problem %q, want %q", name, ok, p, part)
		}
	}
	if _, ok := got["org/moved:was.gguf"]; ok {
		t.Error("an outdated revision is listed")
	}
}

func TestCachesInTheirOrder(t *testing.T) {
	env := map[string]string{"HF_HUB_CACHE": "/a", "HUGGINGFACE_HUB_CACHE": "/b", "HF_HOME": "/c", "XDG_CACHE_HOME": "/d"}
	o := Options{Home: "/home/u", Getenv: func(k string) string { return env[k] }}
	want := []string{"/a", "/b", "/c/hub", "/d/huggingface/hub", "/home/u/.cache/huggingface/hub"}
	if got := o.huggingFaceCaches(); !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestFilesAndFolders(t *testing.T) {
	o, root := machine(t, nil)
	one := write(t, filepath.Join(root, "solo", "m.gguf"), tiny(t))
	parts := split(t, filepath.Join(root, "split", "big"))
	write(t, filepath.Join(root, "mixed", "a.gguf"), tiny(t))
	write(t, filepath.Join(root, "mixed", "b.gguf"), []byte("GGUF"))
	link(t, "/gone", filepath.Join(root, "dead.gguf"))

	for name, want := range map[string]string{one: one, filepath.Dir(one): one, parts[1]: parts[0], filepath.Dir(parts[0]): parts[0]} {
		if f, err := Resolve(o, name); err != nil || f.Path != want {
			t.Errorf("%s: %+v, %v", name, f, err)
		}
	}
	if f, err := Resolve(o, parts[1]); err != nil || len(f.Paths) != 2 {
		t.Errorf("parts: %+v, %v", f, err)
	}
	f := Inspect(parts[1])
	if whole := Inspect(one); f.Problem != "" || f.Parameters != whole.Parameters || len(f.Paths) != 2 {
		t.Errorf("split model: %+v, whole: %+v", f, whole)
	}
	for name, want := range map[string]string{
		filepath.Join(root, "mixed"):     "a folder of 2 models",
		filepath.Join(root, "none.gguf"): "no such file",
		filepath.Join(root, "dead.gguf"): "dangling link: dead.gguf points to /gone",
		"/dev/null":                      "not a regular file",
		"./nothing":                      "no such file",
		"":                               "the name is empty",
	} {
		if _, err := Resolve(o, name); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", name, err, want)
		}
	}
	if err := os.Remove(parts[0]); err != nil {
		t.Fatal(err)
	}
	if _, err := Resolve(o, parts[1]); !errors.Is(err, engine.ErrModel) || !strings.Contains(err.Error(), "part 1 of 2: big-00001-of-00002.gguf is missing") {
		t.Errorf("missing part: %v", err)
	}
	o.Paths = []string{filepath.Join(root, "mixed"), filepath.Join(root, "dead.gguf"), one}
	found := Find(o)
	if len(found) != 4 || found[0].Problem != "" || found[1].Problem == "" || found[2].Problem == "" || found[3].Problem != "" {
		t.Errorf("%+v", found)
	}
}

func TestFits(t *testing.T) {
	// Llama 3.1 8B at F16: 14.96 GiB of weights, 128 KiB a token and sequence.
	f := Found{SizeBytes: 16068891680, kvBytes: 2 * 32 * 8 * (128 + 128), vocab: 128256, embd: 4096, wide: 14336}
	one, ok := Fits(f, 80<<10, 1, 440)
	if !ok || one < 15324+512 || one > 15324+512+512 {
		t.Errorf("batch 1 needs %.0f MiB", one)
	}
	eight, ok := Fits(f, 80<<10, 8, 440)
	if !ok || eight-one < 7*64 {
		t.Errorf("batch 8 needs %.0f MiB more", eight-one)
	}
	if _, ok := Fits(f, 16<<10, 8, 8192); ok {
		t.Error("fits a card of 16 GiB")
	}
	f.Problem = "truncated"
	if _, ok := Fits(f, 80<<10, 1, 1); ok {
		t.Error("what cannot be used fits")
	}
}

func FuzzManifest(f *testing.F) {
	f.Add([]byte(`{"layers":[{"mediaType":"application/vnd.ollama.image.model","digest":"sha256:` + strings.Repeat("a", 64) + `","size":3}]}`))
	f.Add([]byte(`{"layers":null}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		digest, _, err := weights(text)
		if path := blobPath("store", digest); err == nil && filepath.Dir(path) != "store/blobs" {
			t.Errorf("%q leads to %s", text, path)
		}
	})
}
