package engine

import (
	"context"
	"errors"
	"fmt"
	"iter"
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
	err := (&execution{Engine: e, plan: plan}).runPoints(ctx)
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

// execution is one run of a plan.
type execution struct {
	*Engine
	plan Plan
	done []event.PointDone // so far
}

func (x *execution) runPoints(ctx context.Context) error {
	var first error
	failed, idle := 0, false
	cool := math.NaN()
	for pt := range x.points() {
		if stop, _ := x.gate(ctx); stop {
			return x.ended(ctx)
		}
		err := x.ready(ctx, pt)
		if err == nil && !idle {
			idle = true
			err = x.measureIdle(ctx, x.plan.Idle)
			cool = x.temperature()
		}
		if err == nil {
			x.coolDown(ctx, cool)
			err = x.runPoint(ctx, pt)
		} else if !errors.Is(err, context.Canceled) && !errors.Is(err, ErrStopped) {
			x.failPoint(pt, err)
		}
		switch {
		case errors.Is(err, ErrStopped), ctx.Err() != nil:
			return x.ended(ctx)
		case err != nil:
			failed++
			if first == nil {
				first = err
			}
		}
	}
	if err := x.stopCause(); err != nil { // in the last batch
		return err
	}
	if err := x.measureIdle(ctx, x.plan.Idle); err != nil {
		return x.ended(ctx)
	}
	if failed == len(x.plan.Points) {
		return first
	}
	return nil
}

// points are the plan's, and then those that their results call for.
func (x *execution) points() iter.Seq[PointPlan] {
	return func(yield func(PointPlan) bool) {
		todo := x.plan.Points
		for {
			for _, pt := range todo {
				if !yield(pt) {
					return
				}
			}
			if x.plan.More == nil {
				return
			}
			var notes []string
			if todo, notes = x.plan.More(x.done); len(todo) == 0 {
				for _, n := range notes {
					x.Warn(n)
				}
				return
			}
			more := Plan{Points: todo}
			x.publish(event.RunMore{At: x.now(), Points: len(todo), Requests: more.Requests()})
			x.plan.Points = append(x.plan.Points[:len(x.plan.Points):len(x.plan.Points)], todo...)
		}
	}
}

func (x *execution) stopped(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return ErrStopped
}

// ended is stopped of the whole run, which says why where nobody asked for it.
func (x *execution) ended(ctx context.Context) error {
	if err := x.stopCause(); err != nil && ctx.Err() == nil {
		return err
	}
	return x.stopped(ctx)
}

func (e *Engine) stopCause() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.stopErr
}

// failPoint records a point that could not run.
func (x *execution) failPoint(pt PointPlan, err error) {
	x.publish(failure(x.now(), pt.PointID, err))
	start := event.PointStart{At: x.now(), Point: pt.Point}
	x.publish(start)
	done := account.NotRun(start, x.clk.Now(), err)
	if errors.Is(err, ErrClock) {
		done.Flags = done.Flags.With(event.FlagClockRefused)
	}
	if errors.Is(err, ErrBackendDied) {
		done.Flags = done.Flags.With(event.FlagBackendDied)
	}
	x.finished(done)
}

func (x *execution) finished(done event.PointDone) {
	x.done = append(x.done, done)
	x.publish(done)
}

// runPoint runs one point's queries and publishes its result.
func (x *execution) runPoint(ctx context.Context, pt PointPlan) error {
	if f := x.applyPolicy(pt); f != nil && x.plan.NeedsClocks {
		err := fmt.Errorf("%s%w: %s", ofPoint(pt.PointID), ErrClock, f)
		if !f.Final {
			x.failPoint(pt, err)
			return err
		}
		x.mu.Lock()
		x.stop, x.stopErr = true, err
		x.mu.Unlock()
		return ErrStopped
	}
	if err := x.settle(ctx, pt); err != nil {
		return err
	}
	start := event.PointStart{At: x.now(), Point: pt.Point}
	x.publish(start)
	var err error
	if pt.Serving != nil {
		err = x.serve(ctx, pt)
	} else {
		err = x.runBatches(ctx, pt)
	}
	if err == nil && x.plan.Blocks > 0 {
		err = x.runBlocks(ctx, pt, x.plan.Blocks)
	}
	x.awaitEnergies(ctx, pt.PointID)
	done := x.account.Finish(pt.PointID, x.clk.Now(), err)
	done.Held = x.binding.Point()
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
		x.publish(failure(x.now(), pt.PointID, fmt.Errorf("%s%w", ofPoint(pt.PointID), err)))
	}
	x.finished(done)
	return err
}

