//go:build cgo

package llama

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"

	"jouletop/engine"
	"jouletop/engine/event"
	"jouletop/workloads"
)

// sequence is one request on its way through a batch.
type sequence struct {
	index     int // of the request in the batch
	prompt    []int32
	maxTokens int       // to generate
	options   [][]int32 // to score
	endless   bool      // no token ends the generation
	generated []int32
	ended     bool // the last of them ends it, and is no text
	text      pieces
	shown     int  // of the generated tokens, those whose text was made
	known     int  // of its tokens, those in the cache of the model that drafts
	strange   bool // it has a token that that model does not know: nothing is drafted
	res       engine.Result
}

// Run implements engine.Backend. The first token of a request never ends its
// generation, so that every one yields text. A token that ends a generation
// counts as an output token: it was computed. Decode's tokens are those of the
// decode steps; the first of each request comes out of its prefill.
func (b *Backend) Run(ctx context.Context, batch engine.Batch, obs engine.Observer) ([]engine.Result, error) {
	ctx, end, err := b.begin(ctx)
	if err != nil {
		return nil, err
	}
	defer end()
	if b.model == nil {
		return nil, errNoModel
	}
	scored := batch.Scored()
	seqs := make([]*sequence, len(batch.Requests))
	for _, r := range batch.Requests {
		if r.Query.Classification() != scored {
			return nil, fmt.Errorf("batch %s mixes requests to generate and to score", batch.ID)
		}
	}
	var tokenized sync.WaitGroup // together: a long prompt takes a millisecond
	for i, r := range batch.Requests {
		tokenized.Go(func() { seqs[i] = b.prepare(i, r) })
	}
	tokenized.Wait()
	depth := min(batch.DraftDepth, event.MaxDraftDepth)
	if scored || b.draft == nil {
		depth = 0
	}
	if err := b.evaluate(ctx, seqs, scored, depth, obs); err != nil {
		return nil, fmt.Errorf("batch %s: %w", batch.ID, err)
	}
	results := make([]engine.Result, len(seqs))
	for i, s := range seqs {
		if results[i] = s.res; s.res.Err == nil && scored {
			results[i].Output.Choice = workloads.Choose(batch.Requests[i].Query, s.res.Output.LogLikelihoods)
		}
	}
	return results, nil
}

// prepare tokenizes a request; what is wrong with it alone ends in res.Err.
func (b *Backend) prepare(index int, r engine.Request) *sequence {
	s := &sequence{index: index, maxTokens: max(1, r.MaxTokens)}
	s.res.Quality = math.NaN()
	s.res.Output.Choice = -1
	if r.RandomTokens > 0 {
		s.prompt, s.endless = b.model.random(r.RandomTokens, index), true
		return s
	}
	prompt, parse := r.Query.Prompt, false
	if r.Chat && b.model.template != "" {
		if prompt, s.res.Err = b.model.chat(prompt); s.res.Err != nil {
			return s
		}
		parse = true
	}
	if s.prompt, s.res.Err = b.model.tokenize(prompt, true, parse); s.res.Err != nil {
		return s
	}
	if r.Query.Classification() {
		s.maxTokens = 0
		if s.res.Err = b.continuations(s, prompt, parse, r.Query.Options); s.res.Err != nil {
			return s
		}
	}
	if len(s.prompt) == 0 {
		s.res.Err = errors.New("empty prompt")
	}
	return s
}

// continuations tokenizes the options as they follow the prompt. A tokenizer
// may join the end of a prompt and the beginning of an option to one token:
// what all options leave of the prompt becomes the prompt, and the rest is
// scored with every option alike.
func (b *Backend) continuations(s *sequence, prompt string, parse bool, options []string) error {
	whole := make([][]int32, len(options))
	shared := len(s.prompt)
	for i, o := range options {
		var err error
		if whole[i], err = b.model.tokenize(prompt+o, true, parse); err != nil {
			return err
		}
		n := 0
		for n < min(shared, len(whole[i])) && whole[i][n] == s.prompt[n] {
			n++
		}
		shared = n
	}
	s.prompt = s.prompt[:shared]
	for i, w := range whole {
		if len(w) == shared {
			return fmt.Errorf("option %d, %q, is no token", i+1, options[i])
		}
		s.options = append(s.options, w[shared:])
	}
	return nil
}

// tokens returns the most tokens that s needs in the cache.
func (s *sequence) tokens() int {
	n := s.maxTokens
	for _, o := range s.options {
		n = max(n, len(o))
	}
	return len(s.prompt) + n
}

