package models

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"

	"github.com/ollama/ollama/types/model"

	"jouletop/engine"
	"jouletop/engine/gguf"
)

// modelLayer is the media type of the layer that holds the weights.
const modelLayer = "application/vnd.ollama.image.model"

// adapterLayer is that of a LoRA adapter, without which the weights are another
// model.
const adapterLayer = "application/vnd.ollama.image.adapter"

// maxManifest bounds what is read of a manifest, in bytes; real ones have
// about one KiB.
const maxManifest = 1 << 20

var blobDigest = regexp.MustCompile(`^sha256[:-][0-9a-fA-F]{64}$`)

// ollamaStores are the folders that may hold manifests and blobs: the one in
// force for this user, and those of the services that packages install.
func (o Options) ollamaStores() []string {
	stores := []string{
		strings.Trim(strings.TrimSpace(o.env("OLLAMA_MODELS")), `"'`), // as Ollama reads it
		o.home(".ollama", "models"),
	}
	for _, dir := range []string{
		"/usr/share/ollama/.ollama/models", "/var/lib/ollama/.ollama/models", "/var/lib/ollama/models", "/var/lib/ollama",
		"/var/snap/ollama/common/models",
	} {
		stores = append(stores, filepath.Join(o.Root, dir))
	}
	return distinct(stores)
}

// findOllama lists the models of every store.
func (o Options) findOllama(h headers) []Found {
	var out []Found
	for _, store := range o.ollamaStores() {
		names, unreadable := manifestNames(store)
		for _, name := range names {
			out = append(out, h.inspectOllama(store, name))
		}
		out = append(out, unreadable...)
		out = append(out, partialBlobs(store)...)
	}
	slices.SortStableFunc(out, byName)
	return out
}

// manifestNames lists the models that a store has manifests of, and what of it
// cannot be read.
func manifestNames(store string) (names []model.Name, unreadable []Found) {
	bad := func(path string, err error) {
		unreadable = append(unreadable, Found{Name: store, Path: path, Source: SourceOllama, Problem: problem(err)})
	}
	manifests := filepath.Join(store, "manifests")
	if _, err := os.Stat(manifests); err != nil {
		if _, linkErr := os.Readlink(manifests); linkErr == nil || !errors.Is(err, fs.ErrNotExist) {
			bad(manifests, err)
		}
		return nil, unreadable
	}
	root, err := filepath.EvalSymlinks(manifests) // WalkDir enters no link
	if err != nil {
		bad(manifests, err)
		return nil, unreadable
	}
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil
		case err != nil:
			bad(path, err)
			return nil
		case d.IsDir():
			return nil
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		if name := model.ParseNameFromFilepath(rel); name.IsValid() {
			names = append(names, name)
		}
		return nil
	})
	if err != nil {
		bad(manifests, err)
	}
	return names, unreadable
}

