package worker

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"jouletop/engine"
	"jouletop/engine/event"
	"jouletop/engine/serving"
	"jouletop/workloads"
)

// The fake backend serves requests too: a token is the pass's number.

var fakePasses int

func (f *fake) Room() int { return 12345 }

func (f *fake) Prepare(id int, q engine.Request) (prompt, most int, err error) {
	if q.Query.Prompt == "" {
		return 0, 0, fmt.Errorf("%w: nothing to read", engine.ErrTooLong)
	}
	return len(strings.Fields(q.Query.Prompt)), q.MaxTokens, nil
}

func (f *fake) Pass(ctx context.Context, p serving.Pass) (engine.Passed, error) {
	fakePasses++
	out := engine.Passed{StartNS: f.clk.Now()}
	for _, m := range p.Members {
		switch m.Slot {
		case 66:
			os.Exit(9)
		case 67:
			<-ctx.Done()
			return out, ctx.Err()
		case 68:
			for { // busy, as a thread is that waits for a GPU's kernel
				time.Sleep(0)
			}
		}
		if m.Samples {
			out.Tokens = append(out.Tokens, engine.Sampled{ID: m.ID, Text: fmt.Sprint(fakePasses, "\xff"), Ended: m.Fresh == 7})
		}
	}
	out.EndNS = f.clk.Now()
	return out, nil
}

func (f *fake) End(id int) (event.Output, float64) {
	return event.Output{Text: fmt.Sprintf("answer %d", id), Choice: -1}, 0.5
}

// Requests are served in the child as they would be here.
func TestServes(t *testing.T) {
	b := mustFake(t, nil)
	if _, err := b.Load(t.Context(), engine.ModelSpec{Name: "m"}, nil); err != nil {
		t.Fatal(err)
	}
	if b.Room() != 12345 {
		t.Errorf("room for %d", b.Room())
	}
	prompt, most, err := b.Prepare(3, engine.Request{Query: workloads.Query{Prompt: "a b c"}, MaxTokens: 8})
	if prompt != 3 || most != 8 || err != nil {
		t.Errorf("%d, %d, %v", prompt, most, err)
	}
	if _, _, err := b.Prepare(4, engine.Request{}); !errors.Is(err, engine.ErrTooLong) {
		t.Errorf("%v", err)
	}
	p := serving.Pass{Members: []serving.Member{{ID: 3, Slot: 1, Known: 2, Fresh: 7, Samples: true}, {ID: 5, Fresh: 4, Prefill: true}}}
	for n := 1; n < 50; n++ {
		r, err := b.Pass(t.Context(), p)
		if want := []engine.Sampled{{ID: 3, Text: fmt.Sprint(n, "\xff"), Ended: true}}; err != nil || !slices.Equal(r.Tokens, want) || r.EndNS < r.StartNS || r.StartNS == 0 {
			t.Fatalf("%+v, %v", r, err)
		}
	}
	if o, q := b.End(3); o.Text != "answer 3" || o.Choice != -1 || q != 0.5 {
		t.Errorf("%+v, %g", o, q)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := b.Pass(ctx, p); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

// A pass that never ends, though its child is alive and busy, ends the child; one that
// takes long does not.
func TestPassNeverEnds(t *testing.T) {
	b := mustFake(t, func(o *Options) { o.PassAfter = 400 * time.Millisecond })
	if _, err := b.Load(t.Context(), engine.ModelSpec{Name: "m"}, nil); err != nil {
		t.Fatal(err)
	}
	for range pacePast {
		if _, err := b.Pass(t.Context(), serving.Pass{Members: []serving.Member{{ID: 1, Fresh: 1, Samples: true}}}); err != nil {
			t.Fatal(err)
		}
	}
	_, err := b.Pass(t.Context(), serving.Pass{Members: []serving.Member{{Slot: 68, Fresh: 1}}})
	if !errors.Is(err, engine.ErrBackendDied) || !strings.Contains(err.Error(), "hung: a pass did not end in") {
		t.Errorf("%v", err)
	}
}

// Nor does the very first pass wait for ever.
func TestFirstPassNeverEnds(t *testing.T) {
	b := mustFake(t, func(o *Options) { o.PassAfter = 50 * time.Millisecond })
	if _, err := b.Load(t.Context(), engine.ModelSpec{Name: "m", GPULayers: -1}, nil); err != nil {
		t.Fatal(err)
	}
	_, err := b.Pass(t.Context(), serving.Pass{Members: []serving.Member{{Slot: 68, Fresh: 1}}})
	if !errors.Is(err, engine.ErrBackendDied) || !strings.Contains(err.Error(), "hung: a pass did not end in 500ms") {
		t.Errorf("%v", err)
	}
	// On a CPU nobody knows how long it may take: there it goes on until somebody stops it.
	b = mustFake(t, func(o *Options) { o.PassAfter, o.CancelWithin = 10*time.Millisecond, 100*time.Millisecond })
	if _, err := b.Load(t.Context(), engine.ModelSpec{Name: "m"}, nil); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	if _, err := b.Pass(ctx, serving.Pass{Members: []serving.Member{{Slot: 68, Fresh: 1}}}); err == nil || strings.Contains(err.Error(), "hung") {
		t.Errorf("on a CPU: %v", err)
	}
}

// Where the child dies in a pass that is said, and a fresh one serves again.
func TestServingChildDies(t *testing.T) {
	b := mustFake(t, nil)
	load := func() {
		if _, err := b.Load(t.Context(), engine.ModelSpec{Name: "m"}, nil); err != nil {
			t.Fatal(err)
		}
	}
	load()
	if _, err := b.Pass(t.Context(), serving.Pass{Members: []serving.Member{{Slot: 66}}}); !errors.Is(err, engine.ErrBackendDied) {
		t.Errorf("%v", err)
	}
	if _, _, err := b.Prepare(1, engine.Request{Query: workloads.Query{Prompt: "a"}}); !errors.Is(err, engine.ErrBackendDied) {
		t.Errorf("%v", err)
	}
	if o, _ := b.End(1); o.Text != "" || b.Room() != 0 {
		t.Errorf("of nobody: %+v", o)
	}
	load()
	if r, err := b.Pass(t.Context(), serving.Pass{Members: []serving.Member{{ID: 1, Fresh: 1, Samples: true}}}); err != nil || len(r.Tokens) != 1 {
		t.Errorf("%+v, %v", r, err)
	}
}
