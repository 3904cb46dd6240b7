package state

import (
	"fmt"
	"testing"

	"jouletop/engine/analysis/verdict"
	"jouletop/engine/event"
)

// A comparison says whether it is one: what differs by less than runs of the same work do
// is not resolved, and repeats that scatter make it less sure.
func TestComparisonHasAVerdict(t *testing.T) {
	compare := func(factor float64, scatter float64) Compared {
		s := New()
		for repeat := range 3 {
			for q := range 10 {
				for policy, f := range map[string]float64{"fixed:1980": 1, "fixed:1005": factor} {
					r := request(fmt.Sprint(policy, q, repeat), 10, 10, 0, 1e9)
					r.Policy, r.QueryID, r.Repeat = policy, fmt.Sprint(q), repeat+1
					joules := float64(50+q) * f * (1 + scatter*float64(repeat-1))
					s.Apply(event.RequestEnergy{At: at(1), Request: r, Energy: event.Energy{EnergyJ: joules}})
				}
			}
		}
		return s.Comparisons.Compare(SettingOf("fixed:1980", 0), SettingOf("fixed:1005", 0))
	}
	for _, c := range []struct {
		factor, scatter float64
		want            string
	}{{1, 0, verdict.Unresolved}, {1.005, 0, verdict.Unresolved}, {0.7, 0, verdict.Lower}, {1.2, 0, verdict.Higher}, {1.05, 0.2, verdict.Unresolved}} {
		x := compare(c.factor, c.scatter)
		if x.Energy.Word() != c.want || x.Energy.Queries != 10 || x.Energy.RunsA != 3 {
			t.Errorf("%+v: %s %s, of %d queries and %d repeats", c, x.Energy, x.Energy.Word(), x.Energy.Queries, x.Energy.RunsA)
		}
		if x.Latency.Word() != verdict.Unresolved {
			t.Errorf("%+v: latency %s", c, x.Latency.Word())
		}
	}
}
