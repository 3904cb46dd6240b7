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

// The lag is known as well as it is said to be, from few falls as from many: what the
// work before a fall draws beside the mean of its kind looks like a lag.
func TestLagIsAsGoodAsItSays(t *testing.T) {
	const worlds = 200
	var square float64
	far := 0
	for seed := range uint64(worlds) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		w := newWorld(rnd, 0, 25+int(seed)%16, []float64{0.02, 0.06, 0.2}[seed%3])
		lag := 0.01 * rnd.Float64()
		m := meterOf(w.buffer(rnd, 0.02, lag, 0.003), w.phases)
		m.Window(w.phases[0].Start, w.phases[1].End)
		z := (m.tracks[0].lag - lag) / m.tracks[0].lagSD
		square += z * z / worlds
		if math.Abs(z) > 4 {
			far++
		}
	}
	t.Logf("rms of the standardised errors %.2f, %d of %d beyond 4", math.Sqrt(square), far, worlds)
	if square > sq(1.6) || far > worlds/50 {
		t.Errorf("rms of the standardised errors %.2f, %d of %d beyond 4", math.Sqrt(square), far, worlds)
	}
}
