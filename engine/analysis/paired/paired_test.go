package paired

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"jouletop/engine/analysis/verdict"
	"jouletop/engine/event"
)

func facts() Facts {
	return Facts{
		Backend: "llama", GPUs: []GPU{{"0:GPU-1", "H100 0:GPU-1 700 W"}},
		Models: map[string]string{"m": "m F16 aa on CUDA0"}, Datasets: map[string]string{"d": "d bb"},
	}
}

// side makes a side of 30 queries with some scatter, changed by f.
func side(name string, seed uint64, f func(i int, r *event.RequestEnergy)) *Side {
	rnd := rand.New(rand.NewPCG(seed, 1))
	s := NewSide(name, nil, facts())
	for i := range 30 {
		r := &event.RequestEnergy{Energy: event.Energy{EnergyJ: (40 + float64(i)) * (1 + 0.02*rnd.NormFloat64()), Method: "buffer"}}
		r.Request = event.Request{
			GPU: "0:GPU-1", Model: "m", Dataset: "d", QueryID: fmt.Sprint(i), BatchSize: 1, Repeat: 1, Policy: "none",
			EndNS: int64(1e9 * (1 + 0.01*rnd.NormFloat64())), InputTokens: 100, OutputTokens: 50, PrefillS: 0.1, DecodeS: 0.9, TTFTS: math.NaN(), Quality: 0.5,
		}
		if f != nil {
			f(i, r)
		}
		s.Add(0, r, max(r.PointBatchSize, r.BatchSize))
	}
	return s
}

// Each thing that is not the same is a reason not to compare; none is where all is.
func TestMismatches(t *testing.T) {
	for _, c := range []struct {
		what   string
		row    func(i int, r *event.RequestEnergy)
		change func(*Side)
		want   string
	}{
		{what: "the same"},
		{what: "another clock", row: func(_ int, r *event.RequestEnergy) { r.Policy, r.RequestedSMMHz = "fixed:1005", 1005 }},
		{what: "an energy unresolved", row: func(i int, r *event.RequestEnergy) {
			if i == 3 {
				r.EnergyJ, r.Flags = math.NaN(), event.FlagsOf(event.FlagEnergyUnresolved)
			}
		}},
		{what: "model", row: func(_ int, r *event.RequestEnergy) { r.Model = "n" }, want: "model: m"},
		{what: "model file", change: func(s *Side) { s.facts.Models["m"] = "m F16 cc on CUDA0" }, want: "model: m F16 aa on CUDA0 against m F16 cc on CUDA0"},
		{what: "layers elsewhere", change: func(s *Side) { s.facts.Models["m"] = "m F16 aa on CPU" }, want: "model: "},
		{what: "dataset file", change: func(s *Side) { s.facts.Datasets["d"] = "d cc" }, want: "dataset: d bb against d cc"},
		{what: "batch", row: func(_ int, r *event.RequestEnergy) { r.PointBatchSize = 4 }, want: "batch size: 1 against 4"},
		{what: "queries", row: func(i int, r *event.RequestEnergy) { r.QueryID = fmt.Sprint(i + 10) }, want: "workload: 30 queries against 30, of which 20 are the same"},
		{what: "output", row: func(_ int, r *event.RequestEnergy) { r.OutputTokens = 49 }, want: "tokens: 1500 output tokens against 1470"},
		{what: "input", row: func(_ int, r *event.RequestEnergy) { r.InputTokens = 120 }, want: "tokens: 3000 input tokens against 3600"},
		{what: "card", change: func(s *Side) { s.facts.GPUs[0].Text = "H200" }, want: "device: H100 0:GPU-1 700 W against H200"},
		{what: "power limit", change: func(s *Side) { s.facts.GPUs[0].Text = "H100 0:GPU-1 500 W" }, want: "device: "},
		{what: "simulated", change: func(s *Side) { s.facts.Simulated = true }, want: "measured or not: measured against simulated"},
		{what: "backend", change: func(s *Side) { s.facts.Backend = "remote" }, want: "backend: llama against remote"},
		{what: "batches served", change: func(s *Side) { s.facts.Load = []Fact{{"load", "poisson:4"}, {"slots", "8"}} }, want: "load: batches against poisson:4"},
		{what: "sensor", row: func(_ int, r *event.RequestEnergy) { r.Method = "counter" }, want: "sensor: buffer against counter"},
		{what: "throttled", change: func(s *Side) { s.Point(0, &event.PointDone{PointResult: event.PointResult{ThrottledPct: 12}}) }, want: "throttling: "},
		{what: "cached", row: func(_ int, r *event.RequestEnergy) { r.Flags = event.FlagsOf(event.FlagCachedTokens) }, want: "flags: none against cached-tokens"},
		{what: "clock lost", row: func(_ int, r *event.RequestEnergy) { r.Flags = event.FlagsOf(event.FlagClockLost) }, want: "flags: "},
		{what: "failed", row: func(i int, r *event.RequestEnergy) {
			if i == 0 {
				r.Err = "refused"
			}
		}, want: "failures: 0 failed requests against 1"},
	} {
		b := side("b", 2, c.row)
		if c.change != nil {
			c.change(b)
		}
		got := strings.Join(Against(side("a", 1, nil), b).Mismatches, "; ")
		if c.want == "" && got != "" || !strings.Contains(got, c.want) {
			t.Errorf("%s: %q, want %q", c.what, got, c.want)
		}
	}
}

