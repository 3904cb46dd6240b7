package models

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"jouletop/engine"
)

// The layout of the cache (huggingface_hub, "Manage your cache"):
//
//	hub/models--ORG--NAME/refs/main             the revision it names
//	hub/models--ORG--NAME/snapshots/REV/FILE    links to ../../blobs/ETAG
//	hub/models--ORG--NAME/blobs/ETAG            the content
//	hub/models--ORG--NAME/blobs/ETAG.incomplete a download under way, or given up

// huggingFaceCaches are the folders that may hold repositories, the one in force
// first.
func (o Options) huggingFaceCaches() []string {
	var dirs []string
	for _, v := range []struct {
		key   string
		below []string
	}{
		{"HF_HUB_CACHE", nil}, {"HUGGINGFACE_HUB_CACHE", nil},
		{"HF_HOME", []string{"hub"}}, {"XDG_CACHE_HOME", []string{"huggingface", "hub"}},
	} {
		dir := o.env(v.key)
		if rest, ok := strings.CutPrefix(dir, "~/"); ok { // as huggingface_hub does
			dir = o.home(rest)
		}
		if dir != "" {
			dirs = append(dirs, filepath.Join(append([]string{dir}, v.below...)...))
		}
	}
	return distinct(append(dirs, o.home(".cache", "huggingface", "hub")))
}

// repository is a model repository in a cache.
type repository struct {
	id  string // ORG/NAME
	dir string
}

func repositories(cache string) []repository {
	dirs, _ := filepath.Glob(filepath.Join(escape(cache), "models--*")) // fails for bad patterns only
	var out []repository
	for _, d := range dirs {
		id := strings.Replace(strings.TrimPrefix(filepath.Base(d), "models--"), "--", "/", 1)
		out = append(out, repository{id, d})
	}
	return out
}

// files lists the GGUF files of the repository by their names within it, but for
// projectors (mmproj-*, as llama.cpp names them), from the revision that main
// names, or else from the newest that has any.
func (r repository) files() map[string]string {
	revisions, err := os.ReadDir(filepath.Join(r.dir, "snapshots"))
	if err != nil {
		return nil
	}
	slices.SortStableFunc(revisions, func(a, b fs.DirEntry) int {
		ta, errA := a.Info()
		tb, errB := b.Info()
		if errA != nil || errB != nil {
			return 0
		}
		return tb.ModTime().Compare(ta.ModTime())
	})
	order := make([]string, 0, len(revisions)+1)
	if ref, err := readBounded(filepath.Join(r.dir, "refs", "main"), 256); err == nil {
		rev := strings.TrimSpace(string(ref))
		if rev != "" && rev != "." && rev != ".." && filepath.Base(rev) == rev { // else damaged: no folder of snapshots
			order = append(order, rev)
		}
	}
	for _, rev := range revisions {
		order = append(order, rev.Name())
	}
	for _, rev := range order {
		root := filepath.Join(r.dir, "snapshots", rev)
		out := map[string]string{}
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			name := strings.ToLower(d.Name())
			if err != nil || d.IsDir() || !strings.HasSuffix(name, ".gguf") || strings.HasPrefix(name, "mmproj") {
				return nil // what cannot be read holds no model that can be used
			}
			rel, err := filepath.Rel(root, path)
			out[rel] = path
			return err
		})
		if err == nil && len(out) > 0 {
			return out
		}
	}
	return nil
}

// unfinished lists downloads under way or given up.
func (r repository) unfinished() []string {
	files, _ := filepath.Glob(filepath.Join(escape(r.dir), "blobs", "*.incomplete")) // fails for bad patterns only
	return files
}

func (o Options) findHuggingFace(h headers) []Found {
	var out []Found
	for _, cache := range o.huggingFaceCaches() {
		for _, r := range repositories(cache) {
			files := r.files()
			var paths []string
			names := map[string]string{}
			for name, path := range files {
				paths = append(paths, path)
				names[path] = name
			}
			for _, p := range firstParts(paths) {
				f := h.inspect(Found{Name: r.id + ":" + names[p], Path: p, Source: SourceHuggingFace})
				if f.Architecture != projector {
					out = append(out, f)
				}
			}
			for _, p := range r.unfinished() {
				out = append(out, Found{
					Name: r.id, Path: p, Source: SourceHuggingFace,
					Problem: fmt.Sprintf("unfinished download: `hf download %s` again", r.id),
				})
			}
		}
	}
	slices.SortStableFunc(out, byName)
	return out
}

