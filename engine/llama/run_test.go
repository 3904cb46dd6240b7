//go:build cgo

package llama

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"jouletop/engine"
	"jouletop/engine/event"
	"jouletop/engine/gguf"
	"jouletop/engine/synth"
	"jouletop/workloads"
)

// small writes a model with a vocabulary that takes no time to run, once.
var small = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "jouletop-llama-test")
	if err != nil {
		return "", err
	}
	s, err := synth.Lookup("llama-15m")
	if err != nil {
		return "", err
	}
	s.Layers, s.Embedding, s.FeedForward, s.Heads, s.KVHeads, s.HeadDim = 2, 64, 128, 2, 1, 32
	s.Vocabulary = 8000
	path := filepath.Join(dir, "small.gguf")
	return path, synth.Write(context.Background(), s, synth.F16, 3, path, nil)
})

func TestMain(m *testing.M) {
	code := m.Run()
	if path, err := small(); err == nil {
		os.RemoveAll(filepath.Dir(path))
	}
	os.Exit(code)
}

// backendDir is a folder with a GPU's backend; "" tests on the CPU.
var backendDir = os.Getenv("JOULETOP_BACKEND_DIR")

func loadSmall(t *testing.T) (*Backend, engine.ModelInfo) {
	t.Helper()
	path, err := small()
	if err != nil {
		t.Fatal(err)
	}
	b, err := New(Options{BackendDir: backendDir})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	spec := engine.ModelSpec{Name: "small", Path: path, Threads: 1}
	if backendDir != "" {
		spec.GPULayers = -1
	}
	info, err := b.Load(t.Context(), spec, nil)
	if err != nil {
		t.Fatal(err)
	}
	return b, info
}

// heard keeps what an observer hears.
type heard struct {
	phases []string
	times  []int64
	texts  map[int]string
	tokens map[int]int
	hook   func()
}

func (h *heard) PhaseStart(p event.Phase, t int64, tokens int) {
	h.phases, h.times = append(h.phases, fmt.Sprintf("%s start %d", p, tokens)), append(h.times, t)
}

func (h *heard) PhaseEnd(p event.Phase, t int64, tokens int) {
	h.phases, h.times = append(h.phases, fmt.Sprintf("%s end %d", p, tokens)), append(h.times, t)
}

func (h *heard) Token(index int, t int64, text string) {
	if h.texts == nil {
		h.texts, h.tokens = map[int]string{}, map[int]int{}
	}
	h.texts[index] += text
	h.tokens[index]++
	if h.hook != nil {
		h.hook()
	}
}

func generate(max int, prompts ...string) engine.Batch {
	b := engine.Batch{ID: "b1"}
	for i, p := range prompts {
		b.Requests = append(b.Requests, engine.Request{ID: fmt.Sprint(i), Query: workloads.Query{Prompt: p}, MaxTokens: max})
	}
	return b
}

var questions = []string{"What is the SM clock?", "Why?", "How many joules does a token take on this GPU, and why so many?"}

