package clockguard

import (
	"log/slog"
	"time"
)

// How many connections a user may make: so many at once, and a second in the long
// run. A program makes one for each of its GPUs; every one that is let in costs a
// process, and who only connects could keep a machine busy with them.
const (
	burstConnections, perSecondConnections = 2 * maxPerUser, 8
)

// tooOftenEvery is how often it is logged of a user that connections are turned away.
const tooOftenEvery = 10 * time.Second

// rates are what the users have left of their connections. It is for one goroutine.
type rates struct {
	now  func() time.Time
	log  *slog.Logger
	user map[uint32]*connections
}

type connections struct {
	bucket
	told       time.Time // when it was last logged that some were turned away
	turnedAway int       // since then
}

func newRates(log *slog.Logger, now func() time.Time) *rates {
	return &rates{now: now, log: log, user: map[uint32]*connections{}}
}

// take tells whether the user may make one more connection.
func (r *rates) take(uid uint32) bool {
	now := r.now()
	c := r.user[uid]
	if c == nil {
		r.forget(now)
		c = &connections{bucket: bucket{burstConnections, burstConnections, perSecondConnections, now}}
		r.user[uid] = c
	}
	if c.take(now) {
		return true
	}
	c.turnedAway++
	if now.Sub(c.told) >= tooOftenEvery {
		// At this level it has room that no storm of refusals takes up.
		r.log.Info("connections refused: too many of one user", "uid", uid, "refused", c.turnedAway, "a_second_allowed", perSecondConnections)
		c.told, c.turnedAway = now, 0
	}
	return false
}

// forget drops users whose allowance is whole again, once there are many: one may
// have 65,536 ids.
func (r *rates) forget(now time.Time) {
	const many = 1024
	if len(r.user) < many {
		return
	}
	whole := time.Duration(float64(time.Second) * burstConnections / perSecondConnections)
	for uid, c := range r.user {
		if now.Sub(c.at) >= whole {
			delete(r.user, uid)
		}
	}
}