// Requests that came, or were served, otherwise are other work.
func TestOtherLoads(t *testing.T) {
	served := func(name string, load ...Fact) *Side {
		s := side(name, 1, nil)
		s.facts.Load = load
		return s
	}
	a := served("a", Fact{"load", "poisson:4"}, Fact{"slots", "8"})
	if got := Against(a, served("b", a.facts.Load...)).Mismatches; len(got) > 0 {
		t.Error(got)
	}
	got := strings.Join(Against(a, served("b", Fact{"load", "poisson:8"}, Fact{"slots", "16"})).Mismatches, "; ")
	if got != "load: poisson:4 against poisson:8; slots: 8 against 16" {
		t.Error(got)
	}
}

func TestFigures(t *testing.T) {
	c := Against(side("a", 1, nil), side("b", 2, func(i int, r *event.RequestEnergy) {
		r.EnergyJ *= 0.7
		r.EndNS = r.EndNS * 11 / 10
		r.Quality = 0.5
		if i == 0 {
			r.EnergyJ = math.NaN()
		}
	}))
	got := map[string]string{}
	for _, f := range c.Figures {
		got[f.Name] = f.Word()
	}
	want := map[string]string{
		"energy a query": verdict.Lower, "energy a token": verdict.Lower, "energy a token, read too": verdict.Lower, "latency": verdict.Higher, "EDP": verdict.Lower,
		"prefill": verdict.Unresolved, "after prefill": verdict.Unresolved, "quality": verdict.Unresolved,
	}
	for name, w := range want {
		if got[name] != w {
			t.Errorf("%s: %s, want %s", name, got[name], w)
		}
	}
	if _, told := got["TTFT"]; told || len(got) != len(want) {
		t.Errorf("figures %v", got)
	}
	if c.Unresolved != 1 || c.Queries != 30 {
		t.Errorf("%d queries, %d unresolved", c.Queries, c.Unresolved)
	}
	energy, latency, edp := c.Figures[0], c.Figures[3], c.Figures[4]
	if x := (1+energy.Mean)*(1+latency.Mean) - 1; math.Abs(x-edp.Mean) > 0.005 {
		t.Errorf("EDP %+.4f, energy times latency %+.4f", edp.Mean, x)
	}
	if s := c.Sentence(); !strings.HasPrefix(s, "b against a: 30.") && !strings.HasPrefix(s, "b against a: 29.") || !strings.Contains(s, "less energy a query, ") || !strings.HasSuffix(s, "slower") {
		t.Error(s)
	}
}

