// Command benchworkload measures the chain from queries to what routing them
// would save, with the program whose path it is given: the study's 3,817 queries,
// run by five simulated models at two clocks, and reported beside the study. It
// prints figures beside their targets and exits with 1 when one falls short.
package main

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"

	"jouletop/engine/internal/figures"
)

func main() { figures.Of("benchworkload", chain) }

// models are the study's sizes.
var models = []string{"llama-3.2-1b", "llama-3.2-3b", "llama-3.1-8b", "qwen2.5-14b", "qwen2.5-32b"}

// limit is the target, in s.
const limit = 60

func chain(sheet *figures.Sheet, bin, dir string) error {
	w, err := newWriter()
	if err != nil {
		return err
	}
	files, err := w.write(dir)
	if err != nil {
		return err
	}
	sweep := []string{
		"sweep", "--gpu", "sim:rtx-pro-6000", "--clocks", "180,2842", "--batch", "8", "--repeats", "1", "--cool-down", "0s",
		"--samples", "none", "--sim-speed", "max", "--session", filepath.Join(dir, "s"),
	}
	for _, m := range models {
		sweep = append(sweep, "--model", m)
	}
	for _, f := range files {
		sweep = append(sweep, "--dataset", f)
	}
	_, ran, err := figures.Run(bin, sweep...)
	if err != nil {
		return err
	}
	text, reported, err := figures.Run(bin, "report", filepath.Join(dir, "s"), "--paper", "--format", "json", "--plots", filepath.Join(dir, "pictures"))
	if err != nil {
		return err
	}
	var tables []table
	if err := json.Unmarshal(text, &tables); err != nil {
		return fmt.Errorf("report: %w", err)
	}
	sheet.Check("queries (Table II)", queries(tables), "", 3817, 3817)
	for _, id := range []string{"VI", "VII", "VIII", "IX", "X", "XV", "XVII", "XVIII"} {
		cells, empty, published := filled(tables, id)
		sheet.Check("Table "+id+", cells", cells, "", 2, 1e6)
		sheet.Check("Table "+id+", cells without a number of ours", empty, "", 0, 0)
		sheet.Check("Table "+id+", published numbers beside", published, "", 1, 1e6)
	}
	// Processor time bounds the wall time on a machine that does nothing else: no
	// command waits for anything but itself.
	sheet.Check("sweep and report, processor time", ran.CPUS+reported.CPUS, "s", 0, limit)
	fmt.Printf("%-52s %10.5g s (sweep %.3g, report and plots %.3g)\n", "sweep and report, wall time", ran.WallS+reported.WallS, ran.WallS, reported.WallS)
	return nil
}

// table is a table of a JSON report.
type table struct {
	ID        string                     `json:"id"`
	Simulated bool                       `json:"simulated"`
	Columns   []string                   `json:"columns"`
	Rows      []map[string]numberAndText `json:"rows"`
}

type numberAndText struct {
	Text      string   `json:"text"`
	Value     *float64 `json:"value"`
	Published *float64 `json:"published"`
}

func find(tables []table, id string) table {
	if i := slices.IndexFunc(tables, func(t table) bool { return t.ID == id }); i >= 0 {
		return tables[i]
	}
	return table{}
}

func queries(tables []table) float64 {
	n := 0.0
	for _, r := range find(tables, "II").Rows {
		if v := r["queries"].Value; v != nil {
			n += *v
		}
	}
	return n
}

// filled counts a simulated table's cells, those that are empty, and those with
// a published number.
func filled(tables []table, id string) (cells, empty, published float64) {
	t := find(tables, id)
	if !t.Simulated {
		return 0, 0, 0
	}
	for _, r := range t.Rows {
		for _, c := range t.Columns {
			cells++
			if r[c].Published != nil {
				published++
			}
			if r[c].Text == "" && r[c].Value == nil {
				empty++
			}
		}
	}
	return cells, empty, published
}
