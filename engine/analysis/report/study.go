// Package report lays out in tables what recorded sessions came to: the study's
// tables, with its numbers beside ours, and those that go beyond them.
package report

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"jouletop/engine/analysis/curve"
	"jouletop/engine/analysis/table"
	"jouletop/engine/event"
	"jouletop/gpu/energy"
	"jouletop/workloads/study"
)

var nan = math.NaN()

// Study makes the study's tables I, XI to XIV and XVI from points of one GPU,
// and those that go beyond it. The baseline is the highest clock, "low" the
// lowest.
func Study(points []event.PointDone, slowdown float64) []table.Table {
	each, pooled := curve.Of(points), curve.Of(curve.Pool(points))
	knobs, held := Knobs(points), Held(points)
	if len(knobs.Rows) == 0 && len(held.Rows) > 0 {
		held.Notes = append(slices.Clone(knobs.Notes), held.Notes...)
	}
	return []table.Table{
		tableI(points), tableXI(pooled), tableXII(pooled), tableXIII(each, pooled), tableXIV(pooled), tableXVI(pooled),
		Energies(points), runAt(pooled, slowdown), policies(pooled), knobs, held, Drafts(points), flagged(points),
	}
}

func tableI(points []event.PointDone) table.Table {
	t := table.Table{ID: "I", Title: "models and datasets, tokens a query", Columns: []string{"name", "kind", "input tokens", "output tokens"}}
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
	for _, m := range curve.SortedBySize(models) {
		t.Rows = append(t.Rows, []table.Cell{table.Word(m), table.Word("model"), table.Num(nan, 0), table.Num(nan, 0)})
	}
	for _, d := range slices.Sorted(maps.Keys(data)) {
		s := data[d]
		out := table.Num(s.out/s.n, 0)
		if s.out == 0 {
			out = table.Word("LL")
		}
		t.Rows = append(t.Rows, []table.Cell{table.Word(d), table.Word("dataset"), table.Num(s.in/s.n, 0).Beside(study.Published("01", "input_tokens_mean", "name", d)), out})
	}
	t.Notes = []string{"LL: answered by log-likelihood, no token generated. The study seems to count words; ours are the model's tokens."}
	return t
}

func tableXI(curves []curve.Curve) table.Table {
	t := table.Table{ID: "XI", Title: "lowest clock against the baseline", Columns: []string{"model", "batch", "MHz", "E↓ %", "LΔ %", "PreΔ %", "DecΔ %", "Pre %", "Dec %"}}
	byBatch := map[int][]curve.Change{}
	for _, c := range curves {
		base, low, ok := c.Ends()
		if !ok {
			continue
		}
		k := low.Against(base)
		byBatch[c.BatchSize] = append(byBatch[c.BatchSize], k)
		at := []string{"model", study.ModelName(c.Model), "batch", strconv.Itoa(c.BatchSize)}
		t.Rows = append(t.Rows, []table.Cell{
			table.Word(c.Title()), table.Num(float64(c.BatchSize), 0), table.Word(fmt.Sprintf("%d/%d", low.RequestedMHz, base.RequestedMHz)),
			table.WithError(k.EnergyDown, 1).Beside(study.Published("11", "energy_reduction_pct", at...)),
			table.Change(k.Latency).Beside(study.Published("11", "latency_change_pct", at...)),
			table.Change(k.Prefill).Beside(study.Published("11", "prefill_change_pct", at...)),
			table.Change(k.Decode).Beside(study.Published("11", "decode_change_pct", at...)),
			table.Num(k.PrefillShare, 1).Beside(study.Published("11", "prefill_time_pct", at...)),
			table.Num(k.DecodeShare, 1).Beside(study.Published("11", "decode_time_pct", at...)),
		})
	}
	for _, b := range slices.Sorted(maps.Keys(byBatch)) {
		k := curve.MeanChange(byBatch[b])
		t.Rows = append(t.Rows, []table.Cell{
			table.Word("average"), table.Num(float64(b), 0), table.Word(""),
			table.Num(k.EnergyDown.Mean, 1).Beside(paperMean("energy_reduction_pct", b)),
			table.Change(k.Latency).Beside(paperMean("latency_change_pct", b)),
			table.Change(k.Prefill).Beside(paperMean("prefill_change_pct", b)),
			table.Change(k.Decode).Beside(paperMean("decode_change_pct", b)),
			table.Num(k.PrefillShare, 1).Beside(paperMean("prefill_time_pct", b)),
			table.Num(k.DecodeShare, 1).Beside(paperMean("decode_time_pct", b)),
		})
	}
	t.Notes = []string{"All datasets together, weighted by queries. Shares are of the baseline's time; decode includes scoring."}
	return t
}