func TestGenerate(t *testing.T) {
	b, info := loadSmall(t)
	if info.Architecture != "llama" || info.Quantisation != "F16" || info.ContextMax != 8192 || len(info.SHA256) != 64 ||
		slices.Equal(info.Devices, []string{"CPU"}) == (backendDir != "") || info.Parameters < 100_000 {
		t.Errorf("info %+v", info)
	}
	var h heard
	res, err := b.Run(t.Context(), generate(9, questions...), &h)
	if err != nil {
		t.Fatal(err)
	}
	total := 0
	for i, r := range res {
		n, err := b.CountTokens(questions[i])
		if err != nil || r.Err != nil {
			t.Fatal(err, r.Err)
		}
		total += n
		if r.InputTokens != n || r.OutputTokens != 9 || r.Output.Text == "" || !utf8.ValidString(r.Output.Text) || r.Output.Choice != -1 {
			t.Errorf("%d: %+v", i, r)
		}
		if h.texts[i] != r.Output.Text || h.tokens[i] != 9 {
			t.Errorf("%d: heard %d tokens %q, result %q", i, h.tokens[i], h.texts[i], r.Output.Text)
		}
		if !(r.StartNS < r.PrefillEndNS && r.PrefillEndNS == r.FirstTokenNS && r.FirstTokenNS < r.EndNS) || !math.IsNaN(r.Quality) {
			t.Errorf("%d: times %+v", i, r)
		}
		if r.StartNS != h.times[0] || r.PrefillEndNS != h.times[1] || r.EndNS != h.times[3] {
			t.Errorf("%d: times %+v are not those of the phases %v", i, r, h.times)
		}
	}
	want := []string{fmt.Sprintf("prefill start %d", total), fmt.Sprintf("prefill end %d", total), "decode start 24", "decode end 24"}
	if d := cmp.Diff(want, h.phases); d != "" {
		t.Error(d)
	}
	if !slices.IsSorted(h.times) || h.times[1] != h.times[2] {
		t.Errorf("phase times %v", h.times)
	}
	again, err := b.Run(t.Context(), generate(9, questions...), silent{})
	if err != nil {
		t.Fatal(err)
	}
	for i := range res {
		if again[i].Output.Text != res[i].Output.Text {
			t.Errorf("%d: %q, then %q", i, res[i].Output.Text, again[i].Output.Text)
		}
	}
}

// TestAsOnAGPU takes the ways that a GPU takes: the best tokens are found where
// the logits are, and text is handed on while the next step runs.
func TestAsOnAGPU(t *testing.T) {
	b, _ := loadSmall(t)
	want, err := b.Run(t.Context(), generate(40, questions...), silent{})
	if err != nil {
		t.Fatal(err)
	}
	b.gpu = true
	b.eval.free()
	if b.eval = newEvaluator(b.model, b.eval.shape, 1, true, true, true); b.eval == nil {
		t.Fatal("no context")
	}
	for range 10 {
		var h heard
		got, err := b.Run(t.Context(), generate(40, questions...), &h)
		if err != nil {
			t.Fatal(err)
		}
		for i := range want {
			if got[i].Output.Text != want[i].Output.Text || h.texts[i] != want[i].Output.Text || h.tokens[i] != 40 {
				t.Errorf("%d: %q, heard %q, want %q", i, got[i].Output.Text, h.texts[i], want[i].Output.Text)
			}
		}
	}
}

// TestBestToken compares the best tokens found, here and where the logits are,
// with the logits themselves.
func TestBestToken(t *testing.T) {
	b, _ := loadSmall(t)
	for _, gpu := range []bool{false, true} {
		if b.eval = newEvaluator(b.model, shape{8, 256, 256, 0}, 1, gpu, gpu, true); b.eval == nil {
			t.Fatal("no context")
		}
		for first := range int32(20) {
			var run []*sequence
			for i := range int32(8) {
				run = append(run, &sequence{prompt: []int32{first, i}, maxTokens: 1})
			}
			prefill := func(scored bool) []int32 {
				b.eval.clear()
				best, _, err := b.prefill(t.Context(), run, b.lengths(run), scored, false, silent{})
				if err != nil {
					t.Fatal(err)
				}
				return slices.Clone(best)
			}
			best := prefill(false)
			if gpu && !b.eval.found() {
				t.Error("the logits were copied")
			}
			prefill(true)
			for row := range run {
				x := slices.Clone(b.eval.logits(row, b.model.nVocab))
				if want := slices.Index(x, slices.Max(x)); int(best[row]) != want {
					t.Errorf("gpu %t: token %d is the best, not %d", gpu, want, best[row])
				}
			}
		}
		b.eval.free()
		b.eval = nil
	}
}

func TestOneToken(t *testing.T) {
	b, _ := loadSmall(t)
	var h heard
	res, err := b.Run(t.Context(), generate(1, "Hello"), &h)
	if err != nil || res[0].OutputTokens != 1 || res[0].EndNS != res[0].PrefillEndNS || len(h.phases) != 2 {
		t.Fatalf("%+v %v %v", res, h.phases, err)
	}
}

