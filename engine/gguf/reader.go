package gguf

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"slices"

	"jouletop/gpu/regular"
)

// ErrFormat is wrapped by every error about a file's content.
var ErrFormat = errors.New("not a usable GGUF file")

// Bounds on what a sane file holds; far above any published model.
const (
	maxPairs      = 1 << 16
	maxTensors    = 1 << 16
	maxKeyLen     = 1 << 16 // of the format
	maxNameLen    = 63      // GGML_MAX_NAME less the terminator
	maxDims       = 4
	maxHeader     = 1 << 28 // bytes before the weights
	maxString     = 1 << 24 // bytes of one string
	maxAlignment  = 1 << 20
	defaultAlign  = 32
	minPairSize   = 8 + 1 + 4 + 1
	minTensorSize = 8 + 1 + 4 + 8 + 4 + 8
)

// File is the header of a GGUF file.
type File struct {
	Version    uint32
	Meta       []Pair // in file order
	Tensors    []Tensor
	Alignment  uint64
	DataOffset int64 // where the weights begin
	Size       int64 // of the whole file, bytes

	index map[string]int // of Meta
	names map[string]int // of Tensors
}

// Pair is a metadata key with its value.
type Pair struct {
	Key   string
	Value Value
}

// Tensor is an entry of the tensor table.
type Tensor struct {
	Name   string
	Shape  []uint64 // fastest-running dimension first
	Type   TensorType
	Offset uint64 // from DataOffset
	Bytes  uint64
}

// Elements returns the number of elements.
func (t Tensor) Elements() uint64 {
	n := uint64(1)
	for _, d := range t.Shape {
		n *= d
	}
	return n
}

