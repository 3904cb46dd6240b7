package energy

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

func TestZZ(t *testing.T) {
	for _, seed := range []uint64{0x215, 1, 2, 3, 4, 5} {
		for _, lag := range []float64{0.000244, 0.005, 0.01, 0.019} {
			rnd := rand.New(rand.NewPCG(seed, 1))
			w := newWorld(rnd, 0, 30, 0.02)
			m := meterOf(w.buffer(rnd, 0.02, lag, 0.003), w.phases)
			var z float64
			for _, p := range w.phases {
				e := m.raw(p.Start, p.End)
				z += math.Pow((e.Joules-w.joules(p.Start, p.End))/e.ErrJ*z95, 2)
			}
			tr := m.tracks[0]
			fmt.Printf("%x lag %.2f est %.2f ± %.2f falls %d rms z %.2f rms %.1f\n", seed, lag*1e3, tr.lag*1e3, tr.lagSD*1e3, len(m.tl.falls(15e6)), math.Sqrt(z/float64(len(w.phases))), tr.model.rms)
			for _, s := range tr.model.stats {
				fmt.Printf("      %v %.1f v %.1f tau %.1f noise %.1f req %.1f\n", s.Key, s.theta, math.Sqrt(s.v), math.Sqrt(s.tau2), math.Sqrt(s.noise), s.requests)
			}
		}
	}
}
