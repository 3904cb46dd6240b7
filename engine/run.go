package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"jouletop/engine/account"
	"jouletop/engine/clocks"
	"jouletop/engine/event"
	"jouletop/workloads"
)

// Run runs the plan, point by point, and returns when it is done, stopped
// (ErrStopped) or interrupted (ctx's error). A point that fails is recorded with
// its error and the run goes on; if all fail, the first error is returned.
func (e *Engine) Run(ctx context.Context, plan Plan) error {
	if e.cfg.Backend == nil {
		return errors.New("run: no backend")
	}
	// A wish to stop that came just before the start counts.
	e.mu.Lock()
	e.running = true
	clear(e.told)
	e.mu.Unlock()
	defer func() {
		e.mu.Lock()
		e.running, e.stop, e.skip, e.stopErr = false, false, false, nil
		e.mu.Unlock()
	}()
	policy := e.Policy().Name()
	e.publish(event.RunStart{
		At: e.now(), Name: plan.Name, GPU: e.gpuID, Simulated: e.cfg.Simulated, Policy: policy,
		Points: len(plan.Points), Requests: plan.Requests(),
	})
	err := e.runPoints(ctx, plan)
	end := event.RunEnd{At: e.now(), How: event.HowDone}
	switch {
	case errors.Is(err, ErrStopped):
		end.How = event.HowStopped
	case ctx.Err() != nil:
		end.How = event.HowInterrupted
	case err != nil:
		end.How, end.Err = event.HowFailed, err.Error()
	}
	e.publish(end)
	return err
}

func (e *Engine) runPoints(ctx context.Context, plan Plan) error {
	var first error
	failed, idle := 0, false
	cool := math.NaN()
	for _, pt := range plan.Points {
		if stop, _ := e.gate(ctx); stop {
			return e.ended(ctx)
		}
		err := e.ready(ctx, pt)
		if err == nil && !idle {
			idle = true
			err = e.measureIdle(ctx, plan.Idle)
			cool = e.temperature()
		}
		if err == nil {
			e.coolDown(ctx, plan, cool)
			err = e.runPoint(ctx, plan, pt)
		} else if !errors.Is(err, context.Canceled) && !errors.Is(err, ErrStopped) {
			e.failPoint(pt, err)
		}
		switch {
		case errors.Is(err, ErrStopped), ctx.Err() != nil:
			return e.ended(ctx)
		case err != nil:
			failed++
			if first == nil {
				first = err
			}
		}
	}
	if err := e.stopCause(); err != nil { // in the last batch
		return err
	}
	if err := e.measureIdle(ctx, plan.Idle); err != nil {
		return e.ended(ctx)
	}
	if failed == len(plan.Points) {
		return first
	}
	return nil
}

func (e *Engine) stopped(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return ErrStopped
}

// ended is stopped of the whole run, which says why where nobody asked for it.
func (e *Engine) ended(ctx context.Context) error {
	if err := e.stopCause(); err != nil && ctx.Err() == nil {
		return err
	}
	return e.stopped(ctx)
}

func (e *Engine) stopCause() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.stopErr
}

// failPoint records a point that could not run.
func (e *Engine) failPoint(pt PointPlan, err error) {
	e.publish(event.Error{At: e.now(), Text: err.Error()})
	start := event.PointStart{At: e.now(), Point: pt.Point}
	e.publish(start)
	done := account.NotRun(start, e.clk.Now(), err)
	if errors.Is(err, ErrClock) {
		done.Flags = done.Flags.With(event.FlagClockRefused)
	}
	if errors.Is(err, ErrBackendDied) {
		done.Flags = done.Flags.With(event.FlagBackendDied)
	}
	e.publish(done)
}

// runPoint runs one point's queries and publishes its result.
func (e *Engine) runPoint(ctx context.Context, plan Plan, pt PointPlan) error {
	if f := e.applyPolicy(pt); f != nil && plan.NeedsClocks {
		err := fmt.Errorf("point %s: %w: %s", pt.PointID, ErrClock, f)
		if !f.Final {
			e.failPoint(pt, err)
			return err
		}
		e.mu.Lock()
		e.stop, e.stopErr = true, err
		e.mu.Unlock()
		return ErrStopped
	}
	if err := e.settle(ctx, pt); err != nil {
		return err
	}
	start := event.PointStart{At: e.now(), Point: pt.Point}
	e.publish(start)
	var err error
	if pt.Serving != nil {
		err = e.serve(ctx, pt)
	} else {
		err = e.runBatches(ctx, plan, pt)
	}
	if err == nil && plan.Blocks > 0 {
		err = e.runBlocks(ctx, pt, plan.Blocks)
	}
	e.awaitEnergies(ctx, pt.PointID)
	done := e.account.Finish(pt.PointID, e.clk.Now(), err)
	if errors.Is(err, ErrStopped) || ctx.Err() != nil {
		return err // an unfinished point has no row, and runs again on resume
	}
	if errors.Is(err, errSkipped) {
		return nil
	}
	if errors.Is(err, ErrBackendDied) {
		done.Flags = done.Flags.With(event.FlagBackendDied)
	}
	if err != nil {
		e.publish(event.Error{At: e.now(), Text: fmt.Sprintf("point %s: %v", pt.PointID, err)})
	}
	e.publish(done)
	return err
}

