package simllm

import (
	"testing"

	"jouletop/engine"
	"jouletop/engine/event"
	"jouletop/gpu/simgpu"
	"jouletop/gpu/timebase"
)

// counting is told how many tokens each text is.
type counting struct {
	*heard
	made      map[int]int
	uncounted int
}

func (c *counting) Token(i int, t int64, text string) {
	c.uncounted++
	c.heard.Token(i, t, text)
}

func (c *counting) Tokens(i int, t int64, text string, made int) {
	c.made[i] += made
	c.heard.Token(i, t, text)
}

// Text that drafting made in several rounds is told with its number of tokens: counted as
// one each, the rate made now was a thirtieth.
func TestDraftedTextIsCounted(t *testing.T) {
	clk := timebase.NewSim(0)
	g, err := simgpu.New("h100", clk, 1, simgpu.WithTruth())
	if err != nil {
		t.Fatal(err)
	}
	b := New(g, clk, 1)
	spec := engine.ModelSpec{Name: "llama-3.1-8b", Drafter: engine.Drafter{Name: event.DraftNGram}}
	if _, err := b.Load(t.Context(), spec, func(float64) {}); err != nil {
		t.Fatal(err)
	}
	batch := generation(2, 60)
	batch.DraftDepth = 4
	c := &counting{heard: newHeard(), made: map[int]int{}}
	results, err := b.Run(t.Context(), batch, c)
	if err != nil {
		t.Fatal(err)
	}
	for i, r := range results {
		if c.made[i] != r.OutputTokens || r.OutputTokens == 0 {
			t.Errorf("request %d: told of %d tokens, made %d", i, c.made[i], r.OutputTokens)
		}
	}
	if c.uncounted > 0 {
		t.Errorf("%d texts without a count", c.uncounted)
	}
}
