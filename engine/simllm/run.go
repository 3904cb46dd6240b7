package simllm

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"jouletop/engine"
	"jouletop/engine/event"
	"jouletop/gpu/simgpu"
	"jouletop/gpu/simgpu/draw"
)

// chatTokens is about what a chat template adds to a prompt.
const chatTokens = 12

// run is one batch under way.
type run struct {
	b       *Backend
	ctx     context.Context
	batch   engine.Batch
	obs     engine.Observer
	scored  bool
	results []engine.Result
	seqs    []sequence // those that fit, in order
	round   uint64     // of drafting, from 1
}

// sequence is a request that is evaluated.
type sequence struct {
	index   int // in the batch
	prompt  int // tokens
	options int // tokens of all options
	length  int // tokens it will generate
	text    filler
}

// prepare counts tokens and sorts out what does not fit.
func (r *run) prepare() error {
	s := r.b.shape
	r.results = make([]engine.Result, len(r.batch.Requests))
	var kv float64
	for i, q := range r.batch.Requests {
		res := &r.results[i]
		res.Quality = math.NaN()
		res.Output.Choice = -1
		if q.Query.Classification() != r.scored {
			return fmt.Errorf("batch %s mixes generation and scoring", r.batch.ID)
		}
		seq, err := r.b.sequence(q, r.scored)
		seq.index, res.InputTokens = i, seq.prompt
		if errors.Is(err, engine.ErrTooLong) {
			res.Err = err
			continue
		} else if err != nil {
			return err
		}
		kv += float64(seq.prompt+seq.length+seq.options) * (s.kvBytes() + r.b.draft.kvBytes())
		r.seqs = append(r.seqs, seq)
	}
	if kv > r.b.freeB {
		return fmt.Errorf("%w: the KV cache of batch %s needs %.1f GB, %.1f GB are left",
			engine.ErrTooLong, r.batch.ID, kv/1e9, r.b.freeB/1e9)
	}
	return nil
}

