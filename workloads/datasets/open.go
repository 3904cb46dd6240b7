package datasets

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"jouletop/workloads"
)

// Formats that [Info] names.
const (
	FormatJSONL   = "JSONL"
	FormatCSV     = "CSV"
	FormatPair    = "CSV pair"
	FormatParquet = "Parquet"
)

//go:embed builtin
var builtin embed.FS

// builtinFiles are our own queries, in the formats of the datasets whose style
// they have.
var builtinFiles = map[workloads.Style]string{
	workloads.BoolQ:       "builtin/boolq.jsonl",
	workloads.HellaSwag:   "builtin/hellaswag.jsonl",
	workloads.TruthfulQA:  "builtin/truthfulqa.csv",
	workloads.NarrativeQA: "builtin/qaps.csv",
}

// Info says what a source is and how far it has been read.
type Info struct {
	Dataset string
	Style   workloads.Style
	Format  string
	// Path is the file as given; "builtin:boolq" for built-in queries.
	Path string
	Used int // rows that became queries so far
	// Skipped counts the bad rows met so far; Problems names the first 20.
	Skipped  int
	Problems []string
}

const maxProblems = 20

// Source reads queries one at a time. It is not safe for concurrent use.
type Source struct {
	spec  Spec
	info  Info
	rows  rowReader
	adapt adapter
	seed  maphash.Seed
	ids   map[uint64]uint64 // hash of an id: hash of the query that has it
}

// maxIDs is how many ids are remembered to find repetitions, so that memory
// stays bounded (about 40 MB at the most) whatever the file's size. Rows past
// it are not compared.
const maxIDs = 1 << 20

// Open opens what spec names and tells its format and dataset from the content.
// Errors wrap ErrFormat, ErrEmpty, a *RowError, or the file system's.
func Open(spec Spec) (*Source, error) {
	s := &Source{
		spec: spec,
		seed: maphash.MakeSeed(),
		ids:  map[uint64]uint64{},
	}
	open := openOS
	s.info.Path = spec.Path
	path := spec.Path
	if spec.Builtin() {
		name, ok := builtinFiles[workloads.Style(spec.Name)]
		if !ok {
			return nil, fmt.Errorf("dataset %q: no built-in queries of that name (there are %s)", spec.Name, styleNames())
		}
		open, path = openBuiltin, name
		s.info.Path = "builtin:" + spec.Name
	}
	f, err := open(path)
	if err != nil {
		return nil, err
	}
	if err := s.detect(f, path, open); err != nil {
		f.Close()
		return nil, err
	}
	s.info.Style = s.adapt.style
	switch s.info.Dataset = spec.Name; {
	case spec.Name != "":
	case s.info.Style == workloads.Custom:
		base := filepath.Base(path)
		s.info.Dataset = strings.TrimSuffix(base, filepath.Ext(base))
	default:
		s.info.Dataset = string(s.info.Style)
	}
	return s, nil
}

// file is what the readers need of one: os.File and embedded files have it.
type file interface {
	io.ReadSeekCloser
	io.ReaderAt
	Stat() (fs.FileInfo, error)
}

type opener func(path string) (file, error)

func openOS(path string) (file, error) {
	f, err := os.Open(path)
	if err != nil {
		var pathErr *fs.PathError
		if errors.As(err, &pathErr) {
			err = pathErr.Err
		}
		return nil, fmt.Errorf("dataset %s: %w", path, err)
	}
	st, err := f.Stat()
	switch {
	case err != nil:
	case st.IsDir():
		err = errors.New("is a directory; name a file in it")
	case !st.Mode().IsRegular():
		err = errors.New("is not a regular file; it has to be read more than once")
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("dataset %s: %w", path, err)
	}
	return f, nil
}

func openBuiltin(path string) (file, error) {
	f, err := builtin.Open(path)
	if err != nil {
		return nil, err
	}
	return f.(file), nil
}

