//go:build cgo

package llama

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"jouletop/engine"
	"jouletop/engine/draft"
	"jouletop/engine/event"
	"jouletop/engine/gguf"
)

// drafter proposes tokens: a model of its own, the model itself in a second context, or a
// lookup of n-grams, which needs neither.
type drafter struct {
	own      *model // what drafts; nil: a lookup
	shared   bool   // it is the model itself
	onDevice bool
	kvBytes  uint64
	info     engine.DraftModelInfo // of a model of its own
	eval     *evaluator
}

// errForgets: what was drafted in vain has to be taken back.
var errForgets = errors.New("a recurrent model cannot take tokens back, so nothing can be drafted for it or by it")

// loadDrafter loads what spec says should draft for b's model; nil where nothing should.
func loadDrafter(ctx context.Context, b *Backend, spec engine.ModelSpec, devices []int, layers int) (*drafter, error) {
	switch spec.Drafter.Name {
	case "":
		return nil, nil
	case event.DraftNGram, event.DraftSelf:
	default:
		return loadDraftModel(ctx, b, spec.Drafter, devices, layers)
	}
	if !b.model.forgets {
		return nil, fmt.Errorf("%w: %s: %w", engine.ErrModel, spec.Path, errForgets)
	}
	if spec.Drafter.Name == event.DraftNGram {
		return &drafter{}, nil
	}
	head, err := gguf.OpenModel(spec.Path)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", engine.ErrModel, err)
	}
	return &drafter{own: b.model, shared: true, onDevice: b.onDevice, kvBytes: head.Files[0].KVBytesPerToken()}, nil
}

func loadDraftModel(ctx context.Context, b *Backend, d engine.Drafter, devices []int, layers int) (*drafter, error) {
	failed := func(err error) (*drafter, error) {
		return nil, fmt.Errorf("%w: draft model %s: %w", engine.ErrModel, d.Path, err)
	}
	file, err := gguf.OpenModel(d.Path)
	if err != nil {
		return failed(err)
	}
	if err := file.Generates(); err != nil && !installed {
		return failed(fmt.Errorf("%w, which the llama.cpp in this program does not have", err))
	}
	sum := gguf.StartSHA256(ctx, file.Paths)
	nativeLog.mark()
	m := loadModel(file.Paths[0], devices, layers, func(float64) bool { return ctx.Err() == nil })
	if m == nil {
		if err := ctx.Err(); err != nil {
			return nil, fmt.Errorf("loading draft model %s: %w", d.Path, err)
		}
		return failed(errors.New(nativeLog.firstError("llama.cpp gives no reason")))
	}
	head := file.Files[0]
	out := &drafter{own: m, onDevice: b.gpu && layers > m.layers && m.forgets, kvBytes: head.KVBytesPerToken()}
	if err := b.model.draftable(m); err != nil {
		out.free()
		return failed(err)
	}
	out.info = engine.DraftModelInfo{
		Name: d.Name, Path: file.Paths[0], Architecture: head.Architecture(), Parameters: file.Parameters(), Quantisation: head.Quantisation(), SizeBytes: file.Size,
	}
	if out.info.SHA256, err = sum(); err != nil {
		out.free()
		return failed(err)
	}
	return out, nil
}

// draftable tells what keeps d from drafting for m: both must take tokens back, and mean
// the same by them. Some vocabularies of one family differ in what they are padded by.
func (m *model) draftable(d *model) error {
	const padding = 256
	switch {
	case !m.forgets || !d.forgets:
		return errForgets
	case m.text != d.text || max(m.nVocab, d.nVocab)-min(m.nVocab, d.nVocab) > padding:
		return fmt.Errorf("it has %d tokens and the model has %d: they must be the same", d.nVocab, m.nVocab)
	case !m.text:
		return nil
	}
	var own, its []byte
	for token := range int32(min(m.nVocab, d.nVocab)) {
		own, its = m.piece(own[:0], token), d.piece(its[:0], token)
		if !bytes.Equal(own, its) || m.ends(token) != d.ends(token) {
			return fmt.Errorf("token %d is %q in it and %q in the model: they must be the same", token, its, own)
		}
	}
	return nil
}

// model is what drafts, nil for a lookup or none.
func (d *drafter) model() *model {
	if d == nil {
		return nil
	}
	return d.own
}

// drafts is the context that it drafts in; nil where there is none.
func (d *drafter) drafts() *evaluator {
	if d == nil {
		return nil
	}
	return d.eval
}

func (d *drafter) describe() (info engine.DraftModelInfo) {
	if d != nil {
		info = d.info
	}
	return info
}

func (d *drafter) free() {
	if d == nil {
		return
	}
	if d.eval != nil {
		d.eval.free()
		d.eval = nil
	}
	if d.own != nil && !d.shared {
		d.own.free()
		d.own = nil
	}
}

