package simllm

import (
	"context"
	"fmt"
	"math"
	"testing"

	"jouletop/engine"
	"jouletop/engine/event"
	"jouletop/gpu/simgpu"
	"jouletop/gpu/timebase"
)

// residual compares one quantity that the simulation was fitted to with what
// the simulation does.
type residual struct {
	Model    string // "mean": over all models
	Batch    int
	Quantity string // with its unit
	Want     float64
	Got      float64
	Diff     float64 // got less want; in % of it where the limit is
	Limit    float64 // of the difference's size
	Unit     string  // of Diff and Limit: "%" or "points"
}

// OK tells whether the difference is within its limit.
func (r residual) OK() bool { return math.Abs(r.Diff) <= r.Limit }

// residuals runs the simulation of a profile without jitter and compares it
// with what it was fitted to: for h100 the steady blocks of h100Blocks (power
// and tokens/s within 10 % each); for rtx-pro-6000 the study's Table XI on a
// workload of its four datasets' mean lengths, a batch of each (each row within
// 6 points, the mean over the models within 3). The error names a profile that
// is unknown.
func residuals(profile string) ([]residual, error) {
	switch profile {
	case "h100":
		return h100Residuals()
	case "rtx-pro-6000":
		return studyResiduals()
	}
	_, err := simgpu.ProfileByName(profile)
	if err == nil {
		err = fmt.Errorf("nothing was measured for the profile %s", profile)
	}
	return nil, err
}

// block is the mean of a steady block: one phase repeated back to back with
// prompts of 340 tokens.
type block struct {
	model      string
	phase      event.Phase
	batch      int
	tokensPerS float64
	watts      float64 // by the energy counter
}

// h100Blocks were measured on an H100 80GB HBM3 (driver 580, default clocks,
// llama.cpp CUDA, F16, random weights at the models' shapes), 4 s each.
var h100Blocks = []block{
	{"llama-3.2-1b", event.Prefill, 1, 46932.3, 377.5},
	{"llama-3.2-1b", event.Decode, 1, 660.4, 473.6},
	{"llama-3.2-1b", event.Prefill, 8, 73886.9, 448.2},
	{"llama-3.2-1b", event.Decode, 8, 2649.7, 323.0},
	{"llama-3.2-3b", event.Prefill, 1, 24189.9, 464.2},
	{"llama-3.2-3b", event.Decode, 1, 289.6, 523.8},
	{"llama-3.2-3b", event.Prefill, 8, 36466.7, 558.0},
	{"llama-3.2-3b", event.Decode, 8, 1380.4, 403.6},
	{"llama-3.1-8b", event.Prefill, 1, 14935.4, 616.6},
	{"llama-3.1-8b", event.Decode, 1, 161.5, 601.0},
	{"llama-3.1-8b", event.Prefill, 8, 21700.5, 652.2},
	{"llama-3.1-8b", event.Decode, 8, 839.7, 453.6},
}

func h100Residuals() ([]residual, error) {
	const prompt, output = 340, 100
	var list []residual
	for _, b := range h100Blocks {
		// The block's GPU had been busy for a while.
		rig, err := newRig("h100", b.model)
		if err != nil {
			return nil, err
		}
		w := rig.backend.cost.decode(output, b.batch, b.batch*prompt)
		tokens := b.batch * output
		if b.phase == event.Prefill {
			prompts := make([]int, b.batch)
			for i := range prompts {
				prompts[i] = prompt
			}
			w, tokens = rig.backend.cost.prefill(prompts, false), b.batch*prompt
		}
		const warm, steady = 20, 4 // s
		if _, err := rig.repeat(w, warm); err != nil {
			return nil, err
		}
		start := rig.clk.Now()
		n, err := rig.repeat(w, steady)
		if err != nil {
			return nil, err
		}
		end := rig.clk.Now()
		s := float64(end-start) / 1e9
		rel := func(quantity string, want, got float64) {
			list = append(list, residual{
				Model: b.model, Batch: b.batch, Quantity: string(b.phase) + " " + quantity,
				Want: want, Got: got, Diff: 100 * (got/want - 1), Limit: 10, Unit: "%",
			})
		}
		rel("tokens/s", b.tokensPerS, float64(n*tokens)/s)
		rel("power W", b.watts, rig.gpu.TrueEnergyJ(start, end)/s)
	}
	return list, nil
}

// rig is a simulated model on a simulated GPU without jitter, with truth.
type rig struct {
	clk     timebase.Clock
	gpu     *simgpu.GPU
	backend *Backend
}

func newRig(profile, model string) (*rig, error) {
	clk := timebase.NewSim(0)
	g, err := simgpu.New(profile, clk, 1, simgpu.WithTruth())
	if err != nil {
		return nil, err
	}
	b := New(g, clk, 1, WithJitter(0))
	_, err = b.Load(context.Background(), engine.ModelSpec{Name: model}, nil)
	return &rig{clk, g, b}, err
}

