//go:build cgo

package llama

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"jouletop/engine"
	"jouletop/engine/event"
	"jouletop/engine/synth"
)

// smallDrafts writes a model with small's vocabulary and other weights, once.
var smallDrafts = sync.OnceValues(func() (string, error) {
	path, err := small()
	if err != nil {
		return "", err
	}
	s, err := synth.Lookup("llama-15m")
	if err != nil {
		return "", err
	}
	s.Layers, s.Embedding, s.FeedForward, s.Heads, s.KVHeads, s.HeadDim = 1, 64, 128, 2, 1, 32
	s.Vocabulary = 8000
	draft := filepath.Join(filepath.Dir(path), "draft.gguf")
	return draft, synth.Write(context.Background(), s, synth.F16, 8, draft, nil)
})

// loadDrafting is loadSmall with a drafter: event.DraftSelf, event.DraftNGram or "other".
func loadDrafting(t *testing.T, by string) *Backend {
	t.Helper()
	path, err := small()
	if err != nil {
		t.Fatal(err)
	}
	d := engine.Drafter{Name: by}
	if by == "other" {
		if d.Path, err = smallDrafts(); err != nil {
			t.Fatal(err)
		}
	}
	return loadWith(t, path, d)
}

func loadWith(t *testing.T, path string, d engine.Drafter) *Backend {
	t.Helper()
	b, err := New(Options{BackendDir: backendDir})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	spec := engine.ModelSpec{Name: "small", Path: path, Threads: 1, Drafter: d}
	if backendDir != "" {
		spec.GPULayers = -1
	}
	if _, err := b.Load(t.Context(), spec, nil); err != nil {
		t.Fatal(err)
	}
	return b
}

// speculated runs prompts with tokens drafted, and returns what was heard.
func speculated(t *testing.T, b *Backend, seqs []*sequence, depth int) *heard {
	t.Helper()
	for i, s := range seqs {
		s.index = i
	}
	ctx, end, err := b.begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer end()
	var h heard
	if err := b.evaluate(ctx, seqs, false, depth, &h); err != nil {
		t.Fatal(err)
	}
	return &h
}

// sequences returns prompts of random lengths that generate as many as asked for, so
// that batches end raggedly; of some of them the prompt repeats itself.
func sequences(b *Backend, rng *rand.Rand, n, most int) []*sequence {
	var seqs []*sequence
	for i := range n {
		s := &sequence{prompt: b.model.random(3+rng.IntN(60), rng.IntN(1000)), maxTokens: 1 + rng.IntN(most)}
		if i%2 == 0 {
			s.prompt = append(s.prompt, s.prompt[1:]...)
		}
		seqs = append(seqs, s)
	}
	return seqs
}

func again(seqs []*sequence) []*sequence {
	var out []*sequence
	for _, s := range seqs {
		out = append(out, &sequence{prompt: s.prompt, maxTokens: s.maxTokens, endless: s.endless})
	}
	return out
}

