package engine

import (
	"errors"
	"fmt"
	"testing"

	"jouletop/engine/event"
)

type testDeath struct{}

func (testDeath) Error() string {
	return "backend died: process 7 was killed; its last words: a: b | c"
}

func (testDeath) Unwrap() error { return ErrBackendDied }

func (testDeath) Brief() (text, lastWords string) {
	return "backend died: process 7 was killed", "a: b | c"
}

// An error is told in whole, and in parts that nobody has to take apart.
func TestFailure(t *testing.T) {
	for name, c := range map[string]struct {
		point string
		err   error
		want  event.Error
	}{
		"a disk": {"", errors.New("disk: full"), event.Error{Text: "disk: full"}},
		"a point": {"m.d", errors.New("point m.d: no queries"),
			event.Error{Text: "point m.d: no queries", PointID: "m.d", What: "no queries"}},
		"a model": {"m.d", errors.New("model m: missing"), event.Error{Text: "model m: missing", PointID: "m.d"}},
		"a death": {"m.d", fmt.Errorf("point m.d: %w after 3 batches: %w", errGivenUp, testDeath{}), event.Error{
			Text:    "point m.d: given up after 3 batches: backend died: process 7 was killed; its last words: a: b | c",
			PointID: "m.d", What: "given up after 3 batches: backend died: process 7 was killed", LastWords: "a: b | c"}},
	} {
		if got := failure(event.At{}, c.point, c.err); got != c.want {
			t.Errorf("%s: %+v, want %+v", name, got, c.want)
		}
	}
}
