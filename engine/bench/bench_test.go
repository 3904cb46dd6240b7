package bench

import (
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"jouletop/engine"
	"jouletop/engine/event"
)

func TestTests(t *testing.T) {
	got, err := Tests([]int{512, 2048}, []int{128}, []int{1, 8})
	if err != nil {
		t.Fatal(err)
	}
	want := []Test{{512, 0, 1}, {2048, 0, 1}, {0, 128, 1}, {512, 128, 8}, {2048, 128, 8}}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	points := Points("g", engine.ModelSpec{Name: "m"}, got, 3)
	for i, c := range []struct {
		id                        string
		random, tokens, questions int
	}{
		{"m.pp512", 512, 1, 3}, {"m.pp2048", 2048, 1, 3}, {"m.tg128", 1, 129, 3},
		{"m.pp512+tg128.b8", 512, 129, 24}, {"m.pp2048+tg128.b8", 2048, 129, 24},
	} {
		p := points[i]
		if p.PointID != c.id || p.RandomTokens != c.random || p.MaxTokens != c.tokens || len(p.Queries) != c.questions || p.Settle <= 0 {
			t.Errorf("point %+v, want %+v", p.Point, c)
		}
	}
}

func TestTestsRefuseNonsense(t *testing.T) {
	for _, c := range [][2][]int{{{-1}, {128}}, {{512}, {1<<20 + 1}}, {{0}, {0}}, {nil, nil}} {
		if got, err := Tests(c[0], c[1], []int{1, 8}); err == nil {
			t.Errorf("prompts %v, generations %v: %v", c[0], c[1], got)
		}
	}
}

// phase is a phase of a batch of point, tokens in seconds, with its joules.
func phase(point string, p event.Phase, tokens int, seconds, joules float64) event.PhaseEnergy {
	return event.PhaseEnergy{
		PhaseSpan: event.PhaseSpan{BatchID: "b1", PointID: point, Phase: p, StartNS: 1e9, EndNS: 1e9 + int64(seconds*1e9), Tokens: tokens},
		Energy:    event.Energy{EnergyJ: joules, EnergyErrJ: joules / 10},
	}
}

func TestCollector(t *testing.T) {
	tests, err := Tests([]int{100}, []int{10}, []int{1, 2})
	if err != nil {
		t.Fatal(err)
	}
	points := Points("g", engine.ModelSpec{Name: "m"}, tests, 2)
	c := NewCollector(points, tests)
	done := func(id string, queries int, input, output, energy, watts float64) {
		d := event.PointDone{Point: event.Point{PointID: id, Model: "m", Queries: queries}}
		d.InputTokens, d.OutputTokens, d.EnergyJ, d.EnergyErrJ, d.MeanPowerW = input, output, energy, energy/20, watts
		c.Observe(d)
	}
	// A prefill alone: its short phases are not resolved, its point is.
	c.Observe(phase("m.pp100", event.Prefill, 100, 0.1, math.NaN()))
	c.Observe(phase("m.pp100", event.Prefill, 100, 0.2, math.NaN()))
	done("m.pp100", 2, 100, 1, 50, 200)
	c.Observe(phase("m.tg10", event.Prefill, 1, 0.01, math.NaN()))
	c.Observe(phase("m.tg10", event.Decode, 10, 0.1, 10))
	done("m.tg10", 2, 1, 11, 11, 100)
	// Both: by phase.
	c.Observe(phase("m.pp100+tg10.b2", event.Prefill, 200, 0.1, 20))
	c.Observe(phase("m.pp100+tg10.b2", event.Decode, 20, 0.2, 40))
	c.Observe(phase("somebody else's", event.Decode, 20, 0.2, 40))
	done("m.pp100+tg10.b2", 4, 100, 11, 15, 150)
	var got []string
	var text strings.Builder
	for _, r := range c.Rows() {
		got = append(got, r.Test)
	}
	if d := cmp.Diff([]string{"pp100", "tg10", "pp100 b2", "tg10 b2"}, got); d != "" {
		t.Fatal(d)
	}
	near := func(name string, got, want float64) {
		if math.Abs(got-want) > 1e-9*math.Abs(want) {
			t.Errorf("%s: %g, want %g", name, got, want)
		}
	}
	rows := c.Rows()
	near("pp t/s", rows[0].TokensPerS, 750)
	near("pp deviation", rows[0].TokensDev, 250*math.Sqrt2)
	near("pp J/token", rows[0].JPerToken, 0.5)
	near("pp J/token error", rows[0].JPerTokErr, 0.025)
	near("pp W", rows[0].Watts, 200)
	near("tg t/s", rows[1].TokensPerS, 100)
	near("tg J/token", rows[1].JPerToken, 1) // of every step, the first too
	near("b2 pp J/token", rows[2].JPerToken, 0.1)
	near("b2 tg J/token", rows[3].JPerToken, 2)
	near("b2 tg W", rows[3].Watts, 200)
	near("b2 tg W error", rows[3].WattsErr, 20)

	rows[3].JPerToken, rows[3].Watts = math.NaN(), math.NaN()
	infos := map[string]engine.ModelInfo{"m": {Quantisation: "F16", SizeBytes: 1 << 30, Parameters: 5e8, Devices: []string{"CUDA0"}}}
	if err := WriteTable(&text, rows, infos, true); err != nil {
		t.Fatal(err)
	}
	want := `| model |     size | params | device |     test |             t/s |         J/token |              W |
| ----- | -------: | -----: | ------ | -------: | --------------: | --------------: | -------------: |
| m F16 | 1.00 GiB | 0.50 B | CUDA0  |    pp100 | 750.00 ± 353.55 | 0.5000 ± 0.0250 | 200.00 ± 10.00 |
| m F16 | 1.00 GiB | 0.50 B | CUDA0  |     tg10 |          100.00 |   1.000 ± 0.050 |  100.00 ± 5.00 |
| m F16 | 1.00 GiB | 0.50 B | CUDA0  | pp100 b2 |         2000.00 | 0.1000 ± 0.0100 | 200.00 ± 20.00 |
| m F16 | 1.00 GiB | 0.50 B | CUDA0  |  tg10 b2 |          100.00 |      unresolved |     unresolved |
`
	if d := cmp.Diff(want, text.String()); d != "" {
		t.Error(d)
	}
	text.Reset()
	if err := WriteTable(&text, rows, infos, false); err != nil || strings.Contains(text.String(), "J/token") {
		t.Errorf("joules that mean nothing are shown: %v\n%s", err, text.String())
	}
}