// What is generated is what greedy decoding generates, whoever drafts, however deep, alone
// and in batches, on the ways of a CPU and of a GPU, and with logits copied; but where the
// two best tokens are as good as one another.
func TestSpeculatesWhatDecodes(t *testing.T) {
	for _, by := range []string{event.DraftSelf, "other", event.DraftNGram} {
		for _, way := range []string{"cpu", "gpu", "gpu, copied"} {
			t.Run(by+" "+way, func(t *testing.T) {
				plain, _ := loadSmall(t)
				b := loadDrafting(t, by)
				if way != "cpu" {
					asGPU(b)
					if b.draft.own != nil {
						b.draft.onDevice = true
					}
					b.opt.NoGraphSearch = way == "gpu, copied"
				}
				rng := rand.New(rand.NewPCG(5, 6))
				drafted, accepted, found := 0, 0, false
				for round := range 12 {
					batch := 1 + round%4
					want := sequences(b, rng, batch, 40)
					got := again(want)
					evaluate(t, plain, again(want), false) // grows
					ref := again(want)
					evaluate(t, plain, ref, false)
					h := speculated(t, b, got, 1+round%6)
					for i, s := range got {
						if s.res.Err != nil || len(s.generated) != s.res.OutputTokens {
							t.Fatalf("sequence %d: %d tokens, %+v", i, len(s.generated), s.res)
						}
						checkGreedy(t, plain, s.prompt, s.generated, ref[i].generated)
						if s.res.AcceptedTokens > s.res.DraftTokens || s.res.AcceptedTokens >= len(s.generated) {
							t.Errorf("%d generated, of %d drafted %d accepted", len(s.generated), s.res.DraftTokens, s.res.AcceptedTokens)
						}
						if text := h.texts[i]; text != s.res.Output.Text {
							t.Errorf("heard %q, got %q", text, s.res.Output.Text)
						}
						drafted, accepted = drafted+s.res.DraftTokens, accepted+s.res.AcceptedTokens
					}
					checkRounds(t, h, got)
					found = found || b.eval.found()
				}
				t.Logf("%d drafted, %d accepted", drafted, accepted)
				if want := severalRows && way != "gpu, copied"; found != want {
					t.Errorf("best tokens found where the logits are: %t, want %t", found, want)
				}
				switch {
				case by == event.DraftSelf && (drafted == 0 || float64(accepted) < 0.98*float64(drafted)):
					t.Error("a model disagrees with itself")
				case by == "other" && (drafted == 0 || float64(accepted) > 0.2*float64(drafted)):
					t.Error("another model's random weights agree")
				}
			})
		}
	}
}

// checkRounds checks that phases follow each other, and that their tokens are those of the
// results.
func checkRounds(t *testing.T, h *heard, seqs []*sequence) {
	t.Helper()
	var drafted, read, plain, generated, accepted, proposed int
	last, open := int64(0), ""
	for i, p := range h.phases {
		var kind, edge string
		var tokens int
		if _, err := fmt.Sscan(p, &kind, &edge, &tokens); err != nil {
			t.Fatal(err)
		}
		if h.times[i] < last || (edge == "start") != (open == "") || edge == "end" && open != kind {
			t.Fatalf("%v at %d: after %d, %q is open: %v", p, h.times[i], last, open, h.phases)
		}
		last = h.times[i]
		if open = kind; edge == "end" {
			open = ""
			switch event.Phase(kind) {
			case event.Draft:
				drafted += tokens
			case event.Verify:
				read += tokens
			case event.Decode:
				plain += tokens
			}
		}
	}
	for _, s := range seqs {
		generated += len(s.generated) - 1 // the first comes out of the prefill
		accepted += s.res.AcceptedTokens
		proposed += s.res.DraftTokens
	}
	// Each pass reads the last token of each sequence and the proposals, and generates one
	// token more than it accepts.
	if open != "" || read+plain != generated-accepted+proposed {
		t.Errorf("%d tokens read to verify and %d plainly; %d generated, %d proposed, %d accepted: %v", read, plain, generated, proposed, accepted, h.phases)
	}
	if drafted != 0 && drafted != proposed {
		t.Errorf("%d tokens in phases of drafting, %d proposed", drafted, proposed)
	}
}

