package report

import (
	"cmp"
	"math"
	"slices"

	"jouletop/engine/analysis/curve"
	"jouletop/engine/analysis/table"
	"jouletop/engine/event"
)

// drafted is what one depth of drafting came to at one clock.
type drafted struct {
	curve.Key
	clock  string
	points []event.PointDone // its repeats
}

// over is the mean of a figure over the repeats; with half it is, of a single one, what the
// sensors leave open.
func (d drafted) over(of, half func(event.PointDone) float64) curve.Stat {
	var xs []float64
	for _, p := range d.points {
		xs = append(xs, of(p))
	}
	s := curve.StatOf(xs)
	if half != nil && s.N == 1 {
		s.Half = half(d.points[slices.IndexFunc(xs, curve.Finite)])
	}
	return s
}

// Drafts tables how deep was drafted, and what came of it: how much was accepted, what
// drafting and verifying took, and what it came to against decoding plainly. No rows where
// nothing was drafted.
func Drafts(points []event.PointDone) table.Table {
	t := table.Table{ID: "drafts", Title: "drafted tokens", Columns: []string{
		"model", "dataset", "batch", "clock", "draft", "depth", "accepted %", "tokens/s", "J/token", "J/accepted", "draft J/query", "verify J/query", "J/query", "latency s", "EΔ %", "LΔ %",
	}}
	rows := draftedOf(points)
	plain := func(d *drafted) (base *drafted) {
		for i := range rows {
			o := &rows[i]
			k := o.Key
			if k.Drafting = d.Drafting; k != d.Key || o.clock != d.clock || o.DraftDepth != 0 {
				continue
			}
			if o.Draft == d.Draft {
				return o
			}
			if o.Draft == "" { // run without the drafter
				base = o
			}
		}
		return base
	}
	any := false
	for i := range rows {
		d := &rows[i]
		if d.Draft == "" {
			continue
		}
		any = any || d.Drafts()
		joules, joulesErr := func(p event.PointDone) float64 { return p.EnergyJ }, func(p event.PointDone) float64 { return p.EnergyErrJ }
		latency := func(p event.PointDone) float64 { return p.LatencyS }
		change := func(of, half func(event.PointDone) float64) table.Cell {
			base := plain(d)
			if base == nil || base == d {
				return table.Word("")
			}
			a, b := d.over(of, half), base.over(of, half)
			ratio := a.Mean / b.Mean
			return table.Change(curve.Stat{Mean: 100 * (ratio - 1), Half: 100 * ratio * math.Hypot(a.Half/a.Mean, b.Half/b.Mean)})
		}
		t.Rows = append(t.Rows, []table.Cell{
			table.Word(d.Model), table.Word(d.Dataset), table.Num(float64(d.BatchSize), 0), table.Word(d.clock), table.Word(d.Draft), table.Num(float64(d.DraftDepth), 0),
			table.Num(100*d.over(event.PointDone.Acceptance, nil).Mean, 1),
			rounded(d.over(func(p event.PointDone) float64 { return p.TokensPerS }, nil)),
			rounded(d.over(func(p event.PointDone) float64 { return p.JoulesPerToken }, nil)),
			rounded(d.over(event.PointDone.JoulesPerAccepted, nil)),
			rounded(d.over(func(p event.PointDone) float64 { return p.DraftJ }, func(p event.PointDone) float64 { return p.DraftErrJ })),
			rounded(d.over(func(p event.PointDone) float64 { return p.VerifyJ }, func(p event.PointDone) float64 { return p.VerifyErrJ })),
			rounded(d.over(joules, joulesErr)), rounded(d.over(latency, nil)), change(joules, joulesErr), change(latency, nil),
		})
	}
	if !any {
		t.Rows = nil
		return t
	}
	t.Notes = []string{"Depth: tokens proposed at a time, at most; 0 decodes plainly, and Δ is against it. J/accepted: drafting and verifying over the proposed tokens that the model kept. A draft model's reading of the prompt is in J/query, not in draft. ± is half of a 95 % interval: over repeats, or of one what its sensors leave open."}
	return t
}

// draftedOf groups points by what was drafted and the clock, in the order of both.
func draftedOf(points []event.PointDone) (rows []drafted) {
	for _, p := range points {
		if p.PointResult.Err != "" {
			continue
		}
		clock := "driver's"
		if event.PolicyOf(p.Policy).Kind != event.NoPolicy {
			clock = p.Policy
		}
		if mhz := p.ClockAlone(); mhz > 0 {
			clock = curve.Clock{RequestedMHz: mhz}.Label()
		}
		key := curve.KeyOf(p)
		i := slices.IndexFunc(rows, func(d drafted) bool { return d.Key == key && d.clock == clock })
		if i < 0 {
			i = len(rows)
			rows = append(rows, drafted{Key: key, clock: clock})
		}
		rows[i].points = append(rows[i].points, p)
	}
	slices.SortStableFunc(rows, func(a, b drafted) int {
		return cmp.Or(cmp.Compare(a.GPU, b.GPU), cmp.Compare(a.Model, b.Model), cmp.Compare(a.Dataset, b.Dataset), a.BatchSize-b.BatchSize,
			cmp.Compare(a.Draft, b.Draft), cmp.Compare(a.points[0].ClockAlone(), b.points[0].ClockAlone()), cmp.Compare(a.clock, b.clock), a.DraftDepth-b.DraftDepth)
	})
	return rows
}
