package datasets

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"
	"github.com/pierrec/lz4/v4"
)

// maxUnpacked bounds the memory that an unpacked file takes, in bytes; the
// published files take a tenth of it.
const maxUnpacked = 512 << 20

// hasLZ4 tells whether columns of a file are compressed with LZ4_RAW. parquet-go
// decodes those wrongly: pages that shrink to more than a third are decoded into a
// buffer that it then drops, and what an earlier page left in another is taken for
// the texts (v0.32.0, Column.decompress).
func hasLZ4(pf *parquet.File) bool {
	for _, g := range pf.Metadata().RowGroups {
		for _, c := range g.Columns {
			if c.MetaData.Codec == format.Lz4Raw {
				return true
			}
		}
	}
	return false
}

// unpackLZ4 returns the file f of size bytes, which pf has read the footer of,
// with the pages that are compressed with LZ4_RAW uncompressed. It changes pf's
// metadata.
func unpackLZ4(f io.ReaderAt, size int64, pf *parquet.File) ([]byte, error) {
	var out bytes.Buffer
	out.WriteString("PAR1")
	md := pf.Metadata()
	for i := range md.RowGroups {
		g := &md.RowGroups[i]
		for k := range g.Columns {
			c := &g.Columns[k]
			if err := unpackChunk(&out, f, size, &c.MetaData); err != nil {
				return nil, fmt.Errorf("column %d of row group %d: %w", k, i, err)
			}
			c.OffsetIndexOffset, c.OffsetIndexLength, c.ColumnIndexOffset, c.ColumnIndexLength = 0, 0, 0, 0
		}
		g.FileOffset, g.TotalCompressedSize = 0, 0
	}
	footer, err := thrift.Marshal(new(thrift.CompactProtocol), md)
	if err != nil {
		return nil, fmt.Errorf("write its footer: %w", err)
	}
	out.Write(footer)
	out.Write([]byte{byte(len(footer)), byte(len(footer) >> 8), byte(len(footer) >> 16), byte(len(footer) >> 24)})
	out.WriteString("PAR1")
	return out.Bytes(), nil
}

var errTooBig = fmt.Errorf("more than the %d MiB that a file compressed with LZ4 may hold; write it with zstd or snappy", maxUnpacked>>20)

// unpackChunk adds a column's pages to out and writes into m where they are now.
func unpackChunk(out *bytes.Buffer, f io.ReaderAt, size int64, m *format.ColumnMetaData) error {
	at := m.DataPageOffset
	if m.DictionaryPageOffset > 0 {
		at = min(at, m.DictionaryPageOffset)
	}
	length := m.TotalCompressedSize
	switch {
	case at < 0 || length < 0 || length > size || at > size-length:
		return io.ErrUnexpectedEOF
	case int64(out.Len())+length > maxUnpacked:
		return errTooBig
	}
	chunk := make([]byte, length)
	if _, err := f.ReadAt(chunk, at); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	start := int64(out.Len())
	m.DictionaryPageOffset, m.DataPageOffset, m.IndexPageOffset = 0, -1, 0
	m.BloomFilterOffset, m.BloomFilterLength = 0, 0
	for len(chunk) > 0 {
		var h format.PageHeader
		protocol := new(thrift.CompactProtocol)
		r := protocol.NewReaderFromBytes(chunk)
		if err := thrift.NewDecoder(r).Decode(&h); err != nil {
			return fmt.Errorf("header of a page: %w", err)
		}
		chunk = chunk[r.BytesRead():]
		if h.CompressedPageSize < 0 || int(h.CompressedPageSize) > len(chunk) {
			return io.ErrUnexpectedEOF
		}
		page := chunk[:h.CompressedPageSize]
		chunk = chunk[h.CompressedPageSize:]
		if m.Codec == format.Lz4Raw {
			var err error
			if page, err = unpackPage(&h, page, maxUnpacked-out.Len()); err != nil {
				return err
			}
		}
		switch pos := int64(out.Len()); {
		case h.Type == format.DictionaryPage:
			m.DictionaryPageOffset = pos
		case m.DataPageOffset < 0:
			m.DataPageOffset = pos
		}
		header, err := thrift.Marshal(protocol, &h)
		if err != nil {
			return fmt.Errorf("header of a page: %w", err)
		}
		out.Write(header)
		out.Write(page)
	}
	if m.DataPageOffset < 0 { // a dictionary alone, or nothing
		m.DataPageOffset = int64(out.Len())
	}
	if m.Codec == format.Lz4Raw {
		m.Codec = format.Uncompressed
	}
	m.TotalCompressedSize = int64(out.Len()) - start
	m.TotalUncompressedSize = m.TotalCompressedSize
	return nil
}

// unpackPage returns the page uncompressed, of at most so many bytes, and makes
// its header say so.
func unpackPage(h *format.PageHeader, page []byte, most int) ([]byte, error) {
	n, levels := int(h.UncompressedPageSize), 0 // levels of a page of version 2 are never compressed
	packed := true
	if h.DataPageHeaderV2.Valid {
		v := &h.DataPageHeaderV2.V
		levels = int(v.RepetitionLevelsByteLength) + int(v.DefinitionLevelsByteLength)
		packed = !v.IsCompressed.Valid || v.IsCompressed.V
		v.IsCompressed = thrift.New(false)
	}
	const ratio = 255 // no more can LZ4 say with a byte
	switch {
	case n < 0 || levels < 0 || levels > min(n, len(page)):
		return nil, errors.New("header of a page: sizes that cannot be")
	case n > most:
		return nil, errTooBig
	case n-levels > ratio*len(page):
		return nil, fmt.Errorf("a page of %d bytes is said to hold %d", len(page), n)
	}
	h.CompressedPageSize, h.CRC = h.UncompressedPageSize, 0 // which is of the compressed bytes
	if !packed {
		if len(page) != n {
			return nil, fmt.Errorf("an uncompressed page of %d bytes is said to hold %d", len(page), n)
		}
		return page, nil
	}
	out := make([]byte, n)
	copy(out, page[:levels])
	if n == levels {
		return out, nil
	}
	got, err := lz4.UncompressBlock(page[levels:], out[levels:])
	if err != nil || got != n-levels {
		return nil, fmt.Errorf("a page does not decompress (LZ4): %d of %d bytes, %w", got, n-levels, err)
	}
	return out, nil
}
