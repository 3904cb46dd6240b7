package simllm

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"

	"jouletop/engine"
	"jouletop/engine/event"
	"jouletop/engine/serving"
	"jouletop/gpu/simgpu"
	"jouletop/gpu/simgpu/draw"
)

var _ engine.Server = (*Backend)(nil)

// errScored: questions with options are answered in batches alone.
var errScored = errors.New("a question with options is scored in a batch, it cannot be served")

// served is a request that is being served.
type served struct {
	sequence
	request   engine.Request
	generated int
	answer    strings.Builder
}

// Room is how many tokens of KV cache the GPU's memory has room for beside the model.
func (b *Backend) Room() int {
	if b.shape == nil {
		return 0
	}
	return max(1, int(b.freeB/b.shape.kvBytes()))
}

// Prepare counts a request's tokens.
func (b *Backend) Prepare(id int, q engine.Request) (prompt, most int, err error) {
	if b.shape == nil {
		return 0, 0, fmt.Errorf("%w: none is loaded", engine.ErrModel)
	}
	if q.Query.Classification() {
		return 0, 0, errScored
	}
	s, err := b.sequence(q, false)
	if err != nil {
		return 0, 0, err
	}
	if b.served == nil {
		b.served = map[int]*served{}
	}
	b.served[id] = &served{sequence: s, request: q}
	return s.prompt, q.MaxTokens, nil
}

// Pass simulates one pass over the requests in it.
func (b *Backend) Pass(ctx context.Context, p serving.Pass) (engine.Passed, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(b.done, cancel)()

	w := b.PassWork(p)
	b.passes++
	if b.jitter > 0 {
		w = scale(w, max(0.5, 1+b.jitter*draw.Normal(draw.Mix(b.seed, draw.Mix(b.passes, 0x9a55)))))
	}
	var out engine.Passed
	var err error
	if out.StartNS, out.EndNS, err = b.all.Execute(ctx, w); err != nil {
		if b.done.Err() != nil {
			err = engine.ErrBackendDied
		}
		return out, fmt.Errorf("pass: %w", err)
	}
	for _, m := range p.Members {
		if !m.Samples {
			continue
		}
		s := b.served[m.ID]
		text := s.text.next(1)
		s.answer.WriteString(text)
		s.generated++
		out.Tokens = append(out.Tokens, engine.Sampled{ID: m.ID, Text: text, Ended: s.generated >= s.length})
	}
	return out, nil
}

// PassWork is what a pass asks of the GPU, but for the jitter. Without prompts in it, it
// is a step of decode.
func (b *Backend) PassWork(p serving.Pass) simgpu.Work {
	if p.Prefills() == 0 {
		return b.cost.decode(1, p.Decodes(), p.KVTokens())
	}
	var known, fresh []int
	heads := 0
	for _, m := range p.Members {
		known, fresh = append(known, m.Known), append(fresh, m.Fresh)
		heads += btoi(m.Samples)
	}
	return b.cost.mixed(known, fresh, p.PrefillTokens(), p.Decodes(), heads)
}

// End forgets a request.
func (b *Backend) End(id int) (event.Output, float64) {
	s := b.served[id]
	if s == nil {
		return event.Output{Choice: -1}, math.NaN()
	}
	delete(b.served, id)
	return event.Output{Text: s.answer.String(), Choice: -1}, b.quality.of(s.request.Query, b.shape)
}
