// Package bench runs what llama-bench and llama-batched-bench run, through the
// engine that every job goes through, and says beside the tokens a second what
// they cost in joules.
//
// A [Test] is a prefill of so many random tokens, a generation from an empty
// context, or for batches both after each other. [Points] makes a plan's points
// of tests; a [Collector] on the engine's stream turns what they came to into
// [Row]s.
package bench

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"gonum.org/v1/gonum/stat"

	"jouletop/engine"
	"jouletop/engine/event"
	"jouletop/engine/usage"
	"jouletop/workloads"
)

// Test is one line of a bench: Prompt tokens read, or Generate tokens written, or
// both, by each of Batch sequences.
type Test struct {
	Prompt, Generate, Batch int
}

// maxTokens is the longest prompt, or text to generate, of a test.
const maxTokens = 1 << 20

// Tests lists, for each batch size, what llama-bench runs for 1 (each prompt
// length, then each generation alone) and llama-batched-bench for more (every
// prompt with every generation); a length of 0 asks for none. It is bad usage to ask
// for none at all.
func Tests(prompts, generate, batches []int) ([]Test, error) {
	for _, list := range []struct {
		flag    string
		lengths []int
	}{{"--prompt", prompts}, {"--generate", generate}} {
		for _, n := range list.lengths {
			if n < 0 || n > maxTokens {
				return nil, usage.Errorf("%s %d: want 0 to %d", list.flag, n, maxTokens)
			}
		}
	}
	var out []Test
	add := func(prompt, generate, batch int) {
		t := Test{prompt, generate, batch}
		if (prompt > 0 || generate > 0) && !slices.Contains(out, t) {
			out = append(out, t)
		}
	}
	for _, b := range batches {
		if b > 1 {
			for _, p := range prompts {
				for _, g := range generate {
					add(p, g, b)
				}
			}
			continue
		}
		for _, p := range prompts {
			add(p, 0, 1)
		}
		for _, g := range generate {
			add(0, g, 1)
		}
	}
	if len(out) == 0 {
		return nil, usage.Errorf("bench: neither a prompt to read nor tokens to generate")
	}
	return out, nil
}

// Name is how llama-bench names a test: "pp512", "tg128"; "pp512+tg128 b8" is of
// both, for a batch.
func (t Test) Name() string {
	var parts []string
	if t.Prompt > 0 {
		parts = append(parts, fmt.Sprintf("pp%d", t.Prompt))
	}
	if t.Generate > 0 {
		parts = append(parts, fmt.Sprintf("tg%d", t.Generate))
	}
	name := strings.Join(parts, "+")
	if t.Batch > 1 {
		name += fmt.Sprintf(" b%d", t.Batch)
	}
	return name
}

// settle is how long each test is repeated before it counts.
const settle = 300 * time.Millisecond

// Points makes a point of each test for a model, run reps times.
func Points(gpu string, spec engine.ModelSpec, tests []Test, reps int) []engine.PointPlan {
	var out []engine.PointPlan
	for _, t := range tests {
		p := engine.PointPlan{
			Point: event.Point{
				GPU: gpu, Model: spec.Name, Dataset: strings.ReplaceAll(t.Name(), " ", "."), BatchSize: t.Batch, Policy: "none",
				Repeat: 1, Queries: reps * t.Batch,
			},
			Spec: spec, Settle: settle,
			// A prefill yields the first token, and a generation is read from one.
			RandomTokens: max(t.Prompt, 1), MaxTokens: t.Generate + 1,
		}
		p.PointID = spec.Name + "." + p.Dataset
		p.Spec.MaxBatch, p.Spec.MaxTokens = 0, 0
		for i := range reps * t.Batch {
			p.Queries = append(p.Queries, workloads.Query{ID: fmt.Sprintf("random-%d", i+1), Dataset: p.Dataset})
		}
		out = append(out, p)
	}
	return out
}

