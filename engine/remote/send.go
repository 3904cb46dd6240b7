package remote

import (
	"context"
	"math"

	"jouletop/engine"
	"jouletop/engine/event"
)

var _ engine.Taker = (*Backend)(nil)

// Send runs one request, beside whatever else runs; see engine.Taker.
func (b *Backend) Send(ctx context.Context, q engine.Request, heard engine.Heard) engine.Result {
	results, err := b.runBatch(ctx, engine.Batch{ID: q.ID, Requests: []engine.Request{q}}, silent{}, &heard)
	if len(results) == 1 && (results[0].Err != nil || err == nil) {
		if err != nil { // it says whether anybody is there
			results[0].Err = err
		}
		return results[0]
	}
	r := newResult(b.clk.Now())
	r.Err = err
	return r
}

// silent hears nothing.
type silent struct{}

func (silent) PhaseStart(event.Phase, int64, int) {}
func (silent) PhaseEnd(event.Phase, int64, int)   {}
func (silent) Token(int, int64, string)           {}

// EvaluatesOnce tells whether the server evaluates its model once in each pass: all do
// but llama-server.
func (b *Backend) EvaluatesOnce() bool { return !b.loaded().llamaServer }

// hear tells of what a chunk, which came at t, says of the prompt.
func (g *generation) hear(t int64, c *completion) {
	h := g.heard
	if h == nil || len(g.times) > 0 { // it is read
		return
	}
	w := engine.PromptWord{Tokens: g.counted, Read: -1, Seconds: math.NaN()}
	most := len(g.prompt) + promptSpare
	if p := c.Progress; p != nil && p.credible(most) {
		w = engine.PromptWord{Tokens: int(p.Total), Cached: int(p.Cache), Read: int(p.Processed), Seconds: math.NaN()}
	} else if n, cached, ok := c.Timings.prompt(most); ok {
		w = engine.PromptWord{Tokens: n + cached, Cached: cached, Read: -1, Seconds: *c.Timings.PromptMS / 1e3}
	} else if u := c.Usage; u != nil && u.Prompt > 0 && u.Prompt <= most {
		w.Tokens, w.Cached = u.Prompt, min(max(c.cache.tokens, 0), u.Prompt)
	}
	if w.Tokens > 0 {
		h.Prompt(t, w)
	}
}

// madeBy is how many tokens the server says to have made by a chunk; 0 where it does not
// say, or what cannot be.
func (g *generation) madeBy(c *completion) int {
	n := 0
	switch {
	case c.Timings != nil && c.Timings.PredictedN != nil:
		n = int(min(max(*c.Timings.PredictedN, 0), maxCount))
	case c.Usage != nil:
		n = c.Usage.Completion
	}
	if n < len(g.times) || n <= g.made || n > max(g.q.MaxTokens, 1)+specialTokens {
		return 0
	}
	g.made = n
	return n
}
