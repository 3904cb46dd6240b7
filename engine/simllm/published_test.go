package simllm

import (
	"encoding/csv"
	"fmt"
	"math"
	"os"
	"strconv"
	"strings"
	"testing"

	"jouletop/engine/event"
	"jouletop/gpu/sharedtest"
	"jouletop/workloads"
)

// table reads a CSV of the data beside the clone, as maps by column.
func table(t *testing.T, name string) []map[string]string {
	t.Helper()
	f, err := os.Open(sharedtest.Path(t, name))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	var list []map[string]string
	for _, r := range rows[1:] {
		m := map[string]string{}
		for i, c := range rows[0] {
			m[c] = r[i]
		}
		list = append(list, m)
	}
	return list
}

func number(t *testing.T, s string) float64 {
	t.Helper()
	x, err := strconv.ParseFloat(s, 64)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

func TestBlocksAreThoseMeasured(t *testing.T) {
	rows := table(t, "h100/phase_blocks.csv")
	if len(rows) != len(h100Blocks) {
		t.Fatalf("%d blocks measured, %d here", len(rows), len(h100Blocks))
	}
	for i, r := range rows {
		b := h100Blocks[i]
		size := strings.TrimPrefix(r["model_shape"], "llama")
		want := block{b.model, event.Phase(r["phase"]), int(number(t, r["batch"])), number(t, r["tokens_per_s"]), number(t, r["power_from_energy_counter_w"])}
		if b != want || !strings.HasSuffix(b.model, size) {
			t.Errorf("block %d is %+v, measured %+v of %s", i, b, want, r["model_shape"])
		}
	}
}

func TestTablesAreThosePublished(t *testing.T) {
	for i, r := range table(t, "paper/table11_dvfs_180_vs_2842.csv") {
		want := studyRow{
			number(t, r["energy_reduction_pct"]), number(t, r["latency_change_pct"]),
			number(t, r["prefill_change_pct"]), number(t, r["decode_change_pct"]), number(t, r["prefill_time_pct"]),
		}
		if s := shapes[i/3]; !strings.EqualFold(s.Name, r["model"]) || studyTable(&s)[i%3] != want ||
			fmt.Sprint(studyBatches[i%3]) != r["batch"] {
			t.Errorf("Table XI, row %d: %+v", i, r)
		}
	}
	for _, r := range table(t, "paper/table07_quality.csv") {
		mean := meanQuality[workloads.Style(strings.ToLower(r["dataset"]))]
		for i, c := range []string{"1B", "3B", "8B", "14B", "32B"} {
			if mean[i] != number(t, r[c]) {
				t.Errorf("Table VII, %s, %s: %v, published %s", r["dataset"], c, mean[i], r[c])
			}
		}
	}
}

// TestHeaviestBlockIsCapped: 8B prefill at batch 8 ran at 1910 MHz with the
// power-cap bit, the other blocks at 1980 MHz without.
func TestHeaviestBlockIsCapped(t *testing.T) {
	for _, batch := range []int{1, 8} {
		rig, err := newRig("h100", "llama-3.1-8b")
		if err != nil {
			t.Fatal(err)
		}
		prompts := make([]int, batch)
		for i := range prompts {
			prompts[i] = 340
		}
		if _, err := rig.repeat(rig.backend.cost.prefill(prompts, false), 20); err != nil {
			t.Fatal(err)
		}
		mhz := rig.gpu.TrueSMMHz(rig.clk.Now() - 1e6)
		if want := map[int]float64{1: 1980, 8: 1910}[batch]; math.Abs(mhz-want) > 20 {
			t.Errorf("batch %d runs at %v MHz, measured %v", batch, mhz, want)
		}
		t.Logf("batch %d runs at %v MHz", batch, mhz)
	}
}

// TestMixedRecording compares with a recording of 8B requests of mixed sizes
// that nothing was fitted to but the batch-4 decode and the long prompts.
func TestMixedRecording(t *testing.T) {
	rig, err := newRig("h100", "llama-3.1-8b")
	if err != nil {
		t.Fatal(err)
	}
	c, p := rig.backend.cost, rig.backend.cost.(*roofline).profile
	far, sum, n := 0, 0.0, 0.0
	for _, r := range table(t, "h100/mixed_8b_phases.csv") {
		batch, prompt, out := int(number(t, r["batch"])), int(number(t, r["prompt_tokens"])), int(number(t, r["generated_tokens"]))
		prompts := make([]int, batch)
		for i := range prompts {
			prompts[i] = prompt
		}
		w := c.decode(out, batch, batch*prompt)
		if r["phase"] == "prefill" {
			w = c.prefill(prompts, false)
		}
		off := p.Seconds(w, 1980)/((number(t, r["end_ns"])-number(t, r["start_ns"]))/1e9) - 1
		if math.Abs(off) > 0.20 {
			far++ // one prefill of the recording took twice as long as its like
		}
		sum, n = sum+math.Abs(off), n+1
		t.Logf("%-7s batch %d, prompt %4d, output %3d: off by %+.1f %%", r["phase"], batch, prompt, out, 100*off)
	}
	if sum/n > 0.06 || far > 1 {
		t.Errorf("off by %.1f %% on average, %d by more than 20 %%", 100*sum/n, far)
	}
}

// TestAloneAndTogether: a sequence that decodes alone takes less time and draws more
// power than several together, as in the steady blocks of the mixed recording.
func TestAloneAndTogether(t *testing.T) {
	for _, r := range table(t, "h100/mixed_8b_blocks.csv") {
		if r["phase"] != "decode" {
			continue
		}
		rig, err := newRig("h100", "llama-3.1-8b")
		if err != nil {
			t.Fatal(err)
		}
		const prompt, steps = 340, 100
		batch := int(number(t, r["batch"]))
		want, wantS := number(t, r["mean_power_samples_w"]), (number(t, r["end_ns"])-number(t, r["start_ns"]))/1e9/number(t, r["tokens"])*float64(batch)
		w := rig.backend.cost.decode(steps, batch, batch*prompt)
		if _, err := rig.repeat(w, 20); err != nil {
			t.Fatal(err)
		}
		start := rig.clk.Now()
		n, err := rig.repeat(w, 4)
		if err != nil {
			t.Fatal(err)
		}
		s := float64(rig.clk.Now()-start) / 1e9
		watts, step := rig.gpu.TrueEnergyJ(start, rig.clk.Now())/s, s/float64(n*steps)
		if math.Abs(watts/want-1) > 0.06 || math.Abs(step/wantS-1) > 0.06 {
			t.Errorf("batch %d: %.0f W, %.2f ms a step; measured %.0f W, %.2f ms", batch, watts, 1e3*step, want, 1e3*wantS)
		}
		t.Logf("batch %d: %.0f W, %.2f ms a step; measured %.0f W, %.2f ms", batch, watts, 1e3*step, want, 1e3*wantS)
	}
}
