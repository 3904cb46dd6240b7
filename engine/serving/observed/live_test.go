package observed

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"jouletop/engine/event"
)

// chunked is a made-up server that reads prompts in chunks beside decodes, and what its
// clients see of it while it runs.
type chunked struct {
	rng      *rand.Rand
	live     *Live
	now      int64
	chunk    int
	progress bool    // it says how prompts come forward, and how many tokens it has made
	tells    bool    // of each pass
	loses    bool    // of what it tells, which is noticed
	silent   float64 // tokens without text

	prompts, outputs, read, made map[string]int
	order                        []string
	truth                        []timedTokens // tokens of prompts in each pass
	its                          []event.Iteration
}

type timedTokens struct {
	end    int64
	tokens int
}

// placed is the share of the prompts' tokens that are in the pass in which they were read.
func (s *chunked) placed() float64 {
	seen, all, right := make([]int, len(s.truth)), 0, 0
	k := 0
	for _, it := range s.its {
		for k < len(s.truth)-1 && s.truth[k].end < it.EndNS-ms/2 {
			k++
		}
		best := k
		if k > 0 && it.EndNS-s.truth[k-1].end < s.truth[k].end-it.EndNS {
			best = k - 1
		}
		seen[best] += it.PrefillTokens
	}
	for i, p := range s.truth {
		all, right = all+p.tokens, right+min(p.tokens, seen[i])
	}
	return float64(right) / float64(all)
}

func (s *chunked) pass() {
	var decodes, firsts []string
	left, prefills, started := s.chunk, 0, map[string]bool{}
	for _, id := range s.order {
		switch p := s.prompts[id]; {
		case s.made[id] > 0 && s.made[id] < s.outputs[id]:
			decodes = append(decodes, id)
		case s.made[id] == 0 && left > 0:
			n := min(left, p-s.read[id])
			s.read[id], left, prefills = s.read[id]+n, left-n, prefills+1
			started[id] = true
			if s.read[id] == p {
				firsts = append(firsts, id)
			}
		}
	}
	tokens := s.chunk - left
	if len(decodes)+prefills == 0 {
		s.now += 5 * ms
		return
	}
	d := 2*ms + 8*ms*int64(min(len(decodes), 1)) + int64(len(decodes))*ms/5 + int64(tokens)*ms/20
	s.now += int64(float64(d) * (1 + 0.01*s.rng.NormFloat64()))
	s.truth = append(s.truth, timedTokens{s.now, tokens})
	if s.loses && len(s.truth) == 500 {
		s.live.Distrust()
	} else if s.tells {
		s.live.Told(Told{T: s.now + int64(s.rng.IntN(20))*ms, Prefills: prefills, PrefillTokens: tokens, Decodes: len(decodes), Queued: 3, Seconds: float64(d) / 1e9})
	}
	if s.progress {
		for _, id := range s.order {
			if started[id] {
				s.now += 20_000
				s.live.Read(id, s.now, s.read[id])
			}
		}
	}
	for _, id := range append(decodes, firsts...) {
		s.made[id]++
		s.now += 30_000
		if s.made[id] == 1 {
			s.live.Prompt(id, Prompt{Tokens: s.prompts[id], Seconds: math.NaN()})
		}
		made := 0
		if s.progress {
			made = s.made[id]
		}
		if s.made[id] == 1 || s.made[id] == s.outputs[id] || s.rng.Float64() >= s.silent {
			s.live.Came(id, s.now, made)
		}
		if s.made[id] == s.outputs[id] {
			s.live.Ended(id, s.now, s.outputs[id])
		}
	}
}

func (s *chunked) run(t *testing.T, n int) {
	t.Helper()
	s.live, s.now, s.rng = New(), 1e9, rand.New(rand.NewPCG(4, 5))
	s.live.Whole = true
	s.prompts, s.outputs, s.read, s.made = map[string]int{}, map[string]int{}, map[string]int{}, map[string]int{}
	next, told := s.now, s.now
	for came := 0; ; {
		for next <= s.now && came < n {
			id := fmt.Sprint(came)
			came++
			s.order = append(s.order, id)
			s.prompts[id], s.outputs[id] = 20+s.rng.IntN(400), 2+s.rng.IntN(40)
			s.live.Sent(id, s.now)
			next += int64(s.rng.ExpFloat64()*150) * ms
		}
		s.pass()
		if s.now-told > 250*ms {
			told = s.now
			s.its = append(s.its, s.live.Passes(s.now)...)
		}
		busy := came < n
		for _, id := range s.order {
			busy = busy || s.made[id] < s.outputs[id]
		}
		if !busy {
			break
		}
	}
	s.its = append(s.its, s.live.Rest()...)
}

