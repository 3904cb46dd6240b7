package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"jouletop/workloads"
)

// Taker is a Backend that takes requests while it runs others: a server. It decides
// itself what runs together.
type Taker interface {
	Backend
	// Send runs a request that generates to its end, and tells of it as it comes. It is
	// called from many goroutines at once. ErrBackendDied is wrapped by the result's error
	// where nobody is there to take requests.
	Send(ctx context.Context, q Request, heard Heard) Result
}

// Heard is told of a request that a server answers. Its functions return at once.
type Heard struct {
	// Sent: it is sent at t (ns), anew where it was turned away before.
	Sent func(t int64)
	// Text: a token's text came at t (ns), by which the server had made so many, as it
	// says itself; 0 unknown.
	Text func(t int64, text string, made int)
	// Prompt: what the server says of the prompt, at t (ns).
	Prompt func(t int64, p PromptWord)
}

// PromptWord is what is known of a prompt at a server.
type PromptWord struct {
	Tokens  int     // all of it; 0 unknown
	Cached  int     // of these, those that were in a cache
	Read    int     // of these, read by now, with the cached; -1: it does not say
	Seconds float64 // that reading it has taken so far, by the server's clock; NaN: it does not say
}

// sender serves a point by sending its requests to a server.
type sender struct {
	*service
	model Taker

	mu       sync.Mutex // of all that follows, and of the service
	underWay int
	deaths   int     // requests in a row that reached nobody
	tokenB   float64 // bytes of a token, where prompts are made to length
	late     int     // requests that were sent late
	latest   int64   // by how much at most, in ns
	err      error   // of the load
	seen     seenPasses
}

// maxUnreached is how many requests in a row may reach nobody before a point is given
// up.
const maxUnreached = 8

// lateNS is how late a request may be sent without a word, in ns.
const lateNS = int64(5 * time.Millisecond)

// lookUp is how long is slept at most without looking whether to stop.
const lookUp = 20 * time.Millisecond

func (s *sender) run(ctx context.Context) error {
	if s.load.next.Input > 0 { // a trace: nobody waits yet for whom a server counts tokens
		s.measure()
		s.load.begin(s.clk.Now())
	}
	s.seen.begin(ctx, s)
	ended := error(nil)
	for {
		stop, skip := s.gate(ctx)
		s.mu.Lock()
		s.seen.tell(s.clk.Now())
		s.load.setPace(s.clk.Now(), s.pace())
		if (stop || skip || s.err != nil) && ended == nil { // those under way go on to their end
			ended = errSkipped
			switch {
			case s.err != nil:
				ended = s.err
			case stop:
				ended = s.stopped(ctx)
			}
			s.Engine.mu.Lock()
			s.skip = false
			s.Engine.mu.Unlock()
			s.load.stop()
		}
		s.sendDue(ctx)
		t, more := s.load.due()
		left := s.underWay
		s.mu.Unlock()
		now := s.clk.Now()
		if !more {
			if left == 0 {
				s.tellLate()
				s.seen.end(ctx)
				return ended
			}
			t = now + int64(lookUp)
		}
		// Not with ctx: those under way end with it, and are waited for.
		_ = s.clk.SleepUntil(context.WithoutCancel(ctx), min(t, now+int64(lookUp)))
	}
}

// sendDue sends all that is due. The caller holds s.mu.
func (s *sender) sendDue(ctx context.Context) {
	for s.err == nil {
		t, ok := s.load.due()
		now := s.clk.Now()
		if !ok || t > now {
			return
		}
		j, err := s.come(t)
		if err != nil {
			s.err = err
			return
		}
		if behind := now - t; behind > lateNS {
			s.late, s.latest = s.late+1, max(s.latest, behind)
		}
		s.toLength(&j.request)
		s.seen.comes(j, now)
		s.underWay++
		s.seen.server.sends(now, s.underWay)
		s.clk.Go(func() { s.send(ctx, j) })
	}
}

// A token of plain English is about so many bytes; a server that counts tokens is asked
// about so many bytes of the prompts.
const (
	commonTokenB = 4.0
	sampleB      = 16 << 10
)

// measure finds how many bytes of the prompts a token is. It asks the server.
func (s *sender) measure() {
	var sample strings.Builder
	for _, q := range s.point.Queries {
		if sample.Len() < sampleB {
			sample.WriteString(q.Prompt + " ")
		}
	}
	s.tokenB = commonTokenB
	if n, err := s.model.CountTokens(sample.String()); err == nil && n > 0 {
		s.tokenB = float64(sample.Len()) / float64(n)
	} else {
		s.Warn(fmt.Sprintf("prompts of a trace's lengths are made of %g bytes a token, for nobody counts tokens here; the input tokens of a request are as the server tells them", commonTokenB))
	}
}

// toLength words a prompt of about as many tokens as a trace says, out of the query's:
// a server is given text.
func (s *sender) toLength(q *Request) {
	if q.RandomTokens == 0 {
		return
	}
	q.Query.Prompt = workloads.OfLength(q.Query.Prompt, int(float64(q.RandomTokens)*cmp.Or(s.tokenB, commonTokenB)))
	q.Query.Answers, q.RandomTokens = nil, 0 // it is not the question any more
}

// send runs one request.
func (s *sender) send(ctx context.Context, j *job) {
	id := j.request.ID
	noted := func(note func()) {
		s.mu.Lock()
		defer s.mu.Unlock()
		note()
	}
	r := s.model.Send(ctx, j.request, Heard{
		Sent:   func(t int64) { noted(func() { s.seen.sent(id, t) }) },
		Prompt: func(t int64, p PromptWord) { noted(func() { s.seen.prompt(id, t, p) }) },
		Text: func(t int64, text string, made int) {
			noted(func() {
				if j.last > 0 {
					j.gap = max(j.gap, t-j.last)
				}
				j.tokens, j.last = j.tokens+1, t
				s.seen.came(id, t, made)
				TellTokens(s.busy.obs, j.index, t, text, made-j.told)
				j.told = max(j.told, made)
			})
		},
	})
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.busy.tokens >= 0 && r.InputTokens >= 0 && r.OutputTokens >= 0 {
		s.busy.tokens += r.InputTokens + r.OutputTokens
	} else {
		s.busy.tokens = -1
	}
	s.seen.ended(id, &r)
	s.report(j, r)
	if s.deaths++; !errors.Is(r.Err, ErrBackendDied) {
		s.deaths = 0
	}
	if s.deaths >= maxUnreached && s.err == nil {
		s.err = fmt.Errorf("%w after %d requests in a row: %w", errGivenUp, s.deaths, r.Err)
	}
	s.underWay--
	s.seen.server.sends(s.clk.Now(), s.underWay)
	switch {
	case s.underWay == 0:
		s.seen.flush()
		s.rest()
	case !s.seen.on:
		s.part(s.clk.Now())
		s.work(s.clk.Now())
	}
	if ctx.Err() == nil {
		s.sendDue(ctx)
	}
}

// tellLate says where requests came later than they were meant to.
func (s *sender) tellLate() {
	if s.late == 0 {
		return
	}
	s.Warn(fmt.Sprintf("point %s: %d of %d requests were sent late, by up to %v: this machine was too busy; their latency counts from when they were meant to come",
		s.point.PointID, s.late, s.load.came, time.Duration(s.latest).Round(time.Millisecond)))
}
