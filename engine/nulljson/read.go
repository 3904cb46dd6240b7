package nulljson

import (
	"encoding/json"
	"math"
	"reflect"
)

// Unmarshal reads JSON into the value that v points to, as encoding/json does, and
// makes a number that is null unknown: NaN, or -1 by the field's tag. A number that
// is not there stays what it was.
func Unmarshal(text []byte, v any) error {
	if err := json.Unmarshal(text, v); err != nil {
		return err
	}
	if !mayBeUnknown(reflect.TypeOf(v)) {
		return nil
	}
	return settle(reflect.ValueOf(v), text)
}

// settle makes unknown in v what is null in text, which has been read into v.
func settle(v reflect.Value, text json.RawMessage) error {
	t := v.Type()
	if !mayBeUnknown(t) || t.Kind() != reflect.Pointer && reflect.PointerTo(t).Implements(unmarshaler) {
		return nil
	}
	null := string(text) == "null"
	switch v.Kind() {
	case reflect.Float32, reflect.Float64:
		if null {
			v.SetFloat(math.NaN())
		}
	case reflect.Pointer:
		if !v.IsNil() {
			return settle(v.Elem(), text)
		}
	case reflect.Slice, reflect.Array:
		var parts []json.RawMessage
		if null {
			return nil
		}
		if err := json.Unmarshal(text, &parts); err != nil {
			return err
		}
		for i := range min(len(parts), v.Len()) {
			if err := settle(v.Index(i), parts[i]); err != nil {
				return err
			}
		}
	case reflect.Map, reflect.Struct:
		var parts map[string]json.RawMessage
		if null {
			return nil
		}
		if err := json.Unmarshal(text, &parts); err != nil {
			return err
		}
		if v.Kind() == reflect.Struct {
			return settleFields(v, parts)
		}
		for key, part := range parts {
			k := reflect.ValueOf(key).Convert(t.Key())
			x := reflect.New(t.Elem()).Elem() // a map's elements cannot be set in place
			x.Set(v.MapIndex(k))
			if err := settle(x, part); err != nil {
				return err
			}
			v.SetMapIndex(k, x)
		}
	}
	return nil
}

func settleFields(v reflect.Value, parts map[string]json.RawMessage) error {
	for _, f := range fieldsOf(v.Type()) {
		x := v.Field(f.index)
		part, there := parts[f.name]
		switch {
		case f.embedded:
			if err := settleFields(x, parts); err != nil {
				return err
			}
		case !there:
		case f.minusOne && string(part) == "null":
			x.SetInt(-1)
		default:
			if err := settle(x, part); err != nil {
				return err
			}
		}
	}
	return nil
}
