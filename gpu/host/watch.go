package host

import (
	"context"
	"fmt"
	"math"
	"sync"
	"time"

	"jouletop/gpu/timebase"
)

// retry is how often a source that failed is tried.
const retry = time.Second

// Watching reads sources until it is stopped.
type Watching struct {
	clock timebase.Clock
	end   context.CancelFunc
	done  sync.WaitGroup

	mu      sync.Mutex // tell and problem are called one at a time
	tell    func(Reading)
	problem func(error)
}

// Watch reads the sources, each as often as it is worth it, by a clock that is real.
// tell is given each reading; one of a source that fails is told once, with neither
// power nor counter, and problem why, and when it goes on.
func Watch(clock timebase.Clock, sources []Source, tell func(Reading), problem func(error)) *Watching {
	ctx, end := context.WithCancel(context.Background())
	w := &Watching{clock: clock, end: end, tell: tell, problem: problem}
	for _, s := range sources {
		r := &reader{Watching: w, Source: s}
		w.done.Add(1)
		if s.Counter() { // at once: what begins now is to be counted from its beginning
			r.once()
		}
		clock.Go(func() {
			defer w.done.Done()
			r.run(ctx)
		})
	}
	return w
}

// reader reads one source.
type reader struct {
	*Watching
	Source
	failed, begun bool
}

// Stop reads each source once more and returns when nothing will be told any more.
func (w *Watching) Stop() {
	w.end()
	w.clock.Block(w.done.Wait)
}

func (r *reader) run(ctx context.Context) {
	if !r.begun {
		r.once()
	}
	for last := false; !last; {
		wait := r.every
		if r.failed {
			wait = max(wait, retry)
		}
		last = r.clock.Sleep(ctx, wait) != nil
		r.once()
	}
}

// once reads the source and tells of it.
func (r *reader) once() {
	r.begun = true
	x := Reading{Source: r.ID, PowerW: math.NaN(), CounterJ: math.NaN()}
	before := r.clock.Now()
	v, err := r.Source.read()
	// A value is of some moment in the call.
	x.TimeNS = before + (r.clock.Now()-before)/2
	switch {
	case err != nil:
	case r.Counter():
		x.CounterJ = v
	default:
		x.PowerW = v
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case err == nil && r.failed:
		r.problem(fmt.Errorf("host power of %s is read again", r.Domain))
	case err != nil && !r.failed:
		r.problem(fmt.Errorf("host power of %s is not read any more: %w", r.Domain, err))
	}
	if err == nil || !r.failed {
		r.tell(x)
	}
	r.failed = err != nil
}
