//go:build cgo

package llama

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"jouletop/engine"
	"jouletop/engine/event"
	"jouletop/engine/serving"
)

var _ engine.Server = (*Backend)(nil)

// Sizes of the context that requests are served in.
const (
	usualSlots = 32
	// usualTokens are the tokens that each may have, its prompt and what is generated
	// together; fewer where the model's context or the memory has no room for them.
	usualTokens = 4096
	fewTokens   = 512
)

// errScored: questions with options are answered in batches alone.
var errScored = errors.New("a question with options is scored in a batch, it cannot be served")

// served is a request that is being served.
type served struct {
	*sequence
	at int // sequence of the context, -1 while it has none
}

// serves are the requests of a context: those that have a sequence have the first ones,
// for llama.cpp evaluates neighbours together.
type serves struct {
	of     map[int]*served
	active []*served // by sequence
}

// Room is how many tokens the context has, over all requests; 0 where none can be made,
// which Prepare tells of.
func (b *Backend) Room() int {
	_, end, err := b.begin(context.Background())
	if err != nil {
		return 0
	}
	defer end()
	if b.open() != nil {
		return 0
	}
	return b.eval.shape.sequences * b.eval.shape.tokens
}

// open makes a context to serve in, unless there is one.
func (b *Backend) open() error {
	switch {
	case b.model == nil:
		return errNoModel
	case b.served != nil && b.eval != nil:
		return nil
	}
	slots := cmp.Or(b.slots, usualSlots)
	tokens := min(usualTokens, b.info.ContextMax)
	for {
		err := b.fit(slots, tokens, minUbatch)
		if err == nil {
			b.eval.clear()
			b.served = &serves{of: map[int]*served{}}
			return nil
		}
		if tokens /= 2; tokens < min(fewTokens, b.info.ContextMax) {
			return err
		}
	}
}

// Prepare tokenizes a request.
func (b *Backend) Prepare(id int, q engine.Request) (prompt, most int, err error) {
	_, end, err := b.begin(context.Background())
	if err != nil {
		return 0, 0, err
	}
	defer end()
	if q.Query.Classification() {
		return 0, 0, errScored
	}
	if err := b.open(); err != nil {
		return 0, 0, err
	}
	s := b.prepare(id, q)
	if s.res.Err != nil {
		return 0, 0, s.res.Err
	}
	if n := s.tokens(); n > b.eval.shape.tokens {
		return 0, 0, fmt.Errorf("%w: %d tokens of prompt and up to %d more, and there are %d for each request", engine.ErrTooLong, len(s.prompt), s.maxTokens, b.eval.shape.tokens)
	}
	b.served.of[id] = &served{s, -1}
	return len(s.prompt), s.maxTokens, nil
}

// Pass evaluates a pass. Its members' slots are not llama.cpp's sequences.
func (b *Backend) Pass(ctx context.Context, p serving.Pass) (engine.Passed, error) {
	ctx, end, err := b.begin(ctx)
	if err != nil {
		return engine.Passed{}, err
	}
	defer end()
	if b.served == nil || b.eval == nil {
		return engine.Passed{}, fmt.Errorf("%w: nothing is ready in it", engine.ErrBackendDied)
	}
	members, err := b.members(p)
	if err != nil {
		return engine.Passed{}, err
	}
	defer b.stopWith(ctx)()
	x := b.eval
	x.reset()
	var sampled []*served // by row
	for _, m := range members {
		s := b.served.of[m.ID]
		for i := range m.Fresh {
			token := int32(0)
			if m.Prefill {
				token = s.prompt[m.Known+i]
			} else {
				token = s.generated[len(s.generated)-1]
			}
			x.add(token, m.Known+i, s.at, m.Samples && i == m.Fresh-1)
		}
		if m.Samples {
			sampled = append(sampled, s)
		}
	}
	out := engine.Passed{StartNS: x.sync()}
	if err := b.submit(ctx, true); err != nil {
		return out, err
	}
	best, t := x.wait(false)
	best = slices.Clone(best)
	if t, err = b.begun(ctx, sampled, best, t); err != nil {
		return out, err
	}
	out.EndNS = t
	for row, s := range sampled {
		token, err := b.sample(s, best[row], t)
		if err != nil {
			return out, err
		}
		out.Tokens = append(out.Tokens, token)
	}
	return out, nil
}

