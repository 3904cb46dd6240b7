package state

import (
	"fmt"
	"math"
	"testing"

	"jouletop/engine/analysis/paired"
	"jouletop/engine/analysis/verdict"
	"jouletop/engine/event"
)

// A comparison says whether it is one: what differs by less than runs of the same work do
// is not resolved, and repeats that scatter make it less sure.
func TestComparisonHasAVerdict(t *testing.T) {
	compare := func(factor float64, scatter float64) paired.Comparison {
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
		x, _ := s.Comparisons.Compare(event.PolicyOf("fixed:1980"), event.PolicyOf("fixed:1005"))
		return x
	}
	for _, c := range []struct {
		factor, scatter float64
		want            string
	}{{1, 0, verdict.Unresolved}, {1.005, 0, verdict.Unresolved}, {0.7, 0, verdict.Lower}, {1.2, 0, verdict.Higher}, {1.05, 0.2, verdict.Unresolved}} {
		x := compare(c.factor, c.scatter)
		energy, _ := x.Figure(paired.Energy)
		latency, _ := x.Figure(paired.Latency)
		if energy.Word() != c.want || energy.Queries != 10 || energy.RunsA != 3 || len(x.Mismatches) > 0 {
			t.Errorf("%+v: %s %s, of %d queries and %d repeats, %v", c, energy.Difference, energy.Word(), energy.Queries, energy.RunsA, x.Mismatches)
		}
		if latency.Word() != verdict.Unresolved {
			t.Errorf("%+v: latency %s", c, latency.Word())
		}
	}
}

// While a job runs both settings what both have answered is compared; once it has ended
// what only one has is a reason not to. What ran before, at one of them alone, is no part.
func TestComparisonOfAJobThatRuns(t *testing.T) {
	s := New()
	put := func(policy string, from, to int, joules float64) {
		for q := from; q < to; q++ {
			r := request(fmt.Sprint(policy, q), 10, 10, 0, 1e9)
			r.Policy, r.QueryID, r.BatchID, r.Repeat = policy, fmt.Sprint(q), fmt.Sprint(policy, q), 1
			span := event.PhaseSpan{BatchID: r.BatchID, Phase: event.Decode, EndNS: 1e9}
			s.Apply(event.PhaseEnergy{At: at(1), PhaseSpan: span, SMMHzMean: 1980, Energy: event.Energy{EnergyJ: joules}})
			s.Apply(event.RequestDone{At: at(1), Request: r})
			s.Apply(event.PhaseEnergy{At: at(1), PhaseSpan: span, SMMHzMean: 1000, Energy: event.Energy{EnergyJ: math.NaN()}})
			s.Apply(event.RequestEnergy{At: at(1), Request: r, Energy: event.Energy{EnergyJ: joules}})
		}
	}
	s.Apply(event.RunStart{At: at(1)})
	put("none", 0, 30, 900)
	s.Apply(event.RunEnd{At: at(2)})
	s.Apply(event.RunStart{At: at(3)})
	put("none", 0, 8, 100)
	put("phase:1980/1005", 0, 5, 70)
	compare := func(soFar bool, mismatches int) paired.Comparison {
		a, b := s.Comparisons.MostShared()
		x, running := s.Comparisons.Compare(a, b)
		energy, _ := x.Figure(paired.Energy)
		if SettingName(a) != "driver's clock" || running != soFar || len(x.Mismatches) != mismatches || x.Queries != 5 || energy.A != 100 || energy.B != 70 {
			t.Errorf("%s: so far %v, %d queries, %v J and %v J, %v", SettingName(a), running, x.Queries, energy.A, energy.B, x.Mismatches)
		}
		return x
	}
	x := compare(true, 0)
	if a, b := x.Phases(event.Decode); a.Batches != 16 || a.PowerW() != 100 || a.MHz() != 1490 || b.PowerW() != 70 || b.Mean() != 1 {
		t.Errorf("decode: %+v, %+v", a, b)
	}
	s.Apply(event.RunEnd{At: at(4)})
	compare(false, 1)
}

// Of more than is kept the oldest jobs are forgotten.
func TestComparisonsAreBounded(t *testing.T) {
	s := New()
	for job := range 4 {
		s.Apply(event.RunStart{At: at(int64(job + 1))})
		for q := range keepAnswers / 3 {
			r := request(fmt.Sprint(job, q), 10, 10, 0, 1e9)
			r.Policy, r.QueryID = "none", fmt.Sprint(q)
			s.Apply(event.RequestEnergy{At: at(1), Request: r, Energy: event.Energy{EnergyJ: 1}})
		}
		s.Apply(event.RunEnd{At: at(1)})
	}
	if n := s.Comparisons.sides[event.Policy{}].Size(); n > keepAnswers || n < keepAnswers/2 {
		t.Errorf("%d answers are kept", n)
	}
}
