package compare

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"jouletop/engine"
	"jouletop/engine/analysis/verdict"
	"jouletop/engine/event"
	"jouletop/engine/session"
	"jouletop/gpu"
)

func manifest() *session.Manifest {
	return &session.Manifest{
		Backend:  "llama",
		GPUs:     []session.GPU{{ID: "0:GPU-1", Info: gpu.Info{Name: "H100", PowerLimitW: 700}}},
		Models:   []engine.ModelInfo{{Name: "m", SHA256: "aa", Quantisation: "F16", Devices: []string{"CUDA0"}}},
		Datasets: []session.Dataset{{Name: "d", SHA256: "bb"}},
	}
}

// side makes a side of 30 queries with some scatter, changed by f.
func side(name string, seed uint64, f func(i int, r *event.RequestEnergy)) *Side {
	rnd := rand.New(rand.NewPCG(seed, 1))
	s := newSide(name, manifest())
	for i := range 30 {
		r := &event.RequestEnergy{Energy: event.Energy{EnergyJ: (40 + float64(i)) * (1 + 0.02*rnd.NormFloat64()), Method: "buffer"}}
		r.Request = event.Request{
			GPU: "0:GPU-1", Model: "m", Dataset: "d", QueryID: fmt.Sprint(i), BatchSize: 1, Repeat: 1, Policy: "none",
			EndNS: int64(1e9 * (1 + 0.01*rnd.NormFloat64())), InputTokens: 100, OutputTokens: 50, PrefillS: 0.1, DecodeS: 0.9, TTFTS: math.NaN(), Quality: 0.5,
		}
		if f != nil {
			f(i, r)
		}
		s.add(r, max(r.PointBatchSize, r.BatchSize))
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
		{what: "model file", change: func(s *Side) { s.manifest.Models[0].SHA256 = "cc" }, want: "model: m F16 aa on CUDA0 against m F16 cc on CUDA0"},
		{what: "layers elsewhere", change: func(s *Side) { s.manifest.Models[0].Devices = []string{"CPU"} }, want: "model: "},
		{what: "dataset file", change: func(s *Side) { s.manifest.Datasets[0].SHA256 = "cc" }, want: "dataset: d bb against d cc"},
		{what: "batch", row: func(_ int, r *event.RequestEnergy) { r.PointBatchSize = 4 }, want: "batch size: 1 against 4"},
		{what: "queries", row: func(i int, r *event.RequestEnergy) { r.QueryID = fmt.Sprint(i + 10) }, want: "workload: 30 queries against 30, of which 20 are the same"},
		{what: "output", row: func(_ int, r *event.RequestEnergy) { r.OutputTokens = 49 }, want: "tokens: 1500 output tokens against 1470"},
		{what: "input", row: func(_ int, r *event.RequestEnergy) { r.InputTokens = 120 }, want: "tokens: 3000 input tokens against 3600"},
		{what: "card", change: func(s *Side) { s.manifest.GPUs[0].Name = "H200" }, want: "device: H100 0:GPU-1 700 W against H200"},
		{what: "power limit", change: func(s *Side) { s.manifest.GPUs[0].PowerLimitW = 500 }, want: "device: "},
		{what: "simulated", change: func(s *Side) { s.manifest.Simulated = true }, want: "measured or not: measured against simulated"},
		{what: "backend", change: func(s *Side) { s.manifest.Backend = "remote" }, want: "backend: llama against remote"},
		{what: "sensor", row: func(_ int, r *event.RequestEnergy) { r.Method = "counter" }, want: "sensor: buffer against counter"},
		{what: "throttled", change: func(s *Side) { s.throttle = 12 }, want: "throttling: "},
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
		err := Against(side("a", 1, nil), b).Err()
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v, want %q", c.what, err, c.want)
		}
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

// Halves of recordings of equal requests on H100s are the same work on the same card:
// they are called different in one of twenty cases at most.
func TestHalvesOfRecordingsAreEqual(t *testing.T) {
	const folder = "../../../../shared/data/h100/sessions"
	if _, err := os.Stat(folder); err != nil {
		t.Skip(err)
	}
	dirs, err := filepath.Glob(filepath.Join(folder, "*"))
	if err != nil || len(dirs) == 0 {
		t.Fatal(dirs, err)
	}
	trials, different := 0, map[string]int{}
	rnd := rand.New(rand.NewPCG(3, 4))
	for _, dir := range dirs {
		if strings.HasSuffix(dir, "mix") { // whose requests are not equal
			continue
		}
		s, err := session.OpenForeign(dir)
		if err != nil {
			t.Fatal(err)
		}
		points := map[string]map[string][]event.RequestEnergy{} // by batch
		var order []string
		if err := s.Requests(func(r *event.RequestEnergy) error {
			if points[r.PointID] == nil {
				points[r.PointID] = map[string][]event.RequestEnergy{}
			}
			if points[r.PointID][r.BatchID] == nil {
				order = append(order, r.BatchID)
			}
			points[r.PointID][r.BatchID] = append(points[r.PointID][r.BatchID], *r)
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		for id, batches := range points {
			var ids []string
			for _, b := range order {
				if batches[b] != nil {
					ids = append(ids, b)
				}
			}
			if len(ids) < 8 {
				continue
			}
			// One after the other, in turns of so many batches, and at random.
			for _, turn := range []int{len(ids) / 2, 1, 2, 4, len(ids) / 4, 0, 0, 0, 0} {
				if turn == 0 {
					turn = 1 + rnd.IntN(len(ids)/2)
				}
				a, b := newSide("a", s.Manifest), newSide("b", s.Manifest)
				n := map[*Side]int{}
				for i, batch := range ids {
					to := a
					if i/turn%2 == 1 {
						to = b
					}
					for k, r := range batches[batch] {
						r.QueryID = fmt.Sprintf("%d.%d", n[to], k) // equal work: the i-th of one is the i-th of the other
						to.add(&r, r.BatchSize)
					}
					n[to]++
				}
				trials++
				for _, f := range Against(a, b).Figures {
					if f.Name != "energy a query" && f.Name != "latency" {
						continue
					}
					if f.Resolved() {
						different[f.Name]++
						t.Logf("%s in turns of %d: %s %s", id, turn, f.Name, f.Difference)
					}
				}
			}
		}
	}
	t.Logf("%d pairs of halves, called different: %v", trials, different)
	if trials < 50 {
		t.Fatalf("%d trials", trials)
	}
	for name, n := range different {
		if float64(n) > 0.05*float64(trials) {
			t.Errorf("%s: %d of %d pairs of halves called different", name, n, trials)
		}
	}
}

func TestSettings(t *testing.T) {
	for _, c := range []struct {
		policy string
		mhz    int
		want   string
	}{{"none", 0, "none"}, {"", 0, "none"}, {"fixed:1005", 1005, "fixed:1005"}, {"none", 1005, "fixed:1005"}, {"phase:1980/1005", 0, "phase:1980/1005"}} {
		if got := Setting(c.policy, c.mhz); got != c.want {
			t.Errorf("%q %d: %q", c.policy, c.mhz, got)
		}
	}
	sides := []*Side{side("x", 1, nil)}
	for _, mhz := range []int{345, 1980} {
		sides = append(sides, side(fmt.Sprint(mhz), 1, func(_ int, r *event.RequestEnergy) { r.Policy, r.RequestedSMMHz = "none", mhz }))
	}
	slices.SortFunc(sides, func(a, b *Side) int { return b.rank() - a.rank() })
	if got := names(sides); !slices.Equal(got, []string{"x", "1980", "345"}) {
		t.Error(got)
	}
}
