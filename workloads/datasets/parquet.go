package datasets

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/format"
)

// parquetRows reads the wanted columns of a Parquet file row by row. A column
// is known by its path without the levels that only make a list
// ("answers.list.element.text" is "answers.text"). Memory holds one page a
// column; of a file with LZ4 all of it.
type parquetRows struct {
	file   string
	pf     *parquet.File
	leaves []*parquet.Column
	names  []string
	group  int   // index of the row group being read
	left   int64 // rows of it still to come
	cols   []*column
	number int
	closer io.Closer
}

// detectParquet tells the dataset by the column names.
func (s *Source) detectParquet(f file, size int64) (err error) {
	defer damaged(&err, s.info.Path)
	if err := checkFooter(f, size); err != nil {
		return fmt.Errorf("dataset %s: %w: damaged Parquet: %w", s.info.Path, ErrFormat, err)
	}
	pf, err := openParquet(f, size)
	if errors.Is(err, errTooBig) {
		return fmt.Errorf("dataset %s: %w: %w", s.info.Path, ErrFormat, err)
	}
	if err != nil {
		return fmt.Errorf("dataset %s: %w: damaged Parquet: %w", s.info.Path, ErrFormat, err)
	}
	if pf.NumRows() == 0 {
		return fmt.Errorf("dataset %s: %w", s.info.Path, ErrEmpty)
	}
	p := &parquetRows{file: s.info.Path, pf: pf, group: -1, closer: f}
	header := row{fields: map[string]any{}}
	leaves := map[string]*parquet.Column{}
	eachLeaf(pf.Root(), func(c *parquet.Column) {
		name := columnName(c.Path())
		leaves[name] = c
		switch {
		case isList(c):
			header.fields[name] = []any{}
		case c.Type().Kind() == parquet.Boolean:
			header.fields[name] = false
		default:
			header.fields[name] = ""
		}
	})
	a, err := adapterFor(header)
	if err != nil {
		return fmt.Errorf("dataset %s: %w", s.info.Path, err)
	}
	s.adapt = adapters[a]
	for _, name := range slices.Compact(slices.Sorted(slices.Values(s.adapt.columns))) {
		if leaf, ok := leaves[name]; ok {
			p.leaves = append(p.leaves, leaf)
			p.names = append(p.names, name)
		}
	}
	s.rows = p
	if err := p.readable(); err != nil {
		return fmt.Errorf("dataset %s: %w: %w", s.info.Path, ErrFormat, err)
	}
	return nil
}

// openParquet reads the footer, and what is compressed with LZ4_RAW.
func openParquet(f file, size int64) (*parquet.File, error) {
	plain := []parquet.FileOption{parquet.SkipPageIndex(true), parquet.SkipBloomFilters(true)}
	pf, err := parquet.OpenFile(f, size, plain...)
	if err != nil || !hasLZ4(pf) {
		return pf, err
	}
	unpacked, err := unpackLZ4(f, size, pf)
	if err != nil {
		return nil, err
	}
	return parquet.OpenFile(bytes.NewReader(unpacked), int64(len(unpacked)), plain...)
}

// readable refuses compressions that parquet-go has no codec for.
func (p *parquetRows) readable() error {
	for _, g := range p.pf.Metadata().RowGroups {
		for i, leaf := range p.leaves {
			if leaf.Index() >= len(g.Columns) {
				return fmt.Errorf("damaged Parquet: column %s is missing in a row group", p.names[i])
			}
			switch codec := g.Columns[leaf.Index()].MetaData.Codec; codec {
			case format.Uncompressed, format.Snappy, format.Gzip, format.Brotli, format.Zstd:
			default:
				return fmt.Errorf("compressed with %v, which is not read of Parquet: write it with zstd or snappy", codec)
			}
		}
	}
	return nil
}

// checkFooter looks whether the file ends as a Parquet file does, with the
// length of the footer and the magic bytes, before memory is taken for it.
func checkFooter(f file, size int64) error {
	const tail = 8
	if size < int64(len("PAR1"))+tail {
		return io.ErrUnexpectedEOF
	}
	var end [tail]byte
	if _, err := f.ReadAt(end[:], size-tail); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if string(end[4:]) != "PAR1" {
		return errors.New("it does not end as a Parquet file does; is it cut off?")
	}
	if n := int64(binary.LittleEndian.Uint32(end[:4])); n > size-tail-4 {
		return fmt.Errorf("its footer is said to have %d bytes, more than the file", n)
	}
	return nil
}

// damaged turns a panic into an error: parquet-go meets some damaged files with
// one.
func damaged(err *error, file string) {
	if r := recover(); r != nil {
		*err = fmt.Errorf("dataset %s: %w: damaged Parquet: %v", file, ErrFormat, r)
	}
}

