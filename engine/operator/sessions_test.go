package operator

import (
	"testing"

	"jouletop/engine/analysis/answers/answerstest"
	"jouletop/engine/event"
	"jouletop/engine/session"
)

// A plain run has no points.csv, and points all the same.
func TestEarlierRunsHaveTheirPoints(t *testing.T) {
	s := answerstest.Record(t, session.Manifest{Name: "run", Ended: event.HowDone}, answerstest.Grid(1, "fixed:345"))
	const points, requests = 2, 4
	if info := describeSession(s); info.Points != points || info.Requests != requests {
		t.Errorf("listed: %d points, %d requests; want %d, %d", info.Points, info.Requests, points, requests)
	}
	d, err := openSession(s.Dir)
	if err != nil || len(d.Points) != points || d.SessionInfo.Points != points || len(d.Requests) != requests {
		t.Errorf("opened: %d points, said %d, %d requests, %v", len(d.Points), d.SessionInfo.Points, len(d.Requests), err)
	}
}
