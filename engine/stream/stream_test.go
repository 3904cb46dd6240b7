package stream

import (
	"fmt"
	"testing"

	"jouletop/engine/event"
)

type keepAll struct{ got []event.Event }

func (k *keepAll) Record(e event.Event) { k.got = append(k.got, e) }
func (k *keepAll) Err() error           { return nil }
func (k *keepAll) Close() error         { return nil }

func TestStreamKeepsFactsAndDropsOldTelemetry(t *testing.T) {
	rec := &keepAll{}
	s := New(rec)
	s.Observe(func(e event.Event) []event.Event {
		if m, ok := e.(event.Mark); ok && m.Note == "ask" {
			return []event.Event{event.Mark{Note: "answer"}}
		}
		return nil
	})
	sub := s.Subscribe(10)
	for i := range 100 {
		s.Publish(event.Sample{At: event.At{TimeNS: int64(i)}})
		if i%10 == 0 {
			s.Publish(event.Mark{Note: "ask"})
		}
	}
	s.Close()
	s.Publish(event.Mark{Note: "after the end"})

	events, closed := sub.Drain()
	if !closed {
		t.Error("not closed")
	}
	var marks, samples int
	last := int64(-1)
	for _, e := range events {
		switch e := e.(type) {
		case event.Mark:
			marks++
		case event.Sample:
			samples++
			if e.TimeNS <= last {
				t.Errorf("sample %d after %d", e.TimeNS, last)
			}
			last = e.TimeNS
		}
	}
	if marks != 20 {
		t.Errorf("%d marks, want all 20", marks)
	}
	if samples > 10 || last != 99 || uint64(samples)+sub.Dropped() != 100 {
		t.Errorf("%d samples up to %d, %d dropped", samples, last, sub.Dropped())
	}
	if len(rec.got) != 120 {
		t.Errorf("recorded %d events, want 120", len(rec.got))
	}
	if a, b := fmt.Sprint(rec.got[1]), fmt.Sprint(rec.got[2]); a != "{{0} ask}" || b != "{{0} answer}" {
		t.Errorf("recorded %s then %s", a, b)
	}
}
