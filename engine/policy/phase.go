package policy

import (
	"fmt"
	"math"

	"github.com/dustin/go-humanize"

	"jouletop/engine/event"
	"jouletop/gpu"
)

// hysteresis is by how much a phase must outlast the break-even length before
// switching resumes once it was skipped.
const hysteresis = 1.2

// maxFailures is after how many refused switches in a row no more are asked for.
const maxFailures = 3

// maxSettleMS is the longest that settling is believed to take; a clock not seen
// to settle for longer is held back by something else (idleness, a limit).
const maxSettleMS = 500

// PhaseAware runs each phase at its own clock, where the switch pays. It is for
// one run; not safe for concurrent use.
//
// A switch to a phase's clock and back leaves the GPU at the wrong clock for
// the time that both switches take to come true (call and settling), and at the
// right one for the rest of the phase. So the break-even length of a phase is
// the sum of both times; a phase predicted to be shorter keeps the clock that
// is set. Times of a pair of clocks are learned from the switches made, lengths
// from the phases seen, by tokens and batch size.
type PhaseAware struct {
	clocks  event.PhaseClocks
	others  gpu.Setting // in all phases
	cost    *costModel
	lengths *lengthModel

	current  int // requested clock in force; 0: the driver's
	running  map[spanKey]begun
	skipping map[kindKey]bool
	decided  map[kindKey]bool
	failures int
	last     event.ClockChange  // the last change made
	before   int                // the clock it replaced; 0 unknown
	notes    []event.PolicyNote // to publish with the next Observe
	mix      passMix            // of what is served
	byPass   bool               // passes are told of: phases of serving say nothing more
	turns    turns              // of drafting and verifying
}

// spanKey names a running phase, begun is how it began: what it may process,
// and its clock. (The clock that its span is recorded with is the one in force
// when it began, before the switch.)
type spanKey struct {
	batch string
	phase event.Phase
}

type begun struct{ tokens, mhz int }

// NewPhaseAware returns the policy.
func NewPhaseAware(clocks event.PhaseClocks) *PhaseAware {
	return &PhaseAware{
		clocks: clocks, cost: newCostModel(), lengths: newLengthModel(),
		running: map[spanKey]begun{}, skipping: map[kindKey]bool{}, decided: map[kindKey]bool{},
	}
}

// Clocks returns the clocks it asks for.
func (p *PhaseAware) Clocks() event.PhaseClocks { return p.clocks }

// Name returns "phase:PREFILL/DECODE", with "/SCORE" where that differs from
// prefill's.
func (p *PhaseAware) Name() string {
	return event.Policy{Kind: event.ClockByPhase, Clocks: p.clocks, Knobs: p.others}.String()
}

// WithKnobs has the policy set other knobs too, for all phases; it returns p.
func (p *PhaseAware) WithKnobs(s gpu.Setting) *PhaseAware {
	p.others = s
	return p
}

// Knobs returns what the other knobs are at, in all phases.
func (p *PhaseAware) Knobs() gpu.Setting { return p.others }

// Start returns prefill's clock, since a batch begins with it.
func (p *PhaseAware) Start() int {
	p.current = p.clocks.Prefill
	return p.current
}

// Phase returns the phase's clock and whether switching to it pays.
func (p *PhaseAware) Phase(s event.PhaseStart) (int, bool) {
	if all, ok := p.turns.take(s); ok {
		all.RequestedSMMHz = p.current
		p.lengths.add(all, 1)
	}
	s, first := p.turns.next(s)
	if !first {
		return p.current, false
	}
	want, ok := p.clocks.Of(s.Phase)
	if s.Phase == event.Mixed && p.byPass {
		return p.current, false
	}
	if !ok || p.failures >= maxFailures {
		return p.current, false
	}
	set := want != p.current && (p.current == 0 || p.pays(s, want))
	if set {
		p.current = want
	}
	p.running[spanKey{s.BatchID, s.Phase}] = begun{s.Tokens, p.current}
	return p.current, set
}

// pays decides and notes the decision when it is the first of its kind or
// another one than before.
func (p *PhaseAware) pays(s event.PhaseStart, want int) bool {
	kind := kindKey{s.Phase, s.BatchSize}
	length := p.lengths.seconds(kind, s.Tokens, want)
	if math.IsNaN(length) {
		return true // nothing known: try, and learn
	}
	there, m1 := p.cost.seconds(p.current, want)
	back, m2 := p.cost.seconds(want, p.current)
	need := there + back
	was := p.skipping[kind]
	limit := need
	if was {
		limit *= hysteresis
	}
	skip := length < limit
	if skip != was || !p.decided[kind] {
		p.skipping[kind], p.decided[kind] = skip, true
		p.note(s, want, length, need, m1 && m2, skip)
	}
	return !skip
}

