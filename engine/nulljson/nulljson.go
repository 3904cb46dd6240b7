// Package nulljson writes and reads JSON in which null is what is not known.
//
// In this program an unknown number is NaN, which encoding/json refuses: one
// sensor that a GPU lacks would keep a whole manifest off the disk. [Marshal] writes
// NaN and infinities as null wherever they stand in a value, and so a whole number
// whose field says by the tag `null:"-1"` that -1 stands for unknown. [Unmarshal]
// turns null back. Otherwise both are encoding/json's, tags and Marshalers
// included; the `string` option and embedded pointers are refused.
//
// Whatever the program writes as JSON goes through here; a test sees to that.
package nulljson

import (
	"bytes"
	"encoding"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"reflect"
	"slices"
	"strings"
	"sync"
)

// Marshal writes v as JSON on one line.
func Marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	if err := encode(&b, reflect.ValueOf(v)); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// MarshalIndent writes v as JSON for people too: indented by two spaces.
func MarshalIndent(v any) ([]byte, error) {
	line, err := Marshal(v)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	err = json.Indent(&b, line, "", "  ")
	return b.Bytes(), err
}

// Write writes v to w, indented, with a newline after it.
func Write(w io.Writer, v any) error {
	text, err := MarshalIndent(v)
	if err != nil {
		return err
	}
	_, err = w.Write(append(text, '\n'))
	return err
}

var (
	marshaler     = reflect.TypeFor[json.Marshaler]()
	textMarshaler = reflect.TypeFor[encoding.TextMarshaler]()
	unmarshaler   = reflect.TypeFor[json.Unmarshaler]()
)

func encode(b *bytes.Buffer, v reflect.Value) error {
	if !v.IsValid() {
		b.WriteString("null")
		return nil
	}
	if !mayBeUnknown(v.Type()) {
		return plain(b, v)
	}
	switch v.Kind() {
	case reflect.Float32, reflect.Float64:
		if x := v.Float(); math.IsNaN(x) || math.IsInf(x, 0) {
			b.WriteString("null")
			return nil
		}
		return plain(b, v)
	case reflect.Pointer, reflect.Interface:
		return encode(b, v.Elem())
	case reflect.Slice, reflect.Array:
		if v.Kind() == reflect.Slice && v.IsNil() {
			b.WriteString("null")
			return nil
		}
		b.WriteByte('[')
		for i := range v.Len() {
			if i > 0 {
				b.WriteByte(',')
			}
			if err := encode(b, v.Index(i)); err != nil {
				return err
			}
		}
		b.WriteByte(']')
		return nil
	case reflect.Map:
		return encodeMap(b, v)
	case reflect.Struct:
		b.WriteByte('{')
		if _, err := encodeFields(b, v, true); err != nil {
			return err
		}
		b.WriteByte('}')
		return nil
	}
	return fmt.Errorf("nulljson: %v cannot be written", v.Type())
}

// plain leaves v to encoding/json.
func plain(b *bytes.Buffer, v reflect.Value) error {
	text, err := json.Marshal(v.Interface())
	b.Write(text)
	return err
}

func encodeMap(b *bytes.Buffer, v reflect.Value) error {
	if v.IsNil() {
		b.WriteString("null")
		return nil
	}
	if v.Type().Key().Kind() != reflect.String {
		return fmt.Errorf("nulljson: %v: want text as keys", v.Type())
	}
	keys := v.MapKeys()
	slices.SortFunc(keys, func(x, y reflect.Value) int { return strings.Compare(x.String(), y.String()) })
	b.WriteByte('{')
	for i, key := range keys {
		if i > 0 {
			b.WriteByte(',')
		}
		if err := plain(b, reflect.ValueOf(key.String())); err != nil {
			return err
		}
		b.WriteByte(':')
		if err := encode(b, v.MapIndex(key)); err != nil {
			return err
		}
	}
	b.WriteByte('}')
	return nil
}

