package operator

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
	after  func() // called when a plan whose points set clocks has run
	ctx    context.Context
	cancel context.CancelFunc // gives up the batch in hand

	mu     sync.Mutex
	jobs   []job
	busy   bool
	ending bool
}

// job is a plan waiting.
type job struct {
	plan   engine.Plan
	clocks bool // its points set clocks of their own
}

func newJobQueue(e *engine.Engine, clk timebase.Clock, after func()) *jobQueue {
	q := &jobQueue{engine: e, wake: clk.NewSignal(), after: after}
	q.ctx, q.cancel = context.WithCancel(context.Background())
	return q
}

// ErrInterrupted: the run was ended by a signal or by leaving; what ran is saved.
var ErrInterrupted = errors.New("interrupted")

var errEnding = errors.New("the session is ending")

// add queues a job, before the others where next is set.
func (q *jobQueue) add(j job, next bool) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.ending {
		return errEnding
	}
	if next {
		q.jobs = append([]job{j}, q.jobs...)
	} else {
		q.jobs = append(q.jobs, j)
	}
	q.wake.Notify()
	return nil
}

// stop ends the job in hand after its batch and drops those waiting.
func (q *jobQueue) stop() {
	q.mu.Lock()
	q.jobs = nil
	busy := q.busy
	q.mu.Unlock()
	if busy {
		q.engine.StopRun()
	}
}

// running tells whether a job is in hand.
func (q *jobQueue) running() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.busy
}

// end is stop for good: run returns.
func (q *jobQueue) end() {
	q.mu.Lock()
	q.ending = true
	q.mu.Unlock()
	q.stop()
	q.wake.Notify()
}

// abandon is end that does not wait for the batch in hand.
func (q *jobQueue) abandon() {
	q.end()
	q.cancel()
}

// run works the queue until end; it is called within the clock. It returns
// engine.ErrStopped where end cut a job short, ErrInterrupted where abandon did.
func (q *jobQueue) run() error {
	var err error
	for {
		q.mu.Lock()
		var next *job
		if len(q.jobs) > 0 && !q.ending {
			next = &q.jobs[0]
			q.jobs = q.jobs[1:]
		}
		q.busy = next != nil
		ending := q.ending
		q.mu.Unlock()
		switch {
		case next != nil:
			err = q.work(*next)
		case ending && q.ctx.Err() != nil:
			return ErrInterrupted
		case ending && errors.Is(err, engine.ErrStopped):
			return err
		case ending:
			return nil
		default:
			err = nil
			_ = q.wake.Wait(context.Background())
		}
	}
}

// work runs one job. A failure is on the stream already; the next job goes on.
func (q *jobQueue) work(j job) error {
	if j.clocks {
		q.engine.Release() // its points' clocks count now, not the operator's
	}
	err := q.engine.Run(q.ctx, j.plan)
	q.mu.Lock()
	ending := q.ending
	q.mu.Unlock()
	if j.clocks && !ending {
		q.after()
	}
	return err
}
