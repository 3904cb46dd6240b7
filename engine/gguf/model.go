package gguf

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
)

// Lookup returns the value of a metadata key.
func (f *File) Lookup(key string) (Value, bool) {
	i, ok := f.index[key]
	if !ok {
		return Value{}, false
	}
	return f.Meta[i].Value, true
}

// Tensor returns the tensor of that name.
func (f *File) Tensor(name string) (Tensor, bool) {
	i, ok := f.names[name]
	if !ok {
		return Tensor{}, false
	}
	return f.Tensors[i], true
}

// Uint returns a whole number, 0 where the key is missing or something else.
func (f *File) Uint(key string) uint64 {
	v, _ := f.Lookup(key)
	n, _ := v.Uint()
	return n
}

// Text returns a string, "" where the key is missing or something else.
func (f *File) Text(key string) string {
	v, _ := f.Lookup(key)
	if v.Type != String {
		return ""
	}
	return string(v.raw)
}

// Architecture returns general.architecture: "llama", "qwen2", ….
func (f *File) Architecture() string { return f.Text("general.architecture") }

// Hyper returns a whole-number hyper-parameter of the architecture, such as
// "context_length"; 0 where it is missing.
func (f *File) Hyper(name string) uint64 { return f.Uint(f.Architecture() + "." + name) }

// ContextLength returns the most tokens a sequence may have; 0 if unknown.
func (f *File) ContextLength() int { return int(min(f.Hyper("context_length"), 1<<31-1)) }

// Parameters returns the number of weights in this file.
func (f *File) Parameters() int64 {
	var n uint64
	for _, t := range f.Tensors {
		n += t.Elements()
	}
	return int64(n)
}

// Quantisation names how most of the weights are stored: by general.file_type,
// or else by the type that takes the most bytes.
func (f *File) Quantisation() string {
	if v, ok := f.Lookup("general.file_type"); ok {
		if n, ok := v.Uint(); ok && fileTypes[n] != "" {
			return fileTypes[n]
		}
	}
	bytes := map[TensorType]uint64{}
	var most TensorType
	for _, t := range f.Tensors {
		bytes[t.Type] += t.Bytes
		if bytes[t.Type] > bytes[most] {
			most = t.Type
		}
	}
	if len(f.Tensors) == 0 {
		return ""
	}
	return most.String()
}

// KVBytesPerToken returns the bytes that a token takes in a key-value cache of
// 2-byte elements, over all layers; 0 if unknown.
func (f *File) KVBytesPerToken() uint64 {
	heads, kvHeads := f.Hyper("attention.head_count"), f.Hyper("attention.head_count_kv")
	if heads == 0 {
		return 0
	}
	if kvHeads == 0 {
		kvHeads = heads
	}
	dim := func(key string) uint64 {
		if n := f.Hyper(key); n > 0 {
			return n
		}
		return f.Hyper("embedding_length") / heads
	}
	return 2 * f.Hyper("block_count") * kvHeads * (dim("attention.key_length") + dim("attention.value_length"))
}

// Splits returns which part of how many the file is, counted from 0; (0, 1) for
// a whole model.
func (f *File) Splits() (part, parts int) {
	return int(f.Uint("split.no")), max(1, int(f.Uint("split.count")))
}

var splitName = regexp.MustCompile(`^(.*)-(\d{5})-of-(\d{5})\.gguf$`)

// Parts returns the files of the model that path belongs to, in order: path
// itself, or every part of a split model, found by llama.cpp's naming
// (NAME-00001-of-00003.gguf). A missing part is an error that names it.
func Parts(path string) ([]string, error) {
	m := splitName.FindStringSubmatch(filepath.Base(path))
	if m == nil {
		return []string{path}, nil
	}
	n, err := strconv.Atoi(m[3])
	if err != nil || n < 1 {
		return nil, fmt.Errorf("%s: no such number of parts", path)
	}
	var parts []string
	for i := range n {
		p := filepath.Join(filepath.Dir(path), fmt.Sprintf("%s-%05d-of-%05d.gguf", m[1], i+1, n))
		if _, err := os.Stat(p); err != nil {
			return nil, fmt.Errorf("part %d of %d: %w", i+1, n, err)
		}
		parts = append(parts, p)
	}
	return parts, nil
}

// Model is a model's files, one or several parts, as one.
type Model struct {
	Paths []string // in order
	Files []*File  // Files[0] has the metadata
	Size  int64    // bytes on disk
}

// OpenModel reads and validates the headers of the model at path, the other
// parts of a split one included. A file of something else than a model that
// generates text is refused with an error that wraps ErrNoGenerator; one of an
// architecture that is not known is not, see [Model.Generates].
func OpenModel(path string) (*Model, error) {
	paths, err := Parts(path)
	if err != nil {
		return nil, err
	}
	m := &Model{Paths: paths}
	for i, p := range paths {
		f, err := Open(p)
		if err != nil {
			return nil, err
		}
		if part, parts := f.Splits(); part != i || parts != len(paths) {
			return nil, fmt.Errorf("%s: %w: says it is part %d of %d, by its name it is part %d of %d",
				p, ErrFormat, part+1, parts, i+1, len(paths))
		}
		m.Files = append(m.Files, f)
		m.Size += f.Size
	}
	if err := m.Generates(); errors.Is(err, ErrNoGenerator) {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if err := m.Validate(); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return m, nil
}

// Parameters returns the number of weights over all parts.
func (m *Model) Parameters() int64 {
	var n int64
	for _, f := range m.Files {
		n += f.Parameters()
	}
	return n
}

// tensor returns a tensor from whichever part has it.
func (m *Model) tensor(name string) (Tensor, bool) {
	for _, f := range m.Files {
		if t, ok := f.Tensor(name); ok {
			return t, true
		}
	}
	return Tensor{}, false
}
