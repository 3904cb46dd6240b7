package engine

import (
	"context"
	"math"
	"time"

	"jouletop/engine/event"
)

// measureIdle leaves the GPU alone for d and books the time as idle.
func (e *Engine) measureIdle(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return nil
	}
	start := e.clk.Now()
	e.publish(event.PhaseStart{At: event.At{TimeNS: start}, GPU: e.gpuID, Phase: event.Idle})
	if err := e.clk.Sleep(ctx, d); err != nil {
		return err
	}
	span := event.PhaseSpan{GPU: e.gpuID, Phase: event.Idle, StartNS: start, EndNS: e.clk.Now(), RequestedSMMHz: e.clocks.Requested(), ThrottledPct: math.NaN()}
	e.publish(event.PhaseEnd{At: event.At{TimeNS: span.EndNS}, PhaseSpan: span})
	return nil
}

// temperature is the hottest GPU's, °C.
func (e *Engine) temperature() float64 {
	e.mu.Lock()
	defer e.mu.Unlock()
	hottest := math.Inf(-1)
	for _, u := range e.units {
		hottest = max(hottest, u.tempC) // NaN where one is unknown
	}
	return hottest
}

// coolDown waits until the GPU is about as cool as before the first point.
func (e *Engine) coolDown(ctx context.Context, plan Plan, start float64) {
	deadline := e.clk.Now() + int64(plan.Cooldown)
	for e.clk.Now() < deadline && e.temperature() > start+plan.CoolMargin {
		if e.clk.Sleep(ctx, 100*time.Millisecond) != nil {
			return
		}
	}
}
