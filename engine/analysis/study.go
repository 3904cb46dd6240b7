package analysis

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"jouletop/engine/event"
	"jouletop/gpu/energy"
)

var nan = math.NaN()

// Study makes the study's tables I, XI to XIV and XVI from points of one GPU,
// and those that go beyond it. The baseline is the highest clock, "low" the
// lowest.
func Study(points []event.PointDone, slowdown float64) []Table {
	each, pooled := Curves(points), Curves(Pool(points))
	return []Table{
		tableI(points), tableXI(pooled), tableXII(pooled), tableXIII(each, pooled), tableXIV(pooled), tableXVI(pooled),
		runAt(pooled, slowdown), policies(pooled), flagged(points),
	}
}

func tableI(points []event.PointDone) Table {
	t := Table{ID: "I", Title: "models and datasets, tokens a query", Columns: []string{"name", "kind", "input tokens", "output tokens"}}
	type sum struct{ in, out, n float64 }
	models, data := map[string]bool{}, map[string]*sum{}
	for _, p := range points {
		models[p.Model] = true
		s := data[p.Dataset]
		if s == nil {
			s = &sum{}
			data[p.Dataset] = s
		}
		if !math.IsNaN(p.InputTokens) {
			s.in, s.out, s.n = s.in+p.InputTokens, s.out+p.OutputTokens, s.n+1
		}
	}
	for _, m := range sortedBySize(models) {
		t.Rows = append(t.Rows, []Cell{word(m), word("model"), num(nan, 0), num(nan, 0)})
	}
	for _, d := range sortedKeys(data) {
		s := data[d]
		out := num(s.out/s.n, 0)
		if s.out == 0 {
			out = word("LL")
		}
		t.Rows = append(t.Rows, []Cell{word(d), word("dataset"), num(s.in/s.n, 0).beside(published("01", "input_tokens_mean", "name", d)), out})
	}
	t.Notes = []string{"LL: answered by log-likelihood, no token generated. The study seems to count words; ours are the model's tokens."}
	return t
}

func tableXI(curves []Curve) Table {
	t := Table{ID: "XI", Title: "lowest clock against the baseline", Columns: []string{"model", "batch", "MHz", "E↓ %", "LΔ %", "PreΔ %", "DecΔ %", "Pre %", "Dec %"}}
	byBatch := map[int][]Change{}
	for _, c := range curves {
		base, low, ok := c.ends()
		if !ok {
			continue
		}
		k := low.Against(base)
		byBatch[c.BatchSize] = append(byBatch[c.BatchSize], k)
		at := []string{"model", paperModel(c.Model), "batch", itoa(c.BatchSize)}
		t.Rows = append(t.Rows, []Cell{
			word(c.Model), num(float64(c.BatchSize), 0), word(fmt.Sprintf("%d/%d", low.RequestedMHz, base.RequestedMHz)),
			with(k.EnergyDown, 1).beside(published("11", "energy_reduction_pct", at...)),
			change(k.Latency).beside(published("11", "latency_change_pct", at...)),
			change(k.Prefill).beside(published("11", "prefill_change_pct", at...)),
			change(k.Decode).beside(published("11", "decode_change_pct", at...)),
			num(k.PrefillShare, 1).beside(published("11", "prefill_time_pct", at...)),
			num(k.DecodeShare, 1).beside(published("11", "decode_time_pct", at...)),
		})
	}
	for _, b := range sortedKeys(byBatch) {
		k := meanChange(byBatch[b])
		t.Rows = append(t.Rows, []Cell{
			word("average"), num(float64(b), 0), word(""),
			num(k.EnergyDown.Mean, 1).beside(paperMean("energy_reduction_pct", b)),
			change(k.Latency).beside(paperMean("latency_change_pct", b)),
			change(k.Prefill).beside(paperMean("prefill_change_pct", b)),
			change(k.Decode).beside(paperMean("decode_change_pct", b)),
			num(k.PrefillShare, 1).beside(paperMean("prefill_time_pct", b)),
			num(k.DecodeShare, 1).beside(paperMean("decode_time_pct", b)),
		})
	}
	t.Notes = []string{"All datasets together, weighted by queries. Shares are of the baseline's time; decode includes scoring."}
	return t
}

// ends are a curve's baseline and lowest clock.
func (c Curve) ends() (base, low Clock, ok bool) {
	base, ok1 := c.Baseline()
	low, ok2 := c.Lowest()
	return base, low, ok1 && ok2
}