func TestScore(t *testing.T) {
	b, _ := loadSmall(t)
	options := []string{" yes", " no", " it is certainly so", " that"}
	batch := generate(0, questions...)
	for i := range batch.Requests {
		batch.Requests[i].Query.Options = options
	}
	batch.Requests[1].Query.LengthNormalised = true
	var h heard
	res, err := b.Run(t.Context(), batch, &h)
	if err != nil {
		t.Fatal(err)
	}
	for i, r := range res {
		if r.Err != nil || len(r.Output.LogLikelihoods) != len(options) || r.OutputTokens != 0 || r.FirstTokenNS != 0 || r.EndNS < r.PrefillEndNS {
			t.Fatalf("%d: %+v", i, r)
		}
		best := 0
		for o, ll := range r.Output.LogLikelihoods {
			score := func(o int, ll float64) float64 {
				if batch.Requests[i].Query.LengthNormalised {
					return ll / float64(len(options[o]))
				}
				return ll
			}
			if !(ll < 0) {
				t.Errorf("%d: log-likelihood %g", i, ll)
			}
			if score(o, ll) > score(best, r.Output.LogLikelihoods[best]) {
				best = o
			}
		}
		if r.Output.Choice != best {
			t.Errorf("%d: choice %d of %v", i, r.Output.Choice, r.Output.LogLikelihoods)
		}
	}
	if len(h.phases) != 4 || !strings.HasPrefix(h.phases[2], "score start") || h.phases[3] != strings.Replace(h.phases[2], "start", "end", 1) {
		t.Errorf("phases %v", h.phases)
	}
}

func TestChat(t *testing.T) {
	b, _ := loadSmall(t)
	plain, err := b.Run(t.Context(), generate(1, "Hello"), silent{})
	if err != nil {
		t.Fatal(err)
	}
	batch := generate(1, "Hello")
	batch.Requests[0].Chat = true
	chat, err := b.Run(t.Context(), batch, silent{})
	if err != nil || chat[0].Err != nil {
		t.Fatal(err, chat)
	}
	// <|start_header_id|>user<|end_header_id|>\n\n … <|eot_id|> and the same for
	// the assistant: special tokens are one token each.
	if n := chat[0].InputTokens - plain[0].InputTokens; n < 8 || n > 16 {
		t.Errorf("the template adds %d tokens", n)
	}
}

func TestRequestsFailAlone(t *testing.T) {
	b, _ := loadSmall(t)
	res, err := b.Run(t.Context(), generate(4, "Hello", strings.Repeat("word ", 9000), "there"), silent{})
	if err != nil {
		t.Fatal(err)
	}
	if !errors.Is(res[1].Err, engine.ErrTooLong) || !strings.Contains(res[1].Err.Error(), "8192") {
		t.Errorf("too long: %v", res[1].Err)
	}
	if res[0].OutputTokens != 4 || res[2].OutputTokens != 4 || res[0].Err != nil || res[2].Err != nil {
		t.Errorf("the others: %+v %+v", res[0], res[2])
	}
	mixed := generate(4, "Hello", "there")
	mixed.Requests[1].Query.Options = []string{" a"}
	if _, err := b.Run(t.Context(), mixed, silent{}); err == nil {
		t.Error("a batch of both kinds was run")
	}
	if _, err := b.Run(t.Context(), generate(4, slices.Repeat([]string{"x"}, 300)...), silent{}); !errors.Is(err, engine.ErrTooLong) {
		t.Errorf("a batch of 300: %v", err)
	}
}

