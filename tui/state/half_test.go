package state

import (
	"math"
	"testing"

	"jouletop/engine/event"
)

// What is not known of the run's energy is at most what is not known of its requests', and
// where one says nothing of that, nothing is said of the run.
func TestHalfWidths(t *testing.T) {
	var r Requests
	r.reset()
	if _, half := r.LastJoulesPerToken(); !math.IsNaN(half) || !math.IsNaN(r.HalfPerToken()) {
		t.Errorf("of nothing: %g, %g", half, r.HalfPerToken())
	}
	tell := func(id string, joules, half float64, tokens int) {
		q := event.Request{RequestID: id, OutputTokens: tokens}
		r.done(q)
		r.energy(event.RequestEnergy{Request: q, Energy: event.Energy{EnergyJ: joules, EnergyErrJ: half}, DraftedEnergy: event.NotDrafted})
	}
	near := func(what string, got, want float64) {
		if math.Abs(got-want) > 1e-12 {
			t.Errorf("%s: %g, want %g", what, got, want)
		}
	}
	tell("a", 300, 3, 100)
	tell("b", 100, 2, 50)
	near("run", r.JoulesPerToken(), 400.0/150)
	near("run ±", r.HalfPerToken(), 5.0/150)
	last, half := r.LastJoulesPerToken()
	near("last", last, 2)
	near("last ±", half, 2.0/50)
	tell("c", 100, math.NaN(), 50)
	if h := r.HalfPerToken(); !math.IsNaN(h) {
		t.Errorf("with one that is not known: ± %g", h)
	}
}
