//go:build cgo

package llama

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"jouletop/engine"
	"jouletop/engine/synth"
	"jouletop/engine/synth/synthtest"
)

// kinds are the kinds of models that are tried, each unquantised, where figures
// can be compared closely, and as people have it.
var kinds = []struct {
	shape  string
	quants []synth.Quant
}{
	{"gemma-3-12b", []synth.Quant{synth.F16, synth.Q8_0, synth.Q4_K_M}},
	{"qwen3-8b", []synth.Quant{synth.F16, synth.Q4_K_M}},
	{"qwen3-30b-a3b", []synth.Quant{synth.F16, synth.Q4_K_M, synth.MXFP4}},
	{"gpt-oss-20b", []synth.Quant{synth.F16, synth.Q8_0, synth.MXFP4}},
	{"phi-4", []synth.Quant{synth.F16, synth.Q4_K_M}},
	{"mamba-2.8b", []synth.Quant{synth.F16, synth.Q8_0, synth.Q4_K_M}},
}

// tolerance is how far logits may be from those of another way to evaluate the
// same tokens (rms, relative), and log-probabilities (each). The matrices' kernels
// depend on how many tokens there are, and those of quantised weights round what
// they multiply to 8 bits, by which a token may even choose another expert. That a
// token sees what it must not, or misses one, moves a log-probability by one to five.
func tolerance(q synth.Quant) (logits, logprob float64) {
	if q == synth.F16 {
		return 0.01, 0.01
	}
	return 0.15, 0.3
}

// TestKinds runs a small model of each kind and quantisation.
func TestKinds(t *testing.T) {
	for _, k := range kinds {
		for _, q := range k.quants {
			t.Run(k.shape+"/"+string(q), func(t *testing.T) {
				b := loadKind(t, k.shape, q)
				t.Run("generate", func(t *testing.T) { generatesKind(t, b, q) })
				t.Run("score", func(t *testing.T) { scoresKind(t, b, q) })
			})
		}
	}
}

// loadKind loads a small model of a kind.
func loadKind(t *testing.T, shape string, q synth.Quant) *Backend {
	t.Helper()
	s, err := synthtest.Tiny(shape)
	if err != nil {
		t.Fatal(err)
	}
	path := s.DefaultPath(t.TempDir(), q)
	if err := synth.Write(t.Context(), s, q, 1, path, nil); err != nil {
		t.Fatal(err)
	}
	b, err := New(Options{BackendDir: backendDir})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	spec := engine.ModelSpec{Name: s.Name, Path: path, Threads: 1}
	if backendDir != "" {
		spec.GPULayers = -1
	}
	info, err := b.Load(t.Context(), spec, nil)
	if err != nil {
		t.Fatal(err)
	}
	if info.Architecture != s.Architecture || !strings.EqualFold(info.Quantisation, string(q)) ||
		info.Parameters != s.Parameters() || info.ContextMax != s.Context || len(info.Warnings) > 0 {
		t.Errorf("info %+v", info)
	}
	if info.SizeBytes > 20<<20 {
		t.Errorf("%d bytes are no small model", info.SizeBytes)
	}
	return b
}

// ragged are prompts of different lengths, one longer than a window reaches.
var ragged = []string{
	strings.Repeat("The clock of the memory is not that of the cores. ", 6),
	"Why?",
	"How many joules does a token take on this GPU, and why so many?",
}

