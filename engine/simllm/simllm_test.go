package simllm

import (
	"context"
	"errors"
	"fmt"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"jouletop/engine"
	"jouletop/engine/event"
	"jouletop/gpu/simgpu"
	"jouletop/gpu/timebase"
	"jouletop/workloads"
)

// heard is an Observer that writes down what it hears.
type heard struct {
	lines []string
	text  map[int]string
	last  map[int]int64
	marks []int64
}

func newHeard() *heard { return &heard{text: map[int]string{}, last: map[int]int64{}} }

func (h *heard) PhaseStart(p event.Phase, t int64, tokens int) {
	h.lines = append(h.lines, fmt.Sprintf("%s starts, %d tokens", p, tokens))
	h.marks = append(h.marks, t)
}

func (h *heard) PhaseEnd(p event.Phase, t int64, tokens int) {
	h.lines = append(h.lines, fmt.Sprintf("%s ends, %d tokens", p, tokens))
	h.marks = append(h.marks, t)
}

func (h *heard) Token(i int, t int64, text string) {
	h.text[i] += text
	h.last[i] = t
}

func newBackend(t *testing.T, model string, opts ...Option) (*Backend, *simgpu.GPU, timebase.Clock) {
	t.Helper()
	clk := timebase.NewSim(0)
	g, err := simgpu.New("h100", clk, 1, simgpu.WithTruth())
	if err != nil {
		t.Fatal(err)
	}
	b := New(g, clk, 1, opts...)
	var progress []float64
	info, err := b.Load(t.Context(), engine.ModelSpec{Name: model}, func(p float64) { progress = append(progress, p) })
	if err != nil {
		t.Fatal(err)
	}
	if !info.Simulated || info.Parameters <= 0 || info.Devices[0] != "sim:h100" || progress[len(progress)-1] != 1 {
		t.Fatalf("%+v, progress %v", info, progress)
	}
	return b, g, clk
}

func generation(n, maxTokens int) engine.Batch {
	b := engine.Batch{ID: "b1"}
	for i := range n {
		b.Requests = append(b.Requests, engine.Request{
			ID: fmt.Sprint("r", i), MaxTokens: maxTokens,
			Query: workloads.Query{
				Dataset: "narrativeqa", Style: workloads.NarrativeQA, ID: fmt.Sprint("q", i), Answer: -1,
				Prompt: strings.Repeat("Some words of a story. ", 3+i), Answers: []string{"none"},
			},
		})
	}
	return b
}

func classification(n int) engine.Batch {
	b := engine.Batch{ID: "b2"}
	for i := range n {
		b.Requests = append(b.Requests, engine.Request{
			ID: fmt.Sprint("r", i),
			Query: workloads.Query{
				Dataset: "boolq", Style: workloads.BoolQ, ID: fmt.Sprint("q", i), Answer: i % 2,
				Prompt: "Is water wet? Answer:", Options: []string{" yes", " no"},
			},
		})
	}
	return b
}

func TestGenerate(t *testing.T) {
	b, _, clk := newBackend(t, "llama-3.2-1b")
	h := newHeard()
	batch := generation(60, 100)
	res, err := b.Run(t.Context(), batch, h)
	if err != nil {
		t.Fatal(err)
	}
	input, output, early := 0, 0, 0
	for i, r := range res {
		n, _ := b.CountTokens(batch.Requests[i].Query.Prompt)
		if r.Err != nil || r.InputTokens != n || r.OutputTokens < 1 || r.OutputTokens > 100 {
			t.Errorf("request %d: %+v", i, r)
		}
		if !(0 < r.StartNS && r.StartNS < r.PrefillEndNS && r.PrefillEndNS < r.FirstTokenNS &&
			r.FirstTokenNS < r.EndNS && r.EndNS <= clk.Now()) {
			t.Errorf("request %d: times %+v", i, r)
		}
		if r.Output.Text != h.text[i] || !strings.HasPrefix(r.Output.Text, simulatedMark) || r.EndNS != h.last[i] ||
			len(strings.Fields(r.Output.Text)) != r.OutputTokens || r.Output.Choice != -1 {
			t.Errorf("request %d: %+v\nheard %q until %d", i, r, h.text[i], h.last[i])
		}
		if !(r.Quality >= 0 && r.Quality <= 1) {
			t.Errorf("request %d: quality %v", i, r.Quality)
		}
		if r.OutputTokens < 100 {
			early++
			if r.EndNS >= h.marks[3] {
				t.Errorf("request %d of %d tokens ended with the batch", i, r.OutputTokens)
			}
		}
		input, output = input+n, output+r.OutputTokens
	}
	if early == 0 || early > 12 {
		t.Errorf("%d of 60 ended early", early)
	}
	want := []string{
		fmt.Sprintf("prefill starts, %d tokens", input), fmt.Sprintf("prefill ends, %d tokens", input),
		"decode starts, 6000 tokens", fmt.Sprintf("decode ends, %d tokens", output),
	}
	if !reflect.DeepEqual(h.lines, want) {
		t.Errorf("heard %q\nwant  %q", h.lines, want)
	}
	if h.marks[1] != res[0].PrefillEndNS || h.marks[2] < h.marks[1] || h.marks[2]-h.marks[1] > 1000 {
		t.Errorf("phases at %d", h.marks)
	}
}

