// Package models finds the models that are already on a machine: GGUF files, an
// Ollama store (manifests and blobs), the Hugging Face cache (snapshots that
// link to blobs). It reads headers only, writes nothing, and tells what is
// unfinished, dangling or damaged instead of leaving it out.
package models

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"unicode"
)

// ErrNotFound: no file, Ollama model or cached Hugging Face repository has the
// name.
var ErrNotFound = errors.New("no such model")

// The places a model is found in: values of Found.Source.
const (
	SourceFile        = "file"
	SourceOllama      = "ollama"
	SourceHuggingFace = "huggingface"
)

// Options say where to look. The zero value is this machine.
type Options struct {
	// Paths are further files and folders (read one level deep) of GGUF files.
	Paths []string
	// Getenv and Home replace the environment and the home folder.
	Getenv func(string) string
	Home   string
	// Root is put before the system-wide places; "" is the machine's own root.
	Root string
}

func (o Options) env(key string) string {
	if o.Getenv != nil {
		return o.Getenv(key)
	}
	return os.Getenv(key)
}

// home joins names to the home folder; "" where there is none.
func (o Options) home(names ...string) string {
	h := o.Home
	if h == "" {
		var err error
		if h, err = os.UserHomeDir(); err != nil {
			return ""
		}
	}
	return filepath.Join(append([]string{h}, names...)...)
}

// distinct drops empty names, and folders that are there already under another
// spelling or by a link.
func distinct(dirs []string) []string {
	seen := map[string]bool{}
	var out []string
	for _, d := range dirs {
		real, err := filepath.EvalSymlinks(filepath.Clean(d))
		if err != nil { // not there, or not for us: told where it is read
			real = filepath.Clean(d)
		}
		if d != "" && !seen[real] {
			seen[real] = true
			out = append(out, d)
		}
	}
	return out
}

// shown makes text fit for a terminal: names of files and what headers say may
// hold escapes that would move its cursor or colour it.
func shown(s string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsGraphic(r) {
			return unicode.ReplacementChar
		}
		return r
	}, s)
}

// shownError is an error with its text fit for a terminal.
type shownError struct{ error }

func (e shownError) Error() string { return shown(e.error.Error()) }
func (e shownError) Unwrap() error { return e.error }

// few joins the first names of a list.
func few(names []string) string {
	const most = 6
	if len(names) > most+1 {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
	}
	return strings.Join(names, ", ")
}

// Found is a model, or what is left of one.
type Found struct {
	Name   string   `json:"name"`   // what Resolve takes, fit to be shown
	Path   string   `json:"path"`   // its (first) file, exactly
	Paths  []string `json:"-"`      // all files of a split model, in order
	Source string   `json:"source"` // file, ollama, huggingface
	// From the header; zero where Problem is set or the file does not say.
	Architecture string `json:"architecture"`
	Parameters   int64  `json:"parameters"`
	Quantisation string `json:"quantisation"`
	SizeBytes    int64  `json:"size_bytes"`
	ContextMax   int    `json:"context_max"` // tokens
	// ChatTemplate: the model says how a chat is worded for it.
	ChatTemplate bool `json:"chat_template"`
	// Problem says why the model cannot be used: the file is missing or damaged, or
	// holds something else than a model that generates text. Unknown says why that
	// cannot be told. Both are "" where nothing speaks against it.
	Problem string `json:"problem,omitempty"`
	Unknown string `json:"unknown,omitempty"`

	kvBytes           uint64 // of a token
	vocab, embd, wide uint64 // columns of the widest activations
}
