package energy

import (
	"math/rand/v2"
	"testing"
)

// Phases too short to show their noise have some all the same: were all scatter
// their own, calibration would take the noise to nothing, and long windows would be
// stated to within less than the sensor can tell.
func TestNoiseOfShortPhasesHasAFloor(t *testing.T) {
	const noise = 0.003
	hidden := 0
	for seed := range uint64(20) {
		rnd := rand.New(rand.NewPCG(seed, 3))
		w := &world{}
		w.step(1, 120)
		// As many as calibration believes, each longer than a reading, none of two.
		for range 400 {
			a, b := w.step(0.025+0.01*rnd.Float64(), 600*(0.92+0.16*rnd.Float64()))
			w.phases = append(w.phases, Phase{Kind: "prefill", Batch: 1, Start: a, End: b})
		}
		for range 20 { // and some that show what the sensor does
			a, b := w.step(0.5, 450)
			w.phases = append(w.phases, Phase{Kind: "decode", Batch: 1, Start: a, End: b})
		}
		w.step(1, 120)
		m := meterOf(w.buffer(rnd, 0.02, 0.004, noise), w.phases)
		first, last := w.phases[0], w.phases[399]
		m.Window(first.Start, last.End)
		for _, s := range m.tracks[0].model.stats {
			if s.Kind != "prefill" || s.of != power || !s.hidden {
				continue
			}
			hidden++
			if want := sq(noise * s.theta); s.noise < want/4 {
				t.Errorf("seed %d: noise %.2g W², the sensor's is %.2g", seed, s.noise, want)
			}
		}
	}
	if hidden < 10 {
		t.Errorf("only %d of 20 worlds hide the noise", hidden)
	}
}

// A few bins that are off for a cause of their own (a ramp at the start of work that
// nobody told of) are no noise of their kind, however often calibration meets them.
func TestNoiseIsBounded(t *testing.T) {
	s := keyStat{rms: 3, steps: 1, least: 0.5}
	for _, c := range []struct{ noise, want float64 }{{0.1, 0.5}, {2, 2}, {36, 36}, {1e6, 36}} {
		if got := s.bounded(c.noise); got != c.want {
			t.Errorf("%g W²: %g, want %g", c.noise, got, c.want)
		}
	}
	if got := (&keyStat{rms: 0.1, steps: 9}).bounded(100); got != 9 {
		t.Errorf("steps show more than the residuals: %g", got)
	}
}