// paperMean averages a column of the study's Table XI over its models; batch 0
// is all batches.
func paperMean(column string, batch int) float64 {
	sum, n := 0.0, 0.0
	for _, m := range []string{"Llama-3.2-1B", "Llama-3.2-3B", "Llama-3.1-8B", "Qwen2.5-14B", "Qwen2.5-32B"} {
		for _, b := range []int{1, 4, 8} {
			if batch != 0 && b != batch {
				continue
			}
			if v := published("11", column, "model", m, "batch", itoa(b)); !math.IsNaN(v) {
				sum, n = sum+v, n+1
			}
		}
	}
	return sum / n
}

// meanChange averages over models; the intervals are over the models' spread.
func meanChange(ks []Change) Change {
	over := func(f func(Change) float64) Stat {
		var xs []float64
		for _, k := range ks {
			xs = append(xs, f(k))
		}
		return statOf(xs)
	}
	return Change{
		EnergyDown: over(func(k Change) float64 { return k.EnergyDown.Mean }),
		Latency:    over(func(k Change) float64 { return k.Latency.Mean }),
		Prefill:    over(func(k Change) float64 { return k.Prefill.Mean }),
		Decode:     over(func(k Change) float64 { return k.Decode.Mean }),

		PrefillShare: over(func(k Change) float64 { return k.PrefillShare }).Mean,
		DecodeShare:  over(func(k Change) float64 { return k.DecodeShare }).Mean,
	}
}

func tableXII(curves []Curve) Table {
	t := Table{ID: "XII", Title: "clock of least energy-delay product, against the baseline", Columns: []string{"model", "batch", "MHz", "E↓ %", "LΔ %", "EDP J·s", "ED²P MHz"}}
	for _, c := range curves {
		base, ok := c.Baseline()
		best, ok2 := c.EDPOptimal(1)
		squared, _ := c.EDPOptimal(2)
		if !ok || !ok2 || len(c.Clocks) < 2 {
			continue
		}
		k := best.Against(base)
		at := []string{"model", paperModel(c.Model), "batch", itoa(c.BatchSize)}
		t.Rows = append(t.Rows, []Cell{
			word(c.Model), num(float64(c.BatchSize), 0), num(float64(best.RequestedMHz), 0).beside(published("12", "sm_mhz", at...)),
			with(k.EnergyDown, 1).beside(published("12", "energy_reduction_pct", at...)),
			change(k.Latency).beside(published("12", "latency_change_pct", at...)),
			with(best.EDP, 2), num(float64(squared.RequestedMHz), 0),
		})
	}
	t.Notes = []string{"The study's latencies here contradict its Table XI at the same clocks (up to −36.5 % against −0.2 %); ours follow from one set of runs."}
	return t
}

func tableXIII(each, pooled []Curve) Table {
	t := Table{ID: "XIII", Title: "lowest clock against the baseline at the smallest batch, by dataset and model size", Columns: []string{"group", "E↓ %", "LΔ %", "Pre %"}}
	batch := smallestBatch(each)
	names := map[string]string{"boolq": "BoolQ (LL)", "hellaswag": "HellaSwag (LL)", "truthfulqa": "TruthfulQA (100)", "narrativeqa": "NarrativeQA (100)"}
	row := func(name, paper string, ks []Change) {
		if len(ks) == 0 {
			return
		}
		k := meanChange(ks)
		t.Rows = append(t.Rows, []Cell{
			word(name), num(k.EnergyDown.Mean, 1).beside(published("13", "energy_reduction_pct", "name", paper)),
			change(k.Latency).beside(published("13", "latency_change_pct", "name", paper)), num(k.PrefillShare, 1),
		})
	}
	data := map[string][]Change{}
	for _, c := range each {
		if base, low, ok := c.ends(); ok && c.BatchSize == batch {
			data[c.Dataset] = append(data[c.Dataset], low.Against(base))
		}
	}
	for _, d := range sortedKeys(data) {
		row(d, names[d], data[d])
	}
	sizes := []struct {
		name   string
		lo, hi float64
	}{{"Small (1-3B)", 0, 4}, {"Medium (8B)", 4, 10}, {"Large (14-32B)", 10, math.Inf(1)}}
	for _, s := range sizes {
		var ks []Change
		for _, c := range pooled {
			if b := Billions(c.Model); c.BatchSize == batch && b >= s.lo && b < s.hi {
				if base, low, ok := c.ends(); ok {
					ks = append(ks, low.Against(base))
				}
			}
		}
		row(s.name, s.name, ks)
	}
	return t
}

