package main

import (
	"context"
	"math"
	"math/rand/v2"
	"sync"
	"time"

	"jouletop/engine"
	"jouletop/engine/event"
	"jouletop/engine/serverword"
	"jouletop/engine/serving"
	"jouletop/gpu/timebase"
)

// streamed is the simulated model behind a server of which nothing is seen but its
// streams: text comes a moment after its pass, token by token.
type streamed struct {
	engine.Backend
	model *truth
	clk   timebase.Clock
	rng   *rand.Rand
	says  bool // how prompts come forward, and how many tokens it has made
	tells bool // of its passes

	mu    sync.Mutex
	sched *serving.Scheduler
	of    map[int]*streaming
	busy  bool
	n     int
	told  []serverword.Pass
	count int // passes
}

// streaming is a request at the server.
type streaming struct {
	heard engine.Heard
	res   engine.Result
	read  int
	ended bool
}

func streamOf(model *truth, clk timebase.Clock, seed int64, known int) (*streamed, error) {
	sched, err := serving.New(serving.Config{Slots: slots, Chunk: chunk, Schedule: serving.Mixed, KVTokens: model.Room()})
	return &streamed{Backend: struct{ engine.Backend }{model}, model: model, clk: clk, rng: rand.New(rand.NewPCG(uint64(seed), 5)), says: known == said, tells: known == told, sched: sched, of: map[int]*streaming{}}, err
}

// EvaluatesOnce is as of most servers.
func (s *streamed) EvaluatesOnce() bool { return true }

// CountTokens counts as the simulated model does.
func (s *streamed) CountTokens(text string) (int, error) { return s.model.CountTokens(text) }

// Send implements engine.Taker.
func (s *streamed) Send(ctx context.Context, q engine.Request, heard engine.Heard) engine.Result {
	s.mu.Lock()
	id := s.n
	s.n++
	prompt, most, err := s.model.Prepare(id, q)
	r := &streaming{heard: heard, res: engine.Result{InputTokens: prompt, Quality: math.NaN(), Output: event.Output{Choice: -1}, StartNS: s.clk.Now(), Err: err}}
	if err == nil {
		r.res.Err = s.sched.Add(id, prompt, most)
	}
	if r.res.Err != nil {
		r.res.EndNS = s.clk.Now()
		s.mu.Unlock()
		return r.res
	}
	s.of[id] = r
	if !s.busy {
		s.busy = true
		s.clk.Go(func() { s.work(ctx) })
	}
	s.mu.Unlock()
	for {
		_ = s.clk.Sleep(ctx, 5*time.Millisecond)
		s.mu.Lock()
		ended := r.ended
		s.mu.Unlock()
		if ended && r.res.EndNS <= s.clk.Now() {
			return r.res
		}
	}
}

// work runs passes until there is nothing to do.
func (s *streamed) work(ctx context.Context) {
	for {
		s.mu.Lock()
		p, some := s.sched.Next()
		s.busy = some
		s.mu.Unlock()
		if !some {
			return
		}
		out, err := s.model.Pass(ctx, p)
		if err != nil {
			panic(err) // of a simulation that is not stopped
		}
		s.mu.Lock()
		s.tell(p, out)
		t := out.EndNS
		arrives := func() int64 { // one after another, and a network after each
			t += 20_000
			return t + int64(150_000*s.rng.ExpFloat64())
		}
		for _, m := range p.Members {
			if r := s.of[m.ID]; m.Prefill {
				if r.read += m.Fresh; s.says {
					r.heard.Prompt(arrives(), engine.PromptWord{Tokens: r.res.InputTokens, Read: r.read, Seconds: math.NaN()})
				}
			}
		}
		var own []int
		for _, x := range out.Tokens {
			r := s.of[x.ID]
			at := max(arrives(), r.res.EndNS+1)
			if r.res.OutputTokens++; r.res.OutputTokens == 1 {
				r.res.PrefillEndNS, r.res.FirstTokenNS = at, at
				r.heard.Prompt(at, engine.PromptWord{Tokens: r.res.InputTokens, Read: -1, Seconds: math.NaN()})
			}
			r.res.EndNS = at
			made := 0
			if s.says {
				made = r.res.OutputTokens
			}
			r.heard.Text(at, x.Text, made)
			if x.Ended {
				own = append(own, x.ID)
			}
		}
		for _, id := range s.sched.Done(p, own...) {
			r := s.of[id]
			r.res.Output, r.res.Quality = s.model.End(id)
			r.ended = true
			delete(s.of, id)
		}
		s.mu.Unlock()
	}
}

// tell notes a pass as a log that is read now and then would.
func (s *streamed) tell(p serving.Pass, out engine.Passed) {
	s.count++
	if !s.tells {
		return
	}
	const every = int64(20e6) // ns
	s.told = append(s.told, serverword.Pass{
		Prefills: p.Prefills(), PrefillTokens: p.PrefillTokens(), Decodes: p.Decodes(), DecodeTokens: p.Decodes(), KVTokens: -1, Queued: s.sched.Queued(),
		Seconds: float64(out.EndNS-out.StartNS) / 1e9, Number: int64(s.count), ReadNS: out.EndNS + s.rng.Int64N(every),
	})
}

// Take implements engine.Telemetry.
func (s *streamed) Take() (out serverword.Told) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.clk.Now()
	for len(s.told) > 0 && s.told[0].ReadNS <= now {
		out.Passes, s.told = append(out.Passes, s.told[0]), s.told[1:]
	}
	return out
}

// Look implements engine.Telemetry.
func (s *streamed) Look(context.Context) error { return nil }

// Optional implements engine.Telemetry.
func (s *streamed) Optional() bool { return false }

// Word implements engine.Telemetry.
func (s *streamed) Word() event.ServerTelemetry { return event.ServerTelemetry{Workers: 1} }