// paperMean averages a column of the study's Table XI over its models; batch 0
// is all batches.
func paperMean(column string, batch int) float64 {
	sum, n := 0.0, 0.0
	for _, m := range study.Models {
		for _, b := range []int{1, 4, 8} {
			if batch != 0 && b != batch {
				continue
			}
			if v := study.Published("11", column, "model", m, "batch", strconv.Itoa(b)); !math.IsNaN(v) {
				sum, n = sum+v, n+1
			}
		}
	}
	return sum / n
}

func tableXII(curves []curve.Curve) table.Table {
	t := table.Table{ID: "XII", Title: "clock of least energy-delay product, against the baseline", Columns: []string{"model", "batch", "MHz", "E↓ %", "LΔ %", "EDP J·s", "ED²P MHz"}}
	for _, c := range curves {
		base, ok := c.Baseline()
		best, ok2 := c.EDPOptimal(1)
		squared, _ := c.EDPOptimal(2)
		if !ok || !ok2 || len(c.Clocks) < 2 {
			continue
		}
		k := best.Against(base)
		at := []string{"model", study.ModelName(c.Model), "batch", strconv.Itoa(c.BatchSize)}
		t.Rows = append(t.Rows, []table.Cell{
			table.Word(c.Title()), table.Num(float64(c.BatchSize), 0), table.Num(float64(best.RequestedMHz), 0).Beside(study.Published("12", "sm_mhz", at...)),
			table.WithError(k.EnergyDown, 1).Beside(study.Published("12", "energy_reduction_pct", at...)),
			table.Change(k.Latency).Beside(study.Published("12", "latency_change_pct", at...)),
			table.WithError(best.EDP, 2), table.Num(float64(squared.RequestedMHz), 0),
		})
	}
	t.Notes = []string{"The study's latencies here contradict its Table XI at the same clocks (up to −36.5 % against −0.2 %); ours follow from one set of runs."}
	return t
}

func tableXIII(each, pooled []curve.Curve) table.Table {
	t := table.Table{ID: "XIII", Title: "lowest clock against the baseline at the smallest batch, by dataset and model size", Columns: []string{"group", "E↓ %", "LΔ %", "Pre %"}}
	batch := curve.SmallestBatch(each)
	names := map[string]string{"boolq": "BoolQ (LL)", "hellaswag": "HellaSwag (LL)", "truthfulqa": "TruthfulQA (100)", "narrativeqa": "NarrativeQA (100)"}
	row := func(name, paper string, ks []curve.Change) {
		if len(ks) == 0 {
			return
		}
		k := curve.MeanChange(ks)
		t.Rows = append(t.Rows, []table.Cell{
			table.Word(name), table.Num(k.EnergyDown.Mean, 1).Beside(study.Published("13", "energy_reduction_pct", "name", paper)),
			table.Change(k.Latency).Beside(study.Published("13", "latency_change_pct", "name", paper)), table.Num(k.PrefillShare, 1),
		})
	}
	data := map[string][]curve.Change{}
	for _, c := range each {
		if base, low, ok := c.Ends(); ok && c.BatchSize == batch {
			data[c.Dataset] = append(data[c.Dataset], low.Against(base))
		}
	}
	for _, d := range slices.Sorted(maps.Keys(data)) {
		row(d, names[d], data[d])
	}
	sizes := []struct {
		name   string
		lo, hi float64
	}{{"Small (1-3B)", 0, 4}, {"Medium (8B)", 4, 10}, {"Large (14-32B)", 10, math.Inf(1)}}
	for _, s := range sizes {
		var ks []curve.Change
		for _, c := range pooled {
			if b := curve.Billions(c.Model); c.BatchSize == batch && b >= s.lo && b < s.hi {
				if base, low, ok := c.Ends(); ok {
					ks = append(ks, low.Against(base))
				}
			}
		}
		row(s.name, s.name, ks)
	}
	return t
}

