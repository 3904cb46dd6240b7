package served

import (
	"math"
	"testing"

	"jouletop/engine/event"
)

func TestCosts(t *testing.T) {
	of := func(joules, marginal, idle, tokens, capped float64) event.RequestEnergy {
		return event.RequestEnergy{Energy: event.Energy{EnergyJ: joules}, ServedEnergy: event.ServedEnergy{Split: event.SplitMarginal, MarginalJ: marginal, IdleJ: idle, TokenJ: tokens, CappedJ: capped}}
	}
	failed := of(1000, 1, 1, 1, 1)
	failed.Err = "lost"
	c := CostsOf([]event.RequestEnergy{of(10, 4, 6, 11, 10), of(20, 8, 0, 10, 19), of(30, 6, 0, 30, 30), failed, of(math.NaN(), 1, 0, 1, 1), {Energy: event.Energy{EnergyJ: 7}}})
	if c.Split != event.SplitMarginal || c.Share != 20 || c.Marginal != 6 || c.Idle != 2 || math.Abs(c.Tokens-0.1) > 1e-9 || math.Abs(c.Capped) > 1e-9 {
		t.Errorf("%+v", c)
	}
	if c := CostsOf(nil); c.Split != "" || !math.IsNaN(c.Share) || !math.IsNaN(c.Tokens) {
		t.Errorf("of nothing: %+v", c)
	}
}
