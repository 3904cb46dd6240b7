package worker

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"jouletop/engine"
	"jouletop/engine/event"
	"jouletop/engine/serving"
)

var _ engine.Server = (*Backend)(nil)

// part says which of the methods of engine.Server is called.
type part uint8

const (
	partRoom part = iota
	partPrepare
	partEnd
)

// serve is a call of one of them.
type serve struct {
	Part    part
	ID      int            // of Prepare and End
	Request engine.Request // of Prepare
}

// served is what it returns.
type served struct {
	Room         int
	Prompt, Most int // of Prepare
	Passed       engine.Passed
	Output       event.Output
	Quality      float64
}

// serve asks the child.
func (b *Backend) serve(ctx context.Context, s serve) (served, error) {
	p, err := b.ready()
	if err != nil {
		return served{}, err
	}
	r, err := b.call(ctx, p, kindServe, s, &call{})
	if err != nil {
		return served{}, err
	}
	return r.Served, r.Err.unpack()
}

// Room implements engine.Server; it is 0 where the child tells none.
func (b *Backend) Room() int {
	r, err := b.serve(context.Background(), serve{Part: partRoom})
	if err != nil {
		return 0
	}
	return r.Room
}

// Prepare implements engine.Server.
func (b *Backend) Prepare(id int, q engine.Request) (prompt, most int, err error) {
	r, err := b.serve(context.Background(), serve{Part: partPrepare, ID: id, Request: q})
	return r.Prompt, r.Most, err
}

// Pass implements engine.Server. A pass that outlasts all measure has its child killed.
func (b *Backend) Pass(ctx context.Context, pass serving.Pass) (engine.Passed, error) {
	p, err := b.ready()
	if err != nil {
		return engine.Passed{}, err
	}
	tokens := pass.PrefillTokens() + pass.Decodes()
	defer p.pace.guard(p, tokens, b.opt.PassAfter)()
	began := time.Now()
	r, err := b.call(ctx, p, kindPass, appendPass(nil, pass), &call{passes: true})
	if err == nil {
		err = r.Err.unpack()
	}
	if err != nil {
		return engine.Passed{}, err
	}
	p.pace.took(tokens, time.Since(began))
	return r.Served.Passed, nil
}

// pace is how long the passes of a child took. A GPU's kernel that never ends keeps its
// process alive and busy, which the watchdog takes for work: on an H100 a matrix product
// of cuBLAS did so, at full utilisation and idle power.
type pace struct {
	passes  int
	longest time.Duration
	most    int // tokens in a pass
}

// A pass may take so many times as long as the longest so far, once there were so many;
// before, on a GPU, it may take so many times as long as what is given on top of that.
const (
	paceTimes  = 100
	pacePast   = 3
	firstTimes = 10
)

func (c *pace) took(tokens int, d time.Duration) {
	c.passes++
	c.longest, c.most = max(c.longest, d), max(c.most, tokens)
}

// guard kills p where a pass of so many tokens outlasts what the passes before it leave
// to be expected, by after; the function that it returns ends that.
func (c *pace) guard(p *process, tokens int, after time.Duration) (end func()) {
	longest := c.longest
	limit := firstTimes * after
	if c.passes < pacePast && !p.onGPU.Load() {
		return func() {}
	}
	if c.passes >= pacePast {
		limit = after + paceTimes*longest*time.Duration(max(1, (tokens+c.most-1)/max(c.most, 1)))
	}
	over := make(chan struct{})
	t := time.AfterFunc(limit, func() {
		select { // the program itself may have been stopped: then what came meanwhile is read first
		case <-over:
		case <-time.After(after / 4):
			p.kill(fmt.Sprintf("hung: a pass did not end in %v, the longest before it took %v", limit.Round(time.Millisecond), longest.Round(time.Millisecond)))
		}
	})
	return func() {
		t.Stop()
		close(over)
	}
}

// End implements engine.Server.
func (b *Backend) End(id int) (event.Output, float64) {
	r, err := b.serve(context.Background(), serve{Part: partEnd, ID: id})
	if err != nil {
		return event.Output{Choice: -1}, math.NaN()
	}
	return r.Output, r.Quality
}

// errServes: the child's backend runs batches alone.
var errServes = errors.New("engine/worker: the backend serves no requests as they come")

// pass is the child's side of Pass.
func (s *server) pass(ctx context.Context, id callID, pass serving.Pass) {
	b, ok := s.backend.(engine.Server)
	if !ok {
		s.reply(id, reply{Err: packError(errServes)})
		return
	}
	passed, err := b.Pass(ctx, pass)
	if err != nil {
		s.reply(id, reply{Err: packError(err)})
		return
	}
	s.over(id)
	s.out.add(kindPassed, true, func(d []byte) []byte { return appendPassed(id.append(d), passed) })
}

// serve is the child's side of the others.
func (s *server) serve(c serve) reply {
	b, ok := s.backend.(engine.Server)
	if !ok {
		return reply{Err: packError(errServes)}
	}
	var r reply
	var err error
	switch c.Part {
	case partRoom:
		r.Served.Room = b.Room()
	case partPrepare:
		r.Served.Prompt, r.Served.Most, err = b.Prepare(c.ID, c.Request)
	case partEnd:
		r.Served.Output, r.Served.Quality = b.End(c.ID)
	}
	r.Err = packError(err)
	return r
}
