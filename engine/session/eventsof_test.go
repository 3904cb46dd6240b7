package session

import (
	"path/filepath"
	"testing"

	"jouletop/engine/event"
)

// Events of some kinds are those, in their order, whatever the others say.
func TestEventsOf(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "s")
	rec, err := Create(dir, Manifest{Name: "run"}, Full)
	if err != nil {
		t.Fatal(err)
	}
	rec.Record(event.Mark{At: event.At{TimeNS: 1}, Note: "first"})
	rec.Record(event.Warning{At: event.At{TimeNS: 2}, Text: `"kind":"mark"`})
	rec.Record(event.Warning{At: event.At{TimeNS: 3}, Text: "of another kind"})
	rec.Record(event.Mark{At: event.At{TimeNS: 4}, Note: "second"})
	if err := rec.Close(); err != nil {
		t.Fatal(err)
	}
	s, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	if err := s.EventsOf(func(e event.Event) error { got = append(got, e.(event.Mark).Note); return nil }, event.Mark{}); err != nil {
		t.Fatal(err)
	}
	if len(got) != 2 || got[0] != "first" || got[1] != "second" {
		t.Errorf("got %q", got)
	}
	n := 0
	if err := s.EventsOf(func(event.Event) error { n++; return nil }, event.Mark{}, event.Warning{}); err != nil || n != 4 {
		t.Errorf("%d of two kinds, %v", n, err)
	}
}
