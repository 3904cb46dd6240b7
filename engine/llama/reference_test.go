//go:build cgo

package llama

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"jouletop/engine"
	"jouletop/engine/event"
)

// Tolerances against a computation in float64.
const (
	logitError   = 5e-3 // relative, of the whole row
	logprobError = 2e-2
	closeGap     = 1e-2 // of the two best logits: either may be chosen
)

// reference is a model and what an independent implementation computes for it.
type reference struct {
	path  string
	Model string `json:"model"`
	Cases []struct {
		Tokens               []int32   `json:"tokens"`
		LastLogits           []float64 `json:"last_logits"`
		Greedy               []int32   `json:"greedy"`
		Continuation         []int32   `json:"continuation"`
		ContinuationLogprobs []float64 `json:"continuation_logprobs"`
	} `json:"cases"`
}

// references reads testdata, or the folder that JOULETOP_REFERENCE names.
func references(t *testing.T) []reference {
	t.Helper()
	dir := os.Getenv("JOULETOP_REFERENCE")
	if dir == "" {
		dir = "testdata"
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no *.json in %s (%v)", dir, err)
	}
	var refs []reference
	for _, f := range files {
		data, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		var r reference
		if err := json.Unmarshal(data, &r); err != nil {
			t.Fatalf("%s: %v", f, err)
		}
		r.path = f[:len(f)-len("json")] + "gguf"
		refs = append(refs, r)
	}
	return refs
}

func load(t *testing.T, path string) *Backend {
	t.Helper()
	b, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	// Not Load: these models have no tokenizer. One thread: they are tiny, and
	// more would only wait for each other.
	if _, err := b.load(t.Context(), engine.ModelSpec{Path: path, Threads: 1}, func(float64) {}); err != nil {
		t.Fatal(err)
	}
	return b
}

// silent ignores what it hears.
type silent struct{}

func (silent) PhaseStart(event.Phase, int64, int) {}
func (silent) PhaseEnd(event.Phase, int64, int)   {}
func (silent) Token(int, int64, string)           {}

// evaluate runs sequences given as token ids.
func evaluate(t *testing.T, b *Backend, seqs []*sequence, scored bool) {
	t.Helper()
	for i, s := range seqs {
		s.index = i
	}
	ctx, end, err := b.begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer end()
	if err := b.evaluate(ctx, seqs, scored, 0, silent{}); err != nil {
		t.Fatal(err)
	}
	for i, s := range seqs {
		if s.res.Err != nil {
			t.Fatalf("sequence %d: %v", i, s.res.Err)
		}
	}
}

// lastLogits returns the logits after each of the prompts, evaluated together.
func lastLogits(t *testing.T, b *Backend, prompts ...[]int32) [][]float32 {
	t.Helper()
	seqs := make([]*sequence, len(prompts))
	order := make([]*sequence, len(prompts))
	total, longest := 0, 0
	for i, p := range prompts {
		seqs[i] = &sequence{index: i, prompt: p, maxTokens: 1}
		total, longest = total+len(p), max(longest, len(p)+1)
	}
	if err := b.fit(len(seqs), longest, total); err != nil {
		t.Fatal(err)
	}
	b.eval.clear()
	copy(order, seqs)
	slices.SortStableFunc(order, func(a, b *sequence) int { return len(b.prompt) - len(a.prompt) })
	if _, _, err := b.prefill(t.Context(), order, b.lengths(order), true, false, silent{}); err != nil {
		t.Fatal(err)
	}
	rows := make([][]float32, len(prompts))
	for row, s := range order {
		rows[s.index] = slices.Clone(b.eval.logits(row, b.model.nVocab))
	}
	return rows
}

func relativeError(got []float32, want []float64) float64 {
	var diff, norm float64
	for i, w := range want {
		diff += (float64(got[i]) - w) * (float64(got[i]) - w)
		norm += w * w
	}
	return math.Sqrt(diff / norm)
}

// checkGreedy follows want as long as the two best logits at each step are not
// so close that rounding may decide.
func checkGreedy(t *testing.T, b *Backend, prompt, got, want []int32) {
	t.Helper()
	for i := range want {
		if i >= len(got) {
			t.Errorf("%d tokens, want %d", len(got), len(want))
			return
		}
		if got[i] == want[i] {
			continue
		}
		row := lastLogits(t, b, slices.Concat(prompt, want[:i]))[0]
		if gap := row[got[i]] - row[want[i]]; gap > closeGap || gap < -closeGap {
			t.Errorf("token %d is %d, want %d; their logits are %g apart", i, got[i], want[i], gap)
		}
		return // from here on the sequences rightly differ
	}
}

