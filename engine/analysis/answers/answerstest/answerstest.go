// Package answerstest records small sessions for the tests of what reads them.
package answerstest

import (
	"fmt"
	"math"
	"path/filepath"
	"strings"
	"testing"

	"jouletop/engine/event"
	"jouletop/engine/session"
	"jouletop/workloads"
	"jouletop/workloads/features"
)

// Ran is a request to put into a session.
type Ran struct {
	Point                       string // its id, a name and no more
	Batch                       int    // the point's batch size, 1 where 0
	Routed                      bool
	Model, Query, Policy, Class string
	Joules, Seconds, Quality    float64
}

// Record writes a session of requests of the dataset d on a simulated GPU.
func Record(t testing.TB, m session.Manifest, rows []Ran) *session.Session {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "s")
	m.Simulated, m.Backend = true, "sim"
	rec, err := session.Create(dir, m, session.None)
	if err != nil {
		t.Fatal(err)
	}
	for i, r := range rows {
		rec.Record(event.RequestEnergy{
			Request: event.Request{
				RequestID: fmt.Sprintf("%s/b%d.0", r.Point, i), BatchID: fmt.Sprintf("%s/b%d", r.Point, i), PointID: r.Point,
				GPU: "sim:x", Model: r.Model, Dataset: "d", QueryID: r.Query, Class: r.Class, BatchSize: 1,
				PointBatchSize: max(r.Batch, 1), Routed: r.Routed, Policy: r.Policy,
				EndNS: int64(r.Seconds * 1e9), Quality: r.Quality, OutputTokens: 10, TTFTS: math.NaN(),
			},
			Energy: event.Energy{EnergyJ: r.Joules},
		})
	}
	if err := rec.Close(); err != nil {
		t.Fatal(err)
	}
	s, err := session.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// Grid is two models and two queries at the given policies, with energies of
// 100 J for the large model and 10 J for the small one, halved below 2000 MHz.
func Grid(batch int, policies ...string) []Ran {
	var out []Ran
	for _, m := range []struct {
		name   string
		joules float64
	}{{"a-1b", 10}, {"b-32b", 100}} {
		for _, p := range policies {
			for _, q := range []string{"q1", "q2"} {
				r := Ran{Point: fmt.Sprint(m.name, "-", batch), Batch: batch, Model: m.name, Query: q, Policy: p, Joules: m.joules, Seconds: 1, Quality: 1}
				if p != "fixed:2000" {
					r.Joules /= 2
				}
				out = append(out, r)
			}
		}
	}
	return out
}

// Planted is a workload whose answers are planted: of every ten queries of a
// dataset five succeed on every size (entity density 0.1), two from 8B on (0.15,
// causal), two on none (0.4, causal), and one on the 3B model alone.
func Planted() ([]workloads.Query, []features.Features, []Ran) {
	var queries []workloads.Query
	var of []features.Features
	var rows []Ran
	models := []struct {
		name   string
		joules float64
	}{{"llama-3.2-3b", 4}, {"llama-3.1-8b", 8}, {"qwen2.5-14b", 16}, {"qwen2.5-32b", 32}}
	for _, style := range []workloads.Style{workloads.BoolQ, workloads.TruthfulQA} {
		for i := range 30 {
			q := workloads.Query{Dataset: "d", Style: style, ID: fmt.Sprintf("%s-%d", style, i), Prompt: "Q: " + strings.Repeat("Word ", 5+i)}
			f := features.Features{Words: 5 + i, Tokens: 6 + i, TokenEntropyBits: 2 + 0.1*float64(i%7), EntityDensity: 0.1, ReasoningComplexity: 0.01 * float64(i%5), ComplexityScore: 0.5}
			from := 0 // the first model that succeeds
			switch k := i % 10; {
			case k == 9:
				from = -1
			case k >= 7:
				from, f.EntityDensity, f.CausalScore = len(models), 0.4, 0.5
			case k >= 5:
				from, f.EntityDensity, f.CausalScore = 1, 0.15, 0.2
			}
			f.Class = features.StudyRule.Classify(f)
			q.Dataset = string(style)
			queries, of = append(queries, q), append(of, f)
			for m, model := range models {
				quality := 0.0
				if from >= 0 && m >= from || from < 0 && m == 0 {
					quality = 1
				}
				for _, clock := range []string{"fixed:2842", "fixed:180"} {
					r := Ran{
						Point: model.name + "." + q.Dataset, Batch: 8, Model: model.name, Query: q.ID, Policy: clock, Class: string(f.Class),
						Joules: model.joules, Seconds: 0.1 * model.joules, Quality: quality,
					}
					if clock == "fixed:180" {
						r.Joules /= 2
					}
					rows = append(rows, r)
				}
			}
		}
	}
	return queries, of, rows
}

// PlantedSession are the planted queries under the session's name for them, and the
// session that answered them.
func PlantedSession(t testing.TB) ([]workloads.Query, []features.Features, *session.Session) {
	t.Helper()
	queries, of, rows := Planted()
	// record's dataset is d: the ids tell the styles apart.
	for i := range queries {
		queries[i].Dataset = "d"
	}
	return queries, of, Record(t, session.Manifest{}, rows)
}
