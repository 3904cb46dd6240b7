// Package nulltest checks that a type survives knowing nothing: for tests of what is
// written as JSON.
package nulltest

import (
	"encoding/json"
	"math"
	"reflect"
	"testing"

	"jouletop/engine/nulljson"
)

// Check fills a T with what is unknown, every number that can be, and sees that it
// is written, and that what is read back is as unknown.
func Check[T any](t testing.TB) {
	t.Helper()
	var v, back T
	fill(reflect.ValueOf(&v).Elem(), map[reflect.Type]int{})
	text, err := nulljson.Marshal(v)
	if err != nil || !json.Valid(text) {
		t.Errorf("%T: %v: %s", v, err, text)
		return
	}
	if err := nulljson.Unmarshal(text, &back); err != nil {
		t.Errorf("%T: %v: %s", v, err, text)
		return
	}
	again, err := nulljson.Marshal(back)
	if err != nil || string(again) != string(text) {
		t.Errorf("%T: wrote %s, after reading %s, %v", v, text, again, err)
	}
}

// Fill makes every number that may be unknown so in what v points to, with one element
// in each list, map and pointer.
func Fill(v any) { fill(reflect.ValueOf(v).Elem(), map[reflect.Type]int{}) }

func fill(v reflect.Value, depth map[reflect.Type]int) {
	t := v.Type()
	if depth[t] > 1 || !v.CanSet() { // a type that holds itself
		return
	}
	depth[t]++
	defer func() { depth[t]-- }()
	switch v.Kind() {
	case reflect.Float32, reflect.Float64:
		v.SetFloat(math.NaN())
	case reflect.Pointer:
		v.Set(reflect.New(t.Elem()))
		fill(v.Elem(), depth)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(t, 1, 1))
		fill(v.Index(0), depth)
	case reflect.Array:
		for i := range v.Len() {
			fill(v.Index(i), depth)
		}
	case reflect.Map:
		v.Set(reflect.MakeMap(t))
		x := reflect.New(t.Elem()).Elem()
		fill(x, depth)
		v.SetMapIndex(reflect.Zero(t.Key()), x)
	case reflect.Struct:
		for i := range v.NumField() {
			f := v.Field(i)
			if t.Field(i).Tag.Get("null") == "-1" {
				f.SetInt(-1)
				continue
			}
			fill(f, depth)
		}
	}
}
