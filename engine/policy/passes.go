package policy

import "jouletop/engine/event"

// What of a stretch of passes is prefill for the clock to go up, and down again.
const (
	prefillFrom = 0.6
	decodeFrom  = 0.4
)

// passMix follows what passes have in them. A pass is prefill by the part that tokens of
// prompts have of all that it evaluates; over the time that a switch there and back
// costs, so that what is over sooner changes no clock.
type passMix struct {
	prefill float64 // 0 to 1, of the passes lately
	last    int64   // when the pass before began, ns; 0 none
	before  float64 // and what of it was prefill
}

// add takes in a pass that begins at t; need is in s.
func (m *passMix) add(t int64, prefill, need float64) {
	if m.last > 0 {
		share := min(float64(t-m.last)/1e9/max(need, 1e-3), 1)
		m.prefill += share * (m.before - m.prefill)
	} else {
		m.prefill = prefill
	}
	m.last, m.before = t, prefill
}

// Pass returns the clock for a pass that is about to begin, and whether to set it: that
// of prefill where prompts have been most of what passes had in them for as long as two
// switches take, that of decode where they have not. It is said again only where that
// changes by more than a little.
func (p *PhaseAware) Pass(it event.IterationSpan) (int, bool) {
	p.byPass = true
	if p.failures >= maxFailures || it.PrefillTokens+it.DecodeRequests == 0 {
		return p.current, false
	}
	there, _ := p.cost.seconds(p.clocks.Decode, p.clocks.Prefill)
	back, _ := p.cost.seconds(p.clocks.Prefill, p.clocks.Decode)
	p.mix.add(it.StartNS, float64(it.PrefillTokens)/float64(it.PrefillTokens+it.DecodeRequests), there+back)
	want := p.current
	switch {
	case p.mix.prefill >= prefillFrom, p.current == 0:
		want = p.clocks.Prefill
	case p.mix.prefill <= decodeFrom:
		want = p.clocks.Decode
	}
	set := want != p.current
	p.current = want
	return want, set
}
