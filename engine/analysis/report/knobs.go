package report

import (
	"slices"

	"jouletop/engine/analysis/curve"
	"jouletop/engine/analysis/table"
	"jouletop/engine/event"
	"jouletop/gpu"
)

// Knobs tables settings of other knobs than the SM clock, each beside the same with the
// highest power limit there is (its matched reference), and says of each limit in which
// phase it held the clock. Without such settings the table has no rows; its notes then say
// what the card's own limit held, where it did.
func Knobs(points []event.PointDone) table.Table {
	t := table.Table{
		Title:   "knobs, and what held the SM clock",
		Columns: []string{"model", "dataset", "batch", "setting", "J/query", "latency s", "EΔ %", "PreΔ %", "afterΔ %", "prefill held by", "after held by"},
	}
	doubted := false
	for _, c := range curve.Of(points) {
		rows := c.Settings()
		knobs := slices.ContainsFunc(rows, func(r *curve.Setting) bool { return r.Asked.Setting().Others() != (gpu.Setting{}) })
		for _, r := range rows {
			if !knobs {
				break
			}
			prefill, p := r.HeldBy(event.Prefill)
			after, a := r.HeldBy(r.After())
			doubted = doubted || p || a
			cells := []table.Cell{
				table.Word(c.Title()), table.Word(c.Dataset), table.Num(float64(c.BatchSize), 0), table.Word(settingText(r.Asked.Setting())),
				table.WithError(r.Energy, 3), table.WithError(r.Latency, 4), table.Num(nan, 1), table.Num(nan, 1), table.Num(nan, 1),
				table.Word(heldText(prefill, p)), table.Word(heldText(after, a)),
			}
			if r.Reference != r {
				k := r.Against(r.Reference.Clock)
				k.EnergyDown.Mean = -k.EnergyDown.Mean
				cells[6], cells[7], cells[8] = table.Change(k.EnergyDown), table.Change(k.Prefill), table.Change(k.Decode)
			}
			t.Rows = append(t.Rows, cells)
		}
		t.Notes = append(t.Notes, c.CapVerdicts()...)
	}
	if len(t.Rows) > 0 {
		t.Notes = append(t.Notes, "Δ: against the same setting with the highest power limit there is. after: decode, scoring, or serving.")
	}
	if doubted {
		t.Notes = append(t.Notes, "*: the samples do not tell; concluded from the phase's time against the reference's.")
	}
	return t
}

func settingText(s gpu.Setting) string {
	if s == (gpu.Setting{}) {
		return "driver's"
	}
	return s.String()
}

func heldText(h event.Held, concluded bool) string {
	text := h.String()
	if h.Limited() && concluded {
		text = string(h.By)
	}
	if concluded {
		text += "*"
	}
	return text
}
