package policy

import (
	"testing"

	"jouletop/engine/event"
)

// Passes of decodes go at their clock; a prompt beside them changes nothing, many do, and
// what is settled is not asked for again.
func TestPassesByComposition(t *testing.T) {
	p := NewPhaseAware(event.PhaseClocks{Prefill: 1980, Decode: 1005, Score: 1980})
	p.Start()
	now, switches := int64(1e9), 0
	run := func(seconds float64, prompt, decodes int) int {
		mhz := 0
		for until := now + int64(seconds*1e9); now < until; now += 10e6 {
			var set bool
			mhz, set = p.Pass(event.IterationSpan{StartNS: now, PrefillTokens: prompt, DecodeRequests: decodes})
			if set {
				switches++
				p.Observe(event.ClockChange{At: event.At{TimeNS: now}, RequestedSMMHz: mhz, CallMS: 4, SettleMS: 30, Cause: event.Cause{By: event.ByPolicy}})
			}
		}
		return mhz
	}
	if mhz := run(0.02, 512, 0); mhz != 1980 || switches != 0 {
		t.Errorf("%d MHz in the first prompt, %d switches", mhz, switches)
	}
	if mhz := run(1, 0, 8); mhz != 1005 || switches != 1 {
		t.Errorf("%d MHz in decode, %d switches", mhz, switches)
	}
	// It begins with one pass of a prompt, which is over before two switches were.
	if mhz := run(0.01, 512, 8); mhz != 1005 {
		t.Errorf("%d MHz for one prompt", mhz)
	}
	if mhz := run(1, 0, 8); mhz != 1005 || switches != 1 {
		t.Errorf("%d MHz after it, %d switches", mhz, switches)
	}
	if mhz := run(1, 512, 8); mhz != 1980 || switches != 2 {
		t.Errorf("%d MHz in many prompts, %d switches", mhz, switches)
	}
	// Half and half: whatever clock there is stays.
	if mhz := run(2, 8, 8); mhz != 1980 || switches != 2 {
		t.Errorf("%d MHz in a mixture, %d switches", mhz, switches)
	}
	// A phase that serves is no reason for another clock.
	run(1, 0, 8)
	if mhz, set := p.Phase(event.PhaseStart{Phase: event.Mixed, BatchSize: 8}); set || mhz != 1005 {
		t.Errorf("%d MHz, %v", mhz, set)
	}
	if mhz, set := p.Pass(event.IterationSpan{StartNS: now}); set || mhz != 1005 {
		t.Errorf("of nothing: %d MHz, %v", mhz, set)
	}
}
