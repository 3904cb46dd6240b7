package state

import (
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"jouletop/engine/analysis/served"
	"jouletop/engine/event"
	"jouletop/gpu"
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
	if math.Abs(r.Passes-2/250e-9) > 1 || math.Abs(r.Read-100/250e-9) > 1 || math.Abs(r.Made-3/250e-9) > 1 {
		t.Errorf("%+v", r)
	}
	for i := range int64(3 * keepPasses) {
		s.Apply(passOf(1000+i, 1001+i, 0, 1))
	}
	if v.Passes.Len() != keepPasses || len(v.Columns(0, 0, 5)) != 5 || len(v.Lanes(0, 1, 0)[0]) != 0 {
		t.Errorf("%d passes are kept", v.Passes.Len())
	}
}

// What is served now is told of the requests that ended in the last minute of the run,
// against the service level, and its energy as far as it is known.
func TestService(t *testing.T) {
	const s = int64(1e9)
	st := New()
	st.Apply(event.RunStart{At: event.At{TimeNS: 100 * s}, Name: "run"})
	slo := served.SLO{TTFT: 200 * time.Millisecond}
	if _, ok := st.Service(slo); ok {
		t.Error("of nothing")
	}
	end := func(id string, at, ttft, joules float64, err string) {
		q := event.Request{RequestID: id, PointID: "p" + id, ArrivalNS: int64((at - 1) * 1e9), StartNS: int64((at - 1) * 1e9), EndNS: int64(at * 1e9), OutputTokens: 11, TTFTS: ttft, DecodeS: 0.5, QueueS: 0, Err: err}
		st.Apply(event.RequestDone{At: event.At{TimeNS: q.EndNS}, Request: q})
		if joules > 0 {
			st.Apply(event.RequestEnergy{At: event.At{TimeNS: q.EndNS}, Request: q, Energy: event.Energy{EnergyJ: joules}})
		}
	}
	end("old", 110, 9, 500, "")
	end("a", 171, 0.1, 40, "")
	end("b", 172, 0.3, 60, "")
	end("c", 173, 0.1, 0, "")
	end("d", 190, 0.1, 0, "lost")
	v, ok := st.Service(slo)
	if !ok || v.Requests != 4 || v.Failed != 1 || v.Met != 2 || v.Priced != 2 || v.JoulesEach != 50 || v.TTFT.Percentiles[0] != 0.1 || v.Seconds != 20 || v.Goodput() != 0.1 {
		t.Errorf("%+v", v)
	}
	if !math.IsNaN(v.JoulesPerToken) {
		t.Errorf("%g J/token where no power was read", v.JoulesPerToken)
	}
	// A minute after the last of them there is nothing to tell of now; at the run's end
	// its last minute stays.
	st.Apply(event.RunEnd{At: event.At{TimeNS: 191 * s}})
	st.Apply(event.Mark{At: event.At{TimeNS: 400 * s}})
	if v, ok := st.Service(slo); !ok || v.Requests != 4 {
		t.Errorf("at the end %+v", v)
	}
	st.Apply(event.RunStart{At: event.At{TimeNS: 401 * s}, Name: "run"})
	if v, ok := st.Service(slo); ok {
		t.Errorf("in the next run %+v", v)
	}
}

// Energy drawn is divided by the tokens made: one of each request that goes on, and the
// first of each, which comes of reading its prompt.
func TestJoulesPerTokenMade(t *testing.T) {
	const ms = int64(1e6)
	st := New()
	at := 1000 * ms
	for i := range int64(150) {
		start := at + i*100*ms
		it := event.Iteration{At: event.At{TimeNS: start + 100*ms}, IterationSpan: event.IterationSpan{StartNS: start, EndNS: start + 100*ms, DecodeRequests: 2}}
		it.Members = []event.IterationMember{{RequestID: "x", Slot: 0, Fresh: 1}, {RequestID: "y", Slot: 1, Fresh: 1}}
		if i%10 == 0 { // every second a request is read, and goes on once
			it.DecodeRequests, it.PrefillRequests = 1, 1
			it.Members[1] = event.IterationMember{RequestID: fmt.Sprint(i), Slot: 1, Fresh: 5, Prefill: true}
		} else if i%10 == 1 {
			it.Members[1].RequestID = fmt.Sprint(i - 1)
		}
		for k := range int64(5) {
			st.Apply(event.Power{GPU: "g", PowerReading: gpu.PowerReading{TimeNS: start + k*20*ms, Source: gpu.SourceBuffer, PowerW: 400, Fresh: true}})
		}
		st.Apply(it)
	}
	v, _ := st.Service(served.SLO{})
	// A second: 400 J; 10 tokens of x, 9 of others that go on, 1 first one.
	if want := 400.0 / 20; math.Abs(v.JoulesPerToken/want-1) > 0.02 {
		t.Errorf("%g J/token, want %g", v.JoulesPerToken, want)
	}
}

// Requests whose slots nobody tells have rows, which others take once they are gone.
func TestRowsWithoutSlots(t *testing.T) {
	s := New()
	pass := func(end int64, ids ...string) {
		it := event.Iteration{IterationSpan: event.IterationSpan{StartNS: end - 1, EndNS: end, DecodeRequests: len(ids), Origin: event.OriginStream}}
		for _, id := range ids {
			it.Members = append(it.Members, event.IterationMember{RequestID: id, Slot: -1})
		}
		s.Apply(it)
	}
	pass(1e9, "a", "b")
	pass(11e8, "b", "c")
	pass(15e8, "c", "d")
	var got []int
	for i := range 3 {
		for _, l := range s.Serving.Passes.At(2 - i).Lanes {
			got = append(got, l.Slot)
		}
	}
	if want := []int{0, 1, 1, 2, 2, 0}; !slices.Equal(got, want) || !s.Serving.Observed || s.Serving.Rows() != 3 || s.Serving.Slots != 2 {
		t.Errorf("%v of %d rows", got, s.Serving.Rows())
	}
}
