package main

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"jouletop/engine/event"
	"jouletop/engine/session"
	"jouletop/gpu/nvml/fakenvml"
)

// recording is what a session holds.
type recording struct {
	*session.Manifest
	requests []event.RequestEnergy
	phases   []event.PhaseEnergy
	points   []event.PointDone
	changes  []event.ClockChange
}

// readRecording reads a session; what stands before a row that cannot be read is
// returned with the error.
func readRecording(dir string) (*recording, error) {
	s, err := session.Open(dir)
	if err != nil {
		return nil, err
	}
	rec := &recording{Manifest: s.Manifest}
	return rec, errors.Join(
		s.Requests(func(r *event.RequestEnergy) error { rec.requests = append(rec.requests, *r); return nil }),
		s.Phases(func(p *event.PhaseEnergy) error { rec.phases = append(rec.phases, *p); return nil }),
		s.Points(func(p *event.PointDone) error { rec.points = append(rec.points, *p); return nil }),
		s.Clocks(func(c *event.ClockChange) error { rec.changes = append(rec.changes, *c); return nil }),
	)
}

// unflagged lists requests and points that claim their clock.
func (rec *recording) unflagged() (ids []string) {
	for _, r := range rec.requests {
		if !r.Flags.ClockFailed() {
			ids = append(ids, r.RequestID)
		}
	}
	for _, p := range rec.points {
		if !p.Flags.ClockFailed() {
			ids = append(ids, p.PointID)
		}
	}
	return ids
}

// losses counts the clocks that were lost.
func (rec *recording) losses() (n int) {
	for _, c := range rec.changes {
		if c.Cause.Unasked() {
			n++
		}
	}
	return n
}

// halves says of which points a part is missing: one stands there only after all its
// requests and phases.
func (rec *recording) halves() (wrong []string) {
	requests, phases := map[string]int{}, map[string]int{}
	for _, r := range rec.requests {
		requests[r.PointID]++
	}
	for _, p := range rec.phases {
		phases[p.PointID]++
	}
	for _, p := range rec.points {
		if id := p.PointID; p.PointResult.Err == "" && (requests[id] != p.Queries || phases[id] < p.Queries/p.BatchSize) {
			wrong = append(wrong, fmt.Sprintf("point %s of %d queries has %d requests and %d phases", id, p.Queries, requests[id], phases[id]))
		}
	}
	return wrong
}

// lies says which rows claim, unflagged, a clock that the driver's log says was not
// in force.
func (g *fakeGPU) lies(rec *recording) (wrong []string) {
	flagged := map[string]string{}
	for _, r := range rec.requests {
		claim, fixed := strings.CutPrefix(r.Policy, "fixed:")
		mhz := r.RequestedSMMHz
		if fixed {
			mhz, _ = strconv.Atoi(claim) // 0 would be wrong
		}
		if r.Flags.ClockFailed() {
			flagged[r.PointID] = r.RequestID
			continue
		}
		// A fixed clock does not change within a request, whatever the row says.
		if why := g.wrong(mhz, r.StartNS, r.EndNS); why != "" && (fixed || !r.MixedClock) {
			wrong = append(wrong, fmt.Sprintf("%s claims %d MHz, unflagged, and %s", r.RequestID, mhz, why))
		}
	}
	for _, p := range rec.phases {
		if why := g.wrong(p.RequestedSMMHz, p.StartNS, p.EndNS); why != "" && !p.Flags.ClockFailed() && !p.MixedClock && p.Phase != event.Idle {
			wrong = append(wrong, fmt.Sprintf("%s of %s claims %d MHz, unflagged, and %s", p.Phase, p.BatchID, p.RequestedSMMHz, why))
		}
	}
	for _, p := range rec.points {
		if r, is := flagged[p.PointID]; is && !p.Flags.ClockFailed() {
			wrong = append(wrong, fmt.Sprintf("%s is not flagged, and %s is", p.PointID, r))
		}
	}
	return wrong
}

// wrong says what the driver's log holds against a clock's having been in force
// all the time from t0 to t1, but for what a call takes: "" nothing.
func (g *fakeGPU) wrong(mhz int, t0, t1 int64) string {
	const slack = int64(20 * time.Millisecond)
	type change struct {
		from, to int64 // of the call
		mhz      int
	}
	var changes []change
	for _, c := range g.state.Log() {
		switch {
		case c.Return != 0:
		case c.Reset:
			changes = append(changes, change{c.StartNS, c.EndNS, 0})
		default:
			changes = append(changes, change{c.StartNS, c.EndNS, c.MaxMHz})
		}
	}
	if g.takenNS != 0 {
		// What then is in force is the clock of an unlocked card: a claim of that holds.
		changes = append(changes, change{g.takenNS, g.takenNS, int(g.Get(fakenvml.UnlockedMHz))})
	}
	slices.SortFunc(changes, func(a, b change) int { return cmp.Compare(a.to, b.to) })
	now := 0
	for _, c := range changes {
		switch {
		case c.to == 0: // never returned
		case c.to <= t0+slack:
			now = c.mhz
		case c.from < t1-slack && c.to < t1-slack && c.mhz != mhz:
			return fmt.Sprintf("%d MHz was set meanwhile", c.mhz)
		}
	}
	if now != mhz {
		return fmt.Sprintf("%d MHz had been set before", now)
	}
	return ""
}
