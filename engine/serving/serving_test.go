package serving

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

func newScheduler(t *testing.T, cfg Config) *Scheduler {
	t.Helper()
	s, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// shape words a pass: p is a part of a prompt (with * if a token comes out), d a
// decode, each with its request, known and fresh tokens.
func shape(p Pass) string {
	var b strings.Builder
	for i, m := range p.Members {
		if i > 0 {
			b.WriteByte(' ')
		}
		if m.Prefill {
			fmt.Fprintf(&b, "p%d:%d+%d", m.ID, m.Known, m.Fresh)
			if m.Samples {
				b.WriteByte('*')
			}
		} else {
			fmt.Fprintf(&b, "d%d:%d", m.ID, m.Known)
		}
	}
	return b.String()
}

// play runs a scheduler until nothing is left.
func play(t *testing.T, s *Scheduler) []string {
	t.Helper()
	var out []string
	for {
		p, ok := s.Next()
		if !ok {
			return out
		}
		if out = append(out, shape(p)); len(out) > 1000 {
			t.Fatal("it goes on and on")
		}
		s.Done(p)
	}
}

func TestSchedules(t *testing.T) {
	for name, c := range map[string]struct {
		cfg  Config
		want []string
	}{
		// Three requests: prompts of 5, 3 and 2 tokens; 3, 1 and 2 to generate.
		"mixed": {Config{Slots: 2, Chunk: 4, Schedule: Mixed}, []string{
			"p0:0+4", "p0:4+1* p1:0+3*", // the second ends with its first token
			"d0:5 p2:0+2*", "d0:6 d2:2",
		}},
		"prefill-first": {Config{Slots: 2, Chunk: 4, Schedule: PrefillFirst}, []string{
			"p0:0+4", "p0:4+1* p1:0+3*", "p2:0+2*", "d0:5 d2:2", "d0:6",
		}},
		"static": {Config{Slots: 2, Chunk: 4, Schedule: Static}, []string{
			"p0:0+5* p1:0+3*", "d0:5", "d0:6", "p2:0+2*", "d2:2",
		}},
		"one slot": {Config{Slots: 1, Chunk: 100, Schedule: Mixed}, []string{
			"p0:0+5*", "d0:5", "d0:6", "p1:0+3*", "p2:0+2*", "d2:2",
		}},
		"little room": {Config{Slots: 8, Chunk: 100, Schedule: Mixed, KVTokens: 11}, []string{ // 8, 4 and 4 tokens
			"p0:0+5*", "d0:5", "d0:6", "p1:0+3* p2:0+2*", "d2:2",
		}},
	} {
		s := newScheduler(t, c.cfg)
		for id, r := range [][2]int{{5, 3}, {3, 1}, {2, 2}} {
			if err := s.Add(id, r[0], r[1]); err != nil {
				t.Fatal(err)
			}
		}
		if got := play(t, s); !slices.Equal(got, c.want) {
			t.Errorf("%s:\n%s\nwant\n%s", name, strings.Join(got, "\n"), strings.Join(c.want, "\n"))
		}
	}
}

// account follows one request from outside.
type account struct {
	prompt, most, stop  int // stop: it ends itself after so many tokens
	slot                int
	read, known, tokens int
	began, first, last  int // pass of its beginning, of its first token, of its end; -1 not yet
}

// Whatever comes: every prompt is read whole and once, every token is decoded on top
// of exactly those before it, none is lost, none overtakes another, and no bound is
// broken.
func TestEveryRequestIsServedWhole(t *testing.T) {
	for seed := range uint64(60) {
		rng := rand.New(rand.NewPCG(seed, 3))
		cfg := Config{
			Slots: 1 + rng.IntN(8), Chunk: 1 + rng.IntN(40), KVTokens: 120 * rng.IntN(3),
			Schedule: []Schedule{Mixed, PrefillFirst, Static}[rng.IntN(3)],
		}
		s := newScheduler(t, cfg)
		all := make([]*account, 40+rng.IntN(40))
		sumPrompt, sumTokens, inPasses, sampled := 0, 0, 0, 0
		for at, n, left := 0, 0, len(all); left > 0; n++ {
			if n > 1e5 {
				t.Fatalf("seed %d: requests starve", seed)
			}
			for at < len(all) && (rng.IntN(4) == 0 || s.Active()+s.Queued() == 0) {
				a := &account{prompt: 1 + rng.IntN(80), most: 1 + rng.IntN(30), slot: -1, began: -1, first: -1, last: -1}
				a.stop = a.most
				if rng.IntN(3) == 0 {
					a.stop = 1 + rng.IntN(a.most)
				}
				if err := s.Add(at, a.prompt, a.most); err != nil {
					t.Fatal(err)
				}
				sumPrompt, sumTokens = sumPrompt+a.prompt, sumTokens+a.stop
				all[at] = a
				at++
			}
			p, ok := s.Next()
			if !ok {
				t.Fatalf("seed %d: nothing to do, and %d are left", seed, left)
			}
			if again, _ := s.Next(); !slices.Equal(again.Members, p.Members) {
				t.Fatalf("seed %d: another pass where nothing was done", seed)
			}
			if cfg.Schedule != Static && p.PrefillTokens() > cfg.Chunk || s.Active() > cfg.Slots || len(p.Members) > cfg.Slots {
				t.Fatalf("seed %d: %+v: pass %s of %d active", seed, cfg, shape(p), s.Active())
			}
			if cfg.Schedule != Mixed && p.Prefills() > 0 && p.Decodes() > 0 {
				t.Fatalf("seed %d: %s mixes", seed, shape(p))
			}
			if p.Prefills()+p.Decodes() != len(p.Members) {
				t.Fatalf("seed %d: counts of %s", seed, shape(p))
			}
			inPasses += p.PrefillTokens()
			var ended []int
			slots, kv := map[int]bool{}, 0
			for _, m := range p.Members {
				a := all[m.ID]
				if a.slot < 0 {
					a.slot, a.began = m.Slot, n
				}
				if slots[m.Slot] || m.Slot != a.slot || m.Slot >= cfg.Slots || a.last >= 0 || m.Known != a.known || m.Fresh < 1 {
					t.Fatalf("seed %d: %+v of %+v", seed, m, a)
				}
				slots[m.Slot] = true
				kv += a.known
				a.known += m.Fresh
				if m.Prefill {
					a.read += m.Fresh
				}
				if m.Prefill == (a.read < a.prompt || a.tokens == 0) && m.Samples == (a.read == a.prompt) {
					// as it should be
				} else {
					t.Fatalf("seed %d: %+v of %+v", seed, m, a)
				}
				if m.Samples {
					sampled++
					if a.tokens++; a.tokens == 1 {
						a.first = n
					}
					if a.tokens == a.stop {
						ended = append(ended, m.ID)
						a.last = n
						left--
					}
				}
			}
			if kv != p.KVTokens() {
				t.Fatalf("seed %d: %d tokens of KV cache read, want %d", seed, p.KVTokens(), kv)
			}
			if gone := s.Done(p, ended...); len(gone) != len(ended) {
				t.Fatalf("seed %d: %v ended, want %v", seed, gone, ended)
			}
			reserved := 0
			for _, a := range all[:at] {
				if a.slot >= 0 && a.last < 0 {
					reserved += a.prompt + a.most
				}
			}
			if cfg.KVTokens > 0 && reserved > cfg.KVTokens {
				t.Fatalf("seed %d: %d tokens in a cache for %d", seed, reserved, cfg.KVTokens)
			}
		}
		if inPasses != sumPrompt || sampled != sumTokens {
			t.Errorf("seed %d: %d tokens of prompts and %d generated by passes, %d and %d by requests", seed, inPasses, sampled, sumPrompt, sumTokens)
		}
		for i := 1; i < len(all); i++ {
			if all[i].began < all[i-1].began || all[i].first < all[i-1].first {
				t.Errorf("seed %d: request %d overtook the one before", seed, i)
			}
		}
	}
}

// Who is dropped leaves its slot and its room to others.
func TestDrop(t *testing.T) {
	s := newScheduler(t, Config{Slots: 1, Chunk: 10, Schedule: Mixed, KVTokens: 12})
	for id := range 3 {
		if err := s.Add(id, 5, 5); err != nil {
			t.Fatal(err)
		}
	}
	p, _ := s.Next()
	s.Done(p)
	if s.Active() != 1 || s.Queued() != 2 || !s.Drop(0) || !s.Drop(1) || s.Drop(1) || s.Drop(7) {
		t.Fatalf("%d active, %d queued", s.Active(), s.Queued())
	}
	if p, ok := s.Next(); !ok || shape(p) != "p2:0+5*" || p.Members[0].Slot != 0 {
		t.Errorf("then %q", shape(p))
	}
	if err := s.Add(9, 1, 1); err != nil {
		t.Fatal(err)
	}
	if ids := s.DropQueued(); !slices.Equal(ids, []int{9}) || s.Queued() != 0 {
		t.Errorf("dropped %v", ids)
	}
}

func TestErrors(t *testing.T) {
	for _, cfg := range []Config{{}, {Slots: 1, Chunk: 1}, {Slots: 0, Chunk: 1, Schedule: Mixed}, {Slots: 1, Schedule: Mixed}, {Slots: 1, Chunk: 1, Schedule: Mixed, KVTokens: -1}} {
		if _, err := New(cfg); !errors.Is(err, ErrConfig) {
			t.Errorf("%+v: %v", cfg, err)
		}
	}
	s := newScheduler(t, Config{Slots: 1, Chunk: 1, Schedule: Mixed, KVTokens: 10})
	if err := s.Add(1, 5, 6); !errors.Is(err, ErrTooLong) {
		t.Error(err)
	}
	for _, bad := range [][2]int{{0, 1}, {1, 0}, {-1, 1}} {
		if err := s.Add(1, bad[0], bad[1]); err == nil {
			t.Errorf("%v was taken", bad)
		}
	}
	if _, ok := s.Next(); ok {
		t.Error("a pass of nothing")
	}
}

// Passes that are alike may be taken at once, and a request may be put under way: both
// come to what passes one by one come to.
func TestPassesAtOnce(t *testing.T) {
	for seed := range uint64(40) {
		rng := rand.New(rand.NewPCG(seed, 8))
		cfg := Config{Slots: 1 + rng.IntN(6), Chunk: 1 + rng.IntN(40), Schedule: []Schedule{Mixed, PrefillFirst, Static}[rng.IntN(3)]}
		one, many := newScheduler(t, cfg), newScheduler(t, cfg)
		for id := range 12 {
			prompt, most := 1+rng.IntN(60), 1+rng.IntN(30)
			for _, s := range []*Scheduler{one, many} {
				if err := s.Add(id, prompt, most); err != nil {
					t.Fatal(err)
				}
			}
		}
		for {
			p, some := many.Next()
			q, also := one.Next()
			if some != also || shape(p) != shape(q) {
				t.Fatalf("seed %d: %s, one by one %s", seed, shape(p), shape(q))
			}
			if !some {
				break
			}
			n := many.Alike(p)
			if n > 1 && rng.IntN(2) == 0 {
				n = 1 + rng.IntN(n)
			}
			gone := many.DoneTimes(p, n)
			var alone []int
			for i := range n {
				if q, _ = one.Next(); len(q.Members) != len(p.Members) {
					t.Fatalf("seed %d: pass %d of %d has other members", seed, i, n)
				}
				alone = append(alone, one.Done(q)...)
			}
			if !slices.Equal(gone, alone) {
				t.Fatalf("seed %d: %v ended, one by one %v", seed, gone, alone)
			}
		}
	}
}

func TestResume(t *testing.T) {
	cfg := Config{Slots: 2, Chunk: 4, Schedule: Mixed}
	s := newScheduler(t, cfg)
	if err := errors.Join(s.Resume(7, 5, 5, 2, 4), s.Resume(8, 9, 3, 0, 1)); err != nil {
		t.Fatal(err)
	}
	if got, want := play(t, s), []string{"d7:6 p8:3+4", "d7:7 p8:7+2*"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	for _, bad := range [][4]int{{5, 6, 0, 2}, {5, 3, 1, 2}, {5, 5, 0, 2}, {5, 5, 2, 2}, {5, -1, 0, 2}} {
		if err := newScheduler(t, cfg).Resume(1, bad[0], bad[1], bad[2], bad[3]); !errors.Is(err, ErrConfig) {
			t.Errorf("%v: %v", bad, err)
		}
	}
	full := newScheduler(t, Config{Slots: 1, Chunk: 4, Schedule: Mixed})
	if err := full.Resume(1, 5, 5, 1, 2); err != nil {
		t.Fatal(err)
	}
	if err := full.Resume(2, 5, 5, 1, 2); !errors.Is(err, ErrConfig) {
		t.Errorf("no slot: %v", err)
	}
}
