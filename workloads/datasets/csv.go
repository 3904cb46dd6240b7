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
	_, columns, err := rows.record()
	if errors.Is(err, io.EOF) {
		err = ErrEmpty
	}
	rows.columns = columns
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
	line, values, err := c.record()
	if err != nil && !errors.Is(err, errRecord) {
		return row{}, err
	}
	c.number++
	r := row{untyped: true, number: c.number, line: line}
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

// errRecord: this record cannot be read, but the next may.
var errRecord = errors.New("not CSV")

// record returns the fields of the next record that is not a blank line, and
// the line where it starts. Where the fault lies in the first line of several,
// or a quote is never closed, reading goes on with the line after the first.
func (c *csvRows) record() (line int, fields []string, err error) {
	var parts [][]byte // the record's lines
	size, quotes, long := 0, 0, false
	for {
		part, err := c.nextLine()
		if errors.Is(err, io.EOF) && (len(parts) > 0 || long) {
			if _, inFirst, bad := parseRecord(bytes.Join(parts, nil)); inFirst {
				c.push(parts)
				return line, nil, bad
			}
			c.push(parts)
			return line, nil, fmt.Errorf("%w: a quoted field is never closed", errRecord)
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
			return line, nil, fmt.Errorf("%w: %w", errRecord, err)
		}
		quotes += bytes.Count(part, []byte{'"'})
		if size += len(part); size > maxRecord {
			long, parts = true, nil
		}
		if size > maxSkip {
			return line, nil, errNoLines
		}
		if !long {
			parts = append(parts, bytes.Clone(part))
		}
		if quotes%2 != 0 {
			continue
		}
		if long {
			return line, nil, fmt.Errorf("%w: %w", errRecord, errLongLine)
		}
		fields, inFirst, err := parseRecord(bytes.Join(parts, nil))
		if err != nil && inFirst {
			c.push(parts)
		}
		return line, fields, err
	}
}

// push gives back all but the first of a record's lines.
func (c *csvRows) push(parts [][]byte) {
	if len(parts) < 2 {
		return
	}
	c.pending = append(parts[1:], c.pending...)
	c.line -= len(parts) - 1
	for _, p := range parts[1:] {
		c.offset -= int64(len(p))
	}
}

func (c *csvRows) nextLine() ([]byte, error) {
	var part []byte
	if len(c.pending) > 0 {
		part, c.pending = c.pending[0], c.pending[1:]
	} else {
		var err error
		part, err = c.lines.next()
		if errors.Is(err, errLongLine) {
			c.line++
			c.offset += c.lines.length
			return nil, err
		}
		if err != nil {
			return nil, err
		}
	}
	c.line++
	c.offset += int64(len(part))
	return part, nil
}

// parseRecord reads the fields of one record, and tells whether a fault lies in
// its first line.
func parseRecord(record []byte) (fields []string, inFirst bool, err error) {
	if !utf8.Valid(record) {
		return nil, false, fmt.Errorf("%w: not valid UTF-8 (byte %d of the record)", errRecord, invalidAt(record)+1)
	}
	r := csv.NewReader(bytes.NewReader(record))
	r.FieldsPerRecord = -1
	fields, err = r.Read()
	var parse *csv.ParseError
	if errors.As(err, &parse) {
		return nil, parse.Line == 1, fmt.Errorf("%w: %w", errRecord, parse.Err)
	}
	if err != nil {
		return nil, false, fmt.Errorf("%w: %w", errRecord, err)
	}
	return fields, false, nil
}