// resolveHuggingFace finds "org/name" or "org/name:FILE", where FILE is a file
// of the repository, its name without folder, or a part of it such as Q4_K_M.
func (o Options) resolveHuggingFace(text string) (f Found, hint string, err error) {
	for _, host := range []string{"https://", "hf.co/", "huggingface.co/", "hf://"} {
		text = strings.TrimPrefix(text, host)
	}
	id, want, _ := strings.Cut(text, ":")
	if strings.Count(id, "/") > 1 { // org/name/file.gguf
		i := strings.Index(id, "/")
		j := strings.Index(id[i+1:], "/")
		id, want = id[:i+1+j], id[i+j+2:]
	}
	for _, cache := range o.huggingFaceCaches() {
		for _, r := range repositories(cache) {
			if !strings.EqualFold(r.id, id) {
				continue
			}
			f, err := r.resolve(want)
			return f, "", err
		}
	}
	return Found{}, "", ErrNotFound
}

func (r repository) resolve(want string) (Found, error) {
	files := r.files()
	var names []string
	for name := range files {
		names = append(names, name)
	}
	names = firstParts(names)
	match := names
	if want != "" {
		match = choose(names, want)
	}
	if len(match) == 0 && strings.EqualFold(want, "latest") { // Ollama's word for no tag
		match, want = names, ""
	}
	if len(match) > 1 {
		match = slices.DeleteFunc(slices.Clone(match), func(n string) bool { return noGenerator(files[n]) })
	}
	name := r.id
	if want != "" {
		name += ":" + want
	}
	switch {
	case len(names) == 0 && len(r.unfinished()) > 0:
		return Found{}, fmt.Errorf("%w: %s: unfinished download: `hf download %s` again", engine.ErrModel, name, r.id)
	case len(names) == 0:
		return Found{}, fmt.Errorf("%w: %s: the cached repository has no GGUF file of a model", engine.ErrModel, r.id)
	case len(match) == 0:
		return Found{}, fmt.Errorf("%w: %s: the cached repository has %s", engine.ErrModel, name, few(names))
	case len(match) > 1:
		return Found{}, fmt.Errorf("%w: %s names %d files: choose one as %s:FILE, of %s", engine.ErrModel, name, len(match), r.id, few(match))
	}
	f, err := whole(Found{Name: r.id + ":" + match[0], Path: files[match[0]], Source: SourceHuggingFace})
	if err != nil && errors.Is(err, engine.ErrModel) && len(r.unfinished()) > 0 {
		err = fmt.Errorf("%w (a download is unfinished: `hf download %s` again)", err, r.id)
	}
	return f, err
}

// choose returns the files that want names: exactly, by base name, or else by a
// part of it that ends at no letter or digit (Q4_K is not Q4_K_M… by the letter,
// but q4_k_m is).
func choose(names []string, want string) []string {
	want = strings.ToLower(want)
	for _, fits := range []func(name, base string) bool{
		func(name, base string) bool { return name == want || base == want },
		func(name, base string) bool { return strings.TrimSuffix(base, ".gguf") == want },
		func(_, base string) bool { return hasWord(base, want) },
		func(name, _ string) bool { return strings.Contains(name, want) },
	} {
		var out []string
		for _, n := range names {
			lower := strings.ToLower(n)
			if fits(lower, filepath.Base(lower)) {
				out = append(out, n)
			}
		}
		if len(out) > 0 {
			return out
		}
	}
	return nil
}

// hasWord tells whether s has word between characters that a quantisation's name
// does not have.
func hasWord(s, word string) bool {
	part := func(c byte) bool {
		return c == '_' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z'
	}
	for at := 0; ; {
		i := strings.Index(s[at:], word)
		if i < 0 {
			return false
		}
		i += at
		end := i + len(word)
		if (i == 0 || !part(s[i-1])) && (end == len(s) || !part(s[end])) {
			return true
		}
		at = i + 1
	}
}