func TestCancelAndClose(t *testing.T) {
	b, _ := loadSmall(t)
	ctx, cancel := context.WithCancel(t.Context())
	h := heard{hook: cancel}
	if _, err := b.Run(ctx, generate(5000, "Hello"), &h); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	if h.tokens[0] > 3 || len(h.phases) != 4 {
		t.Errorf("went on for %d tokens; phases %v", h.tokens[0], h.phases)
	}
	if res, err := b.Run(t.Context(), generate(3, "Hello"), silent{}); err != nil || res[0].OutputTokens != 3 {
		t.Errorf("after cancelling: %+v, %v", res, err)
	}
	closing := heard{hook: sync.OnceFunc(func() { go b.Close() })}
	if _, err := b.Run(t.Context(), generate(8000, "Hello"), &closing); !errors.Is(err, context.Canceled) {
		t.Errorf("closed: %v", err)
	}
	if _, err := b.CountTokens("x"); err == nil {
		t.Error("a closed backend counts")
	}
}

func TestLoadErrors(t *testing.T) {
	path, err := small()
	if err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	file := func(name string, data []byte) string {
		p := filepath.Join(dir, name)
		if err := os.WriteFile(p, data, 0o600); err != nil {
			t.Fatal(err)
		}
		return p
	}
	key := []byte("tokenizer.ggml.model")
	at := bytes.Index(whole, key) + len(key)
	tokenizer := slices.Concat(whole[:at], bytes.Replace(whole[at:at+20], []byte("gpt2"), []byte("lxa2"), 1), whole[at+20:])
	unknown := `unknown architecture "lxama"`
	if installed { // which has its own list
		unknown = "unknown model architecture: 'lxama'"
	}
	cases := []struct{ name, path, want string }{
		{"missing", filepath.Join(dir, "none.gguf"), "no such file"},
		{"folder", dir, "a folder, not a file"},
		{"empty", file("empty.gguf", nil), "shorter than a GGUF header"},
		{"text", file("text.gguf", []byte("Once upon a time")), "not GGUF"},
		{"truncated", file("cut.gguf", whole[:len(whole)-100]), "truncated"},
		{"unknown", file("arch.gguf", bytes.ReplaceAll(whole, []byte("llama"), []byte("lxama"))), unknown},
		{"tokenizer", file("tokens.gguf", tokenizer), "unknown tokenizer: 'lxa2'"},
		{"no text", filepath.Join("testdata", "llama-untied.gguf"), "no tokenizer"},
	}
	var log bytes.Buffer
	b, err := New(Options{Log: &log})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	for _, c := range cases {
		_, err := b.Load(t.Context(), engine.ModelSpec{Path: c.path}, nil)
		if !errors.Is(err, engine.ErrModel) || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v", c.name, err)
		}
		if _, err := b.Run(t.Context(), generate(1, "x"), silent{}); err == nil {
			t.Errorf("%s: runs nevertheless", c.name)
		}
	}
	if !strings.Contains(log.String(), "lxa2") {
		t.Error("the native log did not come to the writer")
	}
	ctx, cancel := context.WithCancel(t.Context())
	_, err = b.Load(ctx, engine.ModelSpec{Path: path}, func(float64) { cancel() })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled load: %v", err)
	}
	if _, err := b.Load(t.Context(), engine.ModelSpec{Path: path, GPULayers: 5}, nil); len(Devices()) == 1 && (err == nil || !strings.Contains(err.Error(), "--backend-dir")) {
		t.Errorf("GPU layers without a GPU: %v", err)
	}
	if _, err := b.Load(t.Context(), engine.ModelSpec{Path: path, MaxBatch: 256, MaxTokens: 8192}, nil); err != nil {
		t.Errorf("reload: %v", err)
	}
}

func TestDoesNotFit(t *testing.T) {
	b, _ := loadSmall(t)
	b.kvBytes = 1 << 40
	err := b.fit(2, 300, 100)
	if !errors.Is(err, engine.ErrTooLong) || !strings.Contains(err.Error(), "memory") {
		t.Fatalf("%v", err)
	}
}

func TestTextIsValidAtEveryStep(t *testing.T) {
	b, _ := loadSmall(t)
	text := "naïve 冬 🙂 \xff end"
	tokens, err := b.model.tokenize(text, false, false)
	if err != nil {
		t.Fatal(err)
	}
	var p pieces
	var out string
	for _, token := range tokens {
		p.add(b.model, token)
		s := p.take()
		if !utf8.ValidString(s) {
			t.Errorf("piece %q", s)
		}
		out += s
	}
	p.finish()
	if out += p.take(); !strings.HasPrefix(out, "naïve 冬 🙂 ") || !strings.HasSuffix(out, " end") || !utf8.ValidString(out) {
		t.Errorf("%q", out)
	}
}