func TestReference(t *testing.T) {
	for _, r := range references(t) {
		t.Run(r.Model, func(t *testing.T) {
			b := load(t, r.path)
			var prompts [][]int32
			var together []*sequence
			for _, c := range r.Cases {
				prompts = append(prompts, c.Tokens)
				e := relativeError(lastLogits(t, b, c.Tokens)[0], c.LastLogits)
				t.Logf("%d tokens: relative error %.2g", len(c.Tokens), e)
				if !(e < logitError) {
					t.Errorf("relative error of the logits %g", e)
				}
				alone := &sequence{prompt: c.Tokens, maxTokens: len(c.Greedy)}
				evaluate(t, b, []*sequence{alone}, false)
				checkGreedy(t, b, c.Tokens, alone.generated, c.Greedy)
				checkLogprobs(t, b, c.Tokens, c.Continuation, c.ContinuationLogprobs)
				together = append(together, &sequence{prompt: c.Tokens, maxTokens: len(c.Greedy)})
			}
			for i, row := range lastLogits(t, b, prompts...) {
				if e := relativeError(row, r.Cases[i].LastLogits); !(e < logitError) {
					t.Errorf("case %d in a batch: relative error of the logits %g", i, e)
				}
			}
			evaluate(t, b, together, false)
			for i, s := range together {
				checkGreedy(t, b, s.prompt, s.generated, r.Cases[i].Greedy)
			}
		})
	}
}

// checkLogprobs scores every prefix of a continuation as an option of its own,
// so that each token's log-probability shows.
func checkLogprobs(t *testing.T, b *Backend, prompt, continuation []int32, want []float64) {
	t.Helper()
	s := &sequence{prompt: prompt}
	for i := range continuation {
		s.options = append(s.options, continuation[:i+1])
	}
	evaluate(t, b, []*sequence{s}, true)
	sum := 0.0
	for i, ll := range s.res.Output.LogLikelihoods {
		sum += want[i]
		if d := math.Abs(ll - sum); !(d < logprobError) {
			t.Errorf("log-likelihood of %d tokens is %g, want %g", i+1, ll, sum)
		}
	}
}

// TestRaggedBatch compares eight prompts of different lengths evaluated
// together, some ending early, with each alone.
func TestRaggedBatch(t *testing.T) {
	for _, r := range references(t) {
		t.Run(r.Model, func(t *testing.T) {
			b := load(t, r.path)
			all := slices.Concat(r.Cases[0].Tokens, r.Cases[1].Tokens, r.Cases[2].Tokens)
			var prompts [][]int32
			var seqs, options []*sequence
			for i, n := range []int{5, 31, 2, 17, 64, 17, 1, 40} {
				p := all[i : i+n]
				prompts = append(prompts, p)
				seqs = append(seqs, &sequence{prompt: p, maxTokens: []int{12, 3, 20, 1, 7, 20, 16, 5}[i]})
				options = append(options, &sequence{prompt: p, options: [][]int32{all[1 : 2+i%3], all[3:9], all[7:8]}})
			}
			rows := lastLogits(t, b, prompts...)
			evaluate(t, b, seqs, false)
			evaluate(t, b, options, true)
			for i, p := range prompts {
				want := make([]float64, 0, b.model.nVocab)
				for _, v := range lastLogits(t, b, p)[0] {
					want = append(want, float64(v))
				}
				if e := relativeError(rows[i], want); !(e < logitError) {
					t.Errorf("prompt %d: relative error %g", i, e)
				}
				alone := &sequence{prompt: p, maxTokens: seqs[i].maxTokens}
				evaluate(t, b, []*sequence{alone}, false)
				if len(seqs[i].generated) != seqs[i].maxTokens {
					t.Errorf("prompt %d: %d tokens, want %d", i, len(seqs[i].generated), seqs[i].maxTokens)
				}
				checkGreedy(t, b, p, seqs[i].generated, alone.generated)
				scored := &sequence{prompt: p, options: options[i].options}
				evaluate(t, b, []*sequence{scored}, true)
				for o, ll := range scored.res.Output.LogLikelihoods {
					if d := math.Abs(ll - options[i].res.Output.LogLikelihoods[o]); !(d < logprobError) {
						t.Errorf("prompt %d, option %d: %g together, %g alone", i, o, options[i].res.Output.LogLikelihoods[o], ll)
					}
				}
			}
		})
	}
}

func TestTooLong(t *testing.T) {
	b := load(t, filepath.Join("testdata", "llama-untied.gguf"))
	ok := &sequence{prompt: []int32{1, 2, 3}, maxTokens: 4}
	long := &sequence{index: 1, prompt: make([]int32, 510), maxTokens: 10}
	if err := b.evaluate(context.Background(), []*sequence{ok, long}, false, 0, silent{}); err != nil {
		t.Fatal(err)
	}
	if !errors.Is(long.res.Err, engine.ErrTooLong) || ok.res.Err != nil || len(ok.generated) != 4 {
		t.Fatalf("long: %v; other: %v, %d tokens", long.res.Err, ok.res.Err, len(ok.generated))
	}
}
