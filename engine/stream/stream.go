package stream

import (
	"sync"

	"jouletop/engine/event"
)

// Stream is the one channel on which everything that happens is published.
//
// Delivery: the recorder and the observers get every event, in the order of
// publication. A [Subscriber] gets every event too, except that telemetry
// (samples, power readings) beyond its limit pushes out the oldest telemetry
// still waiting, which is counted; phases, results, clock changes and errors
// are never dropped. A slow subscriber never slows Publish.
type Stream struct {
	mu        sync.Mutex
	recorder  Recorder
	observers []Observe
	subs      []*Subscriber
	pending   []event.Event // scratch of deliver
	closed    bool
}

// Observe is told every event in order, and returns events to be published
// after it. It must not call Publish.
type Observe func(e event.Event) []event.Event

// New returns a stream that records to rec, nil for nowhere.
func New(rec Recorder) *Stream { return &Stream{recorder: rec} }

// Observe adds an observer; not while events are being published.
func (s *Stream) Observe(o Observe) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.observers = append(s.observers, o)
}

// Publish delivers e. After Close it does nothing.
func (s *Stream) Publish(e event.Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	s.deliver(e)
}

// deliver hands e out, then whatever the observers made of it.
func (s *Stream) deliver(e event.Event) {
	queue := append(s.pending[:0], e)
	for i := 0; i < len(queue); i++ {
		e := queue[i]
		if s.recorder != nil {
			s.recorder.Record(e)
		}
		for _, o := range s.observers {
			queue = append(queue, o(e)...)
		}
		for _, sub := range s.subs {
			sub.push(e)
		}
	}
	clear(queue)
	s.pending = queue[:0]
}

// Subscribe returns a subscriber that holds at most limit telemetry events
// waiting. Events published before are not seen.
func (s *Stream) Subscribe(limit int) *Subscriber {
	sub := &Subscriber{limit: limit, ready: make(chan struct{}, 1)}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		sub.close()
	}
	s.subs = append(s.subs, sub)
	return sub
}

// Close ends the stream: subscribers see it closed, the recorder stays open.
func (s *Stream) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	s.closed = true
	for _, sub := range s.subs {
		sub.close()
	}
}

// Subscriber is a reader of a Stream with a queue of its own.
type Subscriber struct {
	mu        sync.Mutex
	ready     chan struct{}
	limit     int
	facts     []sequenced // never dropped
	telemetry []sequenced
	seq       uint64
	dropped   uint64
	closed    bool
}

type sequenced struct {
	seq uint64
	e   event.Event
}

// Ready returns a channel that is signalled when something waits or the stream
// has closed.
func (b *Subscriber) Ready() <-chan struct{} { return b.ready }

// Drain returns what waits, in order of publication, and whether the stream has
// closed (nothing follows).
func (b *Subscriber) Drain() (events []event.Event, closed bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	events = make([]event.Event, 0, len(b.facts)+len(b.telemetry))
	f, t := b.facts, b.telemetry
	for len(f) > 0 || len(t) > 0 {
		if len(t) == 0 || len(f) > 0 && f[0].seq < t[0].seq {
			events, f = append(events, f[0].e), f[1:]
		} else {
			events, t = append(events, t[0].e), t[1:]
		}
	}
	clear(b.facts)
	clear(b.telemetry)
	b.facts, b.telemetry = b.facts[:0], b.telemetry[:0]
	return events, b.closed
}

// Dropped returns how many telemetry events were pushed out unseen.
func (b *Subscriber) Dropped() uint64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.dropped
}

func (b *Subscriber) push(e event.Event) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.seq++
	item := sequenced{b.seq, e}
	if !event.Telemetry(e) {
		b.facts = append(b.facts, item)
	} else {
		if len(b.telemetry) >= b.limit {
			// Halve rather than shift by one, so that a reader that is away costs
			// little an event.
			n := max(b.limit/2, 1)
			b.dropped += uint64(n)
			b.telemetry = append(b.telemetry[:0], b.telemetry[min(n, len(b.telemetry)):]...)
		}
		b.telemetry = append(b.telemetry, item)
	}
	b.signal()
}

func (b *Subscriber) close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	b.signal()
}

func (b *Subscriber) signal() {
	select {
	case b.ready <- struct{}{}:
	default:
	}
}