func smallestBatch(curves []Curve) int {
	b := 0
	for _, c := range curves {
		if b == 0 || c.BatchSize < b {
			b = c.BatchSize
		}
	}
	return b
}

func tableXIV(curves []Curve) Table {
	t := Table{ID: "XIV", Title: "summary", Columns: []string{"aspect", "ours", "published"}}
	all := map[int][]Change{}
	var flat []Change
	for _, c := range curves {
		if base, low, ok := c.ends(); ok {
			k := low.Against(base)
			all[c.BatchSize] = append(all[c.BatchSize], k)
			flat = append(flat, k)
		}
	}
	if len(flat) == 0 {
		return t
	}
	k := meanChange(flat)
	lo, hi := nan, nan
	for _, f := range flat {
		if v := f.EnergyDown.Mean; finite(v) {
			lo, hi = fmin(lo, v), -fmin(-hi, -v)
		}
	}
	var saving, latency, pre, dec, share string
	for i, b := range sortedKeys(all) {
		m := meanChange(all[b])
		sep := ""
		if i > 0 {
			sep = " / "
		}
		saving += sep + figure(m.EnergyDown.Mean, 1)
		latency += sep + plusMinus(m.Latency.Mean)
		pre += sep + plusMinus(m.Prefill.Mean)
		dec += sep + plusMinus(m.Decode.Mean)
		share += sep + figure(m.DecodeShare, 0)
	}
	paper := func(i int) Cell {
		rows := paperTables()["14"].rows
		if i >= len(rows) {
			return word("")
		}
		return word(rows[i][1])
	}
	batches := fmt.Sprint(sortedKeys(all))
	t.Rows = [][]Cell{
		{word("Energy saving at the lowest clock"), word(figure(lo, 0) + "-" + figure(hi, 0) + " % (average " + figure(k.EnergyDown.Mean, 1) + " %)"), paper(0)},
		{word("Latency change, average"), word(plusMinus(k.Latency.Mean) + " %"), paper(1)},
		{word("Prefill / decode slowdown at batch " + batches), word(pre + " % / " + dec + " %"), paper(2)},
		{word("Decode share of time at batch " + batches), word(share + " %"), paper(3)},
		{word("Energy saving at batch " + batches), word(saving + " %"), paper(4)},
		{word("Latency change at batch " + batches), word(latency + " %"), paper(5)},
	}
	var edp []float64
	for _, c := range curves {
		if best, ok := c.EDPOptimal(1); ok {
			edp = append(edp, float64(best.RequestedMHz))
		}
	}
	if len(edp) > 0 {
		slices.Sort(edp)
		t.Rows = append(t.Rows, []Cell{word("EDP-optimal clock, median"), word(fmt.Sprintf("%.0f MHz", edp[len(edp)/2])), paper(6)})
	}
	return t
}

// figure is a number within a text, "–" where it is unknown.
func figure(v float64, decimals int) string { return cmp.Or(decimal(v, decimals), "–") }

// plusMinus is a change within a text.
func plusMinus(v float64) string {
	c := num(v, 1)
	c.Sign = true
	return cmp.Or(c.format(v), "–")
}

// fmin is the smaller of two numbers of which the first may be unknown.
func fmin(a, b float64) float64 {
	if math.IsNaN(a) || b < a {
		return b
	}
	return a
}

func tableXVI(curves []Curve) Table {
	t := Table{ID: "XVI", Title: "energy a query, baseline and lowest clock, at the smallest batch", Columns: []string{"model", "baseline J", "low J", "saving %", "LΔ %"}}
	batch := smallestBatch(curves)
	for _, c := range curves {
		base, low, ok := c.ends()
		if !ok || c.BatchSize != batch {
			continue
		}
		k := low.Against(base)
		m := paperModel(c.Model)
		t.Rows = append(t.Rows, []Cell{
			word(c.Model), with(base.Energy, 2).beside(published("16", "baseline_2842_j", "model", m)), with(low.Energy, 2).beside(published("16", "low_180_j", "model", m)),
			with(k.EnergyDown, 1).beside(published("16", "savings_pct", "model", m)), change(k.Latency).beside(published("16", "latency_change_pct", "model", m)),
		})
	}
	t.Notes = []string{"The study's joules are far below what 100 tokens of its models can cost on such a card, so they cannot be per generated answer; the ratios compare."}
	return t
}

