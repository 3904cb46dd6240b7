package remote

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"
	"time"

	"jouletop/engine"
	"jouletop/engine/event"
)

// Run implements engine.Backend. The batch fails, with engine.ErrBackendDied,
// only where no request of it reached the server; it fails too where the server
// lets nobody in, or cannot score.
func (b *Backend) Run(ctx context.Context, batch engine.Batch, obs engine.Observer) ([]engine.Result, error) {
	return b.runBatch(ctx, batch, obs, nil)
}

// runBatch is Run; heard, if not nil, is told of the only request, which runs beside
// others.
func (b *Backend) runBatch(ctx context.Context, batch engine.Batch, obs engine.Observer, heard *engine.Heard) ([]engine.Result, error) {
	ctx, cancel, err := b.within(ctx)
	if err != nil {
		return nil, err
	}
	defer cancel()
	m := b.loaded()
	if m.name == "" {
		return nil, errNoModel
	}
	if len(batch.Requests) == 0 {
		return nil, nil
	}
	scored := batch.Scored()
	for _, r := range batch.Requests {
		if r.Query.Classification() != scored {
			return nil, fmt.Errorf("batch %s mixes requests to generate and to score", batch.ID)
		}
	}
	run := &run{
		Backend: b, ctx: ctx, served: m, obs: obs, heard: heard, first: event.Mixed, whole: event.Mixed,
		results: make([]engine.Result, len(batch.Requests)), ran: make([][]span, len(batch.Requests)), texts: make([][]int64, len(batch.Requests)),
	}
	switch {
	case scored:
		run.first, run.whole = event.Score, event.Score
	case len(batch.Requests) == 1:
		run.first, run.single = event.Prefill, true
	}
	run.late, _ = obs.(engine.LateObserver)
	if batch.WarmUp {
		batch.Requests = slices.Clone(batch.Requests)
		for i := range batch.Requests { // some servers take no fewer
			batch.Requests[i].MaxTokens = max(batch.Requests[i].MaxTokens, fewTokens)
		}
		run.patience = b.opt.LoadWait
		patient := time.AfterFunc(firstAnswer, func() { b.warnLoading(b.opt.LoadWait) })
		defer patient.Stop()
	}
	if !scored {
		run.counting.Add(len(batch.Requests))
	}
	var all sync.WaitGroup
	for i, r := range batch.Requests {
		run.most = append(run.most, max(r.MaxTokens, 1))
		all.Go(func() {
			if scored {
				run.results[i] = run.score(i, r)
			} else {
				run.results[i] = run.generate(i, r)
			}
		})
	}
	all.Wait()
	if heard == nil && !scored {
		run.judgeTogether()
	}
	run.tellPhases()
	return run.finish()
}

// fewTokens is how few every server generates.
const fewTokens = 16

// firstAnswer is how long a warm-up may take before a word is said of it.
const firstAnswer = 5 * time.Second

// span is a time in which a request was at work, in ns.
type span struct{ start, end int64 }

// run is one batch under way.
type run struct {
	*Backend
	served
	ctx      context.Context
	single   bool          // one request that generates: its phases are its own
	patience time.Duration // with a server that is not ready; 0: no more than with any
	first    event.Phase   // in which a request begins
	whole    event.Phase   // of a batch that is one phase

	counting sync.WaitGroup // requests whose prompt is not counted yet: all begin together
	results  []engine.Result
	ran      [][]span  // when each request was at work: not while it waited to be accepted
	texts    [][]int64 // when each token came, of the requests of which that is known
	most     []int     // tokens asked for

	mu     sync.Mutex // one report at a time
	obs    engine.Observer
	late   engine.LateObserver // obs, if it is one
	active int                 // requests at the server
	heard  *engine.Heard       // of the only request; nil in a batch
}

// enter notes that a request is sent, at t; leave that it is back.
func (r *run) enter(t int64, tokens int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.active++; r.active == 1 {
		r.obs.PhaseStart(r.first, t, tokens)
	}
}

func (r *run) leave() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.active--; r.active == 0 {
		r.obs.PhaseStart(event.Idle, r.clk.Now(), 0)
	}
}

// tellPhases says what the batch's phases were: those of a single request as far
// as they are known; else one from when the first request of those under way
// began until the last ended, and the pauses between, in which all waited to be
// accepted.
func (r *run) tellPhases() {
	if r.single {
		if r.late != nil && len(r.ran[0]) > 0 {
			r.tellSingle(r.results[0])
		}
		return
	}
	var all []span
	tokens, unknown := 0, false
	for i, q := range r.results {
		all = append(all, r.ran[i]...)
		n := q.OutputTokens
		if r.whole == event.Score {
			n = q.InputTokens
		}
		tokens, unknown = tokens+n, unknown || n < 0
	}
	slices.SortFunc(all, func(a, b span) int { return cmp.Compare(a.start, b.start) })
	var merged []span
	for _, s := range all {
		if n := len(merged); n > 0 && s.start <= merged[n-1].end {
			merged[n-1].end = max(merged[n-1].end, s.end)
		} else {
			merged = append(merged, s)
		}
	}
	if unknown || len(merged) > 1 { // nobody knows how many were in which
		tokens = -1
	}
	if apart(r.ran) {
		r.flagAll(event.FlagBatchApart)
	}
	if r.late == nil {
		return
	}
	for i, s := range merged {
		if i > 0 {
			r.late.Phase(event.Idle, merged[i-1].end, s.start, 0)
		}
		r.late.Phase(r.whole, s.start, s.end, tokens)
	}
}

// apart tells whether requests, by when each was at work, did not run as a batch:
// one began after a tenth of the time that all took.
func apart(ran [][]span) bool {
	first, last, end := int64(math.MaxInt64), int64(0), int64(0)
	for _, spans := range ran {
		for i, s := range spans {
			if i == 0 {
				first, last = min(first, s.start), max(last, s.start)
			}
			end = max(end, s.end)
		}
	}
	return 10*(last-first) > end-first && end > 0
}

func (r *run) tellSingle(q engine.Result) {
	if q.PrefillEndNS == 0 {
		r.late.Phase(event.Mixed, q.StartNS, q.EndNS, q.OutputTokens)
		return
	}
	r.late.Phase(event.Prefill, cmp.Or(q.PrefillStartNS, q.StartNS), q.PrefillEndNS, q.InputTokens)
	if q.EndNS > q.PrefillEndNS {
		r.late.Phase(event.Decode, q.PrefillEndNS, q.EndNS, q.OutputTokens-1)
	}
}

// finish returns the results, with an error where the server is not there.
func (r *run) finish() ([]engine.Result, error) {
	if err := r.ctx.Err(); err != nil {
		if r.life.Err() != nil {
			err = errClosed
		}
		return r.results, err
	}
	for _, q := range r.results {
		if errors.Is(q.Err, ErrNoScoring) {
			return r.results, q.Err
		}
	}
	for _, q := range r.results {
		if !errors.Is(q.Err, errUnreachable) && !barred(q.Err) {
			return r.results, nil
		}
	}
	if err := r.results[0].Err; barred(err) {
		return r.results, err
	}
	return r.results, fmt.Errorf("%w: %w", engine.ErrBackendDied, r.results[0].Err)
}

// newResult is a result of which nothing is known yet.
func newResult(start int64) engine.Result {
	return engine.Result{
		InputTokens: -1, CachedTokens: -1, StartNS: start, EndNS: start,
		Quality: math.NaN(), Output: event.Output{Choice: -1},
	}
}
