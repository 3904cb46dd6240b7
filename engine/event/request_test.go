package event

import (
	"math"
	"testing"
)

func TestRequestRates(t *testing.T) {
	r := RequestEnergy{Request: Request{InputTokens: 100, OutputTokens: 50, DecodeS: 0.98}, Energy: Energy{EnergyJ: 100}}
	if got := r.TPOTS(); math.Abs(got-0.02) > 1e-12 {
		t.Errorf("TPOT %v", got)
	}
	if got := r.JoulesPerToken(); got != 2 {
		t.Errorf("%v J a token", got)
	}
	r.DecodeS, r.OutputTokens = math.NaN(), -1 // unknown, not none
	if tpot, j := r.TPOTS(), r.JoulesPerToken(); !math.IsNaN(tpot) || !math.IsNaN(j) {
		t.Errorf("unknown tokens: TPOT %v, %v J a token", tpot, j)
	}
	r.OutputTokens = 0 // scored
	if tpot, j := r.TPOTS(), r.JoulesPerToken(); !math.IsNaN(tpot) || j != 1 {
		t.Errorf("scored: TPOT %v, %v J a token", tpot, j)
	}
}