// settle repeats the point's first batch for as long as the plan asks, unrecorded.
func (e *Engine) settle(ctx context.Context, pt PointPlan) error {
	n := min(max(pt.BatchSize, 1), len(pt.Queries))
	for began := e.clk.Now(); e.clk.Now()-began < int64(pt.Settle); {
		if _, err := e.cfg.Backend.Run(ctx, requests("warm-up", pt, pt.Queries[:n], pt.MaxTokens), silent{}); err != nil {
			return ctx.Err() // others show in the point itself
		}
	}
	return nil
}

// applyPolicy puts the point's policy in force and waits for its clock; it tells
// why that is not set.
func (e *Engine) applyPolicy(pt PointPlan) *clocks.Failure {
	e.mu.Lock()
	held := e.held
	e.mu.Unlock()
	if pt.Policy == nil || held {
		return nil
	}
	e.SetPolicy(pt.Policy, event.ByPolicy, false)
	return e.clocks.Await()
}

var errSkipped = errors.New("skipped")

func (e *Engine) runBatches(ctx context.Context, plan Plan, pt PointPlan) error {
	began := e.clk.Now()
	size := max(pt.BatchSize, 1)
	queries := func(at int) []workloads.Query { return pt.Queries[at:min(at+size, len(pt.Queries))] }
	classes := pt.classes(queries(0))
	deaths := 0 // of backends, in batches in a row
	for n := 0; ; {
		for at := 0; at < len(pt.Queries); at += size {
			stop, skip := e.gate(ctx)
			if stop {
				return e.stopped(ctx)
			}
			if skip {
				e.mu.Lock()
				e.skip = false
				e.mu.Unlock()
				return errSkipped
			}
			n++
			// What the next batch's queries are is found while this one runs, so that
			// the GPU does not wait for it.
			next := make(chan []string, 1)
			go func() {
				after := at + size
				if after >= len(pt.Queries) {
					after = 0
				}
				next <- pt.classes(queries(after))
			}()
			batch := requests(fmt.Sprintf("%s/b%d", pt.PointID, n), pt, queries(at), pt.MaxTokens)
			err := e.runBatch(ctx, pt, batch, classes)
			if deaths++; err == nil {
				deaths = 0
			} else if err := e.outlive(ctx, batch, err, deaths); err != nil {
				return err
			}
			classes = <-next
		}
		if e.clk.Now()-began >= int64(plan.MinPoint) {
			return nil
		}
	}
}

// requests words a batch of queries.
func requests(id string, pt PointPlan, queries []workloads.Query, maxTokens int) Batch {
	b := Batch{ID: id}
	for i, q := range queries {
		b.Requests = append(b.Requests, Request{ID: fmt.Sprintf("%s.%d", id, i), Query: q, MaxTokens: maxTokens, Chat: pt.Chat, RandomTokens: pt.RandomTokens})
	}
	return b
}

// promptShown is how much of a prompt the stream carries, in bytes.
const promptShown = 400

// runBatch runs one batch, whose queries' difficulty classes are given, and
// publishes its phases and requests.
func (e *Engine) runBatch(ctx context.Context, pt PointPlan, b Batch, classes []string) error {
	if e.loaded.Name == "" { // the backend died in the batch before
		if err := e.ready(ctx, pt); err != nil {
			return err
		}
	}
	start := event.BatchStart{At: e.now(), BatchID: b.ID, PointID: pt.PointID}
	for _, r := range b.Requests {
		start.Queries = append(start.Queries, r.Query.ID)
	}
	first := b.Requests[0].Query
	start.Prompt = first.Prompt[:min(len(first.Prompt), promptShown)]
	start.Class = classes[0]
	e.publish(start)

	obs := &batchObserver{engine: e, batch: b, point: pt.PointID, model: pt.Spec.Identity()}
	results, err := e.cfg.Backend.Run(ctx, b, obs)
	if errors.Is(err, ErrBackendDied) && obs.start.Phase == "" && ctx.Err() == nil {
		// It died before: nothing of this batch is lost yet.
		e.loaded = ModelSpec{}
		if err = e.ready(ctx, pt); err == nil {
			results, err = e.cfg.Backend.Run(ctx, b, obs)
		}
	}
	if errors.Is(err, ErrBackendDied) {
		e.loaded = ModelSpec{}
	}
	obs.close()
	if err != nil && len(results) != len(b.Requests) {
		results = make([]Result, len(b.Requests))
		for i := range results {
			results[i] = Result{Err: err, Quality: math.NaN(), StartNS: start.TimeNS, PrefillEndNS: start.TimeNS, EndNS: e.clk.Now(), Output: event.Output{Choice: -1}}
		}
	}
	for i, r := range results {
		e.publish(event.RequestDone{At: event.At{TimeNS: r.EndNS}, Request: e.request(pt, b, i, r, classes[i])})
	}
	return err
}