func TestScore(t *testing.T) {
	b, _, _ := newBackend(t, "qwen2.5-14b")
	h := newHeard()
	res, err := b.Run(t.Context(), classification(8), h)
	if err != nil {
		t.Fatal(err)
	}
	for i, r := range res {
		if r.Err != nil || r.OutputTokens != 0 || r.FirstTokenNS != 0 || r.EndNS <= r.PrefillEndNS ||
			len(r.Output.LogLikelihoods) != 2 || (r.Output.Choice == i%2) != (r.Quality == 1) {
			t.Errorf("request %d: %+v", i, r)
		}
	}
	want := []string{"prefill starts, 56 tokens", "prefill ends, 56 tokens", "score starts, 16 tokens", "score ends, 16 tokens"}
	if !reflect.DeepEqual(h.lines, want) {
		t.Errorf("heard %q", h.lines)
	}
}

// TestSameSeedSameRun runs batches while the GPU is polled, in two orders.
func TestSameSeedSameRun(t *testing.T) {
	runAll := func(pollMS int64) (all []engine.Result) {
		b, g, clk := newBackend(t, "llama-3.1-8b")
		done := make(chan struct{})
		finished := false // guarded by the clock: one goroutine runs at a time
		clk.Go(func() {
			clk.Go(func() {
				for !finished {
					_, _ = g.Poll()
					_, _ = g.ReadPowerBuffer(clk.Now() - 1e8)
					_ = clk.Sleep(context.Background(), time.Duration(pollMS)*time.Millisecond)
				}
			})
			clk.Go(func() {
				defer close(done)
				for i, batch := range []engine.Batch{generation(4, 50), classification(3), generation(1, 100)} {
					batch.ID = fmt.Sprint("batch", i)
					r, err := b.Run(context.Background(), batch, nil)
					if err != nil {
						t.Error(err)
					}
					all = append(all, r...)
				}
				finished = true
			})
		})
		<-done
		return all
	}
	first := runAll(10)
	for range 3 {
		if again := runAll(10); !reflect.DeepEqual(first, again) {
			t.Fatal("the same seed gave other results or times")
		}
	}
	if other := runAll(3); !reflect.DeepEqual(first, other) {
		t.Error("polling changed results or times")
	}
}

