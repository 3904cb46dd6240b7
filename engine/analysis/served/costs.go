package served

import (
	"math"
	"slices"

	"jouletop/engine/event"
)

// Costs is what the requests of a point cost among each other, in J: means over those
// that succeeded and whose energy is known.
type Costs struct {
	Split          event.Split // how passes were divided; "" where it is not known what was in them
	Share          float64     // of a request
	Marginal, Idle float64     // see event.ServedEnergy
	// Tokens and Capped are by how much, as a share, the shares by tokens and by capped
	// tokens are off the request's: the median.
	Tokens, Capped float64
}

// CostsOf sums up the requests of one point.
func CostsOf(requests []event.RequestEnergy) Costs {
	var c Costs
	var n float64
	var tokens, capped []float64
	for _, r := range requests {
		if r.Err != "" || r.Split == "" || !(r.EnergyJ > 0) {
			continue
		}
		n++
		c.Split = r.Split
		c.Share, c.Marginal, c.Idle = c.Share+r.EnergyJ, c.Marginal+r.MarginalJ, c.Idle+r.IdleJ
		tokens, capped = append(tokens, math.Abs(r.TokenJ/r.EnergyJ-1)), append(capped, math.Abs(r.CappedJ/r.EnergyJ-1))
	}
	c.Share, c.Marginal, c.Idle = c.Share/n, c.Marginal/n, c.Idle/n // NaN of none
	slices.Sort(tokens)
	slices.Sort(capped)
	c.Tokens, c.Capped = percentile(tokens, 50), percentile(capped, 50)
	return c
}
