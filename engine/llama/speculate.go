//go:build cgo

package llama

import (
	"context"
	"fmt"

	"jouletop/engine"
	"jouletop/engine/event"
)

// round is one of drafting and verifying after another.
type round struct {
	b     *Backend
	obs   engine.Observer
	depth int
	open  bool // a decode phase: of steps for which nothing was proposed
	plain int  // its tokens
}

// speculate generates in rounds, beginning with the prefill's best tokens: some tokens are
// drafted for each sequence, and the model reads them in one pass, after which it is known
// what it would have said after each. Those that it would have said itself are kept, with
// the one that it says next; the rest is taken back. So what is generated is what decode
// generates, but where two tokens are as good as one another: a pass over several rounds
// otherwise than passes over one. (Leviathan, Kalman, Matias, "Fast Inference from
// Transformers via Speculative Decoding", ICML 2023, at temperature 0.)
func (r *round) speculate(ctx context.Context, run []*sequence, best []int32, t int64) (err error) {
	b := r.b
	for _, s := range run {
		s.res.FirstTokenNS = t
	}
	pending := run
	active, err := b.accept(run, best, t)
	if err != nil {
		return err
	}
	b.emit(pending, r.obs, t)
	if t, err = b.draft.read(ctx, b, active, t, r.obs); err != nil {
		return err
	}
	defer func() { r.close(t) }()
	for pending = nil; len(active) > 0; {
		if active, pending, t, err = r.next(ctx, active, pending, t); err != nil {
			return err
		}
	}
	return nil
}

// close ends the decode phase that is open.
func (r *round) close(t int64) {
	if r.open {
		r.obs.PhaseEnd(event.Decode, t, r.plain)
		r.open, r.plain = false, 0
	}
}

// next makes one round, and returns the sequences that go on, those whose text is to be
// told, and the time. The text of those pending is told while a GPU verifies; on a CPU,
// which does so within submit, at once.
func (r *round) next(ctx context.Context, run, pending []*sequence, t int64) (active, told []*sequence, _ int64, err error) {
	b, x := r.b, r.b.eval
	defer func() {
		if err != nil {
			b.emit(pending, r.obs, t)
		}
	}()
	if r.drafting(run) {
		r.close(t)
	}
	proposals, err := b.draft.propose(ctx, b, run, r.depth, r.obs)
	if err != nil {
		return nil, nil, t, err
	}
	x.reset()
	for slot, s := range run {
		at := len(s.prompt) + len(s.generated)
		x.add(s.token(at-1), at-1, slot, true)
		for i, token := range proposals[slot] {
			x.add(token, at+i, slot, true)
		}
	}
	read := len(x.tokens)
	plain := read == len(run)
	if plain && !r.open {
		r.open = true
		r.obs.PhaseStart(event.Decode, now(), r.most(run))
	} else if !plain {
		r.close(t)
		r.obs.PhaseStart(event.Verify, now(), read)
	}
	if err := b.submit(ctx, severalRows); err != nil {
		if t = x.sync(); !plain {
			r.obs.PhaseEnd(event.Verify, t, 0)
		}
		return nil, nil, t, err
	}
	b.emit(pending, r.obs, t)
	pending = nil
	best, t := x.wait(false)
	if plain {
		r.plain += read
	} else {
		r.obs.PhaseEnd(event.Verify, t, read)
	}
	active = append([]*sequence(nil), run...)
	for slot, s := range run {
		p := proposals[slot]
		goesOn, err := r.keep(s, slot, p, best[:len(p)+1], t)
		best = best[len(p)+1:]
		if err != nil {
			return nil, nil, t, err
		}
		if !goesOn {
			active[slot] = nil
		}
	}
	active = b.together(active)
	if !b.gpu || len(active) == 0 {
		b.emit(run, r.obs, t)
		run = nil
	}
	return active, run, t, nil
}

// drafting tells whether a model is going to draft something.
func (r *round) drafting(run []*sequence) bool {
	if r.b.draft.own == nil {
		return false
	}
	for _, s := range run {
		if !s.strange && s.room() > 0 {
			return true
		}
	}
	return false
}

// most is how many tokens the sequences may still be given.
func (r *round) most(run []*sequence) (n int) {
	for _, s := range run {
		n += s.maxTokens - len(s.generated)
	}
	return n
}

// keep gives s the proposals that the model would have said itself, best having what it
// says after the token before them and after each, and the one that it says next. It tells
// whether s goes on.
func (r *round) keep(s *sequence, slot int, proposals, best []int32, t int64) (goesOn bool, err error) {
	b := r.b
	at := len(s.prompt) + len(s.generated)
	kept := 0
	s.res.DraftTokens += len(proposals)
	for goesOn = true; goesOn; {
		n := kept
		same := n < len(proposals) && best[n] == proposals[n]
		if goesOn, err = b.take(s, best[n], t); err != nil {
			return false, err
		}
		if !same {
			break
		}
		kept++
		s.res.AcceptedTokens++
	}
	if !goesOn {
		return false, nil
	}
	if kept < len(proposals) && !b.eval.forget(slot, at+kept) {
		return false, fmt.Errorf("the cache cannot drop what follows token %d", at+kept)
	}
	return true, b.draft.verified(s, slot, len(proposals), kept)
}
