package datasets

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"jouletop/workloads"
)

// memory is a folder of files in memory.
type memory map[string]string

func (m memory) open(path string) (file, error) {
	content, ok := m[path]
	if !ok {
		return nil, fmt.Errorf("dataset %s: %w", path, fs.ErrNotExist)
	}
	return &memoryFile{bytes.NewReader([]byte(content)), path}, nil
}

type memoryFile struct {
	*bytes.Reader
	name string
}

func (f *memoryFile) Close() error               { return nil }
func (f *memoryFile) Stat() (fs.FileInfo, error) { return f, nil }
func (f *memoryFile) Name() string               { return f.name }
func (f *memoryFile) Mode() fs.FileMode          { return 0 }
func (f *memoryFile) ModTime() time.Time         { return time.Time{} }
func (f *memoryFile) IsDir() bool                { return false }
func (f *memoryFile) Sys() any                   { return nil }

func openMemory(content string) (*Source, error) {
	return openWith(Spec{Path: "f"}, "f", "f", memory{"f": content}.open)
}

// drain reads a source to its end: queries, bad rows, and the error that ended
// it, nil at the end of the file.
func drain(s *Source) (queries []workloads.Query, bad []*RowError, err error) {
	for {
		q, err := s.Next()
		var row *RowError
		switch {
		case errors.Is(err, io.EOF):
			return queries, bad, nil
		case errors.As(err, &row):
			bad = append(bad, row)
		case err != nil:
			return queries, bad, err
		default:
			queries = append(queries, q)
		}
	}
}

// mustDrain reads content that has to be readable to its end.
func mustDrain(t *testing.T, content string) ([]workloads.Query, []*RowError) {
	t.Helper()
	s, err := openMemory(content)
	if err != nil {
		t.Fatal(err)
	}
	queries, bad, err := drain(s)
	if err != nil {
		t.Fatal(err)
	}
	checkQueries(t, queries)
	return queries, bad
}

// checkQueries demands what every query must be, whatever file it comes from.
func checkQueries(t *testing.T, queries []workloads.Query) {
	t.Helper()
	ids := map[string]bool{}
	for _, q := range queries {
		id := q.Dataset + " " + q.ID
		if ids[id] {
			t.Errorf("id %q twice", id)
		}
		ids[id] = true
		if q.Dataset == "" || q.ID == "" || q.Style == "" {
			t.Errorf("query without dataset, id or style: %+v", q)
		}
		texts := append([]string{q.Prompt, q.Text, q.Question}, q.Options...)
		for _, s := range append(texts, q.Answers...) {
			if strings.TrimSpace(s) == "" || !utf8.ValidString(s) || strings.Contains(s, "\x00") {
				t.Errorf("%s: unusable text %q", id, s)
			}
		}
		if n := len(q.Options); n == 0 && q.Answer != -1 || n > 0 && (n < 2 || q.Answer < 0 || q.Answer >= n) {
			t.Errorf("%s: answer %d of %d options", id, q.Answer, n)
		}
	}
}

func write(t *testing.T, dir, name, content string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}
