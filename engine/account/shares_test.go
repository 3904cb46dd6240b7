package account

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"jouletop/engine/event"
)

// slowShares is timeShares moment by moment, by definition.
func slowShares(rs []event.Request, span event.PhaseSpan) []float64 {
	out, all := make([]float64, len(rs)), 0.0
	for t := span.StartNS; t < span.EndNS; t++ {
		var under []int
		for i, r := range rs {
			if r.StartNS <= t && r.EndNS > t {
				under = append(under, i)
			}
		}
		for _, i := range under {
			out[i] += 1 / float64(len(under))
		}
		if len(under) > 0 {
			all++
		}
	}
	for i := range out {
		if all > 0 {
			out[i] /= all
		} else {
			out[i] = 1 / float64(len(rs))
		}
	}
	return out
}

// Every moment of a mixed phase is split equally among the requests under way, also of
// those that began before it or end after it.
func TestTimeShares(t *testing.T) {
	for seed := range uint64(200) {
		rng := rand.New(rand.NewPCG(seed, 5))
		span := event.PhaseSpan{StartNS: int64(rng.IntN(50)), EndNS: int64(60 + rng.IntN(50))}
		rs := make([]event.Request, 1+rng.IntN(8))
		for i := range rs {
			rs[i].StartNS = int64(rng.IntN(120))
			rs[i].EndNS = rs[i].StartNS + int64(rng.IntN(60))
		}
		got, want, sum := timeShares(rs, span), slowShares(rs, span), 0.0
		for i := range got {
			sum += got[i]
			if math.Abs(got[i]-want[i]) > 1e-9 {
				t.Fatalf("seed %d: %v, want %v", seed, got, want)
			}
		}
		if math.Abs(sum-1) > 1e-9 {
			t.Errorf("seed %d: shares add up to %g", seed, sum)
		}
	}
	if got := timeShares(make([]event.Request, 4), event.PhaseSpan{StartNS: 5, EndNS: 9}); !slices.Equal(got, []float64{0.25, 0.25, 0.25, 0.25}) {
		t.Errorf("of requests that ran at no time: %v", got)
	}
}