// encodeFields writes the fields of a struct, embedded ones flattened; first tells
// whether none has been written yet.
func encodeFields(b *bytes.Buffer, v reflect.Value, first bool) (bool, error) {
	for _, f := range fieldsOf(v.Type()) {
		x := v.Field(f.index)
		if f.err != nil {
			return first, f.err
		}
		if f.embedded {
			var err error
			if first, err = encodeFields(b, x, first); err != nil {
				return first, err
			}
			continue
		}
		if f.omits(x) {
			continue
		}
		if !first {
			b.WriteByte(',')
		}
		first = false
		b.WriteString(f.quoted)
		b.WriteByte(':')
		if f.minusOne && x.Int() == -1 {
			b.WriteString("null")
		} else if err := encode(b, x); err != nil {
			return first, fmt.Errorf("%s: %w", f.name, err)
		}
	}
	return first, nil
}

// field is a field of a struct as its tag says.
type field struct {
	index     int
	name      string
	quoted    string // the name as JSON
	embedded  bool
	minusOne  bool // -1 is unknown
	omitEmpty bool
	omitZero  bool
	err       error
}

func (f field) omits(x reflect.Value) bool {
	if f.omitZero {
		if z, ok := x.Interface().(interface{ IsZero() bool }); ok && z.IsZero() || x.IsZero() {
			return true
		}
	}
	if !f.omitEmpty {
		return false
	}
	switch x.Kind() {
	case reflect.Slice, reflect.Map, reflect.String, reflect.Array:
		return x.Len() == 0
	case reflect.Struct:
		return false
	}
	return x.IsZero()
}

var fieldCache sync.Map // of []field by reflect.Type

func fieldsOf(t reflect.Type) []field {
	if f, ok := fieldCache.Load(t); ok {
		return f.([]field)
	}
	var out []field
	for i := range t.NumField() {
		sf := t.Field(i)
		name, options, _ := strings.Cut(sf.Tag.Get("json"), ",")
		if name == "-" && options == "" || !sf.IsExported() && !sf.Anonymous {
			continue
		}
		f := field{index: i, name: name, minusOne: sf.Tag.Get("null") == "-1"}
		f.embedded = sf.Anonymous && name == "" && sf.Type.Kind() == reflect.Struct
		if name == "" {
			f.name = sf.Name
		}
		for option := range strings.SplitSeq(options, ",") {
			switch option {
			case "omitempty":
				f.omitEmpty = true
			case "omitzero":
				f.omitZero = true
			case "string":
				f.err = fmt.Errorf("nulljson: %v.%s: the option string is not supported", t, sf.Name)
			}
		}
		if f.minusOne && !sf.Type.ConvertibleTo(reflect.TypeFor[int64]()) || sf.Anonymous && sf.Type.Kind() == reflect.Pointer {
			f.err = fmt.Errorf("nulljson: %v.%s is not supported", t, sf.Name)
		}
		quoted, _ := json.Marshal(f.name) // of a string: cannot fail
		f.quoted = string(quoted)
		out = append(out, f)
	}
	fieldCache.Store(t, out)
	return out
}

var unknownCache sync.Map // of bool by reflect.Type

// mayBeUnknown tells whether a value of t may hold an unknown number. What may not
// is encoding/json's.
func mayBeUnknown(t reflect.Type) bool {
	if known, ok := unknownCache.Load(t); ok {
		return known.(bool)
	}
	may := searchUnknown(t, map[reflect.Type]bool{})
	unknownCache.Store(t, may)
	return may
}

func searchUnknown(t reflect.Type, seen map[reflect.Type]bool) bool {
	if seen[t] {
		return false
	}
	seen[t] = true
	if t.Implements(marshaler) || t.Implements(textMarshaler) {
		return false
	}
	switch t.Kind() {
	case reflect.Float32, reflect.Float64, reflect.Interface:
		return true
	case reflect.Pointer, reflect.Slice, reflect.Array, reflect.Map:
		return searchUnknown(t.Elem(), seen)
	case reflect.Struct:
		for i := range t.NumField() {
			f := t.Field(i)
			if f.Tag.Get("null") != "" || (f.IsExported() || f.Anonymous) && searchUnknown(f.Type, seen) {
				return true
			}
		}
	}
	return false
}