// generatesKind generates from prompts of different lengths and checks what is
// told of it, and that neither time nor company changes the answers.
func generatesKind(t *testing.T, b *Backend, q synth.Quant) {
	const tokens = 12
	var h heard
	res, err := b.Run(t.Context(), generate(tokens, ragged...), &h)
	if err != nil {
		t.Fatal(err)
	}
	total, generated := 0, 0
	for i, r := range res {
		n, err := b.CountTokens(ragged[i])
		if err != nil || r.Err != nil {
			t.Fatal(err, r.Err)
		}
		total, generated = total+n, generated+r.OutputTokens
		if r.InputTokens != n || r.OutputTokens != tokens || r.Output.Text == "" || !utf8.ValidString(r.Output.Text) || h.texts[i] != r.Output.Text {
			t.Errorf("%d: %+v, heard %q", i, r, h.texts[i])
		}
		if !(r.StartNS < r.PrefillEndNS && r.PrefillEndNS == r.FirstTokenNS && r.FirstTokenNS < r.EndNS) {
			t.Errorf("%d: times %+v", i, r)
		}
	}
	if n := res[0].InputTokens; n <= synthtest.Window {
		t.Errorf("%d tokens are within the window", n)
	}
	steps := generated - len(res)
	want := []string{fmt.Sprintf("prefill start %d", total), fmt.Sprintf("prefill end %d", total),
		fmt.Sprintf("decode start %d", steps), fmt.Sprintf("decode end %d", steps)}
	if d := cmp.Diff(want, h.phases); d != "" {
		t.Error(d)
	}
	again, err := b.Run(t.Context(), generate(tokens, ragged...), silent{})
	if err != nil {
		t.Fatal(err)
	}
	var prompts [][]int32
	for i := range res {
		if again[i].Output.Text != res[i].Output.Text {
			t.Errorf("%d: %q, then %q", i, res[i].Output.Text, again[i].Output.Text)
		}
		prompts = append(prompts, tokensOf(t, b, ragged[i]))
	}
	most, _ := tolerance(q)
	for i, row := range lastLogits(t, b, prompts...) {
		alone := lastLogits(t, b, prompts[i])[0]
		if !slices.ContainsFunc(alone, func(x float32) bool { return x != alone[0] }) {
			t.Errorf("%d: all logits are %g", i, alone[0])
		}
		if e := relativeError(row, doubles(alone)); !(e < most) {
			t.Errorf("%d: together the logits differ from those alone by %g", i, e)
		}
	}
}

func tokensOf(t *testing.T, b *Backend, text string) []int32 {
	t.Helper()
	tokens, err := b.model.tokenize(text, true, false)
	if err != nil {
		t.Fatal(err)
	}
	return tokens
}

func doubles(x []float32) (out []float64) {
	for _, v := range x {
		out = append(out, float64(v))
	}
	return out
}

// scoresKind scores options of one and of several tokens in a batch, and compares
// each with the logits after every prefix of it, evaluated anew.
func scoresKind(t *testing.T, b *Backend, q synth.Quant) {
	var seqs []*sequence
	for i, text := range ragged {
		s := &sequence{prompt: tokensOf(t, b, text)}
		for _, o := range [][]string{
			{" yes", " certainly not, it is the other way", " no"},
			{" one answer and no other"},
			{" the first of them", " both", " the second of them", " none that I know of"},
		}[i] {
			s.options = append(s.options, tokensOf(t, b, o))
			if n := len(s.options[len(s.options)-1]); strings.Contains(strings.TrimSpace(o), " ") && n < 3 {
				t.Fatalf("%q is %d tokens", o, n)
			}
		}
		seqs = append(seqs, s)
	}
	evaluate(t, b, seqs, true)
	_, most := tolerance(q)
	for i, s := range seqs {
		for o, tokens := range s.options {
			want := 0.0
			for n, next := range tokens {
				want += logprob(lastLogits(t, b, slices.Concat(s.prompt, tokens[:n]))[0], next)
			}
			if got := s.res.Output.LogLikelihoods[o]; !(math.Abs(got-want) < most*float64(len(tokens))) {
				t.Errorf("prompt %d, option %d of %d tokens: %g, want %g", i, o, len(tokens), got, want)
			}
		}
	}
}

// logprob is the logarithm of the probability of a token.
func logprob(logits []float32, token int32) float64 {
	most, sum := float64(slices.Max(logits)), 0.0
	for _, x := range logits {
		sum += math.Exp(float64(x) - most)
	}
	return float64(logits[token]) - most - math.Log(sum)
}
