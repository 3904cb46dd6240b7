package synth

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"

	"jouletop/engine/command"
	"jouletop/engine/event"
	"jouletop/tui/state"
)

var prompts = []string{
	"Passage: The river rises in the northern hills and reaches the sea after 310 km.\nQuestion: does the river reach the sea?\nAnswer:",
	"Q: Why does a metal spoon feel colder than a wooden one at the same temperature?\nA:",
	"She folds the letter, puts it into the envelope and",
	"Summary: Two brothers inherit a lighthouse and disagree about its lamp.\nQuestion: what do the brothers inherit?\nAnswer:",
}

var words = strings.Fields("the lamp was kept by two keepers who took turns through the winter nights because oil was dear and " +
	"each of them believed that a steady light mattered more than a bright one, so they trimmed the wick early and wrote every ship that passed into a book")

// word returns the n-th word of an endless answer.
func word(n int) string {
	w := words[n%len(words)] + " "
	if n%61 == 60 {
		w += "\n"
	}
	return w
}

// Sweep returns the jobs of a sweep, in a fixed mixed order.
func Sweep(models []string, clocks []int, batches []int, repeats, queries int) []Job {
	var jobs []Job
	for rep := 1; rep <= repeats; rep++ {
		for _, model := range models {
			for _, b := range batches {
				for _, mhz := range clocks {
					jobs = append(jobs, Job{Point: event.Point{
						PointID: fmt.Sprintf("p%03d", len(jobs)+1), GPU: ID, Model: model, Dataset: "boolq", BatchSize: b,
						Policy: fmt.Sprintf("fixed:%d", mhz), RequestedSMMHz: mhz, Repeat: rep, Queries: queries,
					}, MaxTokens: 24, Prefill: mhz, Decode: mhz})
				}
			}
		}
	}
	return jobs
}

// Analyse marks the least EDP, the least energy, and as the cliff the lowest
// clock whose energy is within 3 % of the least: enough for a picture.
func Analyse(points []state.CurvePoint) state.CurveMarks {
	var m state.CurveMarks
	edp, energy := math.Inf(1), math.Inf(1)
	for _, p := range points {
		if p.EDPJS < edp {
			edp, m.EDPMHz = p.EDPJS, p.SMMHz
		}
		if p.JoulesPerToken < energy {
			energy, m.EnergyMHz = p.JoulesPerToken, p.SMMHz
		}
	}
	for _, p := range points {
		if p.JoulesPerToken < energy*1.03 {
			m.CliffMHz = max(m.CliffMHz, p.SMMHz)
		}
	}
	return m
}

// Workload makes up queries with features.
func Workload() command.Workload {
	rng := rand.New(rand.NewPCG(3, 9))
	w := command.Workload{Features: []command.Feature{
		{Name: "length", Unit: "tokens"}, {Name: "entropy", Unit: "bits"}, {Name: "entity density"}, {Name: "causal score"},
		{Name: "reasoning markers"}, {Name: "mean word length", Unit: "letters"}, {Name: "quality"},
	}}
	for i, d := range []struct {
		name   string
		length float64
	}{{"boolq", 112}, {"hellaswag", 92}, {"truthfulqa", 14}, {"narrativeqa", 640}} {
		for n := range 50 {
			entity, causal := math.Abs(rng.NormFloat64()*0.09+0.12), math.Abs(rng.NormFloat64()*0.05)
			class := "hard"
			if entity < 0.20 && causal < 0.05 {
				class = "easy"
			}
			if d.name == "hellaswag" && n%5 == 0 {
				class = ""
			}
			w.Queries = append(w.Queries, command.WorkloadQuery{
				Dataset: d.name, ID: fmt.Sprintf("%s-%03d", d.name, n), Class: class, Text: prompts[i],
				Values: []float64{
					max(d.length*(0.6+0.8*rng.Float64()), 4), 5 + 2.4*rng.Float64(), entity, causal,
					float64(rng.IntN(4)), 4 + rng.Float64(), 0.2 + 0.6*rng.Float64(),
				},
			})
		}
	}
	return w
}
