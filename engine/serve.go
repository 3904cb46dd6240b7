package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"jouletop/engine/event"
	"jouletop/engine/serving"
	"jouletop/workloads"
	"jouletop/workloads/arrivals"
)

// ErrCannotServe: the backend runs batches alone.
var ErrCannotServe = errors.New("this backend cannot serve requests as they come")

// CanServe tells whether a backend can serve requests as they come.
func CanServe(b Backend) bool {
	switch b.(type) {
	case Server, Taker:
		return true
	}
	return false
}

// Serving has a point's queries served as they come, instead of in batches.
type Serving struct {
	Slots    int // requests under way at once
	Chunk    int // most tokens of prompts in a pass
	Schedule serving.Schedule
	// Arrivals, if not nil, begins the process by which requests come (open loop).
	// Else Concurrency come at once, and the next as soon as one has ended (closed
	// loop).
	Arrivals    func() (arrivals.Process, error)
	Concurrency int
	// Requests is how many come at most, the point's queries over and over; 0 any
	// number. Duration is how long they come; 0 for as long as there are any.
	Requests int
	Duration time.Duration
	// Split is how the energy of a pass is divided among the requests in it; "" is
	// event.SplitMarginal.
	Split event.Split
}

// load says which request comes when.
type load struct {
	Serving
	process arrivals.Process
	start   int64 // ns
	// at of the process comes at now; from there on pace times as fast.
	at, now int64
	pace    float64
	came    int
	next    arrivals.Arrival // the next of the process
	more    bool             // there is one
	ready   []int64          // closed loop: since when clients wait to send, in order
}

func newLoad(s Serving, now int64) (*load, error) {
	l := &load{Serving: s, start: now, now: now, pace: 1}
	if s.Arrivals == nil {
		for range s.Concurrency {
			l.ready = append(l.ready, now)
		}
		return l, nil
	}
	var err error
	if l.process, err = s.Arrivals(); err != nil {
		return nil, err
	}
	if err := l.advance(); err != nil {
		return nil, errors.Join(err, l.process.Close())
	}
	return l, nil
}

// advance draws the next arrival of an open loop.
func (l *load) advance() error {
	a, err := l.process.Next()
	l.next, l.more = a, err == nil
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	return nil
}

// due is when the next request comes; false where none does any more. In a closed
// loop that may change when one ends.
func (l *load) due() (t int64, ok bool) {
	switch {
	case l.Requests > 0 && l.came >= l.Requests:
		return 0, false
	case l.process != nil:
		t, ok = l.now+int64(float64(int64(l.next.At)-l.at)/l.pace), l.more
	case len(l.ready) > 0:
		t, ok = l.ready[0], true
	}
	if ok && l.Duration > 0 && t-l.start > int64(l.Duration) {
		return 0, false
	}
	return t, ok
}

// begin has the load begin at t.
func (l *load) begin(t int64) { l.start, l.now = t, t }

// setPace has the rest of an open loop come so many times as fast as planned, from t on.
func (l *load) setPace(t int64, pace float64) {
	if pace != l.pace {
		l.at += int64(float64(t-l.now) * l.pace)
		l.now, l.pace = t, pace
	}
}

// take takes the request that is due.
func (l *load) take() (arrivals.Arrival, error) {
	l.came++
	if l.process == nil {
		l.ready = l.ready[1:]
		return arrivals.Arrival{}, nil
	}
	a := l.next
	return a, l.advance()
}

// ended is told that a request has ended: a client sends the next.
func (l *load) ended(t int64) {
	if l.process == nil {
		l.ready = append(l.ready, t)
	}
}

// stop ends the load.
func (l *load) stop() { l.Requests = max(l.came, 1); l.came = l.Requests }

// skipped are requests that a trace has and that do not come.
func (l *load) skipped() arrivals.Left {
	if l.process == nil {
		return arrivals.Left{}
	}
	return arrivals.Skipped(l.process)
}

func (l *load) close() error {
	if l.process == nil {
		return nil
	}
	return l.process.Close()
}

// service is a point whose requests are served.
type service struct {
	*execution
	point PointPlan
	load  *load
	jobs  map[int]*job // that have come and not ended
	busy  *busyTime    // nil while there is nothing to do
	n     int          // busy times so far
	overload
	// passes: what is in each pass is known, so that energies are told as time goes on.
	passes bool
}

// job is a request that has come.
type job struct {
	id      int
	index   int // within the busy time
	request Request
	arrival int64
	class   string
	prompt  int
	// ns; 0 not yet
	start, first, last int64
	tokens             int
	told               int   // tokens that the server says it has made
	gap                int64 // the longest between tokens
}

// busyTime is a batch that is open: requests come and go until none is left.
type busyTime struct {
	began  int64
	warned bool
	id     string
	obs    *batchObserver
	since  int64 // of the phase
	tokens int   // in the phase
	came   int
}

// mixedSpan is how long a phase of a busy time is at least, in ns: its energy is told
// apart, and belongs to those who were under way in it.
const mixedSpan = int64(2 * time.Second)

// idleStep is how long is slept at most without asking whether to stop.
const idleStep = 100 * time.Millisecond

