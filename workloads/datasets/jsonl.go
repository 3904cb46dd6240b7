package datasets

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"
)

// rowReader yields the records of a file one at a time. A *RowError concerns
// one record, and reading may go on after it; io.EOF and any other error end.
type rowReader interface {
	next() (row, error)
	close() error
}

// jsonlRows reads one JSON object a line. Blank lines are passed over.
type jsonlRows struct {
	file   string
	lines  *lineReader
	number int
	closer io.Closer
}

func newJSONL(file string, r io.Reader, c io.Closer) *jsonlRows {
	return &jsonlRows{file: file, lines: newLineReader(r), closer: c}
}

func (j *jsonlRows) close() error { return j.closer.Close() }

func (j *jsonlRows) next() (row, error) {
	for {
		line, err := j.lines.next()
		if err == nil && len(bytes.TrimSpace(line)) == 0 {
			continue
		}
		if err != nil && !errors.Is(err, errLongLine) {
			return row{}, err
		}
		j.number++
		r := row{number: j.number, line: j.lines.number}
		if err == nil {
			r.fields, err = parseObject(line)
		}
		if err != nil {
			return r, &RowError{File: j.file, Line: r.line, Why: err.Error()}
		}
		return r, nil
	}
}

// parseObject reads a line that must hold one JSON object and nothing else.
func parseObject(line []byte) (map[string]any, error) {
	if !utf8.Valid(line) {
		return nil, fmt.Errorf("not valid UTF-8 (byte %d of the line)", invalidAt(line)+1)
	}
	line = bytes.TrimSpace(line)
	if line[0] != '{' {
		return nil, fmt.Errorf("not a JSON object (it starts with %q)", line[0])
	}
	dec := json.NewDecoder(bytes.NewReader(line))
	dec.UseNumber()
	var object map[string]any
	if err := dec.Decode(&object); err != nil {
		if errors.Is(err, io.ErrUnexpectedEOF) {
			return nil, errors.New("torn JSON: the line ends inside an object")
		}
		return nil, fmt.Errorf("not JSON: %w", err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("more than one JSON value on the line")
	}
	flat := make(map[string]any, len(object))
	flatten("", object, flat, 4)
	return flat, nil
}

// flatten gives the fields of nested objects dotted names; a list of objects
// becomes one list a field, as Parquet stores it.
func flatten(prefix string, object, into map[string]any, depth int) {
	for k, v := range object {
		name := prefix + k
		switch v := v.(type) {
		case map[string]any:
			if depth > 0 {
				flatten(name+".", v, into, depth-1)
				continue
			}
		case []any:
			if depth > 0 && flattenList(name+".", v, into, depth-1) {
				continue
			}
		}
		into[name] = v
	}
}

func flattenList(prefix string, list []any, into map[string]any, depth int) bool {
	if len(list) == 0 {
		return false
	}
	for _, item := range list {
		if _, ok := item.(map[string]any); !ok {
			return false
		}
	}
	for _, item := range list {
		flat := map[string]any{}
		flatten(prefix, item.(map[string]any), flat, depth)
		for k, v := range flat {
			column, _ := into[k].([]any)
			into[k] = append(column, v)
		}
	}
	return true
}

func invalidAt(b []byte) int {
	for i := 0; i < len(b); {
		r, n := utf8.DecodeRune(b[i:])
		if r == utf8.RuneError && n == 1 {
			return i
		}
		i += n
	}
	return len(b)
}

var errLongLine = fmt.Errorf("the record is longer than %d bytes", maxRecord)

// maxSkip is how far a record that is too long is read to find its end, in bytes:
// beyond it the file is none of lines.
const maxSkip = 64 << 20

var errNoLines = fmt.Errorf("%w: a record of more than %d bytes; this is no file of lines", ErrFormat, maxSkip)

// lineReader reads lines of bounded length.
type lineReader struct {
	r      *bufio.Reader
	buf    []byte
	number int   // of the line read last
	length int64 // of it, in bytes
}

func newLineReader(r io.Reader) *lineReader {
	return &lineReader{r: bufio.NewReaderSize(r, 64<<10)}
}

// next returns the next line with its end, valid until the next call. A line
// longer than maxRecord is passed over without being kept: errLongLine, or
// errNoLines, which is final, where its end is not found.
func (l *lineReader) next() ([]byte, error) {
	l.buf = l.buf[:0]
	l.length = 0
	long := false
	for {
		part, err := l.r.ReadSlice('\n')
		l.length += int64(len(part))
		if len(l.buf)+len(part) > maxRecord {
			long = true
			l.buf = l.buf[:0]
		}
		if !long {
			l.buf = append(l.buf, part...)
		}
		if l.length > maxSkip {
			return nil, errNoLines
		}
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case err != nil && (!errors.Is(err, io.EOF) || len(part) == 0 && len(l.buf) == 0 && !long):
			return nil, err
		}
		l.number++
		if long {
			return nil, errLongLine
		}
		return l.buf, nil
	}
}
