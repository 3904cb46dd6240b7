package tui

import (
	"jouletop/engine/event"
)

// perClock keeps what each requested clock cost by phase, for the model at hand:
// the clock panel's figures.
type perClock struct {
	model string
	sums  map[phaseClock]*energySums
}

type phaseClock struct {
	phase event.Phase // "" for whole requests
	mhz   int
}

// setModel forgets another model's figures.
func (p *perClock) setModel(model string) {
	if p.model != model || p.sums == nil {
		p.model, p.sums = model, map[phaseClock]*energySums{}
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
func (p *perClock) measured(model string, phase event.Phase) map[int]float64 {
	out := map[int]float64{}
	if model != p.model && model != "" {
		return out
	}
	for k, s := range p.sums {
		if k.phase == phase {
			out[k.mhz] = s.jpt()
		}
	}
	return out
}