func TestSettings(t *testing.T) {
	for _, c := range []struct {
		policy string
		mhz    int
		want   string
	}{{"none", 0, "none"}, {"", 0, "none"}, {"fixed:1005", 1005, "fixed:1005"}, {"none", 1005, "fixed:1005"}, {"phase:1980/1005", 0, "phase:1980/1005"}} {
		if got := Setting(c.policy, c.mhz).String(); got != c.want {
			t.Errorf("%q %d: %q", c.policy, c.mhz, got)
		}
	}
	sides := []*Side{side("x", 1, nil)}
	for _, mhz := range []int{345, 1980} {
		sides = append(sides, side(fmt.Sprint(mhz), 1, func(_ int, r *event.RequestEnergy) { r.Policy, r.RequestedSMMHz = "none", mhz }))
	}
	slices.SortFunc(sides, func(a, b *Side) int { return b.Rank() - a.Rank() })
	if got := []string{sides[0].Name, sides[1].Name, sides[2].Name}; !slices.Equal(got, []string{"x", "1980", "345"}) {
		t.Error(got)
	}
}

// Of two settings of one session what one job ran under both is compared, the last that
// did, and nothing that ran beside it; of two sessions, all.
func TestWhatAJobRanOfBothIsCompared(t *testing.T) {
	row := func(policy, query string, repeat int, joules float64) *event.RequestEnergy {
		r := &event.RequestEnergy{Energy: event.Energy{EnergyJ: joules, Method: "buffer"}}
		r.Request = event.Request{Model: "m", Dataset: "d", QueryID: query, BatchSize: 1, Repeat: repeat, Policy: policy, EndNS: 1e9, OutputTokens: 5}
		return r
	}
	for _, of := range []any{"session", nil} {
		a, b := NewSide("none", of, Facts{}), NewSide("fixed:1005", of, Facts{})
		for q := range 20 { // another job's, at the driver's clock alone
			a.Add(1, row("none", fmt.Sprint(q), 1, 500), 1)
		}
		for job, joules := range map[int]float64{2: 50, 3: 30} {
			for q := range 8 {
				for repeat := range 3 {
					a.Add(job, row("none", fmt.Sprint(q), repeat+1, 100), 1)
					b.Add(job, row("fixed:1005", fmt.Sprint(q), repeat+1, joules), 1)
				}
			}
		}
		a.Point(1, &event.PointDone{PointResult: event.PointResult{ThrottledPct: 50}})
		c := Against(a, b)
		energy, _ := c.Figure(Energy)
		x, y := c.Repeats()
		if of != nil && (c.Job != 3 || c.Queries != 8 || len(c.Mismatches) > 0 || energy.A != 100 || energy.B != 30 || x != 3 || y != 3) {
			t.Errorf("one session: job %d, %d queries, %v, %d and %d repeats: %s", c.Job, c.Queries, c.Mismatches, x, y, energy.Difference)
		}
		if of == nil && (c.Job != 0 || !strings.Contains(strings.Join(c.Mismatches, "; "), "workload: 20 queries against 8")) {
			t.Errorf("two sessions: job %d, %v", c.Job, c.Mismatches)
		}
	}
}

// While both sides still run the queries that both have answered are compared; what is
// not the same but for that is told all the same.
func TestSoFar(t *testing.T) {
	fewer := side("b", 2, func(i int, r *event.RequestEnergy) { r.QueryID = fmt.Sprint(i + 10) })
	if c := SoFar(side("a", 1, nil), fewer); len(c.Mismatches) > 0 || c.Queries != 20 {
		t.Errorf("%d queries, %v", c.Queries, c.Mismatches)
	}
	other := side("b", 2, func(_ int, r *event.RequestEnergy) { r.PointBatchSize = 4 })
	if c := SoFar(side("a", 1, nil), other); len(c.Mismatches) == 0 {
		t.Error("two batch sizes are compared")
	}
}