// TestAnswersDoNotDependOnCompany gives one query alone and in a batch.
func TestAnswersDoNotDependOnCompany(t *testing.T) {
	b, _, _ := newBackend(t, "llama-3.2-3b")
	batch := generation(8, 100)
	together, err := b.Run(t.Context(), batch, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := range batch.Requests {
		alone, err := b.Run(t.Context(), engine.Batch{ID: "other", Requests: batch.Requests[i : i+1]}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if alone[0].Quality != together[i].Quality || alone[0].Output.Text != together[i].Output.Text {
			t.Errorf("request %d differs alone", i)
		}
	}
}

func TestJitter(t *testing.T) {
	b, _, _ := newBackend(t, "llama-3.2-1b", WithJitter(0.01))
	var sum, square float64
	const n = 400
	for i := range n {
		batch := classification(1)
		batch.ID = fmt.Sprint(i)
		r, err := b.Run(t.Context(), batch, nil)
		if err != nil {
			t.Fatal(err)
		}
		s := float64(r[0].PrefillEndNS - r[0].StartNS)
		sum, square = sum+s/n, square+s*s/n
	}
	if rel := math.Sqrt(square-sum*sum) / sum; rel < 0.008 || rel > 0.012 {
		t.Errorf("phases vary by %.4f, want 0.01", rel)
	}
}

func TestErrors(t *testing.T) {
	b, g, clk := newBackend(t, "llama-135m")
	long := generation(2, 100)
	long.Requests[0].Query.Prompt = strings.Repeat("word ", 20000)
	res, err := b.Run(t.Context(), long, nil)
	if err != nil || !errors.Is(res[0].Err, engine.ErrTooLong) || res[1].Err != nil || res[1].OutputTokens == 0 {
		t.Errorf("one request too long: %v, %v, %v", err, res[0].Err, res[1].Err)
	}
	mixed := engine.Batch{ID: "m", Requests: append(generation(1, 10).Requests, classification(1).Requests...)}
	for name, batch := range map[string]engine.Batch{"empty": {}, "mixed": mixed, "no tokens": generation(1, 0)} {
		if _, err := b.Run(t.Context(), batch, nil); err == nil {
			t.Errorf("%s batch was run", name)
		}
	}
	if _, err := b.Load(t.Context(), engine.ModelSpec{Name: "gpt-5"}, nil); !errors.Is(err, engine.ErrModel) {
		t.Errorf("unknown model: %v", err)
	}
	if _, err := New(g, clk, 1).Run(t.Context(), generation(1, 1), nil); !errors.Is(err, engine.ErrModel) {
		t.Errorf("no model: %v", err)
	}
	if _, err := b.Load(t.Context(), engine.ModelSpec{Name: "Qwen2.5-32B"}, nil); err != nil {
		t.Fatal(err)
	}
	big := generation(512, 100)
	for i := range big.Requests {
		big.Requests[i].Query.Prompt = long.Requests[0].Query.Prompt
	}
	if _, err := b.Run(t.Context(), big, nil); !errors.Is(err, engine.ErrTooLong) {
		t.Errorf("KV cache beyond memory: %v", err)
	}
}

// TestCloseEndsARun closes the backend from another goroutine.
func TestCloseEndsARun(t *testing.T) {
	clk := timebase.NewSim(1)
	g, err := simgpu.New("h100", clk, 1)
	if err != nil {
		t.Fatal(err)
	}
	b := New(g, clk, 1)
	h := newHeard()
	done := make(chan error, 1)
	clk.Go(func() {
		if _, err := b.Load(context.Background(), engine.ModelSpec{Name: "qwen2.5-32b"}, nil); err != nil {
			done <- err
			return
		}
		time.AfterFunc(20*time.Millisecond, func() { _ = b.Close() })
		_, err := b.Run(context.Background(), generation(1, 10_000), h)
		done <- err
	})
	if err := <-done; !errors.Is(err, engine.ErrBackendDied) {
		t.Errorf("run of a closed backend: %v", err)
	}
	if len(h.lines)%2 != 0 {
		t.Errorf("a phase was not ended: %q", h.lines)
	}
	if _, err := b.Load(context.Background(), engine.ModelSpec{Name: "qwen2.5-32b"}, nil); !errors.Is(err, engine.ErrBackendDied) {
		t.Errorf("load after close: %v", err)
	}
}

func TestShapes(t *testing.T) {
	for name, want := range map[string]float64{ // published parameters
		"llama-3.2-1b": 1.236e9, "llama-3.2-3b": 3.213e9, "llama-3.1-8b": 8.030e9,
		"qwen2.5-14b": 14.77e9, "qwen2.5-32b": 32.76e9, "llama-15m": 15.2e6, "llama-135m": 134.5e6,
	} {
		s, err := ShapeByName(strings.ToUpper(name))
		if err != nil {
			t.Fatal(err)
		}
		if r := float64(s.Parameters()) / want; r < 0.995 || r > 1.005 {
			t.Errorf("%s: %d parameters, published %.4g", name, s.Parameters(), want)
		}
	}
	if len(Shapes()) != len(shapes) {
		t.Error("shapes are missing")
	}
}

func TestCountTokens(t *testing.T) {
	for _, c := range []struct {
		text string
		want int
	}{
		{"", 1},
		{"a", 2},
		{"The cat sat on the mat.", 8},
		{"internationalisation", 1 + 4},
		{"in 1984, two", 1 + 1 + 2 + 1 + 1},
		{"a\n\nb", 1 + 3},
		{"日本語", 1 + 3},
	} {
		if got := countTokens(c.text); got != c.want {
			t.Errorf("%q: %d tokens, want %d", c.text, got, c.want)
		}
	}
	prose := "The old lighthouse keeper had not spoken to anyone for eleven weeks when the supply boat finally " +
		"came around the headland. He stood on the rocks, waving a lantern, although it was the middle of the afternoon."
	if r := float64(countTokens(prose)) / float64(len(strings.Fields(prose))); r < 1.15 || r > 1.45 {
		t.Errorf("%.2f tokens a word", r)
	}
}
