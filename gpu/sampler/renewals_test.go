package sampler

import (
	"jouletop/gpu"
	"math"
	"slices"
	"testing"
	"time"
)

func TestRenewals(t *testing.T) {
	var r Renewals
	const ms = int64(time.Millisecond)
	for i := range int64(600) { // polled every 10 ms
		at := i*10*ms + i%3*ms/10
		r.Add(gpu.PowerReading{Source: gpu.SourceAverage, TimeNS: at, Fresh: i%10 == 0, PowerW: 100})
		r.Add(gpu.PowerReading{Source: gpu.SourceInstant, TimeNS: at, Fresh: i < 100 && i%10 == 0, PowerW: 100})
		r.Add(gpu.PowerReading{Source: gpu.SourceCounter, TimeNS: at, Fresh: i%50 == 0, PowerW: math.NaN()})
		// The buffer's own stamps; one value was equal to the one before.
		r.Add(gpu.PowerReading{Source: gpu.SourceBuffer, TimeNS: i * 20 * ms, Fresh: i != 7, PowerW: 100})
	}
	known := []gpu.PowerSource{{Name: gpu.SourceAverage}, {Name: gpu.SourceInstant}, {Name: gpu.SourceBuffer}, {Name: gpu.SourceCounter}, {Name: "other"}}
	var got []float64
	for _, s := range r.Describe(known) {
		got = append(got, s.SeenPeriodMS)
	}
	if len(got) != 5 || math.Abs(got[0]-100) > 0.2 || !slices.Equal(got[1:], []float64{0, 20, 0, 0}) {
		t.Errorf("periods %v", got)
	}
	if known[0].SeenPeriodMS != 0 {
		t.Error("the sources given were changed")
	}
}
