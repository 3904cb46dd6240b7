package session

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"
	"time"

	"jouletop/engine/event"
)

// Replay yields everything the session recorded, telemetry merged with the
// other events by time. An event published late stays behind those published
// before it. It stops at the first error.
func (s *Session) Replay() iter.Seq2[event.Event, error] {
	return merged(append([]reader{s.Events}, s.telemetry()...)...)
}

// Measured yields the rows of the CSV files as they stand, by time: samples, power and
// host readings, phases, iterations, requests and clock changes, each at its own end. Unlike
// Replay it has what `report --recompute` made of them. It stops at the first error.
func (s *Session) Measured() iter.Seq2[event.Event, error] {
	return merged(append(s.telemetry(),
		func(each func(event.Event) error) error {
			return s.Host(func(r *event.HostPower) error { return each(*r) })
		},
		func(each func(event.Event) error) error {
			return s.Phases(func(r *event.PhaseEnergy) error { r.TimeNS = r.EndNS; return each(*r) })
		},
		func(each func(event.Event) error) error {
			return s.Iterations(func(r *event.IterationEnergy) error { r.TimeNS = r.EndNS; return each(*r) })
		},
		func(each func(event.Event) error) error {
			return s.Requests(func(r *event.RequestEnergy) error { r.TimeNS = r.EndNS; return each(*r) })
		},
		func(each func(event.Event) error) error {
			return s.Clocks(func(r *event.ClockChange) error { return each(*r) })
		},
	)...)
}

// reader calls each for every event of a file, in order.
type reader = func(each func(event.Event) error) error

func (s *Session) telemetry() []reader {
	return []reader{
		func(each func(event.Event) error) error {
			return s.Samples(func(r *event.Sample) error { return each(*r) })
		},
		func(each func(event.Event) error) error {
			return s.Power(func(r *event.Power) error { return each(*r) })
		},
	}
}

// merged yields what the readers read, by time.
func merged(readers ...reader) iter.Seq2[event.Event, error] {
	return func(yield func(event.Event, error) bool) {
		var sources []*cursor
		for _, read := range readers {
			sources = append(sources, newCursor(read))
		}
		for _, c := range sources {
			defer c.stop()
		}
		for {
			var first *cursor
			for _, c := range sources {
				if c.ok && (first == nil || c.key < first.key) {
					first = c
				}
			}
			if first == nil {
				return
			}
			e, err := first.head, first.err
			if !yield(e, err) || err != nil {
				return
			}
			first.advance()
		}
	}
}

// cursor pulls from one of the readers.
type cursor struct {
	next func() (event.Event, error, bool)
	stop func()
	head event.Event
	err  error
	ok   bool
	key  int64 // latest time so far: the order within a source is kept
}

var errEnough = errors.New("enough")

func newCursor(read reader) *cursor {
	c := &cursor{}
	c.next, c.stop = iter.Pull2(func(yield func(event.Event, error) bool) {
		err := read(func(e event.Event) error {
			if !yield(e, nil) {
				return errEnough
			}
			return nil
		})
		if err != nil && !errors.Is(err, errEnough) {
			yield(nil, err)
		}
	})
	c.advance()
	return c
}

func (c *cursor) advance() {
	c.head, c.err, c.ok = c.next()
	if c.ok && c.err == nil {
		c.key = max(c.key, c.head.When())
	}
}

// Player replays a session in time.
type Player struct {
	session *Session
	publish func(event.Event)
	start   int64
	end     int64

	mu    sync.Mutex
	speed float64
	at    int64     // where the replay stood at wall
	wall  time.Time // when speed or place changed last
	seek  bool
	wake  chan struct{}
}

// NewPlayer returns a player that hands events to publish at speed times real
// time.
func NewPlayer(s *Session, speed float64, publish func(event.Event)) (*Player, error) {
	p := &Player{session: s, publish: publish, speed: speed, wake: make(chan struct{}, 1)}
	found := false
	for e, err := range s.Replay() {
		if err != nil {
			return nil, err
		}
		t := e.When()
		if !found {
			p.start, p.end, found = t, t, true
		}
		p.start, p.end = min(p.start, t), max(p.end, t)
	}
	if !found {
		return nil, fmt.Errorf("%s: %w: nothing was recorded", s.Dir, ErrNotSession)
	}
	p.at, p.wall = p.start, time.Now()
	return p, nil
}

// Span returns the first and last time in ns.
func (p *Player) Span() (start, end int64) { return p.start, p.end }

// At returns where the replay stands, in ns, and its speed.
func (p *Player) At() (t int64, speed float64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.position(), p.speed
}

func (p *Player) position() int64 {
	return min(p.at+int64(float64(time.Since(p.wall))*p.speed), p.end)
}

// SetSpeed changes the speed; 0 holds the replay.
func (p *Player) SetSpeed(speed float64) {
	p.mu.Lock()
	p.at, p.wall, p.speed = p.position(), time.Now(), speed
	p.mu.Unlock()
	p.poke()
}

// SeekTo moves to time t: the events up to it are published again from the
// start, at once.
func (p *Player) SeekTo(t int64) {
	p.mu.Lock()
	p.at, p.wall, p.seek = max(p.start, min(t, p.end)), time.Now(), true
	p.mu.Unlock()
	p.poke()
}

func (p *Player) poke() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// Run plays until ctx is done. At the end of the session it waits for a seek.
func (p *Player) Run(ctx context.Context) error {
	for {
		again, err := p.play(ctx)
		if err != nil || !again {
			return err
		}
	}
}

// play publishes from the start on; again tells that a seek came.
func (p *Player) play(ctx context.Context) (again bool, err error) {
	for e, err := range p.session.Replay() {
		if err != nil {
			return false, err
		}
		if again, done := p.waitFor(ctx, e.When()); done {
			return again, nil
		}
		p.publish(e)
	}
	for {
		if again, done := p.waitFor(ctx, p.end+1); done {
			return again, nil
		}
	}
}

// waitFor waits until the replay stands at t; done tells that it is not to go on
// from here, and again that it starts over.
func (p *Player) waitFor(ctx context.Context, t int64) (again, done bool) {
	for {
		p.mu.Lock()
		if p.seek {
			p.seek = false
			p.mu.Unlock()
			return true, true
		}
		left := t - p.position()
		var timer <-chan time.Time
		if left > 0 && p.speed > 0 {
			timer = time.After(time.Duration(float64(left)/p.speed) + time.Microsecond)
		}
		p.mu.Unlock()
		if left <= 0 {
			return false, false
		}
		select {
		case <-ctx.Done():
			return false, true
		case <-p.wake:
		case <-timer:
		}
	}
}
