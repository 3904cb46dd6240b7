package state_test

import (
	"testing"

	"jouletop/engine/event"
	"jouletop/gpu"
	"jouletop/tui/history"
	"jouletop/tui/state"
)

// Phases of drafting and verifying that are shorter than what the profiles tell apart are
// one decode there, without a gap, up to the end of the request.
func TestTurnsAreOneDecode(t *testing.T) {
	const ms = int64(1e6)
	s := state.New()
	put := func(e event.Event) { s.Apply(e) }
	sample := func(at int64) {
		g := gpu.UnknownSample()
		g.SMMHz = 1980
		put(event.Sample{At: event.At{TimeNS: at}, GPU: "g", Sample: g})
	}
	now := 100 * ms
	phase := func(p event.Phase, length int64) {
		put(event.PhaseStart{At: event.At{TimeNS: now}, BatchID: "b", GPU: "g", Phase: p, BatchSize: 1})
		for end := now + length; now < end; now += ms {
			if now%(10*ms) == 0 {
				sample(now)
			}
		}
		put(event.PhaseEnd{At: event.At{TimeNS: now}, PhaseSpan: event.PhaseSpan{BatchID: "b", GPU: "g", Phase: p, StartNS: now - length, EndNS: now}})
	}
	sample(0)
	phase(event.Prefill, 60*ms)
	from := now
	for range 30 {
		phase(event.Draft, 4*ms)
		phase(event.Verify, 9*ms)
	}
	end := now
	put(event.RequestDone{At: event.At{TimeNS: now}, Request: event.Request{RequestID: "r", BatchID: "b", GPU: "g", EndNS: end, OutputTokens: 91, DecodeS: 0.45, Drafting: event.Drafting{Draft: "self", DraftDepth: 4}}})
	for range 40 {
		now += 10 * ms
		sample(now)
	}
	track := &s.GPU("g").Track
	cols := make([]history.Column, (now-0)/(20*ms))
	track.Columns(cols, 0, 20*ms)
	for i, c := range cols {
		at := int64(i) * 20 * ms
		want := history.Idle
		switch {
		case at >= 100*ms && at < from:
			want = history.Prefill
		case at >= from && at+20*ms <= end:
			want = history.Decode
		case at+20*ms > from && at < end:
			continue // an edge
		}
		if c.Phase != want {
			t.Errorf("at %d ms: phase %d, want %d", at/ms, c.Phase, want)
		}
	}
	if got := s.Work.DecodeRate; got != 200 {
		t.Errorf("%v tokens a second", got)
	}
}