func tableXIV(curves []curve.Curve) table.Table {
	t := table.Table{ID: "XIV", Title: "summary", Columns: []string{"aspect", "ours", "published"}}
	all := map[int][]curve.Change{}
	var flat []curve.Change
	for _, c := range curves {
		if base, low, ok := c.Ends(); ok {
			k := low.Against(base)
			all[c.BatchSize] = append(all[c.BatchSize], k)
			flat = append(flat, k)
		}
	}
	if len(flat) == 0 {
		return t
	}
	k := curve.MeanChange(flat)
	lo, hi := nan, nan
	for _, f := range flat {
		if v := f.EnergyDown.Mean; curve.Finite(v) {
			lo, hi = fmin(lo, v), -fmin(-hi, -v)
		}
	}
	var saving, latency, pre, dec, share string
	for i, b := range slices.Sorted(maps.Keys(all)) {
		m := curve.MeanChange(all[b])
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
	paper := func(i int) table.Cell {
		rows := study.Rows("14")
		if i >= len(rows) {
			return table.Word("")
		}
		return table.Word(rows[i][1])
	}
	batches := fmt.Sprint(slices.Sorted(maps.Keys(all)))
	t.Rows = [][]table.Cell{
		{table.Word("Energy saving at the lowest clock"), table.Word(figure(lo, 0) + "-" + figure(hi, 0) + " % (average " + figure(k.EnergyDown.Mean, 1) + " %)"), paper(0)},
		{table.Word("Latency change, average"), table.Word(plusMinus(k.Latency.Mean) + " %"), paper(1)},
		{table.Word("Prefill / decode slowdown at batch " + batches), table.Word(pre + " % / " + dec + " %"), paper(2)},
		{table.Word("Decode share of time at batch " + batches), table.Word(share + " %"), paper(3)},
		{table.Word("Energy saving at batch " + batches), table.Word(saving + " %"), paper(4)},
		{table.Word("Latency change at batch " + batches), table.Word(latency + " %"), paper(5)},
	}
	var edp []float64
	for _, c := range curves {
		if best, ok := c.EDPOptimal(1); ok {
			edp = append(edp, float64(best.RequestedMHz))
		}
	}
	if len(edp) > 0 {
		slices.Sort(edp)
		t.Rows = append(t.Rows, []table.Cell{table.Word("EDP-optimal clock, median"), table.Word(fmt.Sprintf("%.0f MHz", edp[len(edp)/2])), paper(6)})
	}
	return t
}

// figure is a number within a text, "–" where it is unknown.
func figure(v float64, decimals int) string { return cmp.Or(table.Decimal(v, decimals), "–") }

// plusMinus is a change within a text.
func plusMinus(v float64) string {
	c := table.Num(v, 1)
	c.Sign = true
	return cmp.Or(c.Format(v), "–")
}

// fmin is the smaller of two numbers of which the first may be unknown.
func fmin(a, b float64) float64 {
	if math.IsNaN(a) || b < a {
		return b
	}
	return a
}

func tableXVI(curves []curve.Curve) table.Table {
	t := table.Table{ID: "XVI", Title: "energy a query, baseline and lowest clock, at the smallest batch", Columns: []string{"model", "baseline J", "low J", "saving %", "LΔ %"}}
	batch := curve.SmallestBatch(curves)
	for _, c := range curves {
		base, low, ok := c.Ends()
		if !ok || c.BatchSize != batch {
			continue
		}
		k := low.Against(base)
		m := study.ModelName(c.Model)
		t.Rows = append(t.Rows, []table.Cell{
			table.Word(c.Title()), table.WithError(base.Energy, 2).Beside(study.Published("16", "baseline_2842_j", "model", m)), table.WithError(low.Energy, 2).Beside(study.Published("16", "low_180_j", "model", m)),
			table.WithError(k.EnergyDown, 1).Beside(study.Published("16", "savings_pct", "model", m)), table.Change(k.Latency).Beside(study.Published("16", "latency_change_pct", "model", m)),
		})
	}
	t.Notes = []string{"The study's joules are far below what 100 tokens of its models can cost on such a card, so they cannot be per generated answer; the ratios compare."}
	return t
}

// runAt answers what an operator asks: which clock to run at.
func runAt(curves []curve.Curve, slowdown float64) table.Table {
	t := table.Table{
		Title:   fmt.Sprintf("clock to run at (no more than %g %% slower than the baseline)", 100*slowdown),
		Columns: []string{"model", "batch", "MHz", "alike MHz", "E↓ %", "LΔ %", "J/token", "cliff MHz", "cliff from", "to", "plateau saves %"},
	}
	for _, c := range curves {
		base, ok := c.Baseline()
		if !ok || len(c.Clocks) < 2 {
			continue
		}
		best, _ := c.RunAt(slowdown)
		k := best.Against(base)
		cliff, found := c.FrequencyCliff()
		if !found {
			cliff = curve.Cliff{MHz: nan, LowMHz: nan, HighMHz: nan, PlateauSaving: nan, PlateauHalf: nan}
		}
		t.Rows = append(t.Rows, []table.Cell{
			table.Word(c.Title()), table.Num(float64(c.BatchSize), 0), table.Num(float64(best.RequestedMHz), 0), alike(best), table.WithError(k.EnergyDown, 1), table.Change(k.Latency), rounded(best.JoulesPerToken),
			table.Num(cliff.MHz, 0), table.Num(cliff.LowMHz, 0), table.Num(cliff.HighMHz, 0), table.WithError(curve.Stat{Mean: cliff.PlateauSaving, Half: cliff.PlateauHalf}, 1),
		})
	}
	if len(t.Rows) > 0 {
		t.Notes = []string{"alike: clocks within the bound whose energy the repeats cannot tell from it; cliff from, to: what the cliff may be; ±: half of a 95 % interval."}
	}
	return t
}

// alike are the other clocks that cannot be told from the one to run at.
func alike(o curve.Optimum) table.Cell {
	var others []string
	for _, mhz := range o.Alike {
		if mhz != o.RequestedMHz {
			others = append(others, strconv.Itoa(mhz))
		}
	}
	const most = 3 // that are named one by one
	switch n := len(others); {
	case n == 0:
		return table.Word("–")
	case n > most:
		return table.Word(fmt.Sprintf("%s to %s (%d)", others[0], others[n-1], n))
	}
	return table.Word(strings.Join(others, ", "))
}

// policies lays clocks chosen by phase or by an optimizer beside the fixed ones.
func policies(curves []curve.Curve) table.Table {
	t := table.Table{Title: "policies against fixed clocks, same queries", Columns: []string{"model", "batch", "policy", "J/query", "latency s", "E↓ %", "LΔ %"}}
	for _, c := range curves {
		base, low, ok := c.Ends()
		if !ok || len(c.Policies) == 0 {
			continue
		}
		edp, _ := c.EDPOptimal(1)
		rows := append([]curve.Clock{base, low}, c.Policies...)
		if edp.RequestedMHz != base.RequestedMHz && edp.RequestedMHz != low.RequestedMHz {
			rows = slices.Insert(rows, 2, edp)
		}
		for _, r := range rows {
			k := r.Against(base)
			t.Rows = append(t.Rows, []table.Cell{table.Word(c.Title()), table.Num(float64(c.BatchSize), 0), table.Word(r.Label()), table.WithError(r.Energy, 3), table.WithError(r.Latency, 4), table.WithError(k.EnergyDown, 1), table.Change(k.Latency)})
		}
	}
	return t
}

// flagged lists the points that did not run as asked.
func flagged(points []event.PointDone) table.Table {
	t := table.Table{Title: "points that did not run as asked (not averaged)", Columns: []string{"point", "requested MHz", "achieved MHz", "throttled %", "flags"}}
	for _, p := range points {
		if p.Flags.Spoils() || p.PointResult.Err != "" {
			flags := string(p.Flags)
			if p.PointResult.Err != "" {
				flags = "failed: " + p.PointResult.Err
			}
			if asked, got := float64(p.Knobs.PowerW), p.AchievedLimitW; asked > 0 && math.Abs(got-asked) >= 1 {
				flags += fmt.Sprintf("; power limit %s W in force, %g W asked for", figure(got, 0), asked)
			}
			asked := table.Word("driver's, or by phase")
			if p.RequestedSMMHz > 0 {
				asked = table.Num(float64(p.RequestedSMMHz), 0)
			}
			t.Rows = append(t.Rows, []table.Cell{table.Word(p.PointID), asked, table.Num(p.AchievedSMMHz, 0), table.Num(p.ThrottledPct, 1), table.Word(flags)})
		}
	}
	return t
}

// PhasePowers tables the mean power of each kind of phase, by GPU.
func PhasePowers(powers map[string][]energy.PhasePower) table.Table {
	t := table.Table{Title: "mean power by kind of phase", Columns: []string{"phase", "GPU", "batch", "SM MHz", "W", "source"}}
	for _, id := range slices.Sorted(maps.Keys(powers)) {
		for _, p := range powers[id] {
			mhz := table.Word("default")
			if p.SMMHz > 0 {
				mhz = table.Num(float64(p.SMMHz), 0)
			}
			t.Rows = append(t.Rows, []table.Cell{table.Word(p.Kind), table.Word(id), table.Num(float64(p.Batch), 0), mhz, table.WithError(curve.Stat{Mean: p.PowerW, Half: p.ErrW}, 1), table.Word(p.Source)})
		}
	}
	t.Notes = []string{"± is the half-width of the 95 % interval; the board's constant gain error of about 5 % is not in it."}
	return t
}
