package timebase

import (
	"container/heap"
	"context"
	"sync"
	"time"
)

// Sim is a simulated clock; see the package comment. Make one with NewSim.
type Sim struct {
	mu      sync.Mutex
	now     int64 // simulated ns
	speed   float64
	running bool      // one participant is running
	ready   []*waiter // may run now, first come first
	asleep  sleepers  // wait for a time
	seq     uint64    // orders sleepers with equal times
	timer   *time.Timer
	pace    pace
}

// pace ties simulated to wall-clock time where a speed is set.
type pace struct {
	wall time.Time
	sim  int64
}

type waiter struct {
	wake  int64
	seq   uint64
	index int // in asleep; -1 when not there
	run   chan struct{}
}

// NewSim returns a simulated clock at 0 ns. speed is simulated seconds per real
// second; 0 means as fast as the machine goes.
func NewSim(speed float64) *Sim { return NewSimAt(0, speed) }

// NewSimAt is NewSim that starts at a time of its own (ns), to go on with a
// session recorded before.
func NewSimAt(start int64, speed float64) *Sim {
	return &Sim{now: start, speed: speed, pace: pace{time.Now(), start}}
}

// Now returns simulated ns.
func (s *Sim) Now() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.running {
		s.catchUp()
	}
	return s.now
}

// Simulated returns true.
func (s *Sim) Simulated() bool { return true }

// SetSpeed changes the speed from now on; 0 means as fast as the machine goes.
func (s *Sim) SetSpeed(speed float64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.running {
		s.catchUp()
	}
	s.speed, s.pace = speed, pace{time.Now(), s.now}
	s.dispatch()
}

// Speed returns simulated seconds per real second; 0 means unlimited.
func (s *Sim) Speed() float64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.speed
}

// Go starts f; it runs when no other goroutine of this clock does. To start
// several at one simulated time, start them from within one: a first one
// started from outside may run on before the second is there.
func (s *Sim) Go(f func()) {
	w := newWaiter()
	s.mu.Lock()
	s.ready = append(s.ready, w)
	s.dispatch()
	s.mu.Unlock()
	go func() {
		<-w.run
		defer s.release()
		f()
	}()
}

// release lets the next goroutine run.
func (s *Sim) release() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.running = false
	s.dispatch()
}

// Block lets time go on while f runs.
func (s *Sim) Block(f func()) {
	s.release()
	defer func() {
		w := newWaiter()
		s.mu.Lock()
		s.ready = append(s.ready, w)
		s.dispatch()
		s.mu.Unlock()
		<-w.run
	}()
	f()
}

// Sleep waits for d of simulated time.
func (s *Sim) Sleep(ctx context.Context, d time.Duration) error {
	s.mu.Lock()
	return s.sleepUntil(ctx, s.now+int64(max(d, 0)))
}

// SleepUntil waits until simulated time t.
func (s *Sim) SleepUntil(ctx context.Context, t int64) error {
	s.mu.Lock()
	return s.sleepUntil(ctx, t)
}

// sleepUntil is called with s.mu held and releases it.
func (s *Sim) sleepUntil(ctx context.Context, t int64) error {
	if err := ctx.Err(); err != nil || t <= s.now && len(s.ready) == 0 {
		s.mu.Unlock()
		return err
	}
	// Nobody would run in between: move the time on without a switch.
	if s.speed == 0 && len(s.ready) == 0 && (len(s.asleep) == 0 || s.asleep[0].wake > t) {
		s.now = t
		s.mu.Unlock()
		return nil
	}
	w := newWaiter()
	w.wake, w.seq = max(t, s.now), s.seq
	s.seq++
	heap.Push(&s.asleep, w)
	s.running = false
	s.dispatch()
	s.mu.Unlock()
	return s.park(ctx, w)
}

// park waits for w's turn; a done ctx moves the turn forward.
func (s *Sim) park(ctx context.Context, w *waiter) error {
	select {
	case <-w.run:
		return nil
	case <-ctx.Done():
	}
	s.mu.Lock()
	if w.index >= 0 {
		heap.Remove(&s.asleep, w.index)
		s.ready = append(s.ready, w)
		s.dispatch()
	}
	s.mu.Unlock()
	<-w.run
	return ctx.Err()
}

