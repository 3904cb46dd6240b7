package answers

import (
	"encoding/csv"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"

	"jouletop/engine/session"
	"jouletop/gpu/plaintext"
	"jouletop/workloads"
	"jouletop/workloads/difficulty"
	"jouletop/workloads/features"
)

// Characterized is queries characterized.
type Characterized struct {
	*Workload
	Queries  []workloads.Query
	features []features.Features
	Remarks  []string
}

// Characterize measures the queries and joins what sessions recorded of them.
func (w *Characterized) Characterize(recorded []*session.Session) error {
	x, err := features.New()
	if err != nil {
		return err
	}
	w.features = x.ExtractAll(w.Queries)
	var recordedAnswers *Answers
	if len(recorded) > 0 {
		if recordedAnswers, err = New(recorded); err != nil {
			return err
		}
	}
	if w.Workload, err = NewWorkload(w.Queries, w.features, recordedAnswers); err != nil {
		return err
	}
	if w.Simulated {
		w.Remarks = append(w.Remarks, "SIMULATED: what the models made of the queries is computed, not measured")
	}
	w.Remarks = append(w.Remarks, fmt.Sprintf("%d queries of %s", len(w.Queries), plaintext.Plural(len(w.Data.Datasets()), "dataset")))
	w.Remarks = append(w.Remarks, w.Notes...)
	return nil
}

// WriteCSV writes one row a query to path, whole or not at all, or to standard
// output.
func (w *Characterized) WriteCSV(path string) error {
	var text strings.Builder
	if err := w.queryCSV(&text); err != nil {
		return err
	}
	if path == "-" {
		_, err := io.WriteString(os.Stdout, text.String())
		return err
	}
	return session.ReplaceFile(path, []byte(text.String()))
}

// queryCSV writes the features, and, where models answered, the query's mean
// normalised quality, its label, scaling pattern and the model to route it to.
func (w *Characterized) queryCSV(out io.Writer) error {
	rows := make([]features.Row, len(w.Queries))
	for i, q := range w.Queries {
		rows[i] = features.Row{Dataset: plaintext.Cell(q.Dataset), QueryID: plaintext.Cell(q.ID), Features: w.features[i]}
	}
	var base strings.Builder
	if err := features.WriteCSV(&base, rows); err != nil || len(w.Data.Models) == 0 {
		_, _ = io.WriteString(out, base.String())
		return err
	}
	table, err := csv.NewReader(strings.NewReader(base.String())).ReadAll()
	if err != nil {
		return fmt.Errorf("write CSV: %w", err)
	}
	routes, err := difficulty.PatternRoutes(w.Patterns, w.Data.Models)
	if err != nil {
		return err
	}
	quality, easy := w.Data.MeanQuality(), w.Data.Labels()
	table[0] = append(table[0], "mean_quality", "label", "pattern", "model")
	for i := range w.Queries {
		answer, label := "", ""
		if !math.IsNaN(quality[i]) {
			answer, label = strconv.FormatFloat(quality[i], 'g', 6, 64), string(features.Hard)
			if easy[i] {
				label = string(features.Easy)
			}
		}
		table[i+1] = append(table[i+1], answer, label, string(w.Patterns[i]), plaintext.Cell(routes[i]))
	}
	return csv.NewWriter(out).WriteAll(table)
}

// FirstOfEach keeps the first n queries of each dataset.
func FirstOfEach(queries []workloads.Query, n int) []workloads.Query {
	seen := map[string]int{}
	return slices.DeleteFunc(queries, func(q workloads.Query) bool {
		seen[q.Dataset]++
		return seen[q.Dataset] > n
	})
}
