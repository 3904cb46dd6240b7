package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"jouletop/engine/event"
)

// tryReady makes the point's model ready; ErrStopped if the operator would not
// wait.
func (e *Engine) tryReady(ctx context.Context, pt PointPlan) error {
	loading, cancel := context.WithCancel(ctx)
	defer cancel()
	e.mu.Lock()
	e.loading = cancel
	if e.stop {
		cancel()
	}
	e.mu.Unlock()
	err := e.load(loading, pt)
	e.mu.Lock()
	e.loading = nil
	stopped := e.stop
	e.mu.Unlock()
	if err != nil && stopped && ctx.Err() == nil {
		return ErrStopped
	}
	return err
}

// load loads the point's model, unless it is there already, and warms it up.
func (e *Engine) load(ctx context.Context, pt PointPlan) error {
	if len(pt.Queries) == 0 {
		return fmt.Errorf("point %s: no queries", pt.PointID)
	}
	if e.loaded.Name != "" && e.loaded.Name == pt.Spec.Name && e.loaded.Path == pt.Spec.Path {
		return nil
	}
	shown := -1
	info, err := e.cfg.Backend.Load(ctx, pt.Spec, func(p float64) {
		if pct := int(100 * p); pct > shown {
			shown = pct
			e.publish(event.ModelLoading{At: e.now(), Model: pt.Spec.Name, Progress: p})
		}
	})
	if err != nil {
		e.loaded = ModelSpec{}
		return fmt.Errorf("model %s: %w", pt.Spec.Name, err)
	}
	e.mu.Lock()
	again := e.served == pt.Spec.served()
	e.loaded, e.model, e.served = pt.Spec, info, pt.Spec.served()
	e.mu.Unlock()
	if !again {
		for _, w := range info.Warnings {
			e.Warn(fmt.Sprintf("model %s: %s", pt.Spec.Name, w))
		}
		if e.gpuUnused() {
			e.Warn(fmt.Sprintf("model %s runs on the CPU: what is measured is what GPU %s draws meanwhile, not what the model takes", pt.Spec.Name, e.gpuID))
		}
	}
	if err := e.warmUp(ctx, pt); err != nil {
		e.loaded = ModelSpec{} // the next point loads it afresh
		return fmt.Errorf("model %s: warm-up: %w", pt.Spec.Name, err)
	}
	// What the warm-up drew is nobody's: the GPU comes to rest before the first batch,
	// so that no reading holds some of both.
	if err := e.clk.Sleep(ctx, rest); err != nil {
		return err
	}
	if shown < 100 {
		e.publish(event.ModelLoading{At: e.now(), Model: pt.Spec.Name, Progress: 1})
	}
	return nil
}

// rest is how long a GPU takes to come to rest after work: on an H100 power has
// fallen to idle within some 60 ms.
const rest = 200 * time.Millisecond

// warmUp runs a batch that is no measurement: the first pass allocates and
// compiles, and a server may load the model for it. One of its requests must
// succeed. Where what is wrong is its queries' own fault, others are tried.
func (e *Engine) warmUp(ctx context.Context, pt PointPlan) error {
	var first error
	for queries := range slices.Chunk(pt.Queries, max(pt.BatchSize, 1)) {
		b := requests("warm-up", pt, queries, 2)
		b.WarmUp = true
		results, err := e.cfg.Backend.Run(ctx, b, silent{})
		if err != nil {
			return err
		}
		for _, r := range results {
			switch {
			case r.Err == nil:
				return nil
			case !errors.Is(r.Err, ErrTooLong) && !errors.Is(r.Err, ErrNoAnswer):
				return r.Err
			case first == nil:
				first = r.Err
			}
		}
	}
	return first
}

// Model describes the model loaded last.
func (e *Engine) Model() ModelInfo {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.model
}

// gpuUnused tells whether the GPU measured has no part in the model's work. Of a
// simulated one that is said of the whole run.
func (e *Engine) gpuUnused() bool { return !e.cfg.Simulated && e.Model().OnCPU() }

// silent hears nothing.
type silent struct{}

func (silent) PhaseStart(event.Phase, int64, int) {}

func (silent) PhaseEnd(event.Phase, int64, int) {}

func (silent) Token(int, int64, string) {}
