package datasets

import (
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
	"regexp"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

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
	open  opener
	paths []string // of the files read
	rows  rowReader
	adapt adapter
	seed  maphash.Seed
	ids   map[uint64]uint64 // hash of an id: hash of the query that has it
	// unnamed: there was a row without an id of its own.
	unnamed bool
}

// maxIDs is how many ids are remembered to find repetitions, so that memory
// stays bounded (about 40 MB at the most) whatever the file's size. Rows past
// it are not compared.
const maxIDs = 1 << 20

// Open opens what spec names and tells its format and dataset from the content.
// Errors wrap ErrFormat, ErrEmpty, a *RowError, or the file system's.
func Open(spec Spec) (*Source, error) {
	if !spec.Builtin() {
		return openWith(spec, spec.Path, spec.Path, openOS)
	}
	path, ok := builtinFiles[workloads.Style(spec.Name)]
	if !ok {
		return nil, fmt.Errorf("dataset %q: no built-in queries of that name (there are %s)", spec.Name, styleNames())
	}
	return openWith(spec, path, "builtin:"+spec.Name, openBuiltin)
}

// openWith opens the file at path, which errors and Info call shown.
func openWith(spec Spec, path, shown string, open opener) (*Source, error) {
	s := &Source{
		spec:  spec,
		info:  Info{Path: shown},
		open:  open,
		paths: []string{path},
		seed:  maphash.MakeSeed(),
		ids:   map[uint64]uint64{},
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

// maxFile is the most bytes of a file taken for a dataset, far above the
// published ones: a sparse file may claim any size, and hashing it takes for ever.
const maxFile = 4 << 30

// openOS opens a regular file, or what a link leads to if that is one (the hub's
// cache is made of links), without waiting for anybody: a named pipe would.
func openOS(path string) (file, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
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
	case st.Size() > maxFile:
		err = fmt.Errorf("has %d bytes, more than the %d that a dataset may have; give a part of it", st.Size(), int64(maxFile))
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
	return q, nil
}

// uniqueID returns the row's own id, or r and its number where it has none. An
// id met before is an error where ids are meant to be unique or the whole query
// is the same; HellaSwag's are not unique over all its parts, so there another
// query of the same id has its row number added.
func (s *Source) uniqueID(id string, number int, q workloads.Query) (string, error) {
	if id == "" {
		s.unnamed = true
		id = fmt.Sprintf("r%d", number)
		if _, met := s.ids[maphash.String(s.seed, id)]; met {
			id += "." + id
		}
		return id, nil
	}
	if s.unnamed && rowName.MatchString(id) {
		return "", fmt.Errorf("id %q has the form of the names given to rows without an id, which this file has too", id)
	}
	key := maphash.String(s.seed, id)
	content := maphash.String(s.seed, q.Prompt+"\x00"+strings.Join(q.Options, "\x00"))
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

var rowName = regexp.MustCompile(`^r[0-9]+$`)

// Info says what the source is and how far it has been read.
func (s *Source) Info() Info {
	info := s.info
	info.Problems = slices.Clone(info.Problems)
	return info
}

// Close closes the file.
func (s *Source) Close() error { return s.rows.close() }

// SHA256 returns the hash of the source's file in hex, reading it anew; of a
// pair of files, that of both one after the other, questions first.
func (s *Source) SHA256() (string, error) {
	h := sha256.New()
	for _, path := range s.paths {
		f, err := s.open(path)
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
