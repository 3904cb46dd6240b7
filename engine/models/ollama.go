package models

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/ollama/ollama/types/model"

	"jouletop/engine"
)

// modelLayer is the media type of the layer that holds the weights.
const modelLayer = "application/vnd.ollama.image.model"

// maxManifest bounds what is read of a manifest, in bytes; real ones have
// about one KiB.
const maxManifest = 1 << 20

var blobDigest = regexp.MustCompile(`^sha256[:-][0-9a-fA-F]{64}$`)

// ollamaStores are the folders that may hold manifests and blobs: the one in
// force for this user, and those of the services that packages install.
func (o Options) ollamaStores() []string {
	var stores []string
	add := func(dir string) {
		if dir != "" && !slices.Contains(stores, dir) {
			stores = append(stores, dir)
		}
	}
	add(strings.Trim(strings.TrimSpace(o.env("OLLAMA_MODELS")), `"'`)) // as Ollama reads it
	add(o.home(".ollama", "models"))
	for _, dir := range []string{
		"/usr/share/ollama/.ollama/models", "/var/lib/ollama/.ollama/models", "/var/lib/ollama/models", "/var/lib/ollama",
		"/var/snap/ollama/common/models",
	} {
		add(filepath.Join(o.Root, dir))
	}
	return stores
}

// findOllama lists the models of every store.
func (o Options) findOllama() []Found {
	var out []Found
	for _, store := range o.ollamaStores() {
		manifests := filepath.Join(store, "manifests")
		err := filepath.WalkDir(manifests, func(path string, d fs.DirEntry, err error) error {
			switch {
			case errors.Is(err, fs.ErrNotExist):
				return nil
			case err != nil:
				out = append(out, Found{Name: store, Path: path, Source: SourceOllama, Problem: problem(err)})
				return nil
			case d.IsDir() || strings.HasPrefix(d.Name(), "."):
				return nil
			}
			rel, err := filepath.Rel(manifests, path)
			if err != nil {
				return err
			}
			if name := model.ParseNameFromFilepath(rel); name.IsValid() {
				out = append(out, inspectOllama(store, name))
			}
			return nil
		})
		if err != nil {
			out = append(out, Found{Name: store, Path: manifests, Source: SourceOllama, Problem: problem(err)})
		}
		out = append(out, partialBlobs(store)...)
	}
	slices.SortStableFunc(out, byName)
	return out
}

func inspectOllama(store string, name model.Name) Found {
	f, err := fromManifest(store, name)
	if err != nil {
		return Found{Name: name.DisplayShortest(), Path: f.Path, Source: SourceOllama, Problem: strip(err, name)}
	}
	return inspect(f)
}

// strip takes the sentinel and the name off an error for a list that shows them.
func strip(err error, name model.Name) string {
	_, text, ok := strings.Cut(err.Error(), name.DisplayShortest()+": ")
	if !ok {
		return err.Error()
	}
	return text
}

// partialBlobs lists downloads that were not finished: no manifest names them
// yet, so all that is known is their digest.
func partialBlobs(store string) []Found {
	files, _ := filepath.Glob(filepath.Join(escape(store), "blobs", "sha256-*-partial")) // fails for bad patterns only
	var out []Found
	for _, f := range files {
		out = append(out, Found{
			Name: strings.TrimSuffix(filepath.Base(f), "-partial")[:len("sha256-")+12] + "…", Path: f, Source: SourceOllama,
			Problem: "unfinished download: `ollama pull` the model again",
		})
	}
	return out
}

// resolveOllama finds a model by its Ollama name. The hint says what is there
// under nearly that name.
func (o Options) resolveOllama(text string) (f Found, hint string, err error) {
	name := model.ParseName(text)
	if !name.IsValid() {
		return Found{}, "", ErrNotFound
	}
	var tags []string
	for _, store := range o.ollamaStores() {
		path := filepath.Join(store, "manifests", name.Filepath())
		if _, err := os.Stat(path); err != nil {
			entries, _ := os.ReadDir(filepath.Dir(path)) // what is not there gives no hint
			for _, e := range entries {
				other := name
				other.Tag = e.Name()
				tags = append(tags, other.DisplayShortest())
			}
			continue
		}
		f, err := fromManifest(store, name)
		return f, "", err
	}
	if len(tags) > 0 {
		hint = fmt.Sprintf("the Ollama store has %s", strings.Join(tags, ", "))
	}
	return Found{}, hint, ErrNotFound
}

// fromManifest follows a manifest to the blob of its weights.
func fromManifest(store string, name model.Name) (Found, error) {
	f := Found{Name: name.DisplayShortest(), Path: filepath.Join(store, "manifests", name.Filepath()), Source: SourceOllama}
	fail := func(format string, args ...any) (Found, error) {
		return f, fmt.Errorf("%w: %s: %s", engine.ErrModel, f.Name, fmt.Sprintf(format, args...))
	}
	text, err := readBounded(f.Path, maxManifest)
	if err != nil {
		return fail("%s", problem(err))
	}
	var manifest struct {
		Layers []struct {
			MediaType string `json:"mediaType"`
			Digest    string `json:"digest"`
			Size      int64  `json:"size"`
		} `json:"layers"`
	}
	if err := json.Unmarshal(text, &manifest); err != nil {
		return fail("its manifest is damaged: %v", err)
	}
	var digests []string
	var size int64
	for _, l := range manifest.Layers {
		if l.MediaType == modelLayer {
			digests, size = append(digests, l.Digest), l.Size
		}
	}
	switch {
	case len(digests) == 0:
		return fail("it has no GGUF weights (a model of another format, or of the cloud)")
	case len(digests) > 1:
		return fail("its weights are in %d files, which only Ollama itself can join", len(digests))
	case !blobDigest.MatchString(digests[0]):
		return fail("its manifest is damaged: digest %q", digests[0])
	}
	f.Path = filepath.Join(store, "blobs", strings.Replace(digests[0], ":", "-", 1))
	f.Paths = []string{f.Path}
	st, err := os.Stat(f.Path)
	switch {
	case err != nil:
		if _, partial := os.Stat(f.Path + "-partial"); partial == nil {
			return fail("unfinished download: `ollama pull %s` again", f.Name)
		}
		return fail("%s", problem(err))
	case size > 0 && st.Size() != size:
		return fail("blob %s has %d bytes, the manifest says %d: `ollama pull %s` again", filepath.Base(f.Path)[:19], st.Size(), size, f.Name)
	}
	f.SizeBytes = st.Size()
	return f, nil
}

// readBounded reads a file of at most most bytes.
func readBounded(path string, most int64) ([]byte, error) {
	r, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	b, err := io.ReadAll(io.LimitReader(r, most+1))
	if err == nil && int64(len(b)) > most {
		err = fmt.Errorf("%s: more than %d bytes", path, most)
	}
	return b, err
}