// Next returns the next query; io.EOF after the last. On a bad row it returns a
// *RowError naming file, line and reason; the row is counted and the next call
// goes on behind it. Any other error is final.
func (s *Source) Next() (workloads.Query, error) {
	r, err := s.rows.next()
	if err == nil {
		var q workloads.Query
		if q, err = s.query(r); err == nil {
			s.info.Used++
			return q, nil
		}
	}
	var bad *RowError
	if errors.As(err, &bad) {
		s.info.Skipped++
		if len(s.info.Problems) < maxProblems {
			s.info.Problems = append(s.info.Problems, bad.Error())
		}
		return workloads.Query{}, bad
	}
	if errors.Is(err, io.EOF) {
		return workloads.Query{}, io.EOF
	}
	return workloads.Query{}, fmt.Errorf("dataset %s: %w", s.info.Path, err)
}

func (s *Source) query(r row) (workloads.Query, error) {
	q, id, err := s.adapt.query(r)
	if err == nil {
		q.ID, err = s.uniqueID(id, r.number, q)
	}
	if err != nil {
		bad := &RowError{File: s.info.Path, Line: r.line, Why: err.Error()}
		if r.line == 0 {
			bad.Row = r.number
		}
		return q, bad
	}
	q.Dataset = s.info.Dataset
	if s.spec.PlainLikelihood {
		q.LengthNormalised = false
	}
	return q, nil
}

// uniqueID returns the row's own id, or its number where it has none. An id met
// before is an error where it is meant to be unique or the whole query is the
// same; HellaSwag's are not unique over all its parts, so there another query
// of the same id has its row number added.
func (s *Source) uniqueID(id string, number int, q workloads.Query) (string, error) {
	if id == "" {
		return fmt.Sprintf("r%d", number), nil
	}
	key, content := maphash.String(s.seed, id), maphash.Comparable(s.seed, q.Prompt+"\x00"+strings.Join(q.Options, "\x00"))
	before, met := s.ids[key]
	switch {
	case !met && len(s.ids) < maxIDs:
		s.ids[key] = content
	case met && (before == content || s.adapt.style != workloads.HellaSwag):
		return "", fmt.Errorf("id %q is used by an earlier row", clip(id))
	case met:
		return fmt.Sprintf("%s.r%d", id, number), nil
	}
	return id, nil
}

// Info says what the source is and how far it has been read.
func (s *Source) Info() Info { return s.info }

// Close closes the file.
func (s *Source) Close() error { return s.rows.close() }