// Open reads the header of the file at path. Errors about content wrap
// ErrFormat.
func Open(path string) (*File, error) {
	f, err := OpenRegular(path)
	if err != nil {
		return nil, err // names the path
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	g, err := Read(f, st.Size())
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return g, nil
}

// OpenRegular opens a file for reading, and nothing else: to open a named pipe
// would wait for someone to write into it.
func OpenRegular(path string) (*os.File, error) {
	st, err := os.Stat(path)
	switch {
	case err != nil:
		return nil, err
	case st.IsDir():
		return nil, fmt.Errorf("%s: a folder, not a file", path)
	case !st.Mode().IsRegular():
		return nil, fmt.Errorf("%s: not a regular file", path)
	}
	return regular.Open(path)
}

// Read reads a header from r, the beginning of a file of size bytes.
func Read(r io.Reader, size int64) (*File, error) {
	d := &decoder{r: bufio.NewReaderSize(r, 1<<16), size: uint64(max(size, 0))}
	f := &File{Size: size, index: map[string]int{}, names: map[string]int{}}
	if err := d.file(f); err != nil {
		return nil, fmt.Errorf("%w: %w (at byte %d of %d)", ErrFormat, err, d.pos, size)
	}
	return f, nil
}

type decoder struct {
	r    *bufio.Reader
	pos  uint64
	size uint64
	buf  [8]byte
}

func (d *decoder) left() uint64 { return d.size - min(d.pos, d.size) }

func (d *decoder) file(f *File) error {
	magic, err := d.bytes(4)
	if err != nil {
		return errors.New("shorter than a GGUF header")
	}
	if string(magic) != "GGUF" {
		return fmt.Errorf("starts with %q, not GGUF", magic)
	}
	if f.Version, err = d.u32(); err != nil {
		return err
	}
	switch {
	case f.Version == 1:
		return errors.New("GGUF version 1 is no longer supported")
	case f.Version != 2 && f.Version != 3 && f.Version&0xffff == 0:
		return errors.New("big-endian files are not supported")
	case f.Version != 2 && f.Version != 3:
		return fmt.Errorf("GGUF version %d is unknown", f.Version)
	}
	tensors, err := d.count("tensors", maxTensors, minTensorSize)
	if err != nil {
		return err
	}
	pairs, err := d.count("metadata keys", maxPairs, minPairSize)
	if err != nil {
		return err
	}
	for i := range pairs {
		if err := d.pair(f); err != nil {
			return fmt.Errorf("metadata key %d of %d: %w", i+1, pairs, err)
		}
	}
	f.Alignment = defaultAlign
	if v, ok := f.Lookup("general.alignment"); ok {
		a, _ := v.Uint()
		if v.Type != Uint32 || a < defaultAlign || a&(a-1) != 0 || a > maxAlignment {
			return fmt.Errorf("general.alignment is %v, not a power of two from %d to %d", v, defaultAlign, maxAlignment)
		}
		f.Alignment = a
	}
	for i := range tensors {
		if err := d.tensor(f); err != nil {
			return fmt.Errorf("tensor %d of %d: %w", i+1, tensors, err)
		}
	}
	return d.layout(f)
}

// layout checks that the tensors lie one after another within the file, as
// llama.cpp wants them.
func (d *decoder) layout(f *File) error {
	start := pad(d.pos, f.Alignment)
	f.DataOffset = int64(start)
	next := uint64(0)
	for _, t := range f.Tensors {
		if t.Offset != next {
			return fmt.Errorf("tensor %q has offset %d where %d is due", t.Name, t.Offset, next)
		}
		if t.Bytes > d.size || start+next > d.size-t.Bytes {
			return fmt.Errorf("tensor %q ends %d bytes behind the end of the file: truncated?",
				t.Name, start+next+t.Bytes-d.size)
		}
		next = pad(next+t.Bytes, f.Alignment)
	}
	return nil
}

func (d *decoder) pair(f *File) error {
	key, err := d.str(maxKeyLen)
	if err != nil {
		return err
	}
	if key == "" {
		return errors.New("empty key")
	}
	if _, ok := f.index[key]; ok {
		return fmt.Errorf("%q is there twice", clip(key))
	}
	v, err := d.value()
	if err != nil {
		return fmt.Errorf("%q: %w", clip(key), err)
	}
	f.index[key] = len(f.Meta)
	f.Meta = append(f.Meta, Pair{key, v})
	return nil
}

func (d *decoder) value() (Value, error) {
	t, err := d.u32()
	if err != nil {
		return Value{}, err
	}
	v := Value{Type: ValueType(t), Len: 1}
	if v.Type == Array {
		if t, err = d.u32(); err != nil {
			return Value{}, err
		}
		v.Elem = ValueType(t)
		if v.Len, err = d.u64(); err != nil {
			return Value{}, err
		}
		v.raw, err = d.array(v.Elem, v.Len)
		return v, err
	}
	if v.Type == String {
		s, err := d.str(maxString)
		v.raw = []byte(s)
		return v, err
	}
	size, ok := v.Type.size()
	if !ok {
		return Value{}, fmt.Errorf("unknown value type %d", t)
	}
	v.raw, err = d.bytes(size)
	return v, err
}

// array returns the raw bytes of an array's elements; strings keep their
// length prefixes.
func (d *decoder) array(elem ValueType, n uint64) ([]byte, error) {
	if elem == String {
		if n > min(d.left(), maxHeader)/8 {
			return nil, fmt.Errorf("array of %d strings does not fit the file", n)
		}
		var raw []byte
		for range n {
			s, err := d.str(maxString)
			if err != nil {
				return nil, err
			}
			raw = binary.LittleEndian.AppendUint64(raw, uint64(len(s)))
			raw = append(raw, s...)
		}
		return raw, nil
	}
	size, ok := elem.size()
	if !ok {
		return nil, fmt.Errorf("array of unusable element type %d", uint32(elem))
	}
	if n > d.left()/size {
		return nil, fmt.Errorf("array of %d elements does not fit the file", n)
	}
	return d.bytes(n * size)
}

func (d *decoder) tensor(f *File) error {
	name, err := d.str(maxNameLen)
	if err != nil {
		return fmt.Errorf("name: %w", err)
	}
	if _, ok := f.names[name]; ok {
		return fmt.Errorf("%q is there twice", name)
	}
	dims, err := d.u32()
	if err != nil {
		return err
	}
	if dims == 0 || dims > maxDims {
		return fmt.Errorf("%q has %d dimensions; 1 to %d are possible", name, dims, maxDims)
	}
	t := Tensor{Name: name, Shape: make([]uint64, dims)}
	elements := uint64(1)
	for i := range t.Shape {
		if t.Shape[i], err = d.u64(); err != nil {
			return err
		}
		n := t.Shape[i]
		if n == 0 || n > math.MaxInt64/elements {
			return fmt.Errorf("%q has an impossible shape %v", name, t.Shape[:i+1])
		}
		elements *= n
	}
	kind, err := d.u32()
	if err != nil {
		return err
	}
	t.Type = TensorType(kind)
	info, ok := tensorTypes[t.Type]
	if !ok {
		return fmt.Errorf("%q has unknown type %d", name, kind)
	}
	if t.Shape[0]%info.block != 0 {
		return fmt.Errorf("%q has rows of %d elements, no multiple of %s's block of %d", name, t.Shape[0], info.name, info.block)
	}
	blocks := elements / info.block
	if blocks > d.size/info.bytes {
		return fmt.Errorf("%q of shape %v is larger than the file: truncated?", name, t.Shape)
	}
	t.Bytes = blocks * info.bytes
	if t.Offset, err = d.u64(); err != nil {
		return err
	}
	f.names[name] = len(f.Tensors)
	f.Tensors = append(f.Tensors, t)
	return nil
}

// count reads a count of things of at least size bytes each.
func (d *decoder) count(what string, most, size uint64) (uint64, error) {
	n, err := d.u64()
	if err != nil {
		return 0, err
	}
	if n > most || n > d.left()/size {
		return 0, fmt.Errorf("claims %d %s, more than such a file can hold", n, what)
	}
	return n, nil
}

func (d *decoder) str(most uint64) (string, error) {
	n, err := d.u64()
	if err != nil {
		return "", err
	}
	if n > d.left() {
		return "", fmt.Errorf("string of %d bytes runs behind the end of the file", n)
	}
	if n > most {
		return "", fmt.Errorf("string of %d bytes where %d are the most", n, most)
	}
	b, err := d.bytes(n)
	return string(b), err
}

func (d *decoder) u32() (uint32, error) {
	err := d.full(d.buf[:4])
	return binary.LittleEndian.Uint32(d.buf[:]), err
}

func (d *decoder) u64() (uint64, error) {
	err := d.full(d.buf[:8])
	return binary.LittleEndian.Uint64(d.buf[:]), err
}

func (d *decoder) bytes(n uint64) ([]byte, error) {
	if n > d.left() {
		return nil, errors.New("file ends too early")
	}
	if d.pos+n > maxHeader {
		return nil, fmt.Errorf("header of more than %d bytes", maxHeader)
	}
	// In steps, so that a size that lies cannot take more memory than the file.
	var b []byte
	for n > 0 {
		step := min(n, 1<<20)
		at := len(b)
		b = slices.Grow(b, int(step))[:at+int(step)]
		if err := d.full(b[at:]); err != nil {
			return nil, err
		}
		n -= step
	}
	return b, nil
}

func (d *decoder) full(b []byte) error {
	n, err := io.ReadFull(d.r, b)
	d.pos += uint64(n)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errors.New("file ends too early")
	}
	return err
}

func pad(n, to uint64) uint64 { return (n + to - 1) / to * to }

// clip shortens what a damaged file may make absurdly long.
func clip(s string) string {
	if len(s) > 64 {
		return s[:64] + "…"
	}
	return s
}