// classes returns the difficulty class of each query.
func (pt PointPlan) classes(queries []workloads.Query) []string {
	classes := make([]string, len(queries))
	for i, q := range queries {
		if pt.Class != nil {
			classes[i] = pt.Class(q)
		}
	}
	return classes
}

func (e *Engine) request(pt PointPlan, b Batch, i int, r Result, class string) event.Request {
	q := b.Requests[i].Query
	mhz, _ := e.clocks.RequestedIn(r.StartNS, r.EndNS)
	out := event.Request{
		RequestID: b.Requests[i].ID, BatchID: b.ID, PointID: pt.PointID, Repeat: pt.Repeat, GPU: e.gpuID,
		Model: pt.Model, Dataset: pt.Dataset, QueryID: q.ID, Class: class, BatchSize: len(b.Requests), PointBatchSize: pt.BatchSize, Routed: pt.Routed,
		Policy: e.Policy().Name(), RequestedSMMHz: mhz, StartNS: r.StartNS, EndNS: r.EndNS,
		InputTokens: r.InputTokens, OutputTokens: r.OutputTokens,
		PrefillS: math.NaN(), DecodeS: math.NaN(), TTFTS: math.NaN(), QueueS: math.NaN(), GapMaxS: math.NaN(), CachedTokens: r.CachedTokens,
		Quality: math.NaN(), Output: r.Output, Flags: r.Flags,
	}
	if e.gpuUnused() {
		out.Flags = out.Flags.With(event.FlagGPUUnused)
	}
	if r.PrefillEndNS > 0 {
		begin := cmp.Or(r.PrefillStartNS, r.StartNS)
		out.PrefillS, out.DecodeS = float64(r.PrefillEndNS-begin)/1e9, float64(r.EndNS-r.PrefillEndNS)/1e9
	}
	if r.FirstTokenNS > 0 {
		out.TTFTS = float64(r.FirstTokenNS-r.StartNS) / 1e9
	}
	if r.Err != nil {
		out.Err = r.Err.Error()
		if errors.Is(r.Err, ErrBackendDied) {
			out.Flags = out.Flags.With(event.FlagBackendDied)
		}
		return out
	}
	out.Quality, out.QualityMetric = workloads.Score(q, r.Output.Text, r.Output.Choice)
	if !math.IsNaN(r.Quality) {
		out.Quality = r.Quality
	} else if q.Classification() && r.Output.Choice < 0 {
		out.Flags = out.Flags.With(event.FlagNoAnswer)
	}
	return out
}

// awaitEnergies waits until the sensors have covered the point's batches.
func (e *Engine) awaitEnergies(ctx context.Context, pointID string) {
	const patience = 4 * time.Second // a source that has stopped is not waited for
	deadline := e.clk.Now() + int64(patience)
	for e.account.Waiting(pointID) && e.clk.Now() < deadline && ctx.Err() == nil {
		if e.clk.Sleep(ctx, 10*time.Millisecond) != nil {
			break
		}
	}
	if e.account.Waiting(pointID) {
		for _, ev := range e.account.Flush() {
			e.publish(ev)
		}
	}
}

// runBlocks repeats each phase back to back for d, so that its power can be read
// off the counter: first prefill alone, then one long decode after another.
func (e *Engine) runBlocks(ctx context.Context, pt PointPlan, d time.Duration) error {
	n := min(max(pt.BatchSize, 1), len(pt.Queries))
	queries := pt.Queries[:n]
	kinds := []int{1, max(pt.MaxTokens, 1)} // the first token comes out of prefill
	if queries[0].Classification() {
		kinds = kinds[:1]
	}
	for k, tokens := range kinds {
		began := e.clk.Now()
		for i := 0; e.clk.Now()-began < int64(d); i++ {
			if stop, _ := e.gate(ctx); stop {
				return e.stopped(ctx)
			}
			b := requests(fmt.Sprintf("%s/block%d-%d", pt.PointID, k+1, i+1), pt, queries, tokens)
			obs := &batchObserver{engine: e, batch: b, point: pt.PointID, model: pt.Spec.Identity()}
			_, err := e.cfg.Backend.Run(ctx, b, obs)
			if errors.Is(err, ErrBackendDied) {
				e.loaded = ModelSpec{} // the next point starts a fresh one
			}
			obs.close()
			if err != nil {
				return err
			}
		}
	}
	return nil
}
