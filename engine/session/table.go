package session

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"jouletop/gpu/plaintext"
	"jouletop/gpu/regular"
)

// column is one column of a table of T: how its cell is written and read.
type column[T any] struct {
	name     string
	kind     ColumnKind
	required bool
	put      func(b []byte, row *T) []byte
	set      func(row *T, cell string) error // nil: derived from other columns
}

// table is a CSV file's layout.
type table[T any] struct {
	file    string
	columns []column[T]
	blank   T // a row that knows nothing
	// older completes a row of a file of an earlier program, which lacks columns; nil
	// where nothing can be told of them.
	older func(row *T, has func(column string) bool)
}

// RowError names a row that does not parse. It matches ErrRow.
type RowError struct {
	File string
	Line int
	Why  string
}

func (e *RowError) Error() string { return fmt.Sprintf("%s:%d: %s", e.File, e.Line, e.Why) }

// Is matches ErrRow.
func (e *RowError) Is(target error) bool { return target == ErrRow }

func (t table[T]) header() []byte {
	var b []byte
	for i, c := range t.columns {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, c.name...)
	}
	return append(b, '\n')
}

// row appends one line.
func (t table[T]) row(b []byte, r *T) []byte {
	for i, c := range t.columns {
		if i > 0 {
			b = append(b, ',')
		}
		b = c.put(b, r)
	}
	return append(b, '\n')
}

// read calls each for every complete row of dir's file, oldest first; the row
// is reused. A missing file has no rows.
func (t table[T]) read(dir string, each func(row *T) error) error {
	path := filepath.Join(dir, t.file)
	f, err := regular.OpenInside(path, os.O_RDONLY, 0)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read session: %w", err)
	}
	defer f.Close()
	return t.readFrom(f, path, each)
}

// readFrom is read for an open file; path is for messages.
func (t table[T]) readFrom(r io.Reader, path string, each func(row *T) error) error {
	lines := bufio.NewReaderSize(r, 1<<16)
	var (
		order []int // column of t for each of the file's; -1: unknown
		line  int
		long  []byte
	)
	for {
		text, err := nextLine(lines, &long)
		if err == io.EOF {
			return nil // an unfinished last line is torn, and no row
		}
		if err != nil {
			return fmt.Errorf("read %s: %w", path, err)
		}
		line++
		if line == 1 {
			if order, err = t.match(bytes.TrimPrefix(text, []byte("\xef\xbb\xbf"))); err != nil {
				return &RowError{path, line, err.Error()}
			}
			continue
		}
		if len(text) == 0 {
			continue
		}
		row := t.blank
		if err := t.parse(text, order, &row); err != nil {
			return &RowError{path, line, err.Error()}
		}
		if t.older != nil {
			t.older(&row, func(name string) bool {
				return slices.ContainsFunc(order, func(at int) bool { return at >= 0 && t.columns[at].name == name })
			})
		}
		if err := each(&row); err != nil {
			return err
		}
	}
}

// maxLine bounds a line, in bytes: a hole of many GB in a file has no line end.
const maxLine = 16 << 20

var errLongLine = fmt.Errorf("%w: a line of more than %d MB", ErrDamaged, maxLine>>20)

// nextLine returns the next line without its end; io.EOF also for a torn one.
func nextLine(r *bufio.Reader, long *[]byte) ([]byte, error) {
	*long = (*long)[:0]
	for {
		part, err := r.ReadSlice('\n')
		if err == bufio.ErrBufferFull {
			if len(*long) > maxLine {
				return nil, errLongLine
			}
			*long = append(*long, part...)
			continue
		}
		if err != nil {
			return nil, err
		}
		if len(*long) > 0 {
			*long = append(*long, part...)
			part = *long
		}
		return bytes.TrimSuffix(bytes.TrimSuffix(part, []byte("\n")), []byte("\r")), nil
	}
}

func (t table[T]) match(header []byte) ([]int, error) {
	var order []int
	seen := map[string]bool{}
	for name := range strings.SplitSeq(string(header), ",") {
		name = strings.TrimSpace(strings.Trim(name, `"`))
		at := -1
		for i, c := range t.columns {
			if c.name == name {
				at = i
			}
		}
		if at >= 0 && seen[name] {
			return nil, fmt.Errorf("column %s stands twice", name)
		}
		seen[name] = true
		order = append(order, at)
	}
	for _, c := range t.columns {
		if c.required && !seen[c.name] {
			return nil, fmt.Errorf("no column %s", c.name)
		}
	}
	return order, nil
}

