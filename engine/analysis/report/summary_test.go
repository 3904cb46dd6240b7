package report

import (
	"math"
	"path/filepath"
	"testing"

	"jouletop/engine/event"
	"jouletop/engine/nulljson"
	"jouletop/engine/nulljson/nulltest"
	"jouletop/engine/session"
)

// A summary may know nothing.
func TestUnknownSummaryIsNull(t *testing.T) {
	var s Summary
	nulltest.Fill(&s)
	if text, err := nulljson.Marshal(s); err != nil {
		t.Errorf("%v: %s", err, text)
	}
}

// The energy is of the requests that succeeded, counted once each.
func TestSummaryOfAPartlyFailedRun(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "s")
	rec, err := session.Create(dir, session.Manifest{Simulated: true}, session.None)
	if err != nil {
		t.Fatal(err)
	}
	request := func(id string, joules float64, failed string) {
		rec.Record(event.RequestEnergy{
			Request: event.Request{RequestID: id, PointID: "p", GPU: "sim:x", BatchSize: 1, EndNS: 1e9, OutputTokens: 10, Quality: math.NaN(), TTFTS: math.NaN(), Err: failed},
			Energy:  event.Energy{EnergyJ: joules},
		})
	}
	request("a", 10, "")
	request("b", math.NaN(), "the child died")
	request("c", 20, "")
	if err := rec.Close(); err != nil {
		t.Fatal(err)
	}
	s, err := NewSummary(Summary{Session: dir}, 0.30, nil)
	if err != nil {
		t.Fatal(err)
	}
	if s.EnergyJ == nil || *s.EnergyJ != 30 || s.Requests != 3 || s.FailedRequests != 1 {
		t.Errorf("%v J of %d requests, %d failed", s.EnergyJ, s.Requests, s.FailedRequests)
	}
	if len(s.Points) != 1 || s.Points[0].EnergyJ == nil || *s.Points[0].EnergyJ != 15 || s.Points[0].Queries != 3 {
		t.Errorf("points %+v", s.Points)
	}
}
