package clockguard

import (
	"reflect"
	"testing"
)

// What is written as JSON here holds no number that may be unknown, which
// encoding/json could not write.
func TestNoUnknownNumbers(t *testing.T) {
	for _, v := range []any{holding{}, Record{}, greeting{}, HeldError{}} {
		for _, f := range reflect.VisibleFields(reflect.TypeOf(v)) {
			if k := f.Type.Kind(); k == reflect.Float64 || k == reflect.Float32 || k == reflect.Interface {
				t.Errorf("%T.%s", v, f.Name)
			}
		}
	}
}
