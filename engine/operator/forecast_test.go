package operator

import (
	"math"
	"testing"

	"jouletop/engine"
	"jouletop/engine/event"
)

// What a point takes is known from what is like it: the same, the same at other clocks,
// or other work of its model; of another model nothing is.
func TestForecast(t *testing.T) {
	f := newForecast()
	now := int64(0)
	run := func(p event.Point, seconds float64) {
		f.observe(event.PointStart{At: event.At{TimeNS: now}, Point: p})
		now += int64(seconds * 1e9)
		f.observe(event.PointDone{At: event.At{TimeNS: now}, Point: p})
	}
	at := func(id, model string, batch, mhz, queries int) event.Point {
		return event.Point{PointID: id, Model: model, Dataset: "boolq", BatchSize: batch, RequestedSMMHz: mhz, Queries: queries}
	}
	if s, _ := f.seconds(at("x", "a", 1, 900, 8)); !math.IsNaN(s) {
		t.Errorf("%g s of what never ran", s)
	}
	// 1 s and 900 MHz·s a query: twice as long at 900 MHz as with no end of clock.
	run(at("1", "a", 1, 900, 8), 16)
	if s, rough := f.seconds(at("x", "a", 1, 900, 4)); s != 8 || rough {
		t.Errorf("%g s", s)
	}
	run(at("2", "a", 1, 1800, 8), 12)
	if s, rough := f.seconds(at("x", "a", 1, 450, 8)); math.Abs(s-24) > 1e-9 || rough {
		t.Errorf("at half the clock %g s", s)
	}
	if s, rough := f.seconds(at("x", "a", 4, 900, 8)); math.Abs(s-3.5) > 1e-9 || !rough {
		t.Errorf("in batches of four %g s, %v", s, rough)
	}
	// A point that runs counts for what is left of it, one that is done for nothing.
	f.observe(event.PointStart{At: event.At{TimeNS: now}, Point: at("3", "a", 1, 900, 8)})
	points := []engine.PointPlan{{Point: at("1", "a", 1, 900, 8)}, {Point: at("3", "a", 1, 900, 8)}, {Point: at("4", "a", 1, 1800, 8)}}
	if s, rough, done, unknown := f.left(points, now+6e9); math.Abs(s-22) > 1e-9 || rough || done != 1 || unknown != 0 {
		t.Errorf("%g s left, %d done, %d unknown", s, done, unknown)
	}
	never := engine.PointPlan{Point: at("5", "b", 1, 900, 8)}
	if s, _, _, unknown := f.left(append(points, never), now); math.Abs(s-28) > 1e-9 || unknown != 1 {
		t.Errorf("%g s left beside %d of a model that never ran", s, unknown)
	}
	if s, _, _, unknown := f.left([]engine.PointPlan{never}, now); !math.IsNaN(s) || unknown != 1 {
		t.Errorf("%g s left of a model that never ran", s)
	}
	// What runs for the first time is known by its requests so far.
	f.observe(event.PointStart{At: event.At{TimeNS: now}, Point: never.Point})
	for i := range 2 {
		f.observe(event.RequestDone{Request: event.Request{PointID: "5", EndNS: now + int64(i+1)*3e9}})
	}
	if s, _, _, unknown := f.left([]engine.PointPlan{never, {Point: at("7", "b", 1, 900, 4)}}, now+6e9); math.Abs(s-(24-6+12)) > 1e-9 || unknown != 0 {
		t.Errorf("%g s left after two of eight requests, %d unknown", s, unknown)
	}
	// A policy is no clock: each takes its own time.
	policy := func(id, spec string) event.Point {
		return event.Point{PointID: id, Model: "p", Dataset: "boolq", BatchSize: 1, Policy: spec, Queries: 1}
	}
	run(policy("8", "none"), 2)
	run(policy("9", "min-energy"), 5)
	if s, _ := f.seconds(policy("x", "none")); s != 2 {
		t.Errorf("%g s by the driver's clock, beside a policy", s)
	}
	// A failed point tells nothing.
	f.observe(event.PointStart{At: event.At{TimeNS: now}, Point: at("6", "c", 1, 900, 8)})
	failed := event.PointDone{At: event.At{TimeNS: now + 1}, Point: at("6", "c", 1, 900, 8)}
	failed.PointResult.Err = "lost"
	f.observe(failed)
	if s, _ := f.seconds(at("x", "c", 1, 900, 8)); !math.IsNaN(s) {
		t.Errorf("%g s by a point that failed", s)
	}
}

// Jobs that wait are put in another order and cancelled; others stay.
func TestQueue(t *testing.T) {
	q := &jobQueue{}
	for _, n := range []string{"a", "b", "c"} {
		q.last++
		q.jobs = append(q.jobs, job{id: q.last, name: n})
	}
	order := func(want string) {
		t.Helper()
		jobs, running := q.list()
		got := ""
		for _, j := range jobs {
			got += j.name
		}
		if got != want || running {
			t.Errorf("%s, want %s", got, want)
		}
	}
	if q.move(3, -1) != nil || q.move(1, 99) != nil {
		t.Error("not moved")
	}
	order("cba")
	if q.drop(2) != nil {
		t.Error("not dropped")
	}
	order("ca")
	if q.move(2, 1) == nil || q.drop(2) == nil {
		t.Error("a job that is gone was found")
	}
}
