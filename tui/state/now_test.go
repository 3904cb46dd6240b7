package state

import (
	"math"
	"testing"

	"jouletop/engine/event"
	"jouletop/gpu"
)

// A trend gives the newest value of each stretch of time, for an hour at least and not
// much more.
func TestTrend(t *testing.T) {
	var r Trend
	const second = int64(1e9)
	for i := range int64(3 * keepTrend) {
		if i%10 == 7 { // now and then none comes
			continue
		}
		r.add(i*second, float64(i)-0.5)
		r.add(i*second+second/2, float64(i))
	}
	if n := len(r.values); n > 2*keepTrend || n < keepTrend {
		t.Errorf("%d values are kept", n)
	}
	last := int64(3*keepTrend) - 1
	got := make([]float64, 6)
	r.Columns(got, (last-5)*second, second)
	for i, want := range []float64{float64(last - 5), float64(last - 4), float64(last - 3), math.NaN(), float64(last - 1), float64(last)} {
		if got[i] != want && !(math.IsNaN(want) && math.IsNaN(got[i])) {
			t.Errorf("second %d: %g, of %v", i, got[i], got)
		}
	}
	wide := make([]float64, 2)
	r.Columns(wide, (last-keepTrend)*second, keepTrend/2*second)
	if math.IsNaN(wide[0]) || math.IsNaN(wide[1]) || wide[0] >= wide[1] {
		t.Errorf("half an hour each: %v", wide)
	}
	r.Columns(wide, (last+10)*second, second)
	if !math.IsNaN(wide[0]) {
		t.Errorf("of the future: %v", wide)
	}
	n := len(r.values)
	r.add(5*second, 1) // late: passed over
	if len(r.values) != n || r.values[0] == 1 {
		t.Error("a late value changed the trend")
	}
	r.add((last+10*keepTrend)*second, 7) // after a long pause it begins anew
	if len(r.values) != 1 || r.values[0] != 7 {
		t.Errorf("%d values after a pause", len(r.values))
	}
}

// Ages are of the newest readings, whatever is shown of them, and a replay that begins
// again forgets what was noticed.
func TestAgesAndNotices(t *testing.T) {
	s := New()
	if a := s.Ages("g"); !math.IsNaN(a.Oldest()) || a.Stale() {
		t.Errorf("before any reading: %+v", a)
	}
	s.Apply(event.RunStart{At: event.At{TimeNS: 1}})
	sample := gpu.UnknownSample()
	s.Apply(event.Sample{At: event.At{TimeNS: 10e9}, GPU: "g", Sample: sample})
	s.Apply(event.Power{GPU: "g", PowerReading: gpu.PowerReading{TimeNS: 9.5e9, Source: gpu.SourceInstant, PowerW: 100, Fresh: true}})
	if a := s.Ages("g"); a.Sample != 0 || a.Power != 0.5 || a.Oldest() != 0.5 || a.Stale() {
		t.Errorf("%+v", a)
	}
	s.Tell(16e9)
	if a := s.Ages("g"); a.Sample != 6 || a.Power != 6.5 || !a.Stale() {
		t.Errorf("six seconds on: %+v", a)
	}
	s.Apply(event.Warning{At: event.At{TimeNS: 16e9}, Text: "a"})
	s.Apply(event.PointDone{At: event.At{TimeNS: 16e9}, PointResult: event.PointResult{Flags: event.FlagsOf(event.FlagThrottled, "of-tomorrow")}})
	if s.Noticed != 3 {
		t.Errorf("%d noticed", s.Noticed)
	}
	s.Apply(event.RunStart{At: event.At{TimeNS: 1}})
	if s.Noticed != 0 || s.Notices.Len() != 0 {
		t.Errorf("a replay that begins again has %d", s.Noticed)
	}
}
