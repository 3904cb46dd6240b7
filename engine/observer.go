package engine

import (
	"cmp"
	"math"

	"jouletop/engine/event"
	"jouletop/gpu"
)

// batchObserver publishes what a backend reports of a batch.
type batchObserver struct {
	engine *Engine
	batch  Batch
	point  string           // its id
	model  string           // its identity
	size   int              // its batch size, where that is not how many requests it has
	start  event.PhaseStart // of the newest phase
	open   bool             // it has not ended
	late   bool             // the backend says afterwards what its phases were
	read   bool             // the model has read the prompts: a drafter's turn
}

func (o *batchObserver) batchSize() int { return cmp.Or(o.size, len(o.batch.Requests)) }

// close ends a phase that the backend left open: it died in it, or tells of its
// phases afterwards.
func (o *batchObserver) close() {
	switch {
	case o.open && o.late:
		o.quiet()
	case o.open:
		o.PhaseEnd(o.start.Phase, o.engine.clk.Now(), 0)
	}
}

func (o *batchObserver) PhaseStart(phase event.Phase, t int64, tokens int) {
	e := o.engine
	o.open = true
	o.start = event.PhaseStart{
		At: event.At{TimeNS: t}, BatchID: o.batch.ID, GPU: e.gpuID, Phase: phase, BatchSize: o.batchSize(), Tokens: tokens,
	}
	e.phaseBegins(o.start)
	e.publish(o.start)
}

func (o *batchObserver) PhaseEnd(phase event.Phase, t int64, tokens int) {
	o.quiet()
	o.ended(phase, o.start.TimeNS, t, tokens)
	o.read = o.read || phase == event.Prefill
}

// Phase implements LateObserver.
func (o *batchObserver) Phase(phase event.Phase, start, end int64, tokens int) {
	o.late = true
	o.ended(phase, start, end, tokens)
}

// quiet notes that no phase is running.
func (o *batchObserver) quiet() {
	e := o.engine
	o.open = false
	e.mu.Lock()
	e.inPhase = false
	e.mu.Unlock()
	if l := e.cfg.Load; l != nil {
		l(event.Idle)
	}
}

func (o *batchObserver) ended(phase event.Phase, start, end int64, tokens int) {
	e := o.engine
	mhz, _ := e.clocks.RequestedIn(start, end)
	model := o.model
	if o.read && phase == event.Prefill && o.batch.DraftDepth > 0 {
		model += drafterReads
	}
	e.publish(event.PhaseEnd{At: event.At{TimeNS: end}, PhaseSpan: event.PhaseSpan{
		BatchID: o.batch.ID, PointID: o.point, GPU: e.gpuID, Phase: phase, StartNS: start, EndNS: end,
		BatchSize: o.batchSize(), Tokens: tokens, RequestedSMMHz: mhz,
		Model: e.underKnobs(model), ThrottledPct: math.NaN(),
	}})
}

// drafterReads is added to a model's identity where its drafter reads the prompts, which
// draws other power.
const drafterReads = " (its drafter)"

// underKnobs is a model's identity with the knobs that change its power, where others
// than the SM clock are set.
func (e *Engine) underKnobs(model string) string {
	if s := e.clocks.Setting().Others(); s != (gpu.Setting{}) {
		model += " " + s.String()
	}
	return model
}

func (o *batchObserver) Token(index int, t int64, text string) { o.Tokens(index, t, text, 0) }

// Tokens implements CountingObserver.
func (o *batchObserver) Tokens(index int, t int64, text string, made int) {
	o.engine.publish(event.Token{At: event.At{TimeNS: t}, BatchID: o.batch.ID, Index: index, Text: text, Made: made})
}

// phaseBegins asks the policy for a clock, before anything else is done about
// the phase: every µs here is one at the wrong clock.
func (e *Engine) phaseBegins(p event.PhaseStart) {
	e.mu.Lock()
	e.phase, e.inPhase = p, p.Phase != event.Idle
	mhz, set := 0, false
	if e.inPhase {
		mhz, set = e.policy.Phase(p)
	}
	name, want := e.policy.Name(), e.setting(mhz)
	e.mu.Unlock()
	if set {
		e.clocks.Want(want, event.Cause{By: event.ByPolicy, Policy: name, Phase: p.Phase}, p.TimeNS)
	}
	if l := e.cfg.Load; l != nil {
		l(p.Phase)
	}
}
