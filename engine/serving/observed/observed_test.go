package observed

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

// server is a made-up one: it evaluates its model for runs of neighbouring slots, one
// after another, and sends tokens one by one after each pass.
type server struct {
	rng      *rand.Rand
	now      int64
	requests []Request
	made     []int
	slots    []int // request in each, -1 none
	passes   int
	counts   []int // evaluations of the passes of decodes alone
	together bool  // whatever runs together is one evaluation
	silent   float64
	tells    bool // how long prompts took
}

const ms = int64(1e6)

func (s *server) step() {
	start := s.now
	evaluations, d := 0, int64(0)
	var members []int
	prompt := 0
	for i := 0; i < len(s.slots); i++ {
		run := 0
		for ; i < len(s.slots) && s.slots[i] >= 0; i++ {
			members = append(members, s.slots[i])
			if r := s.slots[i]; s.made[r] == 0 {
				prompt += s.requests[r].Prompt
			}
			run++
		}
		if run == 1 && !s.together {
			evaluations, d = evaluations+1, d+6*ms
		} else if run > 1 && !s.together {
			evaluations, d = evaluations+1, d+8*ms+int64(run)*ms/10
		}
	}
	if s.together {
		evaluations, d = 1, 6*ms+int64(len(members))*ms/5
	}
	d += int64(prompt) * ms / 20
	d = int64(float64(d) * (1 + 0.01*s.rng.NormFloat64()))
	s.now += d
	s.passes++
	if prompt == 0 {
		s.counts = append(s.counts, evaluations)
	}
	for _, r := range members {
		q := &s.requests[r]
		s.made[r]++
		if s.made[r] == 1 && s.tells {
			q.PromptS = float64(s.now-start) / 1e9
		}
		if s.made[r] == 1 || s.made[r] == q.Output || s.rng.Float64() >= s.silent {
			s.now += 300_000
			q.TokensNS = append(q.TokensNS, s.now)
		}
	}
	for i, r := range s.slots {
		if r >= 0 && s.made[r] == s.requests[r].Output {
			s.slots[i] = -1
		}
	}
}

// serve has n requests come at random.
func serve(s *server, n int) *server {
	s.now = 1e9
	for range 8 {
		s.slots = append(s.slots, -1)
	}
	next := s.now
	for len(s.requests) < n || busy(s.slots) {
		for i, r := range s.slots {
			if r < 0 && len(s.requests) < n && next <= s.now {
				s.requests = append(s.requests, Request{ID: fmt.Sprint(len(s.requests)), SentNS: s.now, Prompt: 30 + s.rng.IntN(300), Output: 2 + s.rng.IntN(60), PromptS: math.NaN()})
				s.made = append(s.made, 0)
				s.slots[i] = len(s.requests) - 1
				next = s.now + int64(s.rng.ExpFloat64()*120)*ms
				if s.rng.IntN(3) > 0 {
					break
				}
			}
		}
		if busy(s.slots) {
			s.step()
		} else {
			s.now += 5 * ms
		}
	}
	return s
}

func busy(slots []int) bool {
	for _, r := range slots {
		if r >= 0 {
			return true
		}
	}
	return false
}

// The passes of a server are found again from when tokens came, with their members.
func TestPasses(t *testing.T) {
	for _, c := range []server{
		{tells: true}, {tells: false}, {tells: true, silent: 0.1}, {tells: true, together: true},
	} {
		c.rng = rand.New(rand.NewPCG(1, 2))
		s := serve(&c, 150)
		its := Passes(s.requests)
		// A pass none of whose tokens had a text nobody saw.
		if d := s.passes - len(its); d < 0 || d > s.passes/500+int(c.silent*float64(s.passes)/4) {
			t.Errorf("silent %g: %d passes of %d", c.silent, len(its), s.passes)
		}
		read, made := map[string]int{}, map[string]int{}
		last := int64(0)
		right, decodes, told, own := 0, 0, 0, 0.0
		for _, it := range its {
			prompts, kv, prefills := 0, 0, 0
			for _, m := range it.Members {
				if kv += m.Known; m.Prefill {
					prompts, prefills = prompts+m.Fresh, prefills+1
					read[m.RequestID] += m.Fresh
				} else {
					made[m.RequestID]++
				}
			}
			if it.StartNS < last || it.EndNS <= it.StartNS || prompts != it.PrefillTokens || prefills != it.PrefillRequests || kv != it.KVTokens || len(it.Members)-prefills != it.DecodeRequests {
				t.Fatalf("%+v", it)
			}
			last = it.EndNS
			if prefills == 0 && decodes < len(s.counts) {
				if it.Evaluations == s.counts[decodes] {
					right++
				}
				decodes++
			}
			if it.Evaluations > 1 {
				told++
			}
			for _, m := range it.Members {
				if m.Evaluations < 0 || m.Evaluations > 1 || m.EvaluationsErr > 0.5 || c.together && len(it.Members) > 1 && m.Evaluations > 0 {
					t.Fatalf("together %v: %+v", c.together, m)
				}
				own += m.Evaluations
			}
		}
		wrong := 0
		for _, r := range s.requests {
			if d := read[r.ID] - r.Prompt; d < -1 || d > 1 || c.silent == 0 && made[r.ID] != r.Output-1 {
				wrong++
			}
		}
		if wrong > 2 { // of the very first nobody saw the beginning
			t.Errorf("tells %v, silent %g: %d of %d requests have other tokens by passes", c.tells, c.silent, wrong, len(s.requests))
		}
		if share := float64(right) / float64(decodes); c.silent == 0 && share < 0.9 {
			t.Errorf("together %v: %.1f %% of the passes have as many evaluations as there were", c.together, 100*share)
		}
		if !c.together && own < 100 {
			t.Errorf("%.0f evaluations were somebody's own", own)
		}
		if c.together && told > 0 {
			t.Errorf("%d passes of several evaluations, where each was one", told)
		}
	}
}

// Whatever clients say they saw, passes follow each other.
func TestPassesOfNonsense(t *testing.T) {
	if its := Passes(nil); len(its) != 0 {
		t.Errorf("%v", its)
	}
	for seed := range uint64(200) {
		rng := rand.New(rand.NewPCG(seed, 3))
		rs := make([]Request, rng.IntN(12))
		for i := range rs {
			rs[i] = Request{ID: fmt.Sprint(i), SentNS: rng.Int64N(1e9), Prompt: rng.IntN(50), Output: rng.IntN(20), PromptS: []float64{math.NaN(), 0, rng.Float64() * 3}[rng.IntN(3)]}
			at := rng.Int64N(1e9)
			for range rng.IntN(20) {
				at += rng.Int64N(3e7) * int64(rng.IntN(2))
				rs[i].TokensNS = append(rs[i].TokensNS, at)
			}
		}
		last := int64(0)
		for _, it := range Passes(rs) {
			if it.StartNS < last || it.EndNS <= it.StartNS || it.Evaluations < 1 {
				t.Fatalf("seed %d: %+v after %d", seed, it, last)
			}
			last = it.EndNS
		}
	}
}
