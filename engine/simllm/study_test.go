package simllm

import (
	"math"
	"testing"

	"jouletop/gpu/simgpu"
)

// TestStudyHoldsForAnyMix checks that the figures asked of a whole matrix hold
// whether the datasets' times are summed, their shares averaged, or only those
// looked at that generate.
func TestStudyHoldsForAnyMix(t *testing.T) {
	top := simgpu.PaperClocks[len(simgpu.PaperClocks)-1]
	var saving, latency, decode float64 // means over models and batch sizes
	n := float64(sizes * len(studyBatches))
	for bi, batch := range studyBatches {
		var want, summed, averaged, generation float64 // decode share, mean over models
		for _, s := range shapes[:sizes] {
			var low, high []totals
			for _, d := range studyPrompts {
				l, err := studyTotals(s.Name, batch, simgpu.PaperClocks[0], d)
				if err != nil {
					t.Fatal(err)
				}
				h, err := studyTotals(s.Name, batch, top, d)
				if err != nil {
					t.Fatal(err)
				}
				low, high = append(low, l), append(high, h)
				averaged += (100 - compare(l, h).prefillPct) / float64(len(studyPrompts)) / sizes
			}
			all := compare(sum(low), sum(high))
			saving += all.energyReduction / n
			latency += all.latencyChange / n
			decode += all.decodeChange / n
			summed += (100 - all.prefillPct) / sizes
			generation += (100 - compare(sum(low[:2]), sum(high[:2])).prefillPct) / sizes
			want += (100 - studyTable(&s)[bi].prefillPct) / sizes
		}
		for name, got := range map[string]float64{"summed": summed, "averaged": averaged, "generation": generation} {
			if math.Abs(got-want) > 3 {
				t.Errorf("batch %d: decode share %s is %.1f %%, published %.1f %%", batch, name, got, want)
			}
			t.Logf("batch %d: decode share %s is %.1f %%, published %.1f %%", batch, name, got, want)
		}
	}
	t.Logf("saving %.1f %%, latency %+.2f %%, decode %+.2f %%", saving, latency, decode)
	if saving < 39 || saving > 45 || latency < 1 || latency > 4 || math.Abs(decode) > 1.5 {
		t.Errorf("saving %.1f %%, latency %+.2f %%, decode %+.2f %%", saving, latency, decode)
	}
}