// A sentence for a room has as many places as its interval allows, and no difference that
// is none.
func TestInShort(t *testing.T) {
	figure := func(name string, mean, half float64) Figure {
		return Figure{Name: name, Scale: 1, Difference: verdict.Difference{A: 1, B: 1 + mean, Mean: mean, Half: half, Queries: 8}}
	}
	for _, c := range []struct {
		energy, half, latency, halfLatency float64
		want                               string
	}{
		{-0.342, 0.021, 0.041, 0.0104, "34 ± 2 % less energy, 4 ± 1 % slower"},
		{-0.014, 0.013, 0.031, 0.015, "1.4 ± 1.3 % less energy, 3 ± 2 % slower"},
		{0.1234, 0.0044, -0.2, 0.00052, "12.3 ± 0.4 % more energy, 20.00 ± 0.05 % faster"},
		{-0.003, 0.02, 0.001, 0.02, "no difference resolved"},
		{-0.3, 0.02, 0.001, 0.02, "30 ± 2 % less energy, no difference in latency resolved"},
		{-0.001, 0.02, 0.1, 0.02, "no difference in energy resolved, 10 ± 2 % slower"},
		{-0.3, math.NaN(), 0.1, math.NaN(), "how sure a difference is is not known: it takes two queries"},
		{-0.3, 0.02, 0.1, math.NaN(), "30 ± 2 % less energy, latency unknown"},
	} {
		x := Comparison{Figures: []Figure{figure(Energy, c.energy, c.half), figure(Latency, c.latency, c.halfLatency)}}
		if got := x.InShort(); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
	if got := (Comparison{}).InShort(); got != "nothing known of both" {
		t.Error(got)
	}
	if number, half := figure(Energy, -0.0004, 0.01).Rounded(); number != "0" || half != "1" {
		t.Errorf("%q ± %q", number, half)
	}
}

// A request whose clock was changed under it is of no setting that is one for all phases.
func TestClocksChangedUnderway(t *testing.T) {
	s := side("a", 1, func(_ int, r *event.RequestEnergy) { r.MixedClock = true })
	if s.Rows() != 0 {
		t.Errorf("%d rows at the driver's clock, whose clock changed", s.Rows())
	}
	s = side("a", 1, func(_ int, r *event.RequestEnergy) { r.MixedClock, r.Policy = true, "phase:1980/1005" })
	if s.Rows() != 30 {
		t.Errorf("%d rows of a policy that changes it", s.Rows())
	}
}

// A repeat's energy goes with its own latency: where what draws more takes less time, as
// much, the product does not differ from repeat to repeat.
func TestProductPairsEachRepeatWithItself(t *testing.T) {
	repeated := func(name string) *Side {
		s := NewSide(name, nil, facts())
		for repeat, by := range []float64{1.1, 0.8, 1, 1.25} {
			for i := range 10 {
				r := &event.RequestEnergy{Energy: event.Energy{EnergyJ: 40 * by, Method: "buffer"}}
				r.Request = event.Request{
					GPU: "0:GPU-1", Model: "m", Dataset: "d", QueryID: fmt.Sprint(i), BatchSize: 1, Repeat: repeat + 1, Policy: "none",
					EndNS: int64(1e9 / by), InputTokens: 100, OutputTokens: 50, PrefillS: math.NaN(), DecodeS: math.NaN(), TTFTS: math.NaN(), Quality: math.NaN(),
				}
				s.Add(0, r, 1)
			}
		}
		return s
	}
	c := Against(repeated("a"), repeated("b"))
	energy, _ := c.Figure(Energy)
	edp, ok := c.Figure(EDP)
	if !ok || energy.Half < 0.1 || edp.Half > 0.02 {
		t.Errorf("energy ± %.3f, EDP ± %.3f: energies scatter, products do not", energy.Half, edp.Half)
	}
	if edp.RunsA != 4 || edp.RunsB != 4 {
		t.Errorf("%d and %d repeats", edp.RunsA, edp.RunsB)
	}
}

// Sessions whose rows do not number their repeats are each a repeat all the same.
func TestJoinCountsRepeatsWithoutNumbers(t *testing.T) {
	unnumbered := func(_ int, r *event.RequestEnergy) { r.Repeat = -1 }
	a := Join("a", []*Side{side("1", 1, unnumbered), side("2", 2, unnumbered), side("3", 3, nil)})
	if n, _ := Against(a, side("b", 4, nil)).Repeats(); n != 3 {
		t.Errorf("%d repeats of three sessions", n)
	}
}
