//go:build cgo

package llama

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"jouletop/engine"
	"jouletop/engine/serving"
	"jouletop/engine/synth"
	"jouletop/workloads"
)

// answer is what a request came to: its tokens, and its text.
type answer struct {
	prompt, tokens []int32
	text, heard    string
}

// serveAll serves requests that come while others run, a few each pass. passed are the
// tokens of prompts, and the sequences that went on by one, over all passes.
func serveAll(t *testing.T, b *Backend, requests []engine.Request, slots, chunk int, schedule serving.Schedule, rng *rand.Rand) (out []answer, passed [2]int) {
	t.Helper()
	b.slots = slots
	sched, err := serving.New(serving.Config{Slots: slots, Chunk: chunk, Schedule: schedule, KVTokens: b.Room()})
	if err != nil {
		t.Fatal(err)
	}
	out = make([]answer, len(requests))
	came := 0
	for ended := 0; ended < len(requests); {
		for came < len(requests) && (sched.Active()+sched.Queued() == 0 || rng.IntN(4) == 0) {
			prompt, most, err := b.Prepare(came, requests[came])
			if err != nil {
				t.Fatal(err)
			}
			if err := sched.Add(came, prompt, most); err != nil {
				t.Fatal(err)
			}
			came++
		}
		p, some := sched.Next()
		if !some {
			continue
		}
		passed[0], passed[1] = passed[0]+p.PrefillTokens(), passed[1]+p.Decodes()
		r, err := b.Pass(t.Context(), p)
		if err != nil {
			t.Fatal(err)
		}
		if want := len(slices.DeleteFunc(slices.Clone(p.Members), func(m serving.Member) bool { return !m.Samples })); r.EndNS <= r.StartNS || len(r.Tokens) != want {
			t.Fatalf("%+v: %+v", p, r)
		}
		var own []int
		for _, s := range r.Tokens {
			out[s.ID].heard += s.Text
			if s.Ended {
				own = append(own, s.ID)
			}
		}
		for _, id := range sched.Done(p, own...) {
			s := b.served.of[id]
			out[id].prompt, out[id].tokens = s.prompt, slices.Clone(s.generated)
			o, _ := b.End(id)
			out[id].text = o.Text
			ended++
		}
	}
	if len(b.served.of) != 0 || len(b.served.active) != 0 {
		t.Errorf("%d requests are left, %d with a sequence", len(b.served.of), len(b.served.active))
	}
	return out, passed
}

// alone generates for one prompt, and tells how far apart the two best logits were at
// each token.
func alone(t *testing.T, b *Backend, prompt []int32, n int) (tokens []int32, gaps []float32) {
	t.Helper()
	x := b.eval
	x.clear()
	for i := range n {
		x.reset()
		if i == 0 {
			for pos, token := range prompt {
				x.add(token, pos, 0, pos == len(prompt)-1)
			}
		} else {
			x.add(tokens[i-1], len(prompt)+i-1, 0, true)
		}
		if r := x.submit(false); r != 0 {
			t.Fatal(r)
		}
		best, _ := x.wait(i == 0)
		first, second := float32(0), float32(-1e30)
		for k, l := range x.logits(0, b.model.nVocab) {
			switch {
			case int32(k) == best[0]:
				first = l
			case i > 0 || !b.model.ends(int32(k)):
				second = max(second, l)
			}
		}
		tokens, gaps = append(tokens, best[0]), append(gaps, first-second)
	}
	return tokens, gaps
}

// What a request is answered does not depend on who else is served: but where the two
// best tokens are as good as one another, it is what it is alone.
func TestServedAsAlone(t *testing.T) {
	for name, gpu := range map[string]bool{"on the CPU": false, "as on a GPU": true} {
		t.Run(name, func(t *testing.T) {
			b, _ := loadSmall(t)
			if gpu {
				asGPU(b)
			}
			for _, schedule := range []serving.Schedule{serving.Mixed, serving.PrefillFirst, serving.Static} {
				servedAsAlone(t, b, 60, 5, 24, schedule)
				b.served = nil // the cache was used
			}
		})
	}
}

// The same of a thousand requests on a real shape; it takes minutes.
func TestThousandServedAsAlone(t *testing.T) {
	if os.Getenv("JOULETOP_WHOLE") == "" {
		t.Skip("JOULETOP_WHOLE=1 runs it")
	}
	path := filepath.Join(t.TempDir(), "15m.gguf")
	shape, err := synth.Lookup("llama-15m")
	if err == nil {
		err = synth.Write(t.Context(), shape, synth.F16, 1, path, func(int64, int64) {})
	}
	if err != nil {
		t.Fatal(err)
	}
	b, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	if _, err := b.Load(t.Context(), engine.ModelSpec{Name: "15m", Path: path, Threads: 1}, nil); err != nil {
		t.Fatal(err)
	}
	servedAsAlone(t, b, 1000, 16, 512, serving.Mixed)
}

