package sampler

import (
	"fmt"
	"sync/atomic"
	"time"

	"jouletop/gpu"
)

const (
	// lookEvery is how often the bus is asked whether the GPU sleeps.
	lookEvery = int64(time.Second)
	// idleFor is for how long nobody may have used a GPU that can sleep until it is let
	// go of.
	idleFor = int64(10 * time.Second)
	// quietFor is for how long it is left alone then, to be suspended: a few seconds
	// after the last who held it has let go. Where it is not, somebody else holds it.
	quietFor = int64(15 * time.Second)
	// holdFor is for how long it is read then before it is let go of again.
	holdFor = int64(time.Minute)
)

// sleep lets a GPU that can be suspended be so: it is let go of while nobody uses it, and
// neither read nor taken again before the bus says that somebody else has woken it.
type sleep struct {
	dev  gpu.Sleeper // nil: the GPU is read all the time
	tell func(asleep bool)
	fail func(error)

	resting atomic.Bool // let go of
	asleep  atomic.Bool
	owed    bool  // it is to be let go of
	looked  int64 // when the bus was asked last
	busy    int64 // when it was in use last
	until   int64 // of the quiet; or before then it is not let go of again
}

// saw takes a sample of an awake GPU.
func (s *sleep) saw(t int64, sample *gpu.Sample) {
	if !(sample.GPUUtil <= 0) { // unknown counts as in use
		s.busy = max(s.busy, t)
	}
}

// away tells whether the GPU is to be left alone now.
func (s *sleep) away(now int64) bool {
	if s.dev == nil {
		return false
	}
	if now-s.looked < lookEvery {
		return s.resting.Load()
	}
	s.looked = now
	switch {
	case !s.resting.Load():
		if s.busy == 0 {
			s.busy = now
		}
		// Another's session may have ended with the GPU suspended under our eyes.
		if (now-s.busy >= idleFor && now >= s.until && s.dev.MaySleep()) || s.dev.Asleep() {
			s.resting.Store(true)
			s.until, s.owed = now+quietFor, true
		}
	case s.owed: // until the readings under way have ended
	case s.dev.Asleep():
		if !s.asleep.Swap(true) {
			s.tell(true)
		}
		s.until = now
	case now >= s.until: // somebody woke it, or holds it
		s.take(now)
	}
	return s.resting.Load()
}

// letGo lets go of the GPU, once nothing reads it any more.
func (s *sleep) letGo() {
	if !s.owed {
		return
	}
	s.owed = false
	if err := s.dev.Rest(); err != nil {
		s.fail(fmt.Errorf("letting go of the GPU, for it to sleep: %w", err))
	}
}

func (s *sleep) take(now int64) {
	if err := s.dev.Resume(); err != nil {
		s.fail(fmt.Errorf("taking the GPU again after a rest: %w", err))
		s.until = now + quietFor
		return
	}
	s.resting.Store(false)
	s.busy, s.until = now, now+holdFor
	if s.asleep.Swap(false) {
		s.tell(false)
	}
}
