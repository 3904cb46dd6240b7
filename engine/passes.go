package engine

import (
	"context"
	"errors"
	"fmt"
	"math"

	"jouletop/engine/event"
	"jouletop/engine/serving"
)

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

// passes serves a point pass by pass.
type passes struct {
	*service
	model Server
	sched *serving.Scheduler
	iters int // iterations so far
}

func (s *passes) run(ctx context.Context) error {
	err := s.loop(ctx)
	if err != nil {
		s.giveUp(err)
	}
	s.rest()
	return err
}

func (s *passes) loop(ctx context.Context) error {
	deaths := 0 // of backends, in passes in a row
	ended := error(nil)
	for {
		stop, skip := s.gate(ctx)
		s.load.setPace(s.clk.Now(), s.pace())
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
		err := s.arrive()
		if errors.Is(err, ErrBackendDied) { // while it had nothing to do
			if err := s.outlive(ctx, err, deaths); err != nil {
				return err
			}
			deaths++
			continue
		}
		if err != nil {
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
		err = s.pass(ctx, pass)
		if deaths++; err == nil {
			deaths = 0
		} else if err := s.outlive(ctx, err, deaths); err != nil {
			return err
		}
	}
}

// arrive takes in what has come by now.
func (s *passes) arrive() error {
	for {
		t, ok := s.load.due()
		if !ok || t > s.clk.Now() {
			return nil
		}
		j, err := s.come(t)
		if err != nil {
			return err
		}
		if err := s.enter(j); errors.Is(err, ErrBackendDied) {
			return err
		} else if err != nil {
			s.fail(j, err)
		}
	}
}

// enter puts a request in line.
func (s *passes) enter(j *job) error {
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

// pass evaluates a pass and tells what came of it.
func (s *passes) pass(ctx context.Context, p serving.Pass) error {
	b := s.busy
	s.work(s.clk.Now())
	s.passBegins(p)
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
		TellTokens(b.obs, j.index, out.EndNS, t.Text, 1)
		if t.Ended {
			own = append(own, t.ID)
		}
	}
	for _, id := range s.sched.Done(p, own...) {
		s.finish(s.jobs[id])
	}
	s.part(out.EndNS)
	return nil
}

// passBegins asks a policy that looks at passes for a clock.
func (s *passes) passBegins(p serving.Pass) {
	t := s.clk.Now()
	s.mu.Lock()
	looks, ok := s.Engine.policy.(PassPolicy)
	mhz, set := 0, false
	if ok {
		mhz, set = looks.Pass(s.span(p, t, 0))
	}
	want := s.setting(mhz)
	s.mu.Unlock()
	if set {
		s.clocks.Want(want, event.Cause{By: event.ByPolicy, Policy: looks.Name(), Phase: event.Mixed}, t)
	}
}

// span is a pass from start to end.
func (s *passes) span(p serving.Pass, start, end int64) event.IterationSpan {
	return event.IterationSpan{
		IterationID: fmt.Sprintf("%s/i%d", s.point.PointID, s.iters+1), BatchID: s.busy.id, GPU: s.gpuID, Model: s.underKnobs(s.busy.obs.model),
		StartNS: start, EndNS: end, PrefillTokens: p.PrefillTokens(), PrefillRequests: p.Prefills(),
		DecodeRequests: p.Decodes(), KVTokens: p.KVTokens(), Queued: s.sched.Queued(), Evaluations: 1,
	}
}

// iteration is the row of a pass.
func (s *passes) iteration(p serving.Pass, out Passed) event.Iteration {
	it := event.Iteration{At: event.At{TimeNS: out.EndNS}, IterationSpan: s.span(p, out.StartNS, out.EndNS)}
	s.iters++
	it.RequestedSMMHz, _ = s.clocks.RequestedIn(out.StartNS, out.EndNS)
	for _, m := range p.Members {
		it.Members = append(it.Members, event.IterationMember{RequestID: s.jobs[m.ID].request.ID, Slot: m.Slot, Known: m.Known, Fresh: m.Fresh, Prefill: m.Prefill})
	}
	return it
}

// finish reports a request that has ended.
func (s *passes) finish(j *job) {
	r := Result{
		InputTokens: j.prompt, OutputTokens: j.tokens, CachedTokens: -1, StartNS: j.start, PrefillEndNS: j.first, FirstTokenNS: j.first, EndNS: j.last,
	}
	r.Output, r.Quality = s.model.End(j.id)
	s.report(j, r)
}

// fail reports a request that came to nothing.
func (s *passes) fail(j *job, err error) {
	now := s.clk.Now()
	r := Result{InputTokens: j.prompt, OutputTokens: j.tokens, CachedTokens: -1, StartNS: now, EndNS: now, Output: event.Output{Choice: -1}, Quality: math.NaN(), Err: err}
	if j.start > 0 {
		r.StartNS = j.start
	}
	s.report(j, r)
}

// forget drops a request that waited when the operator ended the point: it did not
// run, and is no result.
func (s *passes) forget(id int) {
	s.model.End(id)
	delete(s.jobs, id)
	s.busy.came--
}

// giveUp fails what is under way where the point ends with an error.
func (s *passes) giveUp(err error) {
	s.sched.DropQueued()
	for id := 0; id < s.load.came; id++ {
		if j := s.jobs[id]; j != nil {
			s.fail(j, err)
		}
	}
}

// outlive decides what becomes of the point after a pass has failed, or a request could
// not be made ready: nil where the backend has died, so that the requests under way are
// lost and the others are served by a fresh one.
func (s *passes) outlive(ctx context.Context, err error, deaths int) error {
	switch {
	case !errors.Is(err, ErrBackendDied), ctx.Err() != nil:
		return err
	case deaths >= maxDeaths:
		return fmt.Errorf("%w after %d passes in a row: %w", errGivenUp, deaths, err)
	}
	lost := 0
	for id := 0; id < s.load.came; id++ {
		switch j := s.jobs[id]; {
		case j == nil:
			continue
		case j.start > 0:
			s.fail(j, err)
			lost++
		default:
			s.busy.came-- // it goes on in the next busy time
		}
		s.sched.Drop(id)
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
		s.join(j)
		switch err := s.enter(j); {
		case errors.Is(err, ErrBackendDied):
			return s.outlive(ctx, err, deaths+1)
		case err != nil:
			s.fail(j, err)
		}
	}
	return nil
}
