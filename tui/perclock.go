package tui

import (
	"jouletop/engine/event"
)

// perClock keeps what each requested clock cost by phase, for the model and batch
// size at hand: the clock panel's figures.
type perClock struct {
	model string
	batch int
	sums  map[phaseClock]*energySums
}

type phaseClock struct {
	phase event.Phase // "" for whole requests
	mhz   int
}

// begin forgets another model's or batch size's figures.
func (p *perClock) begin(model string, batch int) {
	if p.model != model || p.batch != batch || p.sums == nil {
		p.model, p.batch, p.sums = model, batch, map[phaseClock]*energySums{}
	}
}

func (p *perClock) add(phase event.Phase, mhz int, joules float64, tokens int) {
	if mhz <= 0 || p.sums == nil {
		return
	}
	k := phaseClock{phase, mhz}
	s := p.sums[k]
	if s == nil {
		s = &energySums{}
		p.sums[k] = s
	}
	s.add(joules, joules, tokens, 0)
}

// measured returns J/token by clock for a phase ("" for whole requests).
func (p *perClock) measured(phase event.Phase) map[int]float64 {
	out := map[int]float64{}
	for k, s := range p.sums {
		if k.phase == phase {
			out[k.mhz] = s.jpt()
		}
	}
	return out
}
