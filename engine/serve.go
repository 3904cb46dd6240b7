package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"time"

	"jouletop/engine/event"
	"jouletop/engine/serving"
	"jouletop/workloads"
	"jouletop/workloads/arrivals"
)

// ErrCannotServe: the backend runs batches alone.
var ErrCannotServe = errors.New("this backend cannot serve requests as they come")

// Server is a Backend whose model serves requests that come and go, pass by pass.
// Its methods are called from one goroutine.
type Server interface {
	Backend
	// Room is how many tokens the model's KV cache has room for, over all requests;
	// 0 where there is no bound.
	Room() int
	// Prepare makes a request ready and returns the tokens of its prompt and the most
	// that it may generate, 1 or more each. Errors wrap ErrTooLong where it does not fit.
	Prepare(id int, q Request) (prompt, most int, err error)
	// Pass evaluates one pass over requests that are ready. ErrBackendDied is wrapped
	// where nothing is ready any more.
	Pass(ctx context.Context, p serving.Pass) (Passed, error)
	// End forgets a request and returns what it came to; Output and Quality are as in
	// Result.
	End(id int) (output event.Output, quality float64)
}

// Passed is what came of a pass.
type Passed struct {
	StartNS, EndNS int64
	Tokens         []Sampled // of each member that samples
}

// Sampled is a token that came out of a pass.
type Sampled struct {
	ID    int
	Text  string
	Ended bool // the model ended the text with it
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
}

// load says which request comes when.
type load struct {
	Serving
	process arrivals.Process
	start   int64 // ns
	came    int
	next    arrivals.Arrival // the next of the process
	more    bool             // there is one
	ready   []int64          // closed loop: since when clients wait to send, in order
}

func newLoad(s Serving, now int64) (*load, error) {
	l := &load{Serving: s, start: now}
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
		t, ok = l.start+int64(l.next.At), l.more
	case len(l.ready) > 0:
		t, ok = l.ready[0], true
	}
	if ok && l.Duration > 0 && t-l.start > int64(l.Duration) {
		return 0, false
	}
	return t, ok
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
	*Engine
	point PointPlan
	model Server
	sched *serving.Scheduler
	load  *load
	jobs  map[int]*job // that have come and not ended
	busy  *busyTime    // nil while there is nothing to do
	n     int          // busy times so far
	iters int          // iterations so far
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
	gap                int64 // the longest between tokens
}

