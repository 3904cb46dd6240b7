package datasets

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// csvRows reads RFC 4180 records under a header line: quoted fields may hold
// line ends, lines may end in CRLF. Records are cut out here, bounded in size,
// and read by encoding/csv, so that a torn quote costs its own record and not
// the rest of the file.
type csvRows struct {
	file    string
	lines   *lineReader
	columns []string
	number  int
	offset  int64 // bytes read so far, for the pair's index
	start   int64 // where the record read last begins
	pending [][]byte
	line    int // of the line returned last
	closer  io.Closer
}

// newCSV reads the header. offset is where in the file r begins.
func newCSV(file string, r io.Reader, offset int64, c io.Closer) (*csvRows, error) {
	rows := &csvRows{file: file, lines: newLineReader(r), offset: offset, closer: c}
	_, record, err := rows.record()
	if err == nil {
		rows.columns, err = parseRecord(record)
	}
	if err != nil {
		return nil, fmt.Errorf("%s:1: CSV header: %w", file, err)
	}
	seen := map[string]bool{}
	for i, c := range rows.columns {
		c = strings.ReplaceAll(strings.ToLower(strings.TrimSpace(c)), " ", "_")
		if c != "" && seen[c] {
			return nil, fmt.Errorf("%s:1: CSV header names column %q twice", file, clip(c))
		}
		seen[c] = true
		rows.columns[i] = c
	}
	return rows, nil
}

func (c *csvRows) close() error { return c.closer.Close() }

func (c *csvRows) next() (row, error) {
	line, record, err := c.record()
	if err != nil && !errors.Is(err, errLongLine) && !errors.Is(err, errOpenQuote) {
		return row{}, err
	}
	c.number++
	r := row{untyped: true, number: c.number, line: line}
	var values []string
	if err == nil {
		values, err = parseRecord(record)
	}
	if err == nil && len(values) != len(c.columns) {
		err = fmt.Errorf("%d fields where the header has %d", len(values), len(c.columns))
	}
	if err != nil {
		return r, &RowError{File: c.file, Line: line, Why: err.Error()}
	}
	r.fields = make(map[string]any, len(values))
	for i, v := range values {
		r.fields[c.columns[i]] = v
	}
	return r, nil
}

var errOpenQuote = errors.New("a quoted field is never closed")

// record returns the next record that is not a blank line, and the line where
// it starts. After errOpenQuote reading goes on with the line after that.
func (c *csvRows) record() (line int, record []byte, err error) {
	var parts [][]byte // the record's lines
	size, quotes := 0, 0
	long := false
	for {
		part, err := c.nextLine()
		if errors.Is(err, io.EOF) && (len(parts) > 0 || long) {
			if long {
				return line, nil, errLongLine
			}
			c.pending, c.line = append(parts[1:], c.pending...), line
			for _, p := range parts[1:] {
				c.offset -= int64(len(p))
			}
			return line, nil, errOpenQuote
		}
		if err != nil && !errors.Is(err, errLongLine) {
			return 0, nil, err
		}
		if len(parts) == 0 && !long {
			if err == nil && len(bytes.TrimSpace(part)) == 0 {
				continue
			}
			line, c.start = c.line, c.offset-int64(len(part))
		}
		if errors.Is(err, errLongLine) {
			return line, nil, err
		}
		quotes += bytes.Count(part, []byte{'"'})
		if size += len(part); size > maxRecord {
			long, parts = true, nil
		}
		if !long {
			parts = append(parts, bytes.Clone(part))
		}
		if quotes%2 == 0 {
			if long {
				return line, nil, errLongLine
			}
			return line, bytes.Join(parts, nil), nil
		}
	}
}

func (c *csvRows) nextLine() ([]byte, error) {
	var part []byte
	if len(c.pending) > 0 {
		part, c.pending = c.pending[0], c.pending[1:]
	} else {
		var err error
		if part, err = c.lines.next(); err != nil {
			c.line++
			return nil, err
		}
	}
	c.line++
	c.offset += int64(len(part))
	return part, nil
}

// parseRecord reads the fields of one record.
func parseRecord(record []byte) ([]string, error) {
	if !utf8.Valid(record) {
		return nil, fmt.Errorf("not valid UTF-8 (byte %d of the record)", invalidAt(record)+1)
	}
	r := csv.NewReader(bytes.NewReader(record))
	r.FieldsPerRecord = -1
	fields, err := r.Read()
	if err != nil {
		var parse *csv.ParseError
		if errors.As(err, &parse) {
			return nil, fmt.Errorf("not CSV: %w", parse.Err)
		}
		return nil, fmt.Errorf("not CSV: %w", err)
	}
	return fields, nil
}
