package report

import (
	"testing"

	"jouletop/engine/nulljson"
	"jouletop/engine/nulljson/nulltest"
)

// A summary may know nothing.
func TestUnknownSummaryIsNull(t *testing.T) {
	var s Summary
	nulltest.Fill(&s)
	if text, err := nulljson.Marshal(s); err != nil {
		t.Errorf("%v: %s", err, text)
	}
}
