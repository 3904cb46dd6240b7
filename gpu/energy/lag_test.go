package energy

import (
	"math"
	"math/rand/v2"
	"testing"
)

// Where the same short phases come last each time, a lag that is a period too long
// explains the readings after work as well as the right one: those phases are then
// taken to draw what follows. All readings tell which it is.
func TestLagIsNotAPeriodTooLong(t *testing.T) {
	for seed := range uint64(20) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		w := &world{}
		w.step(1, 94)
		phase := func(kind string, batch int, seconds, watts float64) {
			a, b := w.step(seconds*(0.98+0.04*rnd.Float64()), watts*(0.99+0.02*rnd.Float64()))
			w.phases = append(w.phases, Phase{Kind: kind, Batch: batch, Start: a, End: b})
		}
		for range 3 + int(seed)%6 {
			for range 2 {
				phase("prefill", 8, 0.029, 127)
				phase("score", 8, 0.041, 131)
			}
			phase("prefill", 4, 0.014, 128)
			phase("score", 4, 0.021, 140)
			w.step(0.6+0.05*rnd.Float64(), 94)
		}
		m := meterOf(w.buffer(rnd, 0.02, 0.004, 0.001), w.phases)
		m.Window(w.phases[0].Start, w.phases[5].End)
		tr := m.tracks[0]
		if math.Abs(tr.lag-0.004) > max(3*tr.lagSD, 0.0005) {
			t.Errorf("seed %d: lag %.1f ± %.2f ms, truly 4", seed, 1e3*tr.lag, 1e3*tr.lagSD)
		}
	}
}