// While a server runs its passes are found, with all tokens of all requests; the more it
// says, the better it is known where prompts were read.
func TestLive(t *testing.T) {
	for _, c := range []struct {
		name   string
		server chunked
		right  float64 // share of the prompts' tokens that are in their passes
		origin event.Origin
	}{
		{"says", chunked{progress: true}, 0.999, event.OriginStream},
		{"says, silent tokens", chunked{progress: true, silent: 0.2}, 0.99, event.OriginStream},
		{"tells of passes", chunked{tells: true}, 0.9, event.OriginServer},
		{"tells of most", chunked{tells: true, loses: true}, 0.75, event.OriginServer},
		{"tells nothing", chunked{}, 0.75, event.OriginStream},
	} {
		s := c.server
		s.chunk = 128
		s.run(t, 200)
		read, made := map[string]int{}, map[string]int{}
		last, told := int64(0), 0
		for _, it := range s.its {
			if it.StartNS < last || it.EndNS <= it.StartNS {
				t.Fatalf("%s: %+v after %d", c.name, it, last)
			}
			last = it.EndNS
			for _, m := range it.Members {
				if m.Prefill {
					read[m.RequestID] += m.Fresh
				} else {
					made[m.RequestID] += m.Fresh
				}
			}
			if it.Origin == event.OriginServer {
				told++
			}
		}
		if (told > 0) != (c.origin == event.OriginServer) {
			t.Errorf("%s: %d passes are told", c.name, told)
		}
		wrong := 0
		for _, id := range s.order[1:] { // of the very first nobody saw the beginning
			if read[id] != s.prompts[id] || made[id] != s.outputs[id]-1 && s.silent == 0 || made[id] > s.outputs[id]-1 || s.progress && made[id] != s.outputs[id]-1 {
				wrong++
			}
		}
		if wrong > 0 {
			t.Errorf("%s: %d requests have other tokens by passes", c.name, wrong)
		}
		if d := len(s.truth) - len(s.its); d < -len(s.truth)/50 || d > len(s.truth)/20+int(s.silent*float64(len(s.truth))/2) {
			t.Errorf("%s: %d passes of %d", c.name, len(s.its), len(s.truth))
		}
		if share := s.placed(); share < c.right {
			t.Errorf("%s: %.1f %% of the tokens are in their passes", c.name, 100*share)
		}
		both, toldAlone, seenAlone := s.live.Matched()
		t.Logf("%s: %d passes of %d, %d told; %.1f %% in their passes; matched %d, %d and %d alone", c.name, len(s.its), len(s.truth), told, 100*s.placed(), both, toldAlone, seenAlone)
	}
}

// Whatever a server says, passes follow each other, and no token is in them twice.
func TestLiveOfNonsense(t *testing.T) {
	for seed := range uint64(150) {
		rng := rand.New(rand.NewPCG(seed, 9))
		l := New()
		now, last := int64(1e9), int64(0)
		made := map[string]int{}
		check := func(its []event.Iteration) {
			for _, it := range its {
				if it.StartNS < last || it.EndNS <= it.StartNS || len(it.Members) == 0 {
					t.Fatalf("seed %d: %+v after %d", seed, it, last)
				}
				last = it.EndNS
				for _, m := range it.Members {
					if m.Fresh < 0 || m.Fresh == 0 && !m.Prefill {
						t.Fatalf("seed %d: %+v", seed, m)
					}
					if !m.Prefill {
						made[m.RequestID] += m.Fresh
					}
				}
			}
		}
		for range 400 {
			now += rng.Int64N(2e7)
			id := fmt.Sprint(rng.IntN(6))
			switch rng.IntN(9) {
			case 0:
				l.Sent(id, now-rng.Int64N(1e8))
			case 1:
				l.Prompt(id, Prompt{Tokens: rng.IntN(90), Cached: rng.IntN(9), Seconds: []float64{math.NaN(), 0, rng.Float64(), 1e9}[rng.IntN(4)]})
			case 2:
				l.Read(id, now, rng.IntN(90)-5)
			case 3:
				l.Ended(id, now-rng.Int64N(1e7), rng.IntN(50)-1)
			case 4:
				l.Told(Told{T: now - rng.Int64N(1e8), Prefills: rng.IntN(4), PrefillTokens: rng.IntN(300), Decodes: rng.IntN(6), Queued: -1, Seconds: rng.Float64() / 10})
			case 5:
				check(l.Passes(now))
			default:
				l.Came(id, now-rng.Int64N(1e7), rng.IntN(40)*rng.IntN(2))
			}
		}
		check(l.Rest())
		for id, n := range made {
			if n > 400+200 {
				t.Fatalf("seed %d: %d tokens of %s", seed, n, id)
			}
		}
	}
}