// read has the drafting model read the prompts of sequences for which something will be
// drafted, and returns the time.
func (d *drafter) read(ctx context.Context, b *Backend, run []*sequence, t int64, obs engine.Observer) (int64, error) {
	if d.own == nil {
		return t, nil
	}
	x := d.eval
	x.clear()
	x.reset()
	total := 0
	for slot, s := range run {
		s.known = 0
		if s.strange = s.room() < 1 || d.strange(s.prompt); s.strange {
			continue
		}
		for i, token := range s.prompt {
			x.add(token, i, slot, false)
		}
		s.known = len(s.prompt)
		total += len(s.prompt)
	}
	if total == 0 {
		return t, nil
	}
	t0 := now()
	obs.PhaseStart(event.Prefill, t0, total)
	if err := b.submitted(ctx, x.submit(true)); err != nil {
		obs.PhaseEnd(event.Prefill, x.sync(), 0)
		return t, err
	}
	t = x.sync()
	obs.PhaseEnd(event.Prefill, t, total)
	for _, s := range run {
		s.res.PrefillEndNS = t
	}
	return t, nil
}

// strange tells whether there is a token that the drafting model has not.
func (d *drafter) strange(tokens []int32) bool {
	for _, t := range tokens {
		if int(t) >= d.own.nVocab {
			return true
		}
	}
	return false
}

// room is how many tokens may be drafted for s: the model itself says the one after them.
func (s *sequence) room() int { return s.maxTokens - len(s.generated) - 1 }

// token is the i-th of s's tokens, of its prompt and then of what was generated.
func (s *sequence) token(i int) int32 {
	if i < len(s.prompt) {
		return s.prompt[i]
	}
	return s.generated[i-len(s.prompt)]
}

// propose returns what is drafted for each sequence, in a phase of its own where a model
// does it.
func (d *drafter) propose(ctx context.Context, b *Backend, run []*sequence, depth int, obs engine.Observer) ([][]int32, error) {
	out := make([][]int32, len(run))
	if d.own == nil {
		for slot, s := range run {
			all := make([]int32, 0, len(s.prompt)+len(s.generated))
			out[slot] = draft.NGram(append(append(all, s.prompt...), s.generated...), min(depth, s.room()))
		}
		return out, nil
	}
	want, total := make([]int, len(run)), 0
	for slot, s := range run {
		if s.strange = s.strange || d.strange(s.generated[max(0, s.known-len(s.prompt)):]); !s.strange {
			want[slot] = max(0, min(depth, s.room()))
			total += want[slot]
		}
	}
	if total == 0 {
		return out, nil
	}
	obs.PhaseStart(event.Draft, now(), total)
	t, err := d.steps(ctx, b, run, want, out)
	proposed := 0
	for _, p := range out {
		proposed += len(p)
	}
	obs.PhaseEnd(event.Draft, t, proposed)
	return out, err
}

// steps adds a token a step to what is proposed, up to want, and returns the time.
func (d *drafter) steps(ctx context.Context, b *Backend, run []*sequence, want []int, out [][]int32) (int64, error) {
	x := d.eval
	var rows []int // slots, by row
	for {
		x.reset()
		rows = rows[:0]
		for slot, s := range run {
			n := len(out[slot])
			at := len(s.prompt) + len(s.generated)
			switch {
			case n >= want[slot]:
				continue
			case n > 0:
				x.add(out[slot][n-1], at+n-1, slot, true)
			default: // what the model has said since
				for ; s.known < at; s.known++ {
					x.add(s.token(s.known), s.known, slot, s.known == at-1)
				}
			}
			rows = append(rows, slot)
		}
		if len(rows) == 0 {
			return x.sync(), nil
		}
		if err := ctx.Err(); err != nil {
			return x.sync(), err
		}
		if err := b.submitted(ctx, x.submit(true)); err != nil {
			return x.sync(), err
		}
		best, _ := x.wait(false)
		for row, slot := range rows {
			token := best[row]
			if token < 0 || int(token) >= b.model.nVocab { // nothing to propose any more
				want[slot] = len(out[slot])
				continue
			}
			if out[slot] = append(out[slot], token); !run[slot].endless && b.model.ends(token) {
				want[slot] = len(out[slot])
			}
		}
	}
}

// verified has the drafting model's cache follow what was kept of the proposals: of the
// last one it does not know yet.
func (d *drafter) verified(s *sequence, slot, proposed, kept int) error {
	if d.own == nil || proposed == 0 {
		return nil
	}
	// s has the kept ones and one more by now.
	s.known = len(s.prompt) + len(s.generated) - 1 - kept + min(kept, proposed-1)
	if !d.eval.forget(slot, s.known) {
		return fmt.Errorf("the drafting model's cache cannot drop what follows token %d", s.known)
	}
	return nil
}