// members are a pass's in the order of their sequences; those that have none get one.
func (b *Backend) members(p serving.Pass) ([]serving.Member, error) {
	for _, m := range p.Members {
		s := b.served.of[m.ID]
		switch {
		case s == nil:
			return nil, fmt.Errorf("request %d is not ready", m.ID)
		case s.at >= 0:
		case len(b.served.active) == b.eval.shape.sequences:
			return nil, fmt.Errorf("%w: %d requests at once, and there is room for %d", engine.ErrTooLong, len(b.served.active)+1, b.eval.shape.sequences)
		default:
			s.at = len(b.served.active)
			b.eval.forget(s.at, 0)
			b.served.active = append(b.served.active, s)
		}
		if m.Prefill && m.Known+m.Fresh > len(s.prompt) || !m.Prefill && (len(s.generated) == 0 || m.Fresh != 1) {
			return nil, fmt.Errorf("request %d: no such part: %+v", m.ID, m)
		}
	}
	members := slices.Clone(p.Members)
	slices.SortFunc(members, func(x, y serving.Member) int { return cmp.Compare(b.served.of[x.ID].at, b.served.of[y.ID].at) })
	return members, nil
}

// begun sees to it that the first token of a request does not end it: best gets one
// that does not. It returns the time.
func (b *Backend) begun(ctx context.Context, sampled []*served, best []int32, t int64) (int64, error) {
	x := b.eval
	var again []int // rows whose logits are gone
	for row, s := range sampled {
		if len(s.generated) > 0 || best[row] < 0 || !b.model.ends(best[row]) {
			continue
		}
		if best[row] = x.goesOn(row); best[row] == endsNow {
			again = append(again, row)
		}
	}
	if len(again) == 0 {
		return t, nil
	}
	x.reset()
	for _, row := range again {
		s := sampled[row]
		last := len(s.prompt) - 1
		if !x.forget(s.at, last) {
			return t, fmt.Errorf("the cache cannot drop the last token of %d", len(s.prompt))
		}
		x.add(s.prompt[last], last, s.at, true)
	}
	if err := b.submit(ctx, false); err != nil {
		return x.sync(), err
	}
	others, t := x.wait(true)
	for i, row := range again {
		best[row] = others[i]
	}
	return t, nil
}

// sample gives a request its next token.
func (b *Backend) sample(s *served, token int32, t int64) (engine.Sampled, error) {
	if token < 0 {
		return engine.Sampled{}, fmt.Errorf("no token can be chosen, the model's logits are not numbers (damaged weights?): %s", nativeLog.firstError("llama.cpp says nothing"))
	}
	s.generated = append(s.generated, token)
	s.ended = !s.endless && b.model.ends(token)
	if !s.ended {
		s.text.add(b.model, token)
	}
	if s.ended || len(s.generated) >= s.maxTokens {
		s.text.finish()
	}
	return engine.Sampled{ID: s.index, Text: s.text.take(), Ended: s.ended}, nil
}

// End forgets a request. The last one takes its sequence, so that there is no hole.
func (b *Backend) End(id int) (event.Output, float64) {
	_, end, err := b.begin(context.Background())
	if err != nil {
		return event.Output{Choice: -1}, math.NaN()
	}
	defer end()
	if b.served == nil || b.served.of[id] == nil {
		return event.Output{Choice: -1}, math.NaN()
	}
	s := b.served.of[id]
	delete(b.served.of, id)
	if s.at >= 0 {
		last := len(b.served.active) - 1
		if l := b.served.active[last]; l != s {
			b.eval.move(l.at, s.at)
			l.at, b.served.active[s.at] = s.at, l
		}
		b.served.active = b.served.active[:last]
	}
	s.text.finish()
	return event.Output{Text: s.text.all.String(), Choice: -1}, math.NaN()
}
