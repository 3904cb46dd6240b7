package engine

import (
	"fmt"
	"math"
	"time"
)

// overload watches whether the requests of an open loop come faster than they are served:
// then they wait ever longer, and latencies say how long that has gone on rather than how
// anything serves.
type overload struct {
	since int64 // ns, since when more are in flight than there are slots; 0: not so
	came  int   // by then
	told  bool
}

// Requests that come at random are more or fewer by the square root of their number: what
// is waiting has grown where it is so many times that, after so long, in ns.
const (
	grownBy    = 3
	overloaded = int64(5 * time.Second)
)

// look takes in how many have come and are in flight at t, of so many slots; says is
// what to tell, once.
func (o *overload) look(l *load, inFlight, slots int, t int64) (says string, grows bool) {
	switch {
	case l.process == nil || o.told:
		return "", false
	case inFlight <= slots:
		o.since = 0
		return "", false
	case o.since == 0:
		o.since, o.came = t, l.came
		return "", false
	}
	came, waiting, seconds := float64(l.came-o.came), float64(inFlight-slots), float64(t-o.since)/1e9
	if t-o.since < overloaded || waiting < grownBy*math.Sqrt(came) || waiting < grownBy {
		return "", false
	}
	o.told = true
	served := max(came-waiting, 0) / seconds
	says = fmt.Sprintf("requests come faster than they are served, %.3g/s and %.3g/s: %d are in flight with %d slots, and %.2g/s more wait; latencies grow as long as this goes on",
		came/seconds, served, inFlight, slots, waiting/seconds)
	left, known := 0.0, true
	switch {
	case l.Requests > 0:
		left = float64(l.Requests - l.came)
	case l.Duration > 0:
		left = came / seconds * max(float64(l.start+int64(l.Duration)-t)/1e9, 0)
	default:
		known = false
	}
	if known && served > 0 {
		ends := time.Duration((left + float64(inFlight)) / served * 1e9).Round(time.Second)
		says += fmt.Sprintf("; all are served in about %v", ends)
	}
	return says, true
}

// watchQueue tells once where the queue grows. Where the number of slots is a server's
// own, more are taken to be in flight than it has as soon as it is asked for them.
func (s *service) watchQueue(t int64) {
	if says, grows := s.overload.look(s.load, len(s.jobs), max(s.load.Slots, 1), t); grows {
		s.Warn(fmt.Sprintf("point %s: %s", s.point.PointID, says))
	}
}