// A draft of a model by itself on a real shape: every output is that of greedy decoding,
// and each proposal is accepted but where two tokens are as good as one another.
func TestSelfDraftOnARealShape(t *testing.T) {
	if testing.Short() {
		t.Skip("some seconds")
	}
	path := filepath.Join(t.TempDir(), "15m.gguf")
	shape, err := synth.Lookup("llama-15m")
	if err == nil {
		err = synth.Write(t.Context(), shape, synth.F16, 1, path, func(int64, int64) {})
	}
	if err != nil {
		t.Fatal(err)
	}
	plain := loadWith(t, path, engine.Drafter{})
	b := loadWith(t, path, engine.Drafter{Name: event.DraftSelf})
	requests := 6
	if os.Getenv("JOULETOP_WHOLE") != "" {
		requests = 200
	}
	words := strings.Fields(strings.Join(questions, " "))
	rng := rand.New(rand.NewPCG(9, 10))
	equal, close, drafted, accepted := 0, 0, 0, 0
	for i := range requests {
		var prompt []string
		for range 1 + rng.IntN(60) {
			prompt = append(prompt, words[rng.IntN(len(words))])
		}
		batch := generate(40, strings.Join(prompt, " "))
		want, err := plain.Run(t.Context(), batch, silent{})
		if err != nil {
			t.Fatal(err)
		}
		batch.DraftDepth = 1 + i%8
		got, err := b.Run(t.Context(), batch, silent{})
		if err != nil {
			t.Fatal(err)
		}
		drafted, accepted = drafted+got[0].DraftTokens, accepted+got[0].AcceptedTokens
		if got[0].Output.Text == want[0].Output.Text && got[0].OutputTokens == want[0].OutputTokens {
			equal++
			continue
		}
		tokens, err := plain.model.tokenize(batch.Requests[0].Query.Prompt, true, false)
		if err != nil {
			t.Fatal(err)
		}
		_, gaps := alone(t, plain, tokens, want[0].OutputTokens)
		least := gaps[0]
		for _, g := range gaps {
			least = min(least, g)
		}
		if least > closeGap {
			t.Errorf("request %d: %q, want %q", i, got[0].Output.Text, want[0].Output.Text)
		}
		close++
	}
	t.Logf("%d of %d answers are those of greedy decoding, %d differ where the two best tokens are within %g; %d of %d drafted tokens accepted", equal, requests, close, closeGap, accepted, drafted)
	if float64(accepted) < 0.98*float64(drafted) {
		t.Error("a model disagrees with itself")
	}
}

// Depth 0, and scoring, leave the drafter alone.
func TestDraftDepthZeroDecodesPlainly(t *testing.T) {
	b := loadDrafting(t, event.DraftSelf)
	var h heard
	res, err := b.Run(t.Context(), generate(5, questions[0]), &h)
	if err != nil || res[0].DraftTokens != 0 || b.draft.eval != nil {
		t.Errorf("%v: %+v", err, res)
	}
	for _, p := range h.phases {
		if strings.HasPrefix(p, string(event.Draft)) || strings.HasPrefix(p, string(event.Verify)) {
			t.Errorf("%v", h.phases)
		}
	}
}

// A draft model must have the model's tokens.
func TestDraftModelOfAnotherVocabulary(t *testing.T) {
	path, err := small()
	if err != nil {
		t.Fatal(err)
	}
	s, err := synth.Lookup("llama-15m")
	if err != nil {
		t.Fatal(err)
	}
	s.Layers, s.Embedding, s.FeedForward, s.Heads, s.KVHeads, s.HeadDim = 1, 64, 128, 2, 1, 32
	s.Vocabulary = 4000
	other := filepath.Join(t.TempDir(), "other.gguf")
	if err := synth.Write(t.Context(), s, synth.F16, 8, other, nil); err != nil {
		t.Fatal(err)
	}
	b, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	_, err = b.Load(t.Context(), engine.ModelSpec{Path: path, Drafter: engine.Drafter{Name: "other", Path: other}}, nil)
	if err == nil || !strings.Contains(err.Error(), "it has 4000 tokens and the model has 8000") {
		t.Errorf("%v", err)
	}
	if _, err = b.Load(t.Context(), engine.ModelSpec{Path: path, Drafter: engine.Drafter{Name: "gone", Path: other + "x"}}, nil); err == nil || !strings.Contains(err.Error(), "draft model") {
		t.Errorf("%v", err)
	}
}
