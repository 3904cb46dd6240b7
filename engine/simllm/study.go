package simllm

import (
	"math"
	"strconv"

	"jouletop/gpu/simgpu"
	"jouletop/workloads/study"
)

// studyRow is a row of Table XI of the study (arXiv 2501.08219): 180 MHz
// against 2842 MHz, in %; prefillPct is prefill's share of the time. The share
// is of all four datasets together, for an answer of 100 tokens.
type studyRow struct {
	energyReduction, latencyChange, prefillChange, decodeChange, prefillPct float64
}

// studyBatches are the batch sizes of Table XI.
var studyBatches = [3]int{1, 4, 8}

// studyTable returns a shape's rows, by batch size; one that is not in the study
// behaves like the smallest.
func studyTable(s *Shape) (rows [len(studyBatches)]studyRow) {
	name := s.Name
	if s.size == sizeSmall {
		name = shapes[size1B].Name
	}
	for i, batch := range studyBatches {
		of := func(column string) float64 {
			return study.Published("11", column, "model", name, "batch", strconv.Itoa(batch))
		}
		rows[i] = studyRow{
			of("energy_reduction_pct"), of("latency_change_pct"), of("prefill_change_pct"), of("decode_change_pct"), of("prefill_time_pct"),
		}
	}
	return rows
}

// Where Table XI leaves it open how datasets differ, these say it.
const (
	// refPrompt is the mean prompt of the study's two generation datasets
	// (TruthfulQA 13 tokens, NarrativeQA 336), refScored of the others (BoolQ
	// 100, HellaSwag 166), refOutput the tokens generated.
	refPrompt, refScored, refOutput = 175, 135, 100
	// perPrompt is the share of a prefill's time that grows with the prompt, at
	// the reference prompt.
	perPrompt = 0.15
	// lessShare and moreShare (percentage points) set prefill's share for
	// generation below and for scoring above the table's, which is of both:
	// the study says that prefill weighs more there (Table XIII), though with
	// its 31 to 39 % the mean over its datasets could not be the table's.
	lessShare, moreShare = 1.0, 5.0
	// scoredPrefill is the prefill of a scored prompt against that of one that
	// generates, which includes the set-up of the generation.
	scoredPrefill = 0.3
	// perOption is the share of scoring's time that grows with the options'
	// tokens, at refOption tokens a sequence.
	perOption, refOption = 0.1, 30
)

// studyCost is the cost of a model on the study's GPU. Decode is by roofline,
// bound by memory. Prefill can't be: at 180 MHz the tensor units of such a card
// would need several times longer than Table XI says. So its time is fitted, by
// model and batch size, to the table's share and change: a share of it follows
// the SM clock as 1/f, which at 180 MHz gives the change; the rest is fixed.
// The roofline still is the floor for prompts much longer than the study's.
type studyCost struct {
	roofline
	table [len(studyBatches)]studyRow
}

// at returns the table's row for a batch size, between its sizes linear in the
// logarithm.
func (c *studyCost) at(batch int) studyRow {
	x := math.Log2(float64(max(1, min(batch, 8))))
	lo, share := 0, x/2
	if x >= 2 {
		lo, share = 1, x-2
	}
	a, b := c.table[lo], c.table[lo+1]
	mid := func(a, b float64) float64 { return a + share*(b-a) }
	return studyRow{
		mid(a.energyReduction, b.energyReduction), mid(a.latencyChange, b.latencyChange),
		mid(a.prefillChange, b.prefillChange), mid(a.decodeChange, b.decodeChange),
		mid(a.prefillPct, b.prefillPct),
	}
}

// clockShare returns which share of a time at the top clock must follow the
// clock for a change of so many % at 180 MHz. A table that says that a phase
// gets faster at a lower clock, by less than 1 %, is not followed.
func (c *studyCost) clockShare(changePct float64) float64 {
	return max(0, changePct) / 100 / (c.topHz()/180e6 - 1)
}

// reference is the prefill of reference prompts that generate, in s at the top
// clock.
func (c *studyCost) reference(batch int) float64 {
	share := (c.at(batch).prefillPct - lessShare) / 100
	decode := refOutput * c.stepSeconds(batch, batch*(refPrompt+refOutput/2))
	return share / (1 - share) * decode
}

func (c *studyCost) prefill(prompts []int, scored bool) simgpu.Work {
	batch := len(prompts)
	tokens := 0
	for _, n := range prompts {
		tokens += n
	}
	mean := float64(tokens) / float64(batch)
	t := c.reference(batch)
	if scored {
		t *= scoredPrefill * (1 - perPrompt + perPrompt*mean/refScored)
	} else {
		t *= 1 - perPrompt + perPrompt*mean/refPrompt
	}
	s := &c.shape
	w := simgpu.Work{
		FLOPs:     2*s.blockParameters()*float64(tokens) + 2*s.headParameters()*float64(batch),
		Bytes:     s.readBytes(),
		TensorEff: c.k.tensorEff, DRAMEff: c.k.dramEff,
		Unclocked: true,
	}
	share := c.clockShare(c.at(batch).prefillChange)
	w.SMCycles = share * t * c.topHz()
	w.Overhead = seconds(max(0, (1-share)*t-c.profile.Seconds(simgpu.Work{
		FLOPs: w.FLOPs, Bytes: w.Bytes, TensorEff: w.TensorEff, DRAMEff: w.DRAMEff, Unclocked: true,
	}, c.topHz()/1e6)))
	return w
}

func (c *studyCost) decode(n, sequences, context int) simgpu.Work {
	w := c.roofline.decode(n, sequences, context)
	w.Unclocked = true
	share := c.clockShare(c.at(sequences).decodeChange)
	moved := share * c.profile.Seconds(w, c.topHz()/1e6)
	w.SMCycles += moved * c.topHz()
	w.Overhead -= min(w.Overhead, seconds(moved))
	return w
}

// mixed is by the roofline alone, with times that follow no clock where decode's do
// not: the study has no such passes.
func (c *studyCost) mixed(known, fresh []int, prompts, decodes, heads int) simgpu.Work {
	w := c.roofline.mixed(known, fresh, prompts, decodes, heads)
	w.Unclocked = true
	return w
}

// score costs as much as so many decode steps that prefill's share comes out.
func (c *studyCost) score(prompts, options []int) simgpu.Work {
	batch := len(prompts)
	known, fresh := 0, 0
	for i := range prompts {
		known += prompts[i]
		fresh += options[i]
	}
	share := (c.at(batch).prefillPct + moreShare) / 100
	t := c.reference(batch) * scoredPrefill * (1 - share) / share
	t *= 1 - perOption + perOption*float64(fresh)/float64(batch*refOption)
	step := c.decode(1, batch, known)
	return scale(step, t/c.profile.Seconds(step, c.topHz()/1e6))
}