func TestTimeIsCLOCK_MONOTONIC(t *testing.T) {
	a := now()
	time.Sleep(time.Millisecond)
	if d := now() - a; d < 1e6 {
		t.Errorf("%d ns in a millisecond", d)
	}
}

func TestDevicesAndFlags(t *testing.T) {
	d := Devices()
	if len(d) == 0 || d[0].GPU && d[0].ID == "" || d[len(d)-1].Name != "CPU" && d[0].Name != "CPU" {
		t.Errorf("devices %+v", d)
	}
	if len(BuildFlags()) == 0 {
		t.Error("no build flags")
	}
	dir := t.TempDir()
	if _, err := New(Options{BackendDir: filepath.Join(dir, "none")}); err == nil {
		t.Error("a backend folder that is not there was loaded")
	}
	if _, err := New(Options{BackendDir: dir}); err == nil || !strings.Contains(err.Error(), "no libggml-") {
		t.Errorf("an empty backend folder: %v", err)
	}
	bad := filepath.Join(dir, "libggml-cuda.so")
	if err := os.WriteFile(bad, []byte("no library"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := New(Options{BackendDir: dir}); err == nil || !strings.Contains(err.Error(), bad) || strings.Contains(err.Error(), "no reason") {
		t.Errorf("a library that is none: %v", err)
	}
}

// TestFirstTokenGoesOn spoils the token that a model would answer first by making
// it the one that ends generations: the best other comes in its place, and what
// else is in the batch stays as it was.
func TestFirstTokenGoesOn(t *testing.T) {
	path, err := small()
	if err != nil {
		t.Fatal(err)
	}
	b, _ := loadSmall(t)
	prompts := make([][]int32, len(questions))
	for i, q := range questions {
		if prompts[i], err = b.model.tokenize(q, true, false); err != nil {
			t.Fatal(err)
		}
	}
	sequences := func() (list []*sequence) {
		for _, p := range prompts {
			list = append(list, &sequence{prompt: p, maxTokens: 5})
		}
		return list
	}
	before := sequences()
	evaluate(t, b, before, false)
	spoilt := before[1].generated[0]
	row := lastLogits(t, b, prompts[1])[0]
	row[spoilt] = float32(math.Inf(-1))
	second := int32(slices.Index(row, slices.Max(row)))

	file, err := gguf.OpenModel(path)
	if err != nil {
		t.Fatal(err)
	}
	eos := file.Files[0].Uint("tokenizer.ggml.eos_token_id")
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	key := []byte("tokenizer.ggml.eos_token_id")
	at := bytes.Index(whole, key) + len(key) + 4 // after the type
	if uint64(binary.LittleEndian.Uint32(whole[at:])) != eos {
		t.Fatal("eos_token_id is not where it was looked for")
	}
	binary.LittleEndian.PutUint32(whole[at:], uint32(spoilt))
	changed := filepath.Join(t.TempDir(), "eos.gguf")
	if err := os.WriteFile(changed, whole, 0o600); err != nil {
		t.Fatal(err)
	}
	c := load(t, changed)
	for _, onDevice := range []bool{false, true} {
		c.gpu, c.onDevice = onDevice, onDevice
		if c.eval != nil {
			c.eval.free()
			c.eval = nil
		}
		after := sequences()
		evaluate(t, c, after, false)
		if got := after[1].generated[0]; got != second {
			t.Errorf("on a device %t: token %d comes first, want %d", onDevice, got, second)
		}
		for _, i := range []int{0, 2} {
			if want := before[i].generated; !slices.Contains(want, spoilt) && !slices.Equal(after[i].generated, want) {
				t.Errorf("on a device %t: sequence %d is %v, want %v", onDevice, i, after[i].generated, want)
			}
		}
	}
}