// repeat runs w back to back for at least some seconds and says how often.
func (r *rig) repeat(w simgpu.Work, seconds float64) (n int, err error) {
	for until := r.clk.Now() + int64(seconds*1e9); r.clk.Now() < until; n++ {
		if _, _, err := r.gpu.Execute(context.Background(), w); err != nil {
			return n, err
		}
	}
	return n, nil
}

// dataset is one of the study's: mean prompt length (its Table I) in tokens,
// with the options' where there are any.
type dataset struct {
	name            string
	prompt, options int
}

// studyPrompts has the two that generate first.
var studyPrompts = []dataset{{"TruthfulQA", 13, 0}, {"NarrativeQA", 336, 0}, {"BoolQ", 100, 2}, {"HellaSwag", 166, 72}}

// totals are the sums over a workload: s, s and J.
type totals struct{ prefill, rest, joules float64 }

func sum(list []totals) totals {
	var t totals
	for _, x := range list {
		t = totals{t.prefill + x.prefill, t.rest + x.rest, t.joules + x.joules}
	}
	return t
}

// studyTotals evaluates a batch of a dataset at a clock, warmed up.
func studyTotals(model string, batch, mhz int, d dataset) (totals, error) {
	rig, err := newRig("rtx-pro-6000", model)
	if err != nil {
		return totals{}, err
	}
	if err := rig.gpu.SetSMClock(mhz); err != nil {
		return totals{}, err
	}
	prompts, options := make([]int, batch), make([]int, batch)
	for i := range batch {
		prompts[i], options[i] = d.prompt, d.options
	}
	c := rig.backend.cost
	rest := c.decode(refOutput, batch, batch*d.prompt)
	if d.options > 0 {
		rest = c.score(prompts, options)
	}
	const warm = 60 // s
	if _, err := rig.repeat(rest, warm); err != nil {
		return totals{}, err
	}
	ctx := context.Background()
	t0, t1, err := rig.gpu.Execute(ctx, c.prefill(prompts, d.options > 0))
	if err != nil {
		return totals{}, err
	}
	_, t2, err := rig.gpu.Execute(ctx, rest)
	if err != nil {
		return totals{}, err
	}
	return totals{float64(t1-t0) / 1e9, float64(t2-t1) / 1e9, rig.gpu.TrueEnergyJ(t0, t2)}, nil
}

// compare returns the row of Table XI that two totals make.
func compare(low, high totals) studyRow {
	change := func(a, b float64) float64 { return 100 * (a/b - 1) }
	return studyRow{
		energyReduction: -change(low.joules, high.joules),
		latencyChange:   change(low.prefill+low.rest, high.prefill+high.rest),
		prefillChange:   change(low.prefill, high.prefill),
		decodeChange:    change(low.rest, high.rest),
		prefillPct:      100 * high.prefill / (high.prefill + high.rest),
	}
}

func (r studyRow) quantities() []float64 {
	return []float64{r.energyReduction, r.latencyChange, r.prefillChange, r.decodeChange, 100 - r.prefillPct}
}

var studyQuantities = []string{
	"energy reduction %", "latency change %", "prefill change %", "decode change %", "decode share %",
}

func studyResiduals() ([]residual, error) {
	const rowLimit, meanLimit = 6, 3
	top := simgpu.PaperClocks[len(simgpu.PaperClocks)-1]
	var list []residual
	var means []residual
	for bi, batch := range studyBatches {
		want, got := make([]float64, len(studyQuantities)), make([]float64, len(studyQuantities))
		for _, s := range shapes[:sizes] {
			var low, high []totals
			for _, d := range studyPrompts {
				l, err := studyTotals(s.Name, batch, simgpu.PaperClocks[0], d)
				if err != nil {
					return nil, err
				}
				h, err := studyTotals(s.Name, batch, top, d)
				if err != nil {
					return nil, err
				}
				low, high = append(low, l), append(high, h)
			}
			w, g := studyTable(&s)[bi].quantities(), compare(sum(low), sum(high)).quantities()
			for i, q := range studyQuantities {
				list = append(list, residual{s.Name, batch, q, w[i], g[i], g[i] - w[i], rowLimit, "points"})
				want[i] += w[i] / sizes
				got[i] += g[i] / sizes
			}
		}
		for i, q := range studyQuantities {
			means = append(means, residual{"mean", batch, q, want[i], got[i], got[i] - want[i], meanLimit, "points"})
		}
	}
	return append(list, means...), nil
}

// The simulation comes to the measurements and tables that it was fitted to.
func TestResiduals(t *testing.T) {
	for _, profile := range simgpu.Profiles() {
		list, err := residuals(profile)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range list {
			format := "%s: %-13s batch %d %-20s want %9.1f got %9.1f, off by %+5.1f of %.0f %s"
			if !r.OK() {
				t.Errorf(format, profile, r.Model, r.Batch, r.Quantity, r.Want, r.Got, r.Diff, r.Limit, r.Unit)
			} else {
				t.Logf(format, profile, r.Model, r.Batch, r.Quantity, r.Want, r.Got, r.Diff, r.Limit, r.Unit)
			}
		}
	}
}
