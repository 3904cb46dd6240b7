package state

import (
	"math"
	"testing"

	"jouletop/engine/event"
)

func passOf(start, end int64, prefills, decodes int) event.Iteration {
	it := event.Iteration{IterationSpan: event.IterationSpan{StartNS: start, EndNS: end, PrefillRequests: prefills, PrefillTokens: 100 * prefills, DecodeRequests: decodes, Queued: 1}}
	for i := range prefills + decodes {
		it.Members = append(it.Members, event.IterationMember{RequestID: string(rune('a' + i)), Slot: i, Prefill: i < prefills})
	}
	return it
}

// Columns are means over the time, pauses included, and lanes say who was where.
func TestServing(t *testing.T) {
	s := New()
	if _, ok := s.Serving.Newest(); ok || s.Serving.Rates() != (Rates{}) {
		t.Error("passes before any")
	}
	s.Apply(passOf(0, 50, 1, 0))
	s.Apply(passOf(100, 250, 0, 2))
	v := &s.Serving
	if v.Slots != 2 || s.Versions.Passes < 2 {
		t.Errorf("%d slots", v.Slots)
	}
	want := []Composed{{Prefills: 0.5, Busy: 0.5, Queued: 1}, {Decodes: 2, Busy: 1, Queued: 1}, {Decodes: 1, Busy: 0.5, Queued: 1}, {}}
	for i, c := range v.Columns(0, 100, 4) {
		if c != want[i] {
			t.Errorf("column %d: %+v, want %+v", i, c, want[i])
		}
	}
	lanes := v.Lanes(0, 100, 4)
	if lanes[0][0] != (LaneCell{"a", true}) || lanes[1][0] != (LaneCell{}) || lanes[1][1] != (LaneCell{"b", false}) || lanes[0][3] != (LaneCell{}) {
		t.Errorf("%+v", lanes)
	}
	r := v.Rates()
	if math.Abs(r.Passes-2/250e-9) > 1 || math.Abs(r.Read-100/250e-9) > 1 || math.Abs(r.Made-2/250e-9) > 1 {
		t.Errorf("%+v", r)
	}
	for i := range int64(3 * keepPasses) {
		s.Apply(passOf(1000+i, 1001+i, 0, 1))
	}
	if v.Passes.Len() != keepPasses || len(v.Columns(0, 0, 5)) != 5 || len(v.Lanes(0, 1, 0)[0]) != 0 {
		t.Errorf("%d passes are kept", v.Passes.Len())
	}
}
