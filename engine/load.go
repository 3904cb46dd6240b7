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
func (x *execution) tryReady(ctx context.Context, pt PointPlan) error {
	loading, cancel := context.WithCancel(ctx)
	defer cancel()
	x.mu.Lock()
	x.loading = cancel
	if x.stop {
		cancel()
	}
	x.mu.Unlock()
	err := x.load(loading, pt)
	x.mu.Lock()
	x.loading = nil
	stopped := x.stop
	x.mu.Unlock()
	if err != nil && stopped && ctx.Err() == nil {
		return ErrStopped
	}
	return err
}

// load loads the point's model, unless it is there already, and warms it up.
func (x *execution) load(ctx context.Context, pt PointPlan) error {
	if len(pt.Queries) == 0 {
		return errors.New(ofPoint(pt.PointID) + "no queries")
	}
	if x.loaded.Name != "" && x.loaded.Name == pt.Spec.Name && x.loaded.Path == pt.Spec.Path && x.loaded.Drafter == pt.Spec.Drafter {
		if x.loaded.Serves == pt.Spec.Serves {
			return nil
		}
		if f, ok := x.cfg.Backend.(Fitter); !ok || f.Fits(pt.Spec) {
			x.loaded.Serves = pt.Spec.Serves
			return nil
		}
	}
	shown := -1
	info, err := x.cfg.Backend.Load(ctx, pt.Spec, func(p float64) {
		if pct := int(100 * p); pct > shown {
			shown = pct
			x.publish(event.ModelLoading{At: x.now(), Model: pt.Spec.Name, Progress: p})
		}
	})
	if err != nil {
		x.loaded = ModelSpec{}
		return fmt.Errorf("model %s: %w", pt.Spec.Name, err)
	}
	x.mu.Lock()
	again := x.served == pt.Spec.served()
	x.loaded, x.model, x.served = pt.Spec, info, pt.Spec.served()
	x.mu.Unlock()
	if !again {
		for _, w := range info.Warnings {
			x.Warn(fmt.Sprintf("model %s: %s", pt.Spec.Name, w))
		}
		if x.gpuUnused() {
			x.Warn(fmt.Sprintf("model %s runs on the CPU: what is measured is what GPU %s draws meanwhile, not what the model takes", pt.Spec.Name, x.gpuID))
		}
	}
	if err := x.warmUp(ctx, pt); err != nil {
		x.loaded = ModelSpec{} // the next point loads it afresh
		return fmt.Errorf("model %s: warm-up: %w", pt.Spec.Name, err)
	}
	// What the warm-up drew is nobody's: the GPU comes to rest before the first batch,
	// so that no reading holds some of both.
	if err := x.clk.Sleep(ctx, rest); err != nil {
		return err
	}
	if shown < 100 {
		x.publish(event.ModelLoading{At: x.now(), Model: pt.Spec.Name, Progress: 1})
	}
	return nil
}

// rest is how long a GPU takes to come to rest after work: on an H100 power has
// fallen to idle within some 60 ms.
const rest = 200 * time.Millisecond

// warmUp runs a batch that is no measurement: the first pass allocates and
// compiles, and a server may load the model for it. One of its requests must
// succeed. Where what is wrong is its queries' own fault, others are tried.
func (x *execution) warmUp(ctx context.Context, pt PointPlan) error {
	var first error
	for queries := range slices.Chunk(pt.Queries, max(pt.BatchSize, 1)) {
		b := batchOf("warm-up", pt, queries, 2)
		b.WarmUp = true
		results, err := x.cfg.Backend.Run(ctx, b, silent{})
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