// serve runs a point whose requests come by themselves: pass by pass where the backend
// lets the engine say what is in each, else by sending them to a server.
func (x *execution) serve(ctx context.Context, pt PointPlan) error {
	s := &service{execution: x, point: pt, jobs: map[int]*job{}}
	var run func(context.Context) error
	switch model := x.cfg.Backend.(type) {
	case Server:
		sched, err := serving.New(serving.Config{Slots: pt.Serving.Slots, Chunk: pt.Serving.Chunk, Schedule: pt.Serving.Schedule, KVTokens: model.Room()})
		if err != nil {
			return err
		}
		s.passes = true
		run = (&passes{service: s, model: model, sched: sched}).run
	case Taker:
		run = (&sender{service: s, model: model}).run
	default:
		return fmt.Errorf("%w: %s", ErrCannotServe, x.cfg.Backend.Name())
	}
	var err error
	if s.load, err = newLoad(*pt.Serving, x.clk.Now()); err != nil {
		return err
	}
	x.account.Divide(pt.Serving.Split)
	if pt.Serving.Arrivals != nil {
		x.setPace(1)
		defer x.setPace(0)
	}
	err = run(ctx)
	if k := s.load.skipped(); k.Rows > 0 {
		x.Warn(fmt.Sprintf("point %s: requests of the trace for which nothing was generated are left out: %d, the first in line %d", pt.PointID, k.Rows, k.First))
	}
	return errors.Join(err, s.load.close())
}

// come takes the request that is due.
func (s *service) come(t int64) (*job, error) {
	id := s.load.came
	a, err := s.load.take()
	if err != nil {
		return nil, err
	}
	q := s.point.Queries[id%len(s.point.Queries)]
	j := &job{id: id, arrival: t, request: Request{
		ID: fmt.Sprintf("%s/q%d", s.point.PointID, id+1), Query: q, MaxTokens: s.point.MaxTokens, Chat: s.point.Chat, RandomTokens: s.point.RandomTokens,
	}}
	if a.Input > 0 { // the trace's lengths
		j.request.RandomTokens, j.request.MaxTokens = a.Input, a.Output
	}
	if s.point.Class != nil {
		j.class = s.point.Class(q)
	}
	s.join(j)
	s.jobs[id] = j
	return j, nil
}

// join makes a request one of the busy time.
func (s *service) join(j *job) {
	s.wake(j.request.Query)
	j.index = s.busy.came
	s.busy.came++
}

// wake begins a busy time, unless it is one.
func (s *service) wake(first workloads.Query) {
	if s.busy != nil {
		return
	}
	s.n++
	b := &busyTime{id: fmt.Sprintf("%s/s%d", s.point.PointID, s.n)}
	b.obs = &batchObserver{engine: s.Engine, batch: Batch{ID: b.id}, point: s.point.PointID, size: s.point.BatchSize, model: s.point.Spec.Identity()}
	b.began = s.clk.Now()
	s.publish(event.BatchStart{
		At: s.now(), BatchID: b.id, PointID: s.point.PointID, Queries: []string{first.ID}, Prompt: first.Prompt[:min(len(first.Prompt), promptShown)], Open: true,
	})
	s.busy = b
}

// rest ends the busy time, if it is one.
func (s *service) rest() {
	b := s.busy
	if b == nil {
		return
	}
	if b.since > 0 {
		b.obs.PhaseEnd(event.Mixed, s.clk.Now(), b.tokens)
	}
	b.obs.close()
	s.publish(event.BatchEnd{At: s.now(), BatchID: b.id, Requests: b.came})
	s.busy = nil
}

// work notes that work begins at t, in a phase of the busy time.
func (s *service) work(t int64) {
	if s.busy.since == 0 {
		s.busy.since = t
		s.busy.obs.PhaseStart(event.Mixed, t, -1)
	}
}

// longBusy is how long a busy time may be, in ns, for what its requests cost to be known
// well: that is told at its end, and readings are kept for ten minutes.
const longBusy = int64(8 * time.Minute)

// part ends the phase at t where it has lasted; another follows.
func (s *service) part(t int64) {
	if b := s.busy; t-b.began > longBusy && !b.warned && !s.passes {
		b.warned = true
		s.Warn(fmt.Sprintf("point %s: there was no pause between requests for %v: what each cost is told at the next pause, and less precisely",
			s.point.PointID, time.Duration(longBusy)))
	}
	if b := s.busy; b.since > 0 && t-b.since >= mixedSpan {
		b.obs.PhaseEnd(event.Mixed, t, b.tokens)
		b.since, b.tokens = 0, 0
	}
}

func (s *service) report(j *job, r Result) {
	b := Batch{ID: s.busy.id, Requests: []Request{j.request}}
	q := s.requestRow(s.point, b, 0, r, j.class)
	q.BatchSize = s.point.BatchSize
	times := r.stamps()
	times.ArrivalNS = j.arrival
	if j.tokens > 1 {
		times.GapMaxNS = j.gap
	}
	times.Measure(&q)
	s.publish(event.RequestDone{At: event.At{TimeNS: r.EndNS}, Request: q})
	delete(s.jobs, j.id)
	s.load.ended(s.clk.Now())
	s.watchQueue(s.clk.Now())
}

// Bounds of how much faster or slower than planned requests may be made to come.
const (
	leastPace = 1.0 / 64
	mostPace  = 64
)

// ErrNoPace: no requests come by a process now.
var ErrNoPace = errors.New("no requests come by a rate now")

// ChangePace has the requests of an open loop come by times as fast as they do now, and
// returns how many times as fast as planned that is. It wraps ErrNoPace.
func (e *Engine) ChangePace(by float64) (float64, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.times == 0 {
		return 0, ErrNoPace
	}
	e.times = min(max(e.times*by, leastPace), mostPace)
	return e.times, nil
}

// setPace says how many times as fast as planned requests come; 0 where none do.
func (e *Engine) setPace(times float64) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.times = times
}

// pace is how many times as fast as planned requests are to come.
func (e *Engine) pace() float64 {
	e.mu.Lock()
	defer e.mu.Unlock()
	return cmp.Or(e.times, 1)
}
