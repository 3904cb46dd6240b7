package report

import (
	"fmt"
	"math"
	"slices"

	"jouletop/engine/analysis/curve"
	"jouletop/engine/analysis/table"
	"jouletop/engine/event"
)

// energyTable names the table of energies.
const energyTable = "energy"

// mostEnergies is how many rows the table of energies has at most: a sweep's are in the
// tables over its clocks.
const mostEnergies = 24

// Energies lists what each combination of model, dataset, batch size and clock came to,
// over its repeats; no rows where there are too many to read. ± is over the repeats, or
// of a single one what the sensors leave open.
func Energies(points []event.PointDone) table.Table {
	t := table.Table{ID: energyTable, Title: "energy and time a query", Columns: []string{
		"model", "dataset", "batch", "clock", "repeats", "J/query", "J/token", "J/token, read too", "latency s", "tokens/s", "W",
	}}
	for _, c := range curve.Of(points) {
		for _, k := range slices.Concat(c.Clocks, c.Policies) {
			batch := table.Num(float64(c.BatchSize), 0)
			if c.BatchSize < 0 {
				batch = table.Word("–")
			}
			energy, token := k.Energy, k.JoulesPerToken
			if energy.N == 1 {
				energy.Half = k.Stated
				token.Half = token.Mean * k.Stated / energy.Mean
			}
			clock := clockText(k)
			if !k.Clean() {
				clock += " (" + string(k.Flags) + ")"
			}
			t.Rows = append(t.Rows, []table.Cell{
				table.Word(c.Title()), table.Word(c.Dataset), batch, table.Word(clock), table.Num(float64(max(energy.N, k.Latency.N)), 0),
				rounded(energy), rounded(token), rounded(k.JoulesPerTotal), rounded(k.Latency), rounded(k.TokensPerS), table.Num(k.Power.Mean, 0),
			})
		}
	}
	if len(t.Rows) > mostEnergies {
		return table.Table{}
	}
	t.Notes = []string{"J/token is per generated token, or per token read where none is generated; \"read too\" counts the prompts' tokens as well. ± is half of a 95 % interval: over repeats, or of one what its sensors leave open. Figures are means per query."}
	return t
}

// rounded is a mean to as many decimals as its interval bears, three digits without.
func rounded(s curve.Stat) table.Cell {
	c := table.WithError(s, 0)
	of := s.Half / 3
	if !(s.Half > 0) {
		of = math.Abs(s.Mean) / 300
	}
	if of > 0 && !math.IsInf(of, 0) {
		c.Decimals = max(0, min(6, -int(math.Floor(math.Log10(of)))))
	}
	if math.IsNaN(s.Mean) {
		c.Text = "–"
		if s.Half > 0 && curve.Finite(s.Half) {
			c.Text = fmt.Sprintf("– (± %.3g)", s.Half)
		}
	}
	return c
}