func (t table[T]) parse(text []byte, order []int, row *T) error {
	n := 0
	for rest := text; ; n++ {
		cell, after, last, err := cutCell(rest)
		if err != nil {
			return err
		}
		if n >= len(order) {
			return fmt.Errorf("more than %d cells", len(order))
		}
		if at := order[n]; at >= 0 && t.columns[at].set != nil {
			c := t.columns[at]
			if cell == "" && c.required {
				return fmt.Errorf("%s is empty", c.name)
			}
			if cell != "" {
				if err := c.set(row, cell); err != nil {
					return fmt.Errorf("%s: %w", c.name, err)
				}
			}
		}
		if last {
			break
		}
		rest = after
	}
	if n+1 != len(order) {
		return fmt.Errorf("%d cells where the header has %d", n+1, len(order))
	}
	return nil
}

// cutCell takes the first cell off a line.
func cutCell(s []byte) (cell string, rest []byte, last bool, err error) {
	if len(s) == 0 || s[0] != '"' {
		i := bytes.IndexByte(s, ',')
		if i < 0 {
			return string(s), nil, true, nil
		}
		return string(s[:i]), s[i+1:], false, nil
	}
	var b []byte
	for i := 1; i < len(s); i++ {
		if s[i] != '"' {
			b = append(b, s[i])
			continue
		}
		if i+1 < len(s) && s[i+1] == '"' {
			b = append(b, '"')
			i++
			continue
		}
		if i+1 == len(s) {
			return string(b), nil, true, nil
		}
		if s[i+1] != ',' {
			return "", nil, false, errors.New("text after a closing quote")
		}
		return string(b), s[i+2:], false, nil
	}
	return "", nil, false, errors.New("a quote is not closed")
}

func required[T any](c column[T]) column[T] {
	c.required = true
	return c
}

func text[T any](name string, at func(*T) *string) column[T] {
	return column[T]{name: name, kind: Text,
		put: func(b []byte, r *T) []byte { return appendText(b, plaintext.Cell(*at(r))) },
		set: func(r *T, s string) error { *at(r) = plaintext.FromCell(s); return nil },
	}
}

// appendText quotes where RFC 4180 asks for it; a line end becomes a blank, so
// that a row is a line.
func appendText(b []byte, s string) []byte {
	if !strings.ContainsAny(s, ",\"\r\n") {
		return append(b, s...)
	}
	b = append(b, '"')
	for i := range len(s) {
		switch s[i] {
		case '"':
			b = append(b, '"', '"')
		case '\n', '\r':
			b = append(b, ' ')
		default:
			b = append(b, s[i])
		}
	}
	return append(b, '"')
}

// number is a float64 of digits significant digits; NaN is an empty cell.
func number[T any](name string, digits int, at func(*T) *float64) column[T] {
	c := derived(name, digits, func(r *T) float64 { return *at(r) })
	c.set = func(r *T, s string) error {
		x, err := strconv.ParseFloat(s, 64)
		if err != nil || math.IsNaN(x) || math.IsInf(x, 0) {
			return fmt.Errorf("%q is not a number", s)
		}
		*at(r) = x
		return nil
	}
	return c
}

// derived is a number that is written but read from other columns.
func derived[T any](name string, digits int, of func(*T) float64) column[T] {
	return column[T]{name: name, kind: Number, put: func(b []byte, r *T) []byte {
		x := of(r)
		if math.IsNaN(x) || math.IsInf(x, 0) {
			return b
		}
		return strconv.AppendFloat(b, x, 'g', digits, 64)
	}}
}

// whole is an int; a negative one is unknown.
func whole[T any](name string, at func(*T) *int) column[T] {
	return column[T]{name: name, kind: Whole,
		put: func(b []byte, r *T) []byte {
			if n := *at(r); n >= 0 {
				b = strconv.AppendInt(b, int64(n), 10)
			}
			return b
		},
		set: func(r *T, s string) error {
			n, err := strconv.Atoi(s)
			if err != nil || n < 0 {
				return fmt.Errorf("%q is not a whole number", s)
			}
			*at(r) = n
			return nil
		},
	}
}

// nanos is a time in ns.
func nanos[T any](name string, at func(*T) *int64) column[T] {
	return column[T]{name: name, kind: Whole,
		put: func(b []byte, r *T) []byte { return strconv.AppendInt(b, *at(r), 10) },
		set: func(r *T, s string) error {
			n, err := strconv.ParseInt(s, 10, 64)
			if err != nil {
				return fmt.Errorf("%q is not a time in ns", s)
			}
			*at(r) = n
			return nil
		},
	}
}

// flag is a bool, written 1 or 0.
func flag[T any](name string, at func(*T) *bool) column[T] {
	return column[T]{name: name, kind: YesNo,
		put: func(b []byte, r *T) []byte {
			if *at(r) {
				return append(b, '1')
			}
			return append(b, '0')
		},
		set: func(r *T, s string) error {
			v, err := strconv.ParseBool(s)
			if err != nil {
				return fmt.Errorf("%q is not 0 or 1", s)
			}
			*at(r) = v
			return nil
		},
	}
}
