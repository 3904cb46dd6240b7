package account

import (
	"math"
	"time"

	"jouletop/engine/event"
	"jouletop/gpu"
	"jouletop/gpu/energy"
)

// Meter estimates the energies of one GPU.
type Meter struct {
	gpu string // id
	*energy.Meter
}

// NewMeter returns the meter of the GPU of that id, with its power sources as
// discovered and its highest power limit in W (0 unknown).
func NewMeter(id string, sources []gpu.PowerSource, limitW float64) Meter {
	return newMeter(id, sources, limitW, 0)
}

// newMeter returns one that remembers so much at least.
func newMeter(id string, sources []gpu.PowerSource, limitW float64, horizon time.Duration) Meter {
	return Meter{id, energy.New(sources, energy.Options{PowerLimitW: limitW, Horizon: max(horizon, 10*time.Minute)})}
}

// Meters estimate what GPUs that work on one job use together. Their errors are
// added up as if they were shared, which they partly are: the sensors are alike.
type Meters []Meter

func (m Meters) add(p event.Power) {
	for _, g := range m {
		if g.gpu == p.GPU {
			g.Add(p.PowerReading)
		}
	}
}

func (m Meters) addPhase(p energy.Phase) {
	for _, g := range m {
		g.AddPhase(p)
	}
}

// covered is the time up to which the sensors of all have told.
func (m Meters) covered() int64 {
	t := int64(math.MaxInt64)
	for _, g := range m {
		t = min(t, g.Covered())
	}
	return t
}

func (m Meters) phaseEnergy(p energy.Phase) energy.Estimate {
	return m.sum(func(g Meter) energy.Estimate { return g.PhaseEnergy(p) })
}

// window is what was used from start to end.
func (m Meters) window(start, end int64) energy.Estimate {
	return m.sum(func(g Meter) energy.Estimate { return g.Window(start, end) })
}

// kind is what the phases of a kind used from start to end, together, which take turns with
// those of another.
func (m Meters) kind(kind, other event.Phase, start, end int64) energy.Estimate {
	return m.sum(func(g Meter) energy.Estimate { return g.Kind(string(kind), string(other), start, end) })
}

// coveredBefore is d ns before covered; it stays the earliest time there is where
// nothing is covered yet.
func (m Meters) coveredBefore(d int64) int64 {
	t := m.covered()
	if t < math.MinInt64+d {
		return math.MinInt64
	}
	return t - d
}

// busy is what spans of time used that follow each other closely.
func (m Meters) busy(spans []energy.Span) energy.Estimate {
	return m.sum(func(g Meter) energy.Estimate { return g.Busy(spans) })
}

func (m Meters) sum(of func(Meter) energy.Estimate) energy.Estimate {
	parts := make([]energy.Estimate, len(m))
	for i, g := range m {
		parts[i] = of(g)
	}
	return energy.Sum(parts...)
}

// request estimates a batch, or a part of it, as a whole and each of its phases.
func (m Meters) request(start, end int64, phases []energy.Phase) (whole energy.Estimate, parts []energy.Estimate) {
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

// cost is what loads cost in phases of p's kind, on all GPUs; nothing where nothing is
// known.
func (m Meters) cost(p energy.Phase) (sum energy.Cost) {
	for _, g := range m {
		c, ok := g.Cost(p)
		if !ok {
			return energy.Cost{}
		}
		sum.IdleW += c.IdleW
		sum.Base, sum.BaseS = sum.Base+c.Base, max(sum.BaseS, c.BaseS)
		for i := range c.PerUnit {
			sum.Seconds[i] = max(sum.Seconds[i], c.Seconds[i])
			sum.PerUnit[i] += c.PerUnit[i]
		}
		for i := range c.Cov {
			for j := range c.Cov {
				sum.Cov[i][j] += c.Cov[i][j] * float64(len(m)) // as if they were off alike
			}
		}
		sum.Unexplained = max(sum.Unexplained, c.Unexplained)
	}
	return sum
}
