package remote

import (
	"context"

	"jouletop/engine"
	"jouletop/engine/event"
)

var _ engine.Taker = (*Backend)(nil)

// Send runs one request, beside whatever else runs; see engine.Taker.
func (b *Backend) Send(ctx context.Context, q engine.Request, text func(t int64, text string)) engine.Result {
	results, err := b.runBatch(ctx, engine.Batch{ID: q.ID, Requests: []engine.Request{q}}, reader(text), true)
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

// reader hears of text alone.
type reader func(t int64, text string)

func (reader) PhaseStart(event.Phase, int64, int)  {}
func (reader) PhaseEnd(event.Phase, int64, int)    {}
func (r reader) Token(_ int, t int64, text string) { r(t, text) }
