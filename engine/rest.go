package engine

import (
	"context"
	"math"
	"time"

	"jouletop/engine/event"
)

// measureIdle leaves the GPU alone for d and books the time as idle.
func (x *execution) measureIdle(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return nil
	}
	start := x.clk.Now()
	x.publish(event.PhaseStart{At: event.At{TimeNS: start}, GPU: x.gpuID, Phase: event.Idle})
	if err := x.clk.Sleep(ctx, d); err != nil {
		return err
	}
	span := event.PhaseSpan{GPU: x.gpuID, Phase: event.Idle, StartNS: start, EndNS: x.clk.Now(), RequestedSMMHz: x.clocks.Requested(), ThrottledPct: math.NaN()}
	x.publish(event.PhaseEnd{At: event.At{TimeNS: span.EndNS}, PhaseSpan: span})
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
func (x *execution) coolDown(ctx context.Context, start float64) {
	deadline := x.clk.Now() + int64(x.plan.Cooldown)
	for x.clk.Now() < deadline && x.temperature() > start+x.plan.CoolMargin {
		if x.clk.Sleep(ctx, 100*time.Millisecond) != nil {
			return
		}
	}
}
