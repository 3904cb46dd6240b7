package datasets

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"jouletop/workloads"
)

// sniffLen is how much of a file's beginning tells its format.
const sniffLen = 256 << 10

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
		return s.detectJSONL(f, skip)
	}
	csvErr := s.detectCSV(f, skip, path, open)
	if csvErr == nil || !errors.Is(csvErr, ErrFormat) || !bytes.Contains(head, []byte("\n{")) {
		return csvErr
	}
	// A spoilt first line before lines of JSON.
	if _, err := f.Seek(skip, io.SeekStart); err != nil {
		return fmt.Errorf("dataset %s: %w", path, err)
	}
	return s.detectJSONL(f, skip)
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

// Rows that decide what the dataset is, and the most bytes read for it.
const (
	voters     = 64
	votersLen  = 4 * maxRecord
	minColumns = 2
)

// vote tells the dataset by the first rows: the one that most of them can be
// read as, or else whose fields the first has. Rows that cannot be parsed have
// no vote; they are met again when reading. The error is the first row's.
func vote(rows rowReader, file string) (adapter, error) {
	counts := make([]int, len(adapters))
	best, fallback := -1, -1
	var firstErr error
	for range voters {
		r, err := rows.next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err == nil {
			var a int
			if a, err = adapterFor(r); err == nil {
				if fallback < 0 {
					fallback = a
				}
				if _, _, bad := adapters[a].query(r); bad == nil {
					if counts[a]++; best < 0 || counts[a] > counts[best] {
						best = a
					}
				}
			} else {
				err = fmt.Errorf("%s:%d: %w", file, r.line, err)
			}
		}
		if err != nil && firstErr == nil {
			firstErr = err
		}
		if err != nil && !errors.Is(err, ErrBadRow) && !errors.Is(err, ErrFormat) {
			break
		}
	}
	switch {
	case best >= 0:
		return adapters[best], nil
	case fallback >= 0:
		return adapters[fallback], nil
	case firstErr != nil:
		return adapter{}, firstErr
	}
	return adapter{}, fmt.Errorf("dataset %s: %w", file, ErrEmpty)
}

func (s *Source) detectJSONL(f file, skip int64) (err error) {
	s.info.Format = FormatJSONL
	s.adapt, err = vote(newJSONL(s.info.Path, io.NewSectionReader(f, skip, votersLen), f), s.info.Path)
	s.rows = newJSONL(s.info.Path, f, f)
	return err
}

// detectCSV tells the dataset by the header, and BoolQ from NarrativeQA, which
// may have the same columns, by the rows.
func (s *Source) detectCSV(f file, skip int64, path string, open opener) error {
	s.info.Format = FormatCSV
	rows, err := newCSV(s.info.Path, f, skip, f)
	if err != nil {
		return fmt.Errorf("%w: no JSONL, and %w", ErrFormat, err)
	}
	if len(rows.columns) < minColumns {
		return fmt.Errorf("dataset %s: %w: neither JSONL nor CSV with a header line nor Parquet", s.info.Path, ErrFormat)
	}
	header := row{fields: map[string]any{}, untyped: true}
	for _, c := range rows.columns {
		header.fields[c] = ""
	}
	isSummaries := header.has("summary") && !header.has("question")
	if header.has("document_id") && (isSummaries || header.has("answer1") && !header.has(storyFields...)) {
		pair, err := openPair(path, isSummaries, open)
		if err != nil {
			return err
		}
		f.Close()
		s.info.Format, s.adapt, s.rows = FormatPair, narrativeAdapter(), pair
		s.paths = []string{pair.questionsPath, pair.summariesPath}
		return nil
	}
	a, err := adapterFor(header)
	if err != nil {
		return fmt.Errorf("%s:1: %w", s.info.Path, err)
	}
	s.adapt, s.rows = adapters[a], rows
	if s.adapt.style != workloads.BoolQ && s.adapt.style != workloads.NarrativeQA {
		return nil
	}
	peek, err := newCSV(s.info.Path, io.NewSectionReader(f, skip, votersLen), skip, f)
	if err == nil {
		if voted, err := vote(peek, s.info.Path); err == nil {
			s.adapt = voted
		}
	}
	return nil
}
