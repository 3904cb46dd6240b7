package event

import (
	"encoding/json"
	"reflect"
	"testing"

	"jouletop/engine/nulljson/nulltest"
)

// Every kind of event is written and read back though it knows no number.
func TestUnknownInEveryEvent(t *testing.T) {
	for name, zero := range kinds {
		v := reflect.New(reflect.TypeOf(zero))
		nulltest.Fill(v.Interface())
		line, err := Marshal(v.Elem().Interface().(Event))
		if err != nil || !json.Valid(line) {
			t.Errorf("%s: %v: %s", name, err, line)
			continue
		}
		back, err := Unmarshal(line)
		if err != nil {
			t.Errorf("%s: %v: %s", name, err, line)
			continue
		}
		if again, err := Marshal(back); err != nil || string(again) != string(line) {
			t.Errorf("%s: %v: wrote\n%s\nread\n%s", name, err, line, again)
		}
	}
}
