package energy

import (
	"math"
	"math/rand/v2"
	"testing"
)

// A window is solved whatever the drift: parts of one phase that differ a little in
// their variance are still parts of one phase.
func TestWindowsAlongADriftAreSolved(t *testing.T) {
	rnd := rand.New(rand.NewPCG(31, 32))
	w := &world{}
	w.step(1, 80)
	var lengths = []float64{0.19, 0.53}
	for i := range 60 {
		warm := 60 * (1 - math.Exp(-float64(i)/5))
		for k, kind := range []string{"prefill", "score"} {
			began := w.end
			for range 10 { // power creeps up within a phase too
				w.step(lengths[k]/10, 80+100*float64(k)+warm)
				warm += 0.3
			}
			w.phases = append(w.phases, Phase{Kind: kind, Batch: 8, Start: began, End: w.end})
		}
		if i%20 == 19 {
			w.step(1, 80)
		}
	}
	w.step(1, 80)
	m := meterOf(w.buffer(rnd, 0.02, 0.004, 0.0005), w.phases)
	for i := 0; i < len(w.phases); i += 2 {
		a, b := w.phases[i].Start, w.phases[i+1].End
		e, want := m.Window(a, b), w.joules(a, b)
		if !e.Resolved || e.ErrJ > 0.02*want {
			t.Errorf("batch %d: %.3f ± %.3f J (%s), truly %.3f J", i/2, e.Likely(), e.HalfWidth(), e.Method, want)
		}
	}
}
