package export

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/compress/zstd"

	"jouletop/engine/session"
)

// Parquet writes each of the session's CSV files as Parquet, into a new or empty
// folder, and returns the files' names: columns are typed, what is unknown is null,
// and each file's metadata say what its columns are, in which unit, by which program,
// and whether they are simulated.
func Parquet(ctx context.Context, s *session.Session, folder string) (files []string, err error) {
	if _, err := Sum(s); err != nil {
		return nil, err
	}
	made, err := createFolder(folder)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			for _, f := range files {
				_ = os.Remove(f)
			}
			if made {
				_ = os.Remove(folder)
			}
		}
	}()
	for _, name := range session.Files() {
		columns := session.Columns(name)
		if _, missing := os.Lstat(filepath.Join(s.Dir, name)); len(columns) == 0 || missing != nil {
			continue
		}
		file := filepath.Join(folder, strings.TrimSuffix(name, ".csv")+".parquet")
		if err := create(file, func(w io.Writer) error { return writeParquet(ctx, w, s, name, columns) }); err != nil {
			return files, err
		}
		files = append(files, file)
	}
	return files, nil
}

// Keys of a Parquet file's metadata; of those with a dot at the end there is one for
// each column.
const (
	keySimulated = "jouletop.simulated" // true or false
	keyProgram   = "jouletop.program"
	keySession   = "jouletop.session"
	keyUnit      = "jouletop.unit."
	keyMeaning   = "jouletop.meaning."
)

// goTypes are the columns' types; pointers, so that each may be null.
var goTypes = map[session.ColumnKind]reflect.Type{
	session.Text: reflect.TypeFor[*string](), session.Number: reflect.TypeFor[*float64](),
	session.Whole: reflect.TypeFor[*int64](), session.YesNo: reflect.TypeFor[*bool](),
}

func writeParquet(ctx context.Context, w io.Writer, s *session.Session, name string, columns []session.Column) error {
	fields := make([]reflect.StructField, len(columns))
	for i, c := range columns {
		fields[i] = reflect.StructField{Name: fmt.Sprintf("C%d", i), Type: goTypes[c.Kind], Tag: reflect.StructTag(fmt.Sprintf(`parquet:"%s,optional"`, c.Name))}
	}
	// Of a struct, the library keeps the columns in order.
	schema := parquet.NewSchema(strings.TrimSuffix(name, ".csv"), parquet.SchemaOf(reflect.New(reflect.StructOf(fields)).Interface()))
	meta := []parquet.WriterOption{schema, parquet.Compression(&zstd.Codec{}), parquet.CreatedBy("jouletop", "", ""),
		parquet.KeyValueMetadata(keySimulated, strconv.FormatBool(s.Manifest.Simulated)), parquet.KeyValueMetadata(keyProgram, s.Manifest.Program), parquet.KeyValueMetadata(keySession, title(s))}
	for _, c := range columns {
		meta = append(meta, parquet.KeyValueMetadata(keyMeaning+c.Name, c.Meaning))
		if c.Unit != "" {
			meta = append(meta, parquet.KeyValueMetadata(keyUnit+c.Name, c.Unit))
		}
	}
	out := parquet.NewWriter(w, meta...)
	const most = 1024 // rows at once
	rows := make([]parquet.Row, 0, most)
	err := s.Cells(name, func(cells []string) error {
		row := make(parquet.Row, len(cells))
		for i, cell := range cells {
			v, err := value(columns[i].Kind, cell)
			if err != nil {
				return fmt.Errorf("%s: %s: %w", name, columns[i].Name, err)
			}
			defined := 1
			if v.IsNull() {
				defined = 0
			}
			row[i] = v.Level(0, defined, i)
		}
		if rows = append(rows, row); len(rows) < most {
			return nil
		}
		_, err := out.WriteRows(rows)
		rows = rows[:0]
		if err == nil {
			err = ctx.Err()
		}
		return err
	})
	if err == nil {
		_, err = out.WriteRows(rows)
	}
	if err == nil {
		err = out.Close()
	}
	return err
}

// value is a cell's; null for an empty one.
func value(kind session.ColumnKind, cell string) (parquet.Value, error) {
	if cell == "" {
		return parquet.NullValue(), nil
	}
	switch kind {
	case session.Number:
		v, err := strconv.ParseFloat(cell, 64)
		return parquet.DoubleValue(v), err
	case session.Whole:
		v, err := strconv.ParseInt(cell, 10, 64)
		return parquet.Int64Value(v), err
	case session.YesNo:
		v, err := strconv.ParseBool(cell)
		return parquet.BooleanValue(v), err
	default:
		return parquet.ByteArrayValue([]byte(strings.ToValidUTF8(cell, "\uFFFD"))), nil
	}
}