// busyTime is a batch that is open: requests come and go until none is left.
type busyTime struct {
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

// serve runs a point whose requests come by themselves.
func (e *Engine) serve(ctx context.Context, pt PointPlan) (err error) {
	model, ok := e.cfg.Backend.(Server)
	if !ok {
		return fmt.Errorf("%w: %s", ErrCannotServe, e.cfg.Backend.Name())
	}
	s := &service{Engine: e, point: pt, model: model, jobs: map[int]*job{}}
	s.sched, err = serving.New(serving.Config{Slots: pt.Serving.Slots, Chunk: pt.Serving.Chunk, Schedule: pt.Serving.Schedule, KVTokens: model.Room()})
	if err != nil {
		return err
	}
	if s.load, err = newLoad(*pt.Serving, e.clk.Now()); err != nil {
		return err
	}
	err = s.run(ctx)
	if err != nil {
		s.giveUp(err)
	}
	s.rest()
	if k := s.load.skipped(); k.Rows > 0 {
		e.Warn(fmt.Sprintf("point %s: requests of the trace for which nothing was generated are left out: %d, the first in line %d", pt.PointID, k.Rows, k.First))
	}
	return errors.Join(err, s.load.close())
}

func (s *service) run(ctx context.Context) error {
	deaths := 0 // of backends, in passes in a row
	ended := error(nil)
	for {
		stop, skip := s.gate(ctx)
		if err := ctx.Err(); err != nil {
			return err
		}
		if (stop || skip) && ended == nil { // those under way go on to their end
			ended = errSkipped
			if stop {
				ended = s.stopped(ctx)
			}
			s.mu.Lock()
			s.skip = false
			s.mu.Unlock()
			s.load.stop()
			for _, id := range s.sched.DropQueued() {
				s.forget(id)
			}
		}
		if err := s.arrive(); err != nil {
			return err
		}
		pass, some := s.sched.Next()
		if !some {
			s.rest()
			t, more := s.load.due()
			if !more {
				return ended
			}
			if err := s.clk.SleepUntil(ctx, min(t, s.clk.Now()+int64(idleStep))); err != nil {
				return err
			}
			continue
		}
		err := s.pass(ctx, pass)
		if deaths++; err == nil {
			deaths = 0
		} else if err := s.outlive(ctx, err, deaths); err != nil {
			return err
		}
	}
}

// arrive takes in what has come by now.
func (s *service) arrive() error {
	for {
		t, ok := s.load.due()
		if !ok || t > s.clk.Now() {
			return nil
		}
		id := s.load.came
		a, err := s.load.take()
		if err != nil {
			return err
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
		s.wake(q)
		j.index = s.busy.came
		s.busy.came++
		s.jobs[id] = j
		if err := s.enter(j); err != nil {
			s.fail(j, err)
		}
	}
}

// enter puts a request in line.
func (s *service) enter(j *job) error {
	prompt, most, err := s.model.Prepare(j.id, j.request)
	if err != nil {
		return err
	}
	j.prompt = prompt
	if err := s.sched.Add(j.id, prompt, most); err != nil {
		s.model.End(j.id)
		return fmt.Errorf("%w: %w", ErrTooLong, err)
	}
	return nil
}

// wake begins a busy time, unless it is one.
func (s *service) wake(first workloads.Query) {
	if s.busy != nil {
		return
	}
	s.n++
	b := &busyTime{id: fmt.Sprintf("%s/s%d", s.point.PointID, s.n)}
	b.obs = &batchObserver{engine: s.Engine, batch: Batch{ID: b.id}, point: s.point.PointID, size: s.point.Serving.Slots, model: s.point.Spec.Identity()}
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

// pass evaluates a pass and tells what came of it.
func (s *service) pass(ctx context.Context, p serving.Pass) error {
	b := s.busy
	if b.since == 0 {
		b.since = s.clk.Now()
		b.obs.PhaseStart(event.Mixed, b.since, -1)
	}
	out, err := s.model.Pass(ctx, p)
	if err != nil {
		return err
	}
	s.publish(s.iteration(p, out))
	b.tokens += p.PrefillTokens() + p.Decodes()
	for _, m := range p.Members {
		if j := s.jobs[m.ID]; j.start == 0 {
			j.start = out.StartNS
		}
	}
	var own []int
	for _, t := range out.Tokens {
		j := s.jobs[t.ID]
		if j.tokens++; j.tokens == 1 {
			j.first = out.EndNS
		} else {
			j.gap = max(j.gap, out.EndNS-j.last)
		}
		j.last = out.EndNS
		b.obs.Token(j.index, out.EndNS, t.Text)
		if t.Ended {
			own = append(own, t.ID)
		}
	}
	for _, id := range s.sched.Done(p, own...) {
		s.finish(s.jobs[id])
	}
	if out.EndNS-b.since >= mixedSpan && s.sched.Active() > 0 {
		b.obs.PhaseEnd(event.Mixed, out.EndNS, b.tokens)
		b.since, b.tokens = 0, 0
	}
	return nil
}

// iteration is the row of a pass.
func (s *service) iteration(p serving.Pass, out Passed) event.Iteration {
	s.iters++
	mhz, _ := s.clocks.RequestedIn(out.StartNS, out.EndNS)
	it := event.Iteration{
		At: event.At{TimeNS: out.EndNS}, IterationID: fmt.Sprintf("%s/i%d", s.point.PointID, s.iters), BatchID: s.busy.id, GPU: s.gpuID,
		Model: s.point.Model, StartNS: out.StartNS, EndNS: out.EndNS, PrefillTokens: p.PrefillTokens(), PrefillRequests: p.Prefills(),
		DecodeRequests: p.Decodes(), KVTokens: p.KVTokens(), Queued: s.sched.Queued(), RequestedSMMHz: mhz,
	}
	for _, m := range p.Members {
		it.Members = append(it.Members, event.IterationMember{RequestID: s.jobs[m.ID].request.ID, Slot: m.Slot, Known: m.Known, Fresh: m.Fresh, Prefill: m.Prefill})
	}
	return it
}

// finish reports a request that has ended.
func (s *service) finish(j *job) {
	r := Result{
		InputTokens: j.prompt, OutputTokens: j.tokens, CachedTokens: -1, StartNS: j.start, PrefillEndNS: j.first, FirstTokenNS: j.first, EndNS: j.last,
	}
	r.Output, r.Quality = s.model.End(j.id)
	s.report(j, r)
}

// fail reports a request that came to nothing.
func (s *service) fail(j *job, err error) {
	now := s.clk.Now()
	r := Result{InputTokens: j.prompt, OutputTokens: j.tokens, CachedTokens: -1, StartNS: now, EndNS: now, Output: event.Output{Choice: -1}, Quality: math.NaN(), Err: err}
	if j.start > 0 {
		r.StartNS = j.start
	}
	s.report(j, r)
}

func (s *service) report(j *job, r Result) {
	b := Batch{ID: s.busy.id, Requests: []Request{j.request}}
	q := s.request(s.point, b, 0, r, j.class)
	q.BatchSize, q.ArrivalNS = s.point.Serving.Slots, j.arrival
	if j.start > 0 {
		q.QueueS = float64(j.start-j.arrival) / 1e9
	}
	if j.first > 0 {
		q.TTFTS = float64(j.first-j.arrival) / 1e9
	}
	if j.tokens > 1 {
		q.GapMaxS = float64(j.gap) / 1e9
	}
	s.publish(event.RequestDone{At: event.At{TimeNS: r.EndNS}, Request: q})
	delete(s.jobs, j.id)
	s.load.ended(s.clk.Now())
}

// forget drops a request that waited when the operator ended the point: it did not
// run, and is no result.
func (s *service) forget(id int) {
	s.model.End(id)
	delete(s.jobs, id)
	s.busy.came--
}

// giveUp fails what is under way where the point ends with an error.
func (s *service) giveUp(err error) {
	s.sched.DropQueued()
	for id := 0; id < s.load.came; id++ {
		if j := s.jobs[id]; j != nil {
			s.fail(j, err)
		}
	}
}

// outlive decides what becomes of the point after a pass has failed: nil where the
// backend died in it, so that the requests under way are lost and the others are
// served by a fresh one.
func (s *service) outlive(ctx context.Context, err error, deaths int) error {
	switch {
	case !errors.Is(err, ErrBackendDied), ctx.Err() != nil:
		return err
	case deaths >= maxDeaths:
		return fmt.Errorf("%w after %d passes in a row: %w", errGivenUp, deaths, err)
	}
	waiting := map[int]bool{}
	for _, id := range s.sched.DropQueued() {
		waiting[id] = true
	}
	s.busy.came -= len(waiting) // they go on in the next busy time
	lost := 0
	for id := 0; id < s.load.came; id++ {
		if j := s.jobs[id]; j != nil && !waiting[id] {
			s.sched.Drop(id)
			s.fail(j, err)
			lost++
		}
	}
	s.Warn(fmt.Sprintf("point %s: %d requests under way are lost, the others are served by a fresh backend: %v", s.point.PointID, lost, err))
	s.rest()
	s.loaded = ModelSpec{}
	if err := s.ready(ctx, s.point); err != nil {
		return err
	}
	for id := 0; id < s.load.came; id++ {
		j := s.jobs[id]
		if j == nil {
			continue
		}
		s.wake(j.request.Query)
		j.index = s.busy.came
		s.busy.came++
		if err := s.enter(j); err != nil {
			s.fail(j, err)
		}
	}
	return nil
}