func (p *PhaseAware) note(s event.PhaseStart, want int, length, need float64, measured, skip bool) {
	verb, source := "switched to", "measured"
	if skip {
		verb = "not switched to"
	}
	if !measured {
		source = "estimated"
	}
	text := fmt.Sprintf("%s at batch %d %s %d MHz: about %s long, break-even %s (%s)",
		s.Phase.Decoding(), s.BatchSize, verb, want, duration(length), duration(need), source)
	tokens := p.lengths.tokens(kindKey{event.Prefill, s.BatchSize}, need, p.clocks.Prefill)
	cost := 0.0
	if s.Phase == event.Prefill && !math.IsNaN(tokens) {
		// Prompt tokens of one request; the batch's are that many times its size.
		cost = tokens / float64(max(s.BatchSize, 1))
		text += fmt.Sprintf("; break-even prompt length %s tokens", humanize.Comma(int64(math.Ceil(cost))))
	}
	p.notes = append(p.notes, event.PolicyNote{At: s.At, Text: text, SMMHz: want, Cost: cost})
}

// BreakEvenPrompt returns how many tokens each prompt of a batch of this size
// must have for a switch to prefill's clock to pay; NaN while that isn't known.
func (p *PhaseAware) BreakEvenPrompt(batch int) float64 {
	there, _ := p.cost.seconds(p.clocks.Decode, p.clocks.Prefill)
	back, _ := p.cost.seconds(p.clocks.Prefill, p.clocks.Decode)
	n := p.lengths.tokens(kindKey{event.Prefill, batch}, there+back, p.clocks.Prefill)
	return n / float64(max(batch, 1))
}

// Observe learns phase lengths and switching times.
func (p *PhaseAware) Observe(e event.Event) []event.PolicyNote {
	switch e := e.(type) {
	case event.PhaseEnd:
		p.turns.ended(e.PhaseSpan)
		key := spanKey{e.BatchID, e.Phase}
		if b, known := p.running[key]; known {
			span := e.PhaseSpan
			span.RequestedSMMHz = b.mhz
			if e.Phase != event.Draft { // all turns together are learned from
				p.lengths.add(span, b.tokens)
			}
			delete(p.running, key)
		}
	case event.ClockChange:
		p.changed(e)
	}
	notes := p.notes
	p.notes = nil
	return notes
}

// changed learns from a clock change. It may be told late, when the next one
// has been asked for already, so what is in force is known from what was asked:
// whoever else sets a clock puts another policy in force. Only a change that was
// refused, or that nobody asked for, makes it unknown.
func (p *PhaseAware) changed(e event.ClockChange) {
	if e.Cause.Unasked() {
		p.current, p.last, p.before = 0, event.ClockChange{}, 0
		return
	}
	if e.Err != "" {
		if e.RequestedSMMHz == p.current {
			p.current = 0 // unknown: the next phase asks again
		}
		p.failures++
		if p.failures == maxFailures {
			p.notes = append(p.notes, event.PolicyNote{At: e.At, Text: fmt.Sprintf(
				"phase-aware switching given up after %d refused switches: %s", maxFailures, e.Err)})
		}
		return
	}
	p.failures = 0
	p.learnSwitch(e)
	p.last = e
}

// learnSwitch adds what a switch cost. One that was not seen to settle before
// the next came took at least until then.
func (p *PhaseAware) learnSwitch(e event.ClockChange) {
	if last := p.last; math.IsNaN(last.SettleMS) && last.RequestedSMMHz != 0 && p.before != 0 {
		if gap := float64(e.TimeNS-last.TimeNS) / 1e6; gap < maxSettleMS {
			p.cost.add(p.before, last.RequestedSMMHz, 0, gap)
		}
	}
	p.before = p.last.RequestedSMMHz
	if p.before != 0 && e.RequestedSMMHz != 0 {
		p.cost.add(p.before, e.RequestedSMMHz, e.CallMS, e.SettleMS)
	}
}

// duration words a time in s with three digits, in ms below a second.
func duration(s float64) string {
	if s < 1 {
		return fmt.Sprintf("%.3g ms", 1e3*s)
	}
	return fmt.Sprintf("%.3g s", s)
}