// servedAsAlone serves n requests of random lengths that come at random, and checks that
// each is answered as alone, and that passes and requests tell of the same tokens.
func servedAsAlone(t *testing.T, b *Backend, n, slots, chunk int, schedule serving.Schedule) {
	t.Helper()
	rng := rand.New(rand.NewPCG(7, 8))
	words := strings.Fields(strings.Join(questions, " "))
	var requests []engine.Request
	for i := range n {
		var prompt []string
		for range 1 + rng.IntN(40) {
			prompt = append(prompt, words[rng.IntN(len(words))])
		}
		requests = append(requests, engine.Request{ID: fmt.Sprint(i), Query: workloads.Query{Prompt: strings.Join(prompt, " ")}, MaxTokens: 1 + rng.IntN(30)})
	}
	answers, passed := serveAll(t, b, requests, slots, chunk, schedule, rng)
	close, prompts, generated := 0, 0, 0
	for i, a := range answers {
		if a.heard != a.text || len(a.tokens) == 0 || len(a.tokens) > requests[i].MaxTokens {
			t.Fatalf("request %d: %d tokens, heard %q, got %q", i, len(a.tokens), a.heard, a.text)
		}
		prompts, generated = prompts+len(a.prompt), generated+len(a.tokens)
		tokens, gaps := alone(t, b, a.prompt, len(a.tokens))
		for k := range tokens {
			if tokens[k] == a.tokens[k] {
				continue
			}
			if gaps[k] > 1e-2 {
				t.Errorf("%s, request %d: token %d is %d, alone %d, which is better by %g", schedule, i, k, a.tokens[k], tokens[k], gaps[k])
			}
			close++
			break
		}
	}
	if close > len(answers)/4 {
		t.Errorf("%s: %d of %d answers differ", schedule, close, len(answers))
	}
	if passed != [2]int{prompts, generated - len(answers)} {
		t.Errorf("%s: passes read and generated %v tokens, requests %d and %d", schedule, passed, prompts, generated-len(answers))
	}
	t.Logf("%s: %d requests, %d tokens read, %d generated; %d answers differ where the two best tokens are within 1e-2", schedule, n, prompts, generated, close)
}

// A batch after requests were served, and requests after a batch, find their room.
func TestServeAndRun(t *testing.T) {
	b, _ := loadSmall(t)
	b.slots = 3
	serve := func() string {
		rng := rand.New(rand.NewPCG(1, 1))
		answers, _ := serveAll(t, b, []engine.Request{{ID: "a", Query: workloads.Query{Prompt: questions[0]}, MaxTokens: 9}}, 3, 512, serving.Mixed, rng)
		return answers[0].text
	}
	run := func() string {
		r, err := b.Run(t.Context(), generate(9, questions[0]), &heard{})
		if err != nil || r[0].Err != nil {
			t.Fatal(err, r)
		}
		return r[0].Output.Text
	}
	if a, c, d, e := serve(), run(), serve(), run(); a != c || a != d || a != e || a == "" {
		t.Errorf("%q, %q, %q, %q", a, c, d, e)
	}
}

// What cannot be served is refused, and leaves the others alone.
func TestServeRefuses(t *testing.T) {
	b, info := loadSmall(t)
	b.slots = 2
	if _, _, err := b.Prepare(1, engine.Request{Query: workloads.Query{Prompt: "a", Options: []string{" b", " c"}, Answer: 0}, MaxTokens: 5}); !errors.Is(err, errScored) {
		t.Errorf("%v", err)
	}
	if _, _, err := b.Prepare(2, engine.Request{RandomTokens: info.ContextMax, MaxTokens: 5}); !errors.Is(err, engine.ErrTooLong) {
		t.Errorf("%v", err)
	}
	for _, m := range []serving.Member{{ID: 2, Fresh: 1, Prefill: true}, {ID: 3, Fresh: 1, Samples: true}, {ID: 3, Fresh: 1000, Prefill: true}} {
		if m.ID == 3 {
			if _, _, err := b.Prepare(3, engine.Request{Query: workloads.Query{Prompt: "a b"}, MaxTokens: 5}); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := b.Pass(t.Context(), serving.Pass{Members: []serving.Member{m}}); err == nil {
			t.Errorf("%+v was evaluated", m)
		}
		b.End(3)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	prompt, _, err := b.Prepare(4, engine.Request{Query: workloads.Query{Prompt: "a b"}, MaxTokens: 5})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Pass(ctx, serving.Pass{Members: []serving.Member{{ID: 4, Fresh: prompt, Prefill: true, Samples: true}}}); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	if o, _ := b.End(9); o.Text != "" || o.Choice != -1 {
		t.Errorf("of a request that never was: %+v", o)
	}
}