// settle repeats the point's first batch for as long as the plan asks, unrecorded.
func (x *execution) settle(ctx context.Context, pt PointPlan) error {
	n := min(max(pt.BatchSize, 1), len(pt.Queries))
	for began := x.clk.Now(); x.clk.Now()-began < int64(pt.Settle); {
		if _, err := x.cfg.Backend.Run(ctx, batchOf("warm-up", pt, pt.Queries[:n], pt.MaxTokens), silent{}); err != nil {
			return ctx.Err() // others show in the point itself
		}
	}
	return nil
}

// applyPolicy puts the point's policy in force and waits for its clock; it tells
// why that is not set.
func (x *execution) applyPolicy(pt PointPlan) *clocks.Failure {
	x.mu.Lock()
	held := x.held
	x.mu.Unlock()
	if pt.Policy == nil || held {
		return nil
	}
	x.SetPolicy(pt.Policy, event.ByPolicy, false)
	return x.clocks.Await()
}

var errSkipped = errors.New("skipped")

func (x *execution) runBatches(ctx context.Context, pt PointPlan) error {
	began := x.clk.Now()
	size := max(pt.BatchSize, 1)
	queries := func(at int) []workloads.Query { return pt.Queries[at:min(at+size, len(pt.Queries))] }
	classes := pt.classes(queries(0))
	deaths := 0 // of backends, in batches in a row
	for n := 0; ; {
		for at := 0; at < len(pt.Queries); at += size {
			stop, skip := x.gate(ctx)
			if stop {
				return x.stopped(ctx)
			}
			if skip {
				x.mu.Lock()
				x.skip = false
				x.mu.Unlock()
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
			batch := batchOf(fmt.Sprintf("%s/b%d", pt.PointID, n), pt, queries(at), pt.MaxTokens)
			err := x.runBatch(ctx, pt, batch, classes)
			if deaths++; err == nil {
				deaths = 0
			} else if err := x.outlive(ctx, batch, err, deaths); err != nil {
				return err
			}
			classes = <-next
		}
		if x.clk.Now()-began >= int64(x.plan.MinPoint) {
			return nil
		}
	}
}

// batchOf words a batch of queries.
func batchOf(id string, pt PointPlan, queries []workloads.Query, maxTokens int) Batch {
	b := Batch{ID: id, DraftDepth: pt.DraftDepth}
	for i, q := range queries {
		b.Requests = append(b.Requests, Request{ID: fmt.Sprintf("%s.%d", id, i), Query: q, MaxTokens: maxTokens, Chat: pt.Chat, RandomTokens: pt.RandomTokens})
	}
	return b
}

// promptShown is how much of a prompt the stream carries, in bytes.
const promptShown = 400

// runBatch runs one batch, whose queries' difficulty classes are given, and
// publishes its phases and requests.
func (x *execution) runBatch(ctx context.Context, pt PointPlan, b Batch, classes []string) error {
	if x.loaded.Name == "" { // the backend died in the batch before
		if err := x.ready(ctx, pt); err != nil {
			return err
		}
	}
	start := event.BatchStart{At: x.now(), BatchID: b.ID, PointID: pt.PointID}
	for _, r := range b.Requests {
		start.Queries = append(start.Queries, r.Query.ID)
	}
	first := b.Requests[0].Query
	start.Prompt = first.Prompt[:min(len(first.Prompt), promptShown)]
	start.Class = classes[0]
	x.publish(start)

	obs := &batchObserver{engine: x.Engine, batch: b, point: pt.PointID, model: pt.identity()}
	results, err := x.cfg.Backend.Run(ctx, b, obs)
	if errors.Is(err, ErrBackendDied) && obs.start.Phase == "" && ctx.Err() == nil {
		// It died before: nothing of this batch is lost yet.
		x.loaded = ModelSpec{}
		if err = x.ready(ctx, pt); err == nil {
			results, err = x.cfg.Backend.Run(ctx, b, obs)
		}
	}
	if errors.Is(err, ErrBackendDied) {
		x.loaded = ModelSpec{}
	}
	obs.close()
	if err != nil && len(results) != len(b.Requests) {
		results = make([]Result, len(b.Requests))
		for i := range results {
			results[i] = Result{Err: err, Quality: math.NaN(), StartNS: start.TimeNS, PrefillEndNS: start.TimeNS, EndNS: x.clk.Now(), Output: event.Output{Choice: -1}}
		}
	}
	for i, r := range results {
		x.publish(event.RequestDone{At: event.At{TimeNS: r.EndNS}, Request: x.requestRow(pt, b, i, r, classes[i])})
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

// requestRow is what is published of a request that has ended.
func (e *Engine) requestRow(pt PointPlan, b Batch, i int, r Result, class string) event.Request {
	q := b.Requests[i].Query
	mhz, _ := e.clocks.RequestedIn(r.StartNS, r.EndNS)
	out := event.Request{
		RequestID: b.Requests[i].ID, BatchID: b.ID, PointID: pt.PointID, Repeat: pt.Repeat, GPU: e.gpuID,
		Model: pt.Model, Dataset: pt.Dataset, QueryID: q.ID, Class: class, BatchSize: len(b.Requests), PointBatchSize: pt.BatchSize, Routed: pt.Routed,
		Policy: e.Policy().Name(), RequestedSMMHz: mhz,
		InputTokens: r.InputTokens, OutputTokens: r.OutputTokens, CachedTokens: r.CachedTokens,
		Drafting: pt.Drafting, Proposed: r.Proposed,
		Quality: math.NaN(), Output: r.Output, Flags: r.Flags,
	}
	r.stamps().Measure(&out)
	if e.gpuUnused() {
		out.Flags = out.Flags.With(event.FlagGPUUnused)
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
func (x *execution) awaitEnergies(ctx context.Context, pointID string) {
	const patience = 4 * time.Second // a source that has stopped is not waited for
	deadline := x.clk.Now() + int64(patience)
	for x.account.Waiting(pointID) && x.clk.Now() < deadline && ctx.Err() == nil {
		if x.clk.Sleep(ctx, 10*time.Millisecond) != nil {
			break
		}
	}
	if x.account.Waiting(pointID) {
		for _, ev := range x.account.Flush() {
			x.publish(ev)
		}
	}
}

// runBlocks repeats each phase back to back for d, so that its power can be read
// off the counter: first prefill alone, then one long decode after another.
func (x *execution) runBlocks(ctx context.Context, pt PointPlan, d time.Duration) error {
	n := min(max(pt.BatchSize, 1), len(pt.Queries))
	queries := pt.Queries[:n]
	kinds := []int{1, max(pt.MaxTokens, 1)} // the first token comes out of prefill
	if queries[0].Classification() {
		kinds = kinds[:1]
	}
	for k, tokens := range kinds {
		began := x.clk.Now()
		for i := 0; x.clk.Now()-began < int64(d); i++ {
			if stop, _ := x.gate(ctx); stop {
				return x.stopped(ctx)
			}
			b := batchOf(fmt.Sprintf("%s/block%d-%d", pt.PointID, k+1, i+1), pt, queries, tokens)
			obs := &batchObserver{engine: x.Engine, batch: b, point: pt.PointID, model: pt.identity()}
			_, err := x.cfg.Backend.Run(ctx, b, obs)
			if errors.Is(err, ErrBackendDied) {
				x.loaded = ModelSpec{} // the next point starts a fresh one
			}
			obs.close()
			if err != nil {
				return err
			}
		}
	}
	return nil
}