// SHA256 returns the hash of the source's file in hex, reading it anew; of a
// pair of files, that of both one after the other, questions first.
func (s *Source) SHA256() (string, error) {
	open, paths := openOS, []string{s.spec.Path}
	if s.spec.Builtin() {
		open, paths = openBuiltin, []string{builtinFiles[s.info.Style]}
	}
	if p, ok := s.rows.(*pairRows); ok {
		paths = []string{p.questionsPath, p.summariesPath}
	}
	h := sha256.New()
	for _, path := range paths {
		f, err := open(path)
		if err != nil {
			return "", err
		}
		_, err = io.Copy(h, f)
		f.Close()
		if err != nil {
			return "", fmt.Errorf("dataset %s: %w", path, err)
		}
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// sniffLen is how much of a file's beginning tells its format.
const sniffLen = 1 << 20

var bom = []byte("\xef\xbb\xbf")

// detect sets the source's rows and adapter.
func (s *Source) detect(f file, path string, open opener) error {
	st, err := f.Stat()
	if err != nil {
		return fmt.Errorf("dataset %s: %w", path, err)
	}
	head := make([]byte, min(sniffLen, st.Size()))
	if n, err := f.ReadAt(head, 0); err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("dataset %s: %w", path, err)
	} else {
		head = head[:n]
	}
	if bytes.HasPrefix(head, []byte("PAR1")) {
		s.info.Format = FormatParquet
		return s.detectParquet(f, st.Size())
	}
	skip := int64(0)
	if bytes.HasPrefix(head, bom) {
		skip = int64(len(bom))
		head = head[skip:]
	}
	if err := refuse(head); err != nil {
		return fmt.Errorf("dataset %s: %w", s.info.Path, err)
	}
	if _, err := f.Seek(skip, io.SeekStart); err != nil {
		return fmt.Errorf("dataset %s: %w", path, err)
	}
	if bytes.TrimSpace(head)[0] == '{' {
		return s.detectJSONL(f, head)
	}
	csvErr := s.detectCSV(f, skip, path, open)
	if csvErr == nil || !errors.Is(csvErr, ErrFormat) || !bytes.Contains(head, []byte("\n{")) {
		return csvErr
	}
	// A spoilt first line before lines of JSON.
	if _, err := f.Seek(skip, io.SeekStart); err != nil {
		return fmt.Errorf("dataset %s: %w", path, err)
	}
	return s.detectJSONL(f, head)
}

// refuse names the formats that are known but not read.
func refuse(head []byte) error {
	text := bytes.TrimSpace(head)
	const want = "; JSONL, CSV and Parquet are read"
	switch {
	case len(text) == 0:
		return ErrEmpty
	case bytes.HasPrefix(head, []byte{0x1f, 0x8b}), bytes.HasPrefix(head, []byte("PK\x03\x04")),
		bytes.HasPrefix(head, []byte("\x28\xb5\x2f\xfd")), bytes.HasPrefix(head, []byte("BZh")):
		return fmt.Errorf("%w: compressed; unpack it first", ErrFormat)
	case bytes.HasPrefix(head, []byte{0xff, 0xfe}), bytes.HasPrefix(head, []byte{0xfe, 0xff}):
		return fmt.Errorf("%w: UTF-16 text; convert it to UTF-8", ErrFormat)
	case text[0] == '[':
		return fmt.Errorf("%w: a JSON array; write one object a line (jq -c '.[]')", ErrFormat)
	case bytes.IndexByte(head, 0) >= 0:
		return fmt.Errorf("%w: binary data"+want, ErrFormat)
	}
	return nil
}

// detectJSONL tells the dataset by the first line that can be read and has the
// fields of one. Lines before it are bad rows, met again when reading.
func (s *Source) detectJSONL(f file, head []byte) error {
	s.info.Format = FormatJSONL
	s.rows = newJSONL(s.info.Path, f, f)
	var firstErr error
	for number, line := range bytes.Split(head, []byte("\n")) {
		if len(bytes.TrimSpace(line)) == 0 {
			continue
		}
		fields, err := parseObject(line)
		if err == nil {
			if s.adapt, err = adapterFor(row{fields: fields}); err == nil {
				return nil
			}
			err = fmt.Errorf("%s:%d: %w", s.info.Path, number+1, err)
		} else {
			err = &RowError{File: s.info.Path, Line: number + 1, Why: err.Error()}
		}
		if firstErr == nil {
			firstErr = err
		}
	}
	return firstErr
}

// detectCSV tells the dataset by the header, and BoolQ from NarrativeQA by the
// first row.
func (s *Source) detectCSV(f file, skip int64, path string, open opener) error {
	s.info.Format = FormatCSV
	rows, err := newCSV(s.info.Path, f, skip, f)
	if err != nil {
		return fmt.Errorf("%w: no JSONL, and %w", ErrFormat, err)
	}
	header := row{fields: map[string]any{}, untyped: true}
	for _, c := range rows.columns {
		header.fields[c] = ""
	}
	if header.has("document_id") && (header.has("answer1") && !header.has(storyFields...) ||
		header.has("summary") && !header.has("question")) {
		s.info.Format = FormatPair
		s.adapt = adapters[narrativeIndex]
		s.rows, err = openPair(path, header.has("summary"), open)
		if err == nil {
			f.Close()
		}
		return err
	}
	if s.adapt, err = adapterFor(header); err != nil {
		return fmt.Errorf("%s:1: %w", s.info.Path, err)
	}
	s.rows = rows
	if s.adapt.style == workloads.BoolQ {
		peek, err := newCSV(s.info.Path, io.NewSectionReader(f, skip, sniffLen), skip, f)
		if err == nil {
			if r, err := peek.next(); err == nil && isNarrativeQA(r) {
				s.adapt = adapters[narrativeIndex]
			}
		}
	}
	return nil
}