func eachLeaf(c *parquet.Column, f func(*parquet.Column)) {
	if c.Leaf() {
		f(c)
		return
	}
	for _, child := range c.Columns() {
		eachLeaf(child, f)
	}
}

// columnName drops the levels that Parquet writers put into lists.
func columnName(path []string) string {
	var kept []string
	for i := 0; i < len(path); i++ {
		if i > 0 && i+1 < len(path) && (path[i] == "list" || path[i] == "bag") &&
			slices.Contains([]string{"element", "item", "array", "array_element"}, path[i+1]) {
			i++
			continue
		}
		kept = append(kept, path[i])
	}
	return strings.Join(kept, ".")
}

func (p *parquetRows) close() error {
	p.closeColumns()
	return p.closer.Close()
}

func (p *parquetRows) closeColumns() {
	for _, c := range p.cols {
		c.close()
	}
	p.cols = nil
}

func (p *parquetRows) next() (r row, err error) {
	defer damaged(&err, p.file)
	for p.left == 0 {
		p.closeColumns()
		p.group++
		groups := p.pf.RowGroups()
		if p.group >= len(groups) {
			return row{}, io.EOF
		}
		g := groups[p.group]
		chunks := g.ColumnChunks()
		p.left = g.NumRows()
		for _, leaf := range p.leaves {
			p.cols = append(p.cols, &column{pages: chunks[leaf.Index()].Pages(), list: isList(leaf)})
		}
	}
	p.left--
	p.number++
	r = row{number: p.number, fields: make(map[string]any, len(p.cols))}
	var bad error
	for i, c := range p.cols {
		v, err := c.next()
		if errors.Is(err, errLongValue) {
			bad = fmt.Errorf("field %q: %w", p.names[i], err)
		} else if err != nil {
			return r, fmt.Errorf("%w: damaged Parquet: row %d, column %s: %w", ErrFormat, p.number, p.names[i], unexpected(err))
		}
		if v != nil {
			r.fields[p.names[i]] = v
		}
	}
	if bad != nil {
		return r, &RowError{File: p.file, Row: p.number, Why: bad.Error()}
	}
	return r, nil
}

func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

func isList(leaf *parquet.Column) bool { return leaf.MaxRepetitionLevel() > 0 }

// column reads one column chunk, row by row.
type column struct {
	pages  parquet.Pages
	page   parquet.Page
	values parquet.ValueReader
	buf    [64]parquet.Value
	have   []parquet.Value // of buf, not yet taken
	list   bool
}

func (c *column) close() {
	parquet.Release(c.page)
	c.page = nil
	c.pages.Close()
}

// peek returns the next value of the chunk without taking it.
func (c *column) peek() (parquet.Value, error) {
	for len(c.have) == 0 {
		if c.page == nil {
			page, err := c.pages.ReadPage()
			if err != nil {
				return parquet.Value{}, err
			}
			c.page, c.values = page, page.Values()
		}
		n, err := c.values.ReadValues(c.buf[:])
		if err != nil && !errors.Is(err, io.EOF) {
			return parquet.Value{}, err
		}
		c.have = c.buf[:n]
		if n == 0 {
			parquet.Release(c.page)
			c.page = nil
		}
	}
	return c.have[0], nil
}

var errLongValue = fmt.Errorf("more than the %d bytes that a text may have", MaxText)

// maxItems bounds how many values of a list are kept.
const maxItems = 10_000

// next returns the column's value in the next row: nil, a scalar, or []any.
func (c *column) next() (any, error) {
	v, err := c.peek()
	if err != nil {
		return nil, err
	}
	c.have = c.have[1:]
	first, tooLong := goValue(v)
	if !c.list {
		return first, tooLong
	}
	list := []any{}
	for item := first; ; {
		if item != nil && len(list) < maxItems {
			list = append(list, item)
		}
		v, err := c.peek()
		if errors.Is(err, io.EOF) || err == nil && v.RepetitionLevel() == 0 {
			return list, tooLong
		}
		if err != nil {
			return nil, err
		}
		c.have = c.have[1:]
		var long error
		if item, long = goValue(v); long != nil {
			tooLong = long
		}
	}
}

// goValue copies a value out of its page, unless it is too long.
func goValue(v parquet.Value) (any, error) {
	if v.IsNull() {
		return nil, nil
	}
	switch v.Kind() {
	case parquet.Boolean:
		return v.Boolean(), nil
	case parquet.Int32:
		return int64(v.Int32()), nil
	case parquet.Int64:
		return v.Int64(), nil
	case parquet.Float:
		return float64(v.Float()), nil
	case parquet.Double:
		return v.Double(), nil
	case parquet.ByteArray, parquet.FixedLenByteArray:
		b := v.ByteArray()
		if len(b) > MaxText {
			return nil, fmt.Errorf("%d bytes, %w", len(b), errLongValue)
		}
		return string(b), nil
	}
	return fmt.Sprint(v), nil
}