func (h headers) inspectOllama(store string, name model.Name) Found {
	f, err := fromManifest(store, name)
	if err != nil {
		return Found{Name: name.DisplayShortest(), Path: f.Path, Source: SourceOllama, Problem: strip(err, name)}
	}
	return h.inspect(f)
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
		digest := strings.TrimSuffix(filepath.Base(f), "-partial")
		out = append(out, Found{
			Name: digest[:min(len("sha256-")+12, len(digest))] + "…", Path: f, Source: SourceOllama,
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
	stores := o.ollamaStores()
	var hints []string
	for _, store := range stores {
		path := filepath.Join(store, "manifests", name.Filepath())
		_, err := os.Stat(path)
		if err == nil {
			f, err := fromManifest(store, name)
			return f, "", err
		}
		if errors.Is(err, fs.ErrPermission) {
			hints = append(hints, closed(path))
		}
	}
	// Not by the letter: in other letters, if that is one model, or else what is
	// there to choose from, other tags of the model before other models.
	var same, tags, all []string
	in := map[string]string{} // store by name
	var match model.Name
	for _, store := range stores {
		names, _ := manifestNames(store) // what cannot be read gives no hint but that above
		for _, n := range names {
			show := n.DisplayShortest()
			if in[show] != "" {
				continue
			}
			in[show], all = store, append(all, show)
			if n.EqualFold(name) {
				same, match = append(same, show), n
			}
			if n.Tag = name.Tag; n.EqualFold(name) {
				tags = append(tags, show)
			}
		}
	}
	if len(same) == 1 {
		f, err := fromManifest(in[same[0]], match)
		return f, "", err
	}
	for _, list := range [][]string{same, tags, all} {
		if len(list) > 0 {
			hints = append(hints, "the Ollama store has "+few(list))
			break
		}
	}
	return Found{}, strings.Join(hints, "; "), ErrNotFound
}

// closed tells whose the folder is that keeps path from being read: the last
// above it that can be seen.
func closed(path string) string {
	dir := filepath.Dir(path)
	st, err := os.Stat(dir)
	for err != nil && dir != filepath.Dir(dir) {
		dir = filepath.Dir(dir)
		st, err = os.Stat(dir)
	}
	text := "no permission to read the Ollama store in " + dir
	if err != nil {
		return text
	}
	own, ok := st.Sys().(*syscall.Stat_t)
	if !ok {
		return text
	}
	owner, group := fmt.Sprint(own.Uid), fmt.Sprint(own.Gid)
	if u, err := user.LookupId(owner); err == nil {
		owner = u.Username
	}
	if g, err := user.LookupGroupId(group); err == nil {
		group = g.Name
	}
	text += fmt.Sprintf(" (%s): run as user %s", st.Mode(), owner)
	if st.Mode().Perm()&0o050 == 0o050 {
		text += ", or as one of the group " + group
	}
	return text
}

// fromManifest follows a manifest to the blob of its weights.
func fromManifest(store string, name model.Name) (Found, error) {
	f := Found{Name: name.DisplayShortest(), Path: filepath.Join(store, "manifests", name.Filepath()), Source: SourceOllama}
	fail := func(format string, args ...any) (Found, error) {
		return f, fmt.Errorf("%w: %s: %s", engine.ErrModel, f.Name, fmt.Sprintf(format, args...))
	}
	text, err := readBounded(f.Path, maxManifest)
	if err != nil {
		return fail("its manifest: %s", strings.TrimPrefix(problem(err), f.Path+": "))
	}
	digest, size, err := weights(text)
	if err != nil {
		return fail("%v", err)
	}
	f.Path = blobPath(store, digest)
	f.Paths = []string{f.Path}
	st, err := os.Stat(f.Path)
	switch {
	case err == nil && !st.Mode().IsRegular():
		return fail("blob %s is not a regular file", filepath.Base(f.Path)[:19])
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

// blobPath is where a store has the blob of a digest.
func blobPath(store, digest string) string {
	return filepath.Join(store, "blobs", strings.Replace(digest, ":", "-", 1))
}

// weights reads from a manifest the digest of the one blob that holds a model's
// weights, and its size in bytes, 0 where the manifest does not say.
func weights(text []byte) (digest string, size int64, err error) {
	var manifest struct {
		Layers []struct {
			MediaType string `json:"mediaType"`
			Digest    string `json:"digest"`
			Size      int64  `json:"size"`
		} `json:"layers"`
	}
	if err := json.Unmarshal(text, &manifest); err != nil {
		return "", 0, fmt.Errorf("its manifest is damaged: %w", err)
	}
	var digests []string
	for _, l := range manifest.Layers {
		switch l.MediaType {
		case modelLayer:
			digests, size = append(digests, l.Digest), l.Size
		case adapterLayer:
			return "", 0, errors.New("it has an adapter, which jouletop does not apply")
		}
	}
	switch {
	case len(digests) == 0:
		return "", 0, errors.New("it has no GGUF weights (a model of another format, or of the cloud)")
	case len(digests) > 1:
		return "", 0, fmt.Errorf("its weights are in %d files, which only Ollama itself can join", len(digests))
	case !blobDigest.MatchString(digests[0]):
		return "", 0, fmt.Errorf("its manifest is damaged: digest %q", digests[0])
	}
	return digests[0], size, nil
}

// readBounded reads a file of at most most bytes.
func readBounded(path string, most int64) ([]byte, error) {
	r, err := gguf.OpenRegular(path)
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
