package policy

import "jouletop/engine/event"

// turns makes one phase of those that take turns where tokens are drafted: each lasts some
// ms, which no switch of clocks pays for, while all together are a decode.
type turns struct {
	taking bool // in the batch of span
	span   event.PhaseSpan
	read   *event.PhaseStart // a prefill just now: a drafter reads the same once more
}

// next takes a phase that begins in. It returns the phase that is to be decided about,
// false where that was decided when an earlier one began.
func (t *turns) next(s event.PhaseStart) (event.PhaseStart, bool) {
	read := t.read
	t.read = nil
	switch s.Phase {
	case event.Prefill:
		t.taking = false
		t.read = &s
		return s, read == nil || read.BatchID != s.BatchID || read.Tokens != s.Tokens
	case event.Draft, event.Verify:
	default:
		return s, !t.taking || t.span.BatchID != s.BatchID
	}
	if t.taking && t.span.BatchID == s.BatchID {
		return s, false
	}
	t.taking = true
	t.span = event.PhaseSpan{BatchID: s.BatchID, Phase: event.Draft, StartNS: s.TimeNS, EndNS: s.TimeNS, BatchSize: s.BatchSize}
	// How many tokens there will be is not told: turns of a kind are taken to be alike.
	s.Phase, s.Tokens = event.Draft, 1
	return s, true
}

// ended takes a phase that has ended in.
func (t *turns) ended(p event.PhaseSpan) {
	if t.taking && p.BatchID == t.span.BatchID && p.Phase.Decoding() == event.Decode {
		t.span.EndNS = max(t.span.EndNS, p.EndNS)
	}
}

// take returns the turns of a batch that is over now that another begins, with s; ok is
// false where there were none.
func (t *turns) take(s event.PhaseStart) (all event.PhaseSpan, ok bool) {
	if t.span.EndNS <= t.span.StartNS || t.span.BatchID == s.BatchID && s.Phase != event.Prefill {
		return all, false
	}
	all, t.span = t.span, event.PhaseSpan{}
	all.Tokens = 1
	return all, true
}
