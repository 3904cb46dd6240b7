package report

import (
	"fmt"
	"math"
	"slices"

	"jouletop/engine/analysis/curve"
	"jouletop/engine/analysis/table"
	"jouletop/engine/event"
)

// Held says of each setting, over its repeats, whether a limit was what held the SM clock,
// and in which phase. Where there are too many to read it lists those that a limit held.
// No rows where nothing is known of any.
func Held(points []event.PointDone) table.Table {
	t := table.Table{ID: "held", Title: "what held the SM clock, by phase", Columns: []string{
		"model", "dataset", "batch", "clock", "repeats", "limit W", "throttled %", "prefill held by", "after held by",
	}}
	anything, unknown, settings := false, false, 0
	var limited [][]table.Cell
	for _, c := range curve.Of(points) {
		for _, k := range slices.Concat(c.Clocks, c.Policies) {
			throttled := k.ThrottledPct > 1
			anything = anything || k.Held.Told() || throttled
			s := curve.Setting{Clock: k}
			prefill, after := k.Held.Prefill, *k.Held.Of(s.After())
			// Where requests are served as they come, prefill is a part of that.
			before := prefill.String()
			if !prefill.Known() && k.Held.Mixed.Known() {
				before = "–"
			}
			unknown = unknown || before == (event.Held{}).String() || !after.Known()
			batch, limit := table.Num(float64(c.BatchSize), 0), table.Num(k.LimitW, 0)
			if c.BatchSize < 0 {
				batch = table.Word("–")
			}
			if math.IsNaN(k.LimitW) {
				limit = table.Word("as it was")
			}
			row := []table.Cell{
				table.Word(c.Title()), table.Word(c.Dataset), batch, table.Word(clockText(k)), table.Num(float64(k.Repeats()), 0), limit, table.Num(k.ThrottledPct, 1),
				table.Word(before), table.Word(after.String()),
			}
			t.Rows = append(t.Rows, row)
			if k.Held.Limited() || throttled {
				limited = append(limited, row)
			}
			settings++
		}
	}
	if !anything {
		t.Rows = nil
		return t
	}
	if settings > mostEnergies {
		t.Rows = limited
	}
	if left := settings - len(t.Rows); left > 0 {
		t.Notes = append(t.Notes, fmt.Sprintf("%d settings are not listed, in which no limit is known to have held the clock.", left))
	}
	t.Notes = append(t.Notes, fmt.Sprintf("power, heat: such a limit held the clock below the one asked for (or the highest), for %g %% of the phase's time or more; sm-lock: the clock asked for did; nothing: it was at its highest. after: decode, scoring, or serving.", event.HeldAtTimes))
	if unknown {
		t.Notes = append(t.Notes, "unknown: what was read of the clock does not tell: too few phases, or too short ones, or none of it was recorded.")
	}
	return t
}

// clockText names a clock or policy for people.
func clockText(k curve.Clock) string {
	if event.PolicyOf(k.Label()).Kind == event.NoPolicy {
		return "driver's"
	}
	return k.Label()
}
