package main

import (
	"context"
	"errors"
	"sync"

	"jouletop/engine"
	"jouletop/gpu/timebase"
)

// jobQueue runs plans one after another on one engine, in the background.
type jobQueue struct {
	engine *engine.Engine
	wake   timebase.Signal

	mu     sync.Mutex
	plans  []engine.Plan
	busy   bool
	ending bool
}

func newJobQueue(e *engine.Engine, clk timebase.Clock) *jobQueue {
	return &jobQueue{engine: e, wake: clk.NewSignal()}
}

var errEnding = errors.New("the session is ending")

// add queues a plan, before the others where next is set.
func (q *jobQueue) add(p engine.Plan, next bool) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.ending {
		return errEnding
	}
	if next {
		q.plans = append([]engine.Plan{p}, q.plans...)
	} else {
		q.plans = append(q.plans, p)
	}
	q.wake.Notify()
	return nil
}

// stop ends the plan in hand after its batch and drops those waiting.
func (q *jobQueue) stop() {
	q.mu.Lock()
	q.plans = nil
	busy := q.busy
	q.mu.Unlock()
	if busy {
		q.engine.StopRun()
	}
}

// end is stop for good: run returns.
func (q *jobQueue) end() {
	q.mu.Lock()
	q.ending = true
	q.mu.Unlock()
	q.stop()
	q.wake.Notify()
}

// run works the queue until end; it is called within the clock.
func (q *jobQueue) run() {
	for {
		q.mu.Lock()
		var plan *engine.Plan
		if len(q.plans) > 0 && !q.ending {
			plan = &q.plans[0]
			q.plans = q.plans[1:]
		}
		q.busy = plan != nil
		ending := q.ending
		q.mu.Unlock()
		switch {
		case plan != nil:
			// A failure is on the stream already; the next plan goes on.
			_ = q.engine.Run(context.Background(), *plan)
		case ending:
			return
		default:
			_ = q.wake.Wait(context.Background())
		}
	}
}