// dispatch, with s.mu held, gives the turn to whoever is next.
func (s *Sim) dispatch() {
	if s.running {
		return
	}
	if len(s.ready) > 0 {
		w := s.ready[0]
		s.ready = s.ready[1:]
		if len(s.ready) == 0 {
			s.ready = nil // lets the backing array of a long run go
		}
		s.give(w)
		return
	}
	if len(s.asleep) == 0 {
		return
	}
	next := s.asleep[0]
	if s.speed > 0 {
		s.catchUp()
		if next.wake > s.now {
			s.arm(next.wake)
			return
		}
	}
	heap.Pop(&s.asleep)
	s.now = max(s.now, next.wake)
	s.give(next)
}

func (s *Sim) give(w *waiter) {
	s.running = true
	w.index = -1
	close(w.run)
}

// catchUp, with s.mu held and nobody running, moves a paced clock to where the
// wall clock says it is, but never past the next sleeper.
func (s *Sim) catchUp() {
	if s.speed == 0 {
		return
	}
	t := s.pace.sim + int64(float64(time.Since(s.pace.wall))*s.speed)
	if len(s.asleep) > 0 {
		t = min(t, s.asleep[0].wake)
	}
	s.now = max(s.now, t)
}

// grain is the wall-clock time in whose steps a paced clock wakes up. Whoever slept
// till a time within a step wakes at that simulated time exactly, and only sees it
// later: waking the machine for each of hundreds of sleepers a second costs more
// than all they do.
const grain = 100 * time.Millisecond

// arm sets the timer for the next paced wake-up.
func (s *Sim) arm(t int64) {
	after := time.Duration(float64(t-s.pace.sim) / s.speed)
	at := s.pace.wall.Add((after + grain - 1) / grain * grain)
	if s.timer != nil {
		s.timer.Stop()
	}
	s.timer = time.AfterFunc(time.Until(at), func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.dispatch()
	})
}

// NewSignal returns a signal for goroutines of this clock.
func (s *Sim) NewSignal() Signal { return &simSignal{sim: s} }

type simSignal struct {
	sim    *Sim
	set    bool
	waiter *waiter
}

func (g *simSignal) Notify() {
	s := g.sim
	s.mu.Lock()
	defer s.mu.Unlock()
	if g.waiter == nil {
		g.set = true
		return
	}
	if !s.running {
		s.catchUp()
	}
	s.ready = append(s.ready, g.waiter)
	g.waiter = nil
	s.dispatch()
}

func (g *simSignal) Wait(ctx context.Context) error {
	s := g.sim
	s.mu.Lock()
	if g.set || ctx.Err() != nil {
		g.set = false
		s.mu.Unlock()
		return ctx.Err()
	}
	w := newWaiter()
	g.waiter = w
	s.running = false
	s.dispatch()
	s.mu.Unlock()

	select {
	case <-w.run:
		return nil
	case <-ctx.Done():
	}
	s.mu.Lock()
	if g.waiter == w { // not notified meanwhile
		g.waiter = nil
		s.ready = append(s.ready, w)
		s.dispatch()
	}
	s.mu.Unlock()
	<-w.run
	return ctx.Err()
}

func newWaiter() *waiter { return &waiter{index: -1, run: make(chan struct{})} }

// sleepers is a heap by wake-up time, then by order of arrival.
type sleepers []*waiter

func (h sleepers) Len() int { return len(h) }
func (h sleepers) Less(i, j int) bool {
	if h[i].wake != h[j].wake {
		return h[i].wake < h[j].wake
	}
	return h[i].seq < h[j].seq
}
func (h sleepers) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}
func (h *sleepers) Push(x any) {
	w := x.(*waiter)
	w.index = len(*h)
	*h = append(*h, w)
}
func (h *sleepers) Pop() any {
	old := *h
	w := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	return w
}
