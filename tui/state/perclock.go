package state

import (
	"math"

	"jouletop/engine/event"
)

// PerClock keeps what each requested clock cost by phase, for the model and batch
// size at hand: the clock panel's figures.
type PerClock struct {
	Model string
	Batch int
	sums  map[phaseClock]*EnergySums
}

type phaseClock struct {
	phase event.Phase // "" for whole requests
	mhz   int
}

// begin forgets another model's or batch size's figures.
func (p *PerClock) begin(model string, batch int) {
	if p.Model != model || p.Batch != batch || p.sums == nil {
		p.Model, p.Batch, p.sums = model, batch, map[phaseClock]*EnergySums{}
	}
}

func (p *PerClock) add(phase event.Phase, mhz int, joules float64, tokens int) {
	if mhz <= 0 || p.sums == nil {
		return
	}
	k := phaseClock{phase, mhz}
	s := p.sums[k]
	if s == nil {
		s = &EnergySums{}
		p.sums[k] = s
	}
	s.add(joules, math.NaN(), joules, tokens, 0)
}

// Measured returns J/token by clock for a phase ("" for whole requests).
func (p *PerClock) Measured(phase event.Phase) map[int]float64 {
	out := map[int]float64{}
	for k, s := range p.sums {
		if k.phase == phase {
			out[k.mhz] = s.JoulesPerToken()
		}
	}
	return out
}