// sequence counts what a request asks for. The error wraps engine.ErrTooLong where it
// is longer than the model's context.
func (b *Backend) sequence(q engine.Request, scored bool) (sequence, error) {
	seq := sequence{prompt: countTokens(q.Query.Prompt)}
	if q.Chat {
		seq.prompt += chatTokens
	}
	for _, o := range q.Query.Options {
		seq.options += max(1, countTokens(o)-1)
	}
	if !scored {
		if q.MaxTokens < 1 {
			return seq, fmt.Errorf("request %s: %d tokens to generate, need at least 1", q.ID, q.MaxTokens)
		}
		id := b.quality.key(q.Query)
		seq.length = min(q.MaxTokens, answerLength(id))
		seq.text = newFiller(id)
	}
	if q.RandomTokens > 0 {
		seq.prompt, seq.length = q.RandomTokens, q.MaxTokens
	}
	if all := seq.prompt + max(q.MaxTokens*btoi(!scored), seq.options); all > b.shape.Context {
		return seq, fmt.Errorf("%w: request %s needs %d tokens, %s reads %d", engine.ErrTooLong, q.ID, all, b.shape.Name, b.shape.Context)
	}
	return seq, nil
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

func (r *run) run() error {
	if len(r.seqs) == 0 {
		return nil
	}
	if err := r.prefill(); err != nil {
		return err
	}
	switch {
	case r.scored:
		return r.score()
	case r.drafts():
		return r.speculate()
	}
	return r.decode()
}

// execute runs one phase's work, its length varied by the phase's jitter.
func (r *run) execute(phase event.Phase, w simgpu.Work) (end int64, err error) {
	if r.b.jitter > 0 {
		name := draw.String(string(phase))
		if r.round > 0 {
			name = draw.Mix(name, r.round)
		}
		k := 1 + r.b.jitter*draw.Normal(draw.Mix(r.b.seed, draw.Mix(draw.String(r.batch.ID), name)))
		w = scale(w, max(0.5, k))
	}
	_, end, err = r.b.all.Execute(r.ctx, w)
	if err != nil {
		err = fmt.Errorf("batch %s, %s: %w", r.batch.ID, phase, err)
	}
	return end, err
}

func scale(w simgpu.Work, k float64) simgpu.Work {
	w.FLOPs *= k
	w.Bytes *= k
	w.SMCycles *= k
	w.Overhead = time.Duration(float64(w.Overhead) * k)
	return w
}

func (r *run) lengths(of func(sequence) int) (list []int, total int) {
	for _, s := range r.seqs {
		list = append(list, of(s))
		total += of(s)
	}
	return list, total
}

func (r *run) prefill() error {
	prompts, total := r.lengths(func(s sequence) int { return s.prompt })
	start := r.b.clk.Now()
	r.obs.PhaseStart(event.Prefill, start, total)
	end, err := r.execute(event.Prefill, r.b.cost.prefill(prompts, r.scored))
	r.obs.PhaseEnd(event.Prefill, end, total)
	if err == nil && r.drafts() && r.b.draft.cost != nil { // it reads the prompts too
		end, err = r.phase(event.Prefill, total, r.b.draft.cost.prefill(prompts, false))
	}
	for _, s := range r.seqs {
		r.results[s.index].StartNS, r.results[s.index].PrefillEndNS = start, end
	}
	return err
}

// score evaluates all options of all sequences after the shared prefix.
func (r *run) score() error {
	prompts, _ := r.lengths(func(s sequence) int { return s.prompt })
	options, total := r.lengths(func(s sequence) int { return s.options })
	r.obs.PhaseStart(event.Score, r.b.clk.Now(), total)
	end, err := r.execute(event.Score, r.b.cost.score(prompts, options))
	r.obs.PhaseEnd(event.Score, end, total)
	if err != nil {
		return err
	}
	for _, s := range r.seqs {
		res := &r.results[s.index]
		q := r.batch.Requests[s.index].Query
		res.EndNS = end
		res.Quality = r.b.quality.of(q, r.b.shape)
		res.Output.Choice, res.Output.LogLikelihoods = r.b.quality.options(q, r.b.shape, res.Quality)
	}
	return nil
}

// decode generates a token a sequence and step. Steps are run together up to
// the next sequence's end, for at most tokenEvery; the first alone, so that the
// time to the first token is exact.
func (r *run) decode() error {
	_, most := r.lengths(func(s sequence) int { return r.batch.Requests[s.index].MaxTokens })
	r.obs.PhaseStart(event.Decode, r.b.clk.Now(), most)
	active := make([]*sequence, len(r.seqs))
	for i := range r.seqs {
		active[i] = &r.seqs[i]
	}
	end, generated := r.b.clk.Now(), 0
	for step := 0; len(active) > 0; {
		context, next := 0, active[0].length
		for _, s := range active {
			context += s.prompt + step
			next = min(next, s.length)
		}
		n := 1
		if step > 0 {
			perStep := r.b.cost.stepSeconds(len(active), context)
			n = min(next-step, max(1, int(tokenEvery.Seconds()/perStep)))
		}
		var err error
		end, err = r.execute(event.Decode, r.b.cost.decode(n, len(active), context))
		if err != nil {
			r.obs.PhaseEnd(event.Decode, end, generated)
			return err
		}
		step += n
		generated += n * len(active)
		active = r.emit(active, step, n, end)
	}
	r.obs.PhaseEnd(event.Decode, end, generated)
	return nil
}

// emit reports n new tokens of each active sequence and returns those that go
// on.
func (r *run) emit(active []*sequence, step, n int, t int64) []*sequence {
	goOn := active[:0]
	for _, s := range active {
		res := &r.results[s.index]
		text := s.text.next(n)
		res.Output.Text += text
		if step == n {
			res.FirstTokenNS = t
		}
		engine.TellTokens(r.obs, s.index, t, text, n)
		if step < s.length {
			goOn = append(goOn, s)
			continue
		}
		res.EndNS, res.OutputTokens = t, s.length
		res.Quality = r.b.quality.of(r.batch.Requests[s.index].Query, r.b.shape)
	}
	return goOn
}
