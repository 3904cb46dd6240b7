package report

import (
	"fmt"
	"jouletop/engine/analysis/answers"
	"jouletop/engine/analysis/table"
	"strings"
)

// Routed lays the routed queries out, or has no rows.
func Routed(a *answers.Answers) table.Table {
	t := table.Table{Title: "routed queries", Simulated: a.Simulated, Columns: []string{"class", "queries", "models", "J", "latency s", "quality"}}
	rows, baseline, clock := a.Routed()
	if len(rows) == 0 {
		return t
	}
	if baseline != "" {
		t.Title += " against all on " + baseline + " at " + answers.ClockName(clock)
		t.Columns = []string{"class", "queries", "models", "J", "baseline J", "saving %", "latency s", "baseline s", "quality", "baseline quality"}
	}
	for _, r := range rows {
		cells := []table.Cell{table.Word(r.Class), table.Num(float64(r.Queries), 0), table.Word(strings.Join(r.Models, ", "))}
		if baseline == "" {
			cells = append(cells, table.Num(r.EnergyJ, 1), table.Num(r.LatencyS, 3), table.Num(r.Quality, 3))
		} else {
			cells = append(cells, table.Num(r.EnergyJ, 1), table.Num(r.BaselineJ, 1), table.Num(100*r.Saving(), 1), table.Num(r.LatencyS, 3), table.Num(r.BaselineS, 3), table.Num(r.Quality, 3), table.Num(r.BaselineQuality, 3))
		}
		t.Rows = append(t.Rows, cells)
	}
	t.Notes = []string{"Joules are totals over the class's queries, latency and quality means."}
	all := rows[len(rows)-1]
	switch {
	case a.Meaningless != "":
		t.Notes[0] = "No energies: " + a.Meaningless + "."
	case all.Resolved < all.Queries:
		t.Notes = append(t.Notes, fmt.Sprintf("The energy of %d of %d queries could not be resolved; the totals leave them out on both sides.", all.Queries-all.Resolved, all.Queries))
	}
	return t
}
