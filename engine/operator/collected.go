package operator

import (
	"fmt"
	"math"
	"strings"

	"jouletop/engine/event"
	"jouletop/gpu/plaintext"
)

// Collected keeps the points' results as they come by.
type Collected struct {
	Points     []event.PointDone
	requests   int
	lost       int            // requests that failed
	good       map[string]int // requests that succeeded, by point
	failure    string         // the first request's that failed
	offClock   int            // requests whose clock was not in force
	clockFlags event.Flags    // of those, and of points that were not run for it
	clockError string         // the newest
}

func (c *Collected) observe(e event.Event) []event.Event {
	switch e := e.(type) {
	case event.PointDone:
		c.Points = append(c.Points, e)
		if e.Flags.ClockFailed() {
			c.clockFlags = c.clockFlags.Union(e.Flags.OfClock())
		}
	case event.RequestEnergy:
		if e.Flags.ClockFailed() {
			c.offClock++
		}
	case event.ClockChange:
		if e.Err != "" {
			c.clockError = e.Err
		}
	case event.RequestDone:
		c.requests++
		if e.Err == "" {
			c.good[e.PointID]++
			break
		}
		if c.lost++; c.failure == "" {
			c.failure = e.Err
		}
	}
	return nil
}

// failed returns an error where a point came to nothing. One of which a part
// failed is flagged, and no error.
func (c *Collected) failed() error {
	switch {
	case c.requests == 1 && c.lost == 1:
		return fmt.Errorf("the request failed: %s", c.failure)
	case c.requests > 0 && c.lost == c.requests:
		return fmt.Errorf("all %d requests failed; the first: %s", c.requests, c.failure)
	}
	const named = 3
	var ids []string
	first := ""
	for _, p := range c.Points {
		if p.PointResult.Err == "" || c.good[p.PointID] > 0 || !math.IsNaN(p.LatencyS) {
			continue
		}
		if ids = append(ids, p.PointID); first == "" {
			first = p.PointResult.Err
		}
	}
	if len(ids) == 0 {
		return nil
	}
	names := strings.Join(ids[:min(len(ids), named)], ", ")
	if len(ids) > named {
		names += ", …"
	}
	return fmt.Errorf("%d of %s failed (%s); the first: %s", len(ids), plaintext.Plural(len(c.Points), "point"), names, first)
}

// clockFailed returns an error if a clock that was asked for was not in force.
func (c *Collected) clockFailed() error {
	if c.clockFlags == "" && c.offClock == 0 {
		return nil
	}
	return fmt.Errorf("the clock asked for was not in force for %d of %s (%s): %s; they are flagged",
		c.offClock, plaintext.Plural(c.requests, "request"), c.clockFlags, c.clockError)
}

// SomeFailed tells of a run that succeeded but for some requests; "" where none
// failed, or all did.
func (c *Collected) SomeFailed() string {
	if c.lost == 0 || c.lost == c.requests {
		return ""
	}
	return fmt.Sprintf("%d of %s failed, the other %d were answered; the first that failed: %s",
		c.lost, plaintext.Plural(c.requests, "request"), c.requests-c.lost, plaintext.OneLine(c.failure))
}

// newCollector begins with points recorded before.
func newCollector(before []event.PointDone) *Collected {
	return &Collected{Points: before, good: map[string]int{}}
}
