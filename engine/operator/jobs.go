package operator

import (
	"context"
	"errors"
	"slices"
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
	now    job // the one in hand, while busy
	last   int // id given last
	busy   bool
	ending bool
}

// job is a plan waiting.
type job struct {
	id     int
	name   string // a few words
	plan   engine.Plan
	clocks bool // its points set clocks of their own
	// policies are those that it compares; nil: it is no comparison.
	policies []string
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
	q.last++
	j.id = q.last
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

// list returns the jobs, the one in hand first, and whether it is.
func (q *jobQueue) list() (jobs []job, running bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.busy {
		jobs = append(jobs, q.now)
	}
	return append(jobs, q.jobs...), q.busy
}

var errNoJob = errors.New("that job is not waiting any more")

// move moves a job that waits by so many places, as far as there are.
func (q *jobQueue) move(id, by int) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	at := slices.IndexFunc(q.jobs, func(j job) bool { return j.id == id })
	if at < 0 {
		return errNoJob
	}
	j := q.jobs[at]
	to := min(max(at+by, 0), len(q.jobs)-1)
	q.jobs = slices.Insert(slices.Delete(q.jobs, at, at+1), to, j)
	return nil
}

// drop takes a job from the queue, or ends it after its batch where it is in hand.
func (q *jobQueue) drop(id int) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.busy && q.now.id == id {
		q.engine.StopRun()
		return nil
	}
	at := slices.IndexFunc(q.jobs, func(j job) bool { return j.id == id })
	if at < 0 {
		return errNoJob
	}
	q.jobs = slices.Delete(q.jobs, at, at+1)
	return nil
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
			q.now = q.jobs[0]
			taken := q.now
			next = &taken
			q.jobs = slices.Delete(q.jobs, 0, 1)
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