// evaluate runs the sequences that are well so far: prefill, then decode or
// score. With a depth so many tokens are drafted at a time.
func (b *Backend) evaluate(ctx context.Context, seqs []*sequence, scored bool, depth int, obs engine.Observer) error {
	var run []*sequence
	longest := 0
	for _, s := range seqs {
		if n := s.tokens(); s.res.Err == nil && n > b.info.ContextMax {
			s.res.Err = fmt.Errorf("%w: %d tokens of prompt and up to %d more, and the model's context is %d",
				engine.ErrTooLong, len(s.prompt), n-len(s.prompt), b.info.ContextMax)
		}
		if s.res.Err != nil {
			t := now()
			s.res.StartNS, s.res.PrefillEndNS, s.res.EndNS = t, t, t
			continue
		}
		run = append(run, s)
		longest = max(longest, s.tokens())
	}
	if len(run) == 0 {
		return nil
	}
	// llama.cpp evaluates streams of consecutive numbers together, so the
	// longest prompts come first: what is left of ragged ones stays together.
	slices.SortStableFunc(run, func(a, b *sequence) int { return cmp.Compare(len(b.prompt), len(a.prompt)) })
	lengths := b.lengths(run)
	sequences := len(run)
	if scored {
		sequences = b.model.scoringSequences(sequences)
	}
	rows := 0
	if depth > 0 {
		rows = sequences * (depth + 1)
	}
	if err := b.fitRows(sequences, longest, sum(lengths), rows); err != nil {
		return err
	}
	x := b.eval
	defer b.stopWith(ctx)()
	x.clear()
	b.served = nil
	best, t, err := b.prefill(ctx, run, lengths, scored, depth > 0 && !severalRows, obs)
	switch {
	case err != nil:
		return err
	case scored:
		return scorer{b}.score(ctx, run, t, obs)
	case depth > 0:
		return (&round{b: b, obs: obs, depth: depth}).speculate(ctx, run, best, t)
	}
	return b.decode(ctx, run, best, t, obs)
}

// stopWith has what is evaluated on a CPU stop soon after ctx is done, until the
// returned function is called.
func (b *Backend) stopWith(ctx context.Context) func() {
	xs := []*evaluator{b.eval}
	if b.draft != nil && b.draft.eval != nil {
		xs = append(xs, b.draft.eval)
	}
	abort := func(on bool) {
		for _, x := range xs {
			x.abort(on)
		}
	}
	abort(false)
	aborted := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		abort(true)
		close(aborted)
	})
	return func() {
		if !stop() {
			<-aborted
		}
	}
}

// lengths returns how many tokens of each prompt, longest first, are evaluated:
// on a GPU with padding.
func (b *Backend) lengths(run []*sequence) []int {
	lengths := make([]int, len(run))
	for i, s := range run {
		lengths[i] = len(s.prompt)
	}
	if b.gpu && b.model.forgets {
		return padding(lengths, gpuUbatch)
	}
	return lengths
}

func sum(of []int) (total int) {
	for _, n := range of {
		total += n
	}
	return total
}

// stride returns how many tokens of each sequence, counted from its end, are handed
// to llama.cpp at once: two passes of ubatch tokens, so that it prepares the next
// ones while a GPU is busy with these. The end of every prompt is in the last part.
func stride(run []*sequence, lengths []int, ubatch int) int {
	step := 2 * max(1, ubatch/len(run))
	for slot, s := range run {
		step = max(step, lengths[slot]-len(s.prompt)+1)
	}
	return step
}

// prefill evaluates all prompts together, padded to lengths, longest first, and
// returns the best token after each and the time. Where answers are to be scored,
// the logits stay; where all is copied, they are copied as they are in the passes that
// follow.
func (b *Backend) prefill(ctx context.Context, run []*sequence, lengths []int, scored, copied bool, obs engine.Observer) ([]int32, int64, error) {
	x := b.eval
	total := 0
	for _, s := range run {
		total += len(s.prompt)
	}
	step := lengths[0]
	if b.gpu {
		step = stride(run, lengths, x.shape.ubatch)
	}
	x.sync()
	t0 := now()
	obs.PhaseStart(event.Prefill, t0, total)
	for rest := roundUp(lengths[0], step); rest > 0; rest -= step {
		x.reset()
		for slot, s := range run {
			last := len(s.prompt) - 1
			for i := max(0, lengths[slot]-rest); i < lengths[slot]-rest+step; i++ {
				x.add(s.prompt[min(i, last)], i, slot, i == last)
			}
		}
		if err := b.submit(ctx, !scored && !copied); err != nil {
			obs.PhaseEnd(event.Prefill, x.sync(), 0)
			return nil, 0, err
		}
	}
	best, t := x.wait(true)
	best, t, err := b.goOn(ctx, run, lengths, best, t)
	obs.PhaseEnd(event.Prefill, t, total)
	if err != nil {
		return nil, 0, err
	}
	for slot, s := range run {
		s.res.StartNS, s.res.PrefillEndNS = t0, t
		s.res.InputTokens = len(s.prompt)
		if lengths[slot] > len(s.prompt) {
			x.forget(slot, len(s.prompt))
		}
	}
	return best, t, nil
}

