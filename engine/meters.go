package engine

import (
	"math"

	"jouletop/engine/event"
	"jouletop/gpu/energy"
)

// meter estimates the energies of one GPU.
type meter struct {
	gpu string // id
	*energy.Meter
}

// meters estimate what GPUs that work on one job use together. Their errors are
// added up as if they were shared, which they partly are: the sensors are alike.
type meters []meter

func (m meters) add(p event.Power) {
	for _, g := range m {
		if g.gpu == p.GPU {
			g.Add(p.PowerReading)
		}
	}
}

func (m meters) addPhase(p energy.Phase) {
	for _, g := range m {
		g.AddPhase(p)
	}
}

// covered is the time up to which the sensors of all have told.
func (m meters) covered() int64 {
	t := int64(math.MaxInt64)
	for _, g := range m {
		t = min(t, g.Covered())
	}
	return t
}

func (m meters) phaseEnergy(p energy.Phase) energy.Estimate {
	return m.sum(func(g meter) energy.Estimate { return g.PhaseEnergy(p) })
}

// coveredBefore is d ns before covered; it stays the earliest time there is where
// nothing is covered yet.
func (m meters) coveredBefore(d int64) int64 {
	t := m.covered()
	if t < math.MinInt64+d {
		return math.MinInt64
	}
	return t - d
}

// busy is what spans of time used that follow each other closely.
func (m meters) busy(spans []energy.Span) energy.Estimate {
	return m.sum(func(g meter) energy.Estimate { return g.Busy(spans) })
}

func (m meters) sum(of func(meter) energy.Estimate) energy.Estimate {
	parts := make([]energy.Estimate, len(m))
	for i, g := range m {
		parts[i] = of(g)
	}
	return energy.Sum(parts...)
}

// request estimates a batch, or a part of it, as a whole and each of its phases.
func (m meters) request(start, end int64, phases []energy.Phase) (whole energy.Estimate, parts []energy.Estimate) {
	wholes := make([]energy.Estimate, len(m))
	each := make([][]energy.Estimate, len(phases)) // phase, GPU
	for i, g := range m {
		var of []energy.Estimate
		wholes[i], of = g.Request(start, end, phases)
		for p, e := range of {
			each[p] = append(each[p], e)
		}
	}
	for _, es := range each {
		parts = append(parts, energy.Sum(es...))
	}
	return energy.Sum(wholes...), parts
}
