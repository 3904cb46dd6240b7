package answers

import (
	"encoding/csv"
	"strings"
	"testing"

	"jouletop/gpu/plaintext"
	"jouletop/workloads"
	"jouletop/workloads/difficulty"
	"jouletop/workloads/features"
)

// What names a query or a model is data: no spreadsheet calculates it, and it is read
// back as it was.
func TestWorkloadCSVHoldsNoFormulas(t *testing.T) {
	for _, name := range []string{"=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "'=1"} {
		w := &Characterized{
			Workload: &Workload{
				Data: difficulty.Data{
					Models:  []difficulty.Model{{Name: name, ParamsB: 1}},
					Records: []difficulty.Record{{Dataset: name, Quality: []float64{1}}},
				},
				Patterns: []difficulty.Pattern{difficulty.AlwaysEasy},
			},
			Queries:  []workloads.Query{{Dataset: name, ID: name}},
			features: []features.Features{{}},
		}
		var out strings.Builder
		if err := w.queryCSV(&out); err != nil {
			t.Fatal(err)
		}
		rows, err := csv.NewReader(strings.NewReader(out.String())).ReadAll()
		if err != nil || len(rows) != 2 {
			t.Fatalf("%v, %q", err, rows)
		}
		last := len(rows[1]) - 1
		for _, at := range []int{0, 1, last} {
			cell := rows[1][at]
			if plaintext.Cell(plaintext.FromCell(cell)) != cell || strings.ContainsAny(cell[:1], "=+-@\t\r") {
				t.Errorf("%s is %q, a formula", rows[0][at], cell)
			}
		}
	}
}