// goOn finds a first token that does not end the generation for the sequences
// whose best one would, where wait could not: their last token is evaluated once
// more, for all logits.
func (b *Backend) goOn(ctx context.Context, run []*sequence, lengths []int, best []int32, t int64) ([]int32, int64, error) {
	if !slices.Contains(best, endsNow) {
		return best, t, nil
	}
	x := b.eval
	best = slices.Clone(best)
	x.reset()
	var slots []int
	for slot, s := range run {
		if best[slot] != endsNow {
			continue
		}
		last := len(s.prompt) - 1
		if !x.forget(slot, last) {
			return nil, t, fmt.Errorf("the cache cannot drop token %d of %d", last, lengths[slot])
		}
		x.add(s.prompt[last], last, slot, true)
		slots = append(slots, slot)
	}
	if err := b.submit(ctx, false); err != nil {
		return nil, x.sync(), err
	}
	others, t := x.wait(true)
	for i, slot := range slots {
		best[slot] = others[i]
	}
	return best, t, nil
}

// submit starts the evaluation of the batch under way.
func (b *Backend) submit(ctx context.Context, bestOnly bool) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return b.submitted(ctx, b.eval.submit(bestOnly))
}

// submitted is the error of llama_decode's result.
func (b *Backend) submitted(ctx context.Context, r int) error {
	switch {
	case r == 0:
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	case r == 1:
		return fmt.Errorf("%w: no free cells in the key-value cache", engine.ErrTooLong)
	default:
		return fmt.Errorf("llama.cpp cannot evaluate the batch (%d): %s", r, nativeLog.firstError("no reason given"))
	}
}

// decode generates, beginning with the prefill's best tokens.
func (b *Backend) decode(ctx context.Context, run []*sequence, best []int32, t int64, obs engine.Observer) error {
	x := b.eval
	most, steps := 0, 0
	for _, s := range run {
		s.res.FirstTokenNS = t
		most += s.maxTokens - 1
	}
	// On a GPU the text of a step is made and handed on while the next one runs. On
	// the CPU a step runs within submit, and its text must not wait for it.
	var pending []*sequence
	begun := false
	for {
		pending = append(pending[:0], run...)
		active, err := b.accept(run, best, t)
		if err != nil {
			if begun {
				obs.PhaseEnd(event.Decode, t, steps)
			}
			return err
		}
		if !b.gpu || len(active) == 0 {
			b.emit(pending, obs, t)
			pending = pending[:0]
		}
		if run = active; len(run) == 0 {
			break
		}
		if !begun {
			obs.PhaseStart(event.Decode, t, most)
			begun = true
		}
		x.reset()
		for slot, s := range run {
			n := len(s.generated)
			x.add(s.generated[n-1], len(s.prompt)+n-1, slot, true)
		}
		if err := b.submit(ctx, true); err != nil {
			obs.PhaseEnd(event.Decode, x.sync(), steps)
			return err
		}
		b.emit(pending, obs, t)
		best, t = x.wait(false)
		steps += len(run)
	}
	if begun {
		obs.PhaseEnd(event.Decode, t, steps)
	}
	return nil
}

// accept gives each sequence its new token and returns those that go on, moved
// together to the first streams.
func (b *Backend) accept(run []*sequence, best []int32, t int64) ([]*sequence, error) {
	active := slices.Clone(run)
	for slot, s := range run {
		goesOn, err := b.take(s, best[slot], t)
		if err != nil {
			return nil, err
		}
		if !goesOn {
			active[slot] = nil
		}
	}
	return b.together(active), nil
}

// take gives s its next token, and tells whether it goes on.
func (b *Backend) take(s *sequence, token int32, t int64) (goesOn bool, err error) {
	if token < 0 {
		return false, fmt.Errorf("no token can be chosen, the model's logits are not numbers (damaged weights?): %s", nativeLog.firstError("llama.cpp says nothing"))
	}
	s.generated = append(s.generated, token)
	s.ended = !s.endless && b.model.ends(token)
	if s.ended || len(s.generated) >= s.maxTokens {
		s.res.EndNS = t
		s.res.OutputTokens = len(s.generated)
		return false, nil
	}
	return true, nil
}

// together moves the sequences that are left to the first streams.
func (b *Backend) together(active []*sequence) []*sequence {
	for slot := 0; slot < len(active); slot++ {
		if active[slot] != nil {
			continue
		}
		last := len(active) - 1
		for last > slot && active[last] == nil {
			last--
		}
		if last > slot {
			b.eval.move(last, slot)
			if x := b.draft.drafts(); x != nil {
				x.move(last, slot)
			}
			active[slot] = active[last]
			active = active[:last]
		} else {
			active = active[:slot]
		}
	}
	return active
}

// emit makes text of the tokens that the sequences were given since, at t, and
// hands it on.
func (b *Backend) emit(run []*sequence, obs engine.Observer, t int64) {
	for _, s := range run {
		for ; s.shown < len(s.generated); s.shown++ {
			if !s.ended || s.shown < len(s.generated)-1 {
				s.text.add(b.model, s.generated[s.shown])
			}
		}
		if s.res.EndNS != 0 {
			s.text.finish()
			s.res.Output.Text = s.text.all.String()
		}
		engine.TellTokens(obs, s.index, t, s.text.take(), 1)
	}
}
