package page

import (
	"jouletop/gpu"
	"jouletop/tui/canvas"
	"jouletop/tui/theme"
	"jouletop/tui/view"
)

// limitW is the power limit in force, W, as far as is known; 0 unknown.
func (p *Live) limitW() float64 {
	if mw := p.Telemetry().Set(gpu.KnobPower); mw > 0 {
		return float64(mw) / 1000
	}
	return p.Info().PowerLimitW
}

// boundFigures say whether the power limit held the clock, by phase: of the last point or
// stretch of work.
func (p *Live) boundFigures(w int) []figure {
	b := p.State.Bound
	if !b.Held.Told() || p.Mode == view.Monitor {
		return nil
	}
	limit := b.LimitW
	if !(limit > 0) {
		limit = p.limitW()
	}
	rank := 9 // that nothing binds is no news
	if b.Held.Limited() {
		rank = 2
	}
	rows := []figure{{rank: rank, heading: true, label: "Did the cap bind?"}}
	for i, l := range canvas.Wrap(b.Held.Sentence(limit), w, 0) {
		rows = append(rows, figure{rank: min(rank+min(i, 1), 9), label: l, text: " ", style: theme.Strong})
	}
	if p.Size == view.Compact { // no room for a sentence
		return []figure{{label: "held", text: b.Held.Short(), style: theme.Strong}}
	}
	return rows
}
