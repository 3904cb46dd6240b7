package event

import (
	"math"
	"testing"
)

func TestHeldSentences(t *testing.T) {
	power := func(pct float64) Held { return Held{By: HeldByPower, Pct: pct} }
	free := func(pct float64) Held { return Held{By: HeldByNothing, Pct: pct} }
	for _, c := range []struct {
		h           HeldPhases
		limit       float64
		says, short string
	}{
		{UnknownHeld(), 400, "", ""},
		{HeldPhases{Prefill: power(72.4), Decode: free(0)}, 400, "The cap of 400 W binds in prefill (72 % of its time). This cap never binds in decode.", "P power 72 %, D nothing"},
		{HeldPhases{Prefill: free(0), Decode: free(0)}, 412.5, "This cap of 412.5 W never binds in prefill and decode.", "P nothing, D nothing"},
		{HeldPhases{Decode: Held{By: HeldByLock, Pct: 2}, Prefill: free(0)}, math.NaN(), "This power limit hardly ever binds in decode. This cap never binds in prefill.", "P nothing, D sm-lock"},
		{HeldPhases{Score: Held{By: HeldByHeat, Pct: 30}}, 700, "Heat, or a limit that is none of power, holds the clock in scoring (30 % of its time).", "S heat 30 %"},
		{HeldPhases{Prefill: power(100), Decode: power(91)}, 300, "The cap of 300 W binds in prefill (100 % of its time) and decode (91 % of its time).", "P power 100 %, D 91 %"},
		{HeldPhases{Mixed: power(100)}, 300, "The cap of 300 W binds in serving (100 % of its time).", "M power 100 %"},
	} {
		if got := c.h.Sentence(c.limit); got != c.says {
			t.Errorf("says %q, want %q", got, c.says)
		}
		if got := c.h.Short(); got != c.short || c.h.Told() != (c.says != "") {
			t.Errorf("in short %q, want %q", got, c.short)
		}
	}
}
