package page

import (
	"reflect"
	"testing"

	"jouletop/engine/command"
	"jouletop/tui/draw"
	"jouletop/tui/state"
	"jouletop/tui/view"
)

// The list of pages is all that knows them: each has a name of its own and is a type
// of its own.
func TestPagesAreTold(t *testing.T) {
	c := &view.Context{State: state.New(), Keys: view.NewKeys(), Frame: draw.NewFrame(), Status: command.Status{}}
	names, types := map[string]bool{}, map[reflect.Type]bool{}
	for _, p := range All(c) {
		if p.Name() == "" || names[p.Name()] {
			t.Errorf("a page is named %q, as another is or not at all", p.Name())
		}
		if kind := reflect.TypeOf(p); types[kind] {
			t.Errorf("%s is listed twice", kind)
		}
		names[p.Name()], types[reflect.TypeOf(p)] = true, true
	}
	if len(names) < 6 {
		t.Errorf("%d pages", len(names))
	}
}
