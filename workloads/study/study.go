// Package study has the numbers that the study published: Maliakel, Ilager, Brandic,
// "Characterizing LLM Inference Energy-Performance Tradeoffs across Workloads and GPU
// Scaling", arXiv 2501.08219. What it says of classes and routes, in our terms, stands
// in workloads/difficulty (Paper).
package study

import (
	"embed"
	"encoding/csv"
	"fmt"
	"math"
	"strconv"
	"strings"
	"sync"
)

// The study's tables. Energies in J, changes and shares in %.
//
//go:embed tables/*.csv
var paperFiles embed.FS

// paperTable is one published table: rows by their key columns.
type paperTable struct {
	columns map[string]int
	rows    [][]string
}

var paperTables = sync.OnceValue(func() map[string]paperTable {
	out := map[string]paperTable{}
	for _, name := range []string{"table01_models_and_datasets", "table02_lengths", "table03_features", "table07_quality", "table11_dvfs_180_vs_2842", "table12_edp_optimal", "table13_by_dataset_and_size", "table14_summary", "table16_energy_per_query"} {
		f, err := paperFiles.Open("tables/" + name + ".csv")
		if err != nil {
			panic(fmt.Sprintf("embedded table: %v", err)) // the build would be broken
		}
		records, err := csv.NewReader(f).ReadAll()
		if err != nil {
			panic(fmt.Sprintf("embedded table %s: %v", name, err))
		}
		t := paperTable{columns: map[string]int{}, rows: records[1:]}
		for i, c := range records[0] {
			t.columns[c] = i
		}
		id, _, _ := strings.Cut(name, "_")
		out[strings.TrimPrefix(id, "table")] = t
	}
	return out
})

// Published looks a number up: the column's value in the row whose columns equal
// the given pairs; NaN where the study has none.
func Published(table, column string, where ...string) float64 {
	v, err := strconv.ParseFloat(PublishedText(table, column, where...), 64)
	if err != nil {
		return math.NaN()
	}
	return v
}

// PublishedText is Published for a column of words; "" where there is none.
func PublishedText(table, column string, where ...string) string {
	t := paperTables()[table]
rows:
	for _, r := range t.rows {
		for i := 0; i+1 < len(where); i += 2 {
			if !strings.EqualFold(r[t.columns[where[i]]], where[i+1]) {
				continue rows
			}
		}
		return r[t.columns[column]]
	}
	return ""
}

// Models are the study's, by growing size, and Sizes as it calls them.
var (
	Models = []string{"Llama-3.2-1B", "Llama-3.2-3B", "Llama-3.1-8B", "Qwen2.5-14B", "Qwen2.5-32B"}
	Sizes  = []string{"1B", "3B", "8B", "14B", "32B"}
)

// Quality is a dataset's mean quality by model (Table VII): an accuracy, or ROUGE-L.
func Quality(dataset string) (byModel []float64) {
	for _, size := range Sizes {
		byModel = append(byModel, Published("07", size, "dataset", dataset))
	}
	return byModel
}

// ModelName is the study's name for a model of ours: by family and size.
func ModelName(model string) string {
	for _, name := range Models {
		if strings.EqualFold(name, model) {
			return name
		}
	}
	return model
}

// Rows returns the rows of a published table, in the order of its columns.
func Rows(table string) [][]string { return paperTables()[table].rows }