// runAt answers what an operator asks: which clock to run at.
func runAt(curves []Curve, slowdown float64) Table {
	t := Table{
		Title:   fmt.Sprintf("clock to run at (no more than %g %% slower than the baseline)", 100*slowdown),
		Columns: []string{"model", "batch", "MHz", "E↓ %", "LΔ %", "J/token", "cliff MHz", "cliff from", "to", "plateau saves %"},
	}
	for _, c := range curves {
		base, ok := c.Baseline()
		if !ok || len(c.Clocks) < 2 {
			continue
		}
		best, _ := c.LeastEnergy(slowdown)
		k := best.Against(base)
		cliff, found := c.FrequencyCliff()
		if !found {
			cliff = Cliff{nan, nan, nan, nan}
		}
		t.Rows = append(t.Rows, []Cell{
			word(c.Model), num(float64(c.BatchSize), 0), num(float64(best.RequestedMHz), 0), with(k.EnergyDown, 1), change(k.Latency), with(best.JoulesPerToken, 3),
			num(cliff.MHz, 0), num(cliff.LowMHz, 0), num(cliff.HighMHz, 0), num(cliff.PlateauSaving, 1),
		})
	}
	return t
}

// RunAt tables the clock to run at for each model and batch size, all datasets
// together: the least energy no more than slowdown (0.03 for 3 %) slower than the
// baseline, with the frequency cliff beside.
func RunAt(points []event.PointDone, slowdown float64) Table {
	return runAt(Curves(Pool(points)), slowdown)
}

// policies lays clocks chosen by phase or by an optimizer beside the fixed ones.
func policies(curves []Curve) Table {
	t := Table{Title: "policies against fixed clocks, same queries", Columns: []string{"model", "batch", "policy", "J/query", "latency s", "E↓ %", "LΔ %"}}
	for _, c := range curves {
		base, low, ok := c.ends()
		if !ok || len(c.Policies) == 0 {
			continue
		}
		edp, _ := c.EDPOptimal(1)
		rows := append([]Clock{base, low}, c.Policies...)
		if edp.RequestedMHz != base.RequestedMHz && edp.RequestedMHz != low.RequestedMHz {
			rows = slices.Insert(rows, 2, edp)
		}
		for _, r := range rows {
			k := r.Against(base)
			t.Rows = append(t.Rows, []Cell{word(c.Model), num(float64(c.BatchSize), 0), word(r.Label()), with(r.Energy, 3), with(r.Latency, 4), with(k.EnergyDown, 1), change(k.Latency)})
		}
	}
	return t
}

// flagged lists the points that did not run as asked.
func flagged(points []event.PointDone) Table {
	t := Table{Title: "points that did not run as asked (not averaged)", Columns: []string{"point", "requested MHz", "achieved MHz", "throttled %", "flags"}}
	for _, p := range points {
		if p.Flags.Spoils() || p.PointResult.Err != "" {
			flags := string(p.Flags)
			if p.PointResult.Err != "" {
				flags = "failed: " + p.PointResult.Err
			}
			t.Rows = append(t.Rows, []Cell{word(p.PointID), num(float64(p.RequestedSMMHz), 0), num(p.AchievedSMMHz, 0), num(p.ThrottledPct, 1), word(flags)})
		}
	}
	return t
}

// PhasePowers tables the mean power of each kind of phase, by GPU.
func PhasePowers(powers map[string][]energy.PhasePower) Table {
	t := Table{Title: "mean power by kind of phase", Columns: []string{"phase", "GPU", "batch", "SM MHz", "W", "source"}}
	for _, id := range sortedKeys(powers) {
		for _, p := range powers[id] {
			mhz := word("default")
			if p.SMMHz > 0 {
				mhz = num(float64(p.SMMHz), 0)
			}
			t.Rows = append(t.Rows, []Cell{word(p.Kind), word(id), num(float64(p.Batch), 0), mhz, with(Stat{Mean: p.PowerW, Half: p.ErrW}, 1), word(p.Source)})
		}
	}
	t.Notes = []string{"± is the half-width of the 95 % interval; the board's constant gain error of about 5 % is not in it."}
	return t
}