// Row is a line of the table. What is unknown is NaN.
type Row struct {
	Model      string    `json:"model"`
	Test       string    `json:"test"`  // pp512, tg128
	Batch      int       `json:"batch"` // sequences
	Reps       int       `json:"reps"`
	TokensPerS float64   `json:"tokens_per_s"` // mean over reps
	TokensDev  float64   `json:"tokens_per_s_dev"`
	JPerToken  float64   `json:"joules_per_token"`
	JPerTokErr float64   `json:"joules_per_token_err"` // half-width of a 95 % interval
	Watts      float64   `json:"watts"`
	WattsErr   float64   `json:"watts_err"`
	Samples    []float64 `json:"samples"` // t/s of each rep, in order
	Flags      string    `json:"flags,omitempty"`
	Err        string    `json:"error,omitempty"`
	energyOf   float64   // J, over the seconds
	energyErr  float64
	seconds    float64
	tokens     float64
}

// Collector makes rows of what it observes of a run of Points.
type Collector struct {
	tests  map[string]Test
	phases map[string]map[event.Phase]*Row
	rows   []Row
}

// NewCollector collects the results of points, made of tests in this order, once
// a model.
func NewCollector(points []engine.PointPlan, tests []Test) *Collector {
	c := &Collector{tests: map[string]Test{}, phases: map[string]map[event.Phase]*Row{}}
	for i, p := range points {
		c.tests[p.PointID] = tests[i%len(tests)]
		c.phases[p.PointID] = map[event.Phase]*Row{}
	}
	return c
}

// Rows returns the lines so far.
func (c *Collector) Rows() []Row { return c.rows }

// Observe takes an event of the engine's stream; it publishes none.
func (c *Collector) Observe(e event.Event) []event.Event {
	switch e := e.(type) {
	case event.PhaseEnergy:
		phases, ok := c.phases[e.PointID]
		if !ok || e.Tokens == 0 {
			break
		}
		r := phases[e.Phase]
		if r == nil {
			r = &Row{}
			phases[e.Phase] = r
		}
		s := float64(e.EndNS-e.StartNS) / 1e9
		r.Samples = append(r.Samples, float64(e.Tokens)/s)
		r.tokens += float64(e.Tokens)
		r.seconds += s
		r.energyOf += e.EnergyJ // NaN where unresolved, and so is the sum
		r.energyErr += e.EnergyErrJ
	case event.PointDone:
		if t, ok := c.tests[e.PointID]; ok {
			c.point(t, e)
		}
	}
	return nil
}

// point adds a test's lines.
func (c *Collector) point(t Test, p event.PointDone) {
	phases := c.phases[p.PointID]
	add := func(phase event.Phase, name string, alone bool) {
		r := phases[phase]
		if r == nil {
			r = &Row{energyOf: math.NaN(), energyErr: math.NaN()}
		}
		r.Model, r.Test, r.Batch, r.Reps = p.Model, name, t.Batch, len(r.Samples)
		r.Flags, r.Err = string(p.Flags), p.PointResult.Err
		r.TokensPerS, r.TokensDev = stat.MeanStdDev(r.Samples, nil)
		joules, errJ, seconds, tokens := r.energyOf, r.energyErr, r.seconds, r.tokens
		if alone {
			// The point is nothing else, and its energy is better known than that of
			// short phases. Its tokens are those of every step.
			joules, errJ = p.EnergyJ*float64(p.Queries), p.EnergyErrJ*float64(p.Queries)
			seconds = joules / p.MeanPowerW
			if tokens = p.InputTokens * float64(p.Queries); phase == event.Decode {
				tokens = p.OutputTokens * float64(p.Queries)
			}
		}
		r.JPerToken, r.JPerTokErr = joules/tokens, errJ/tokens
		r.Watts, r.WattsErr = joules/seconds, errJ/seconds
		if math.IsNaN(joules) {
			r.JPerTokErr, r.WattsErr = math.NaN(), math.NaN()
		}
		c.rows = append(c.rows, *r)
	}
	batch := ""
	if t.Batch > 1 {
		batch = fmt.Sprintf(" b%d", t.Batch)
	}
	if t.Prompt > 0 {
		add(event.Prefill, fmt.Sprintf("pp%d%s", t.Prompt, batch), t.Generate == 0)
	}
	if t.Generate > 0 {
		add(event.Decode, fmt.Sprintf("tg%d%s", t.Generate, batch), t.Prompt == 0)
	}
}
