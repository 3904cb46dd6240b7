package main

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"jouletop/engine/analysis/answers"
	"jouletop/engine/analysis/plot"
	"jouletop/engine/analysis/report"
	"jouletop/engine/session"
	"jouletop/gpu/plaintext"
	"jouletop/workloads"
	"jouletop/workloads/difficulty"
	"jouletop/workloads/features"
)

func newWorkload() *cobra.Command {
	var (
		o        options
		sessions []string
		csvOut   string
		format   string
		paper    bool
		plots    string
	)
	c := &cobra.Command{
		Use:   "workload [NAME=]FILE...",
		Short: "What makes queries hard: features, difficulty, scaling patterns, routing",
		Long: `Characterize queries: their lengths and features (the study's Tables II to V)
and the class that the rule gives them. With --session, a recorded session of
several models over these queries, also what the models made of them: the
classifier, qualities, scaling patterns and routes (Tables VI to X and XV), and,
where it ran at two clocks, what routing and frequency scaling would save
(Tables XVII and XVIII).

Without a FILE the queries are the session's, or the built-in ones. --csv writes
one row a query; its column "model" is what run --route FILE takes.`,
		Example: `  jouletop workload boolq=dev.jsonl truthfulqa.csv --paper
  jouletop sweep --model llama-3.2-3b --model qwen2.5-14b --clocks 345,1980 --batch 8 --session s
  jouletop workload --session s --csv routes.csv --plots pictures`,
		RunE: func(_ *cobra.Command, files []string) error {
			write, ok := reportFormats[format]
			if !ok {
				return usagef("--format %q: want text, md, csv or json", format)
			}
			if o.queries < 0 {
				return usagef("--queries %d: want 0 (all) or more", o.queries)
			}
			o.datasets = files
			w, err := openWorkload(&o, sessions)
			if err != nil {
				return err
			}
			if plots != "" {
				if err := w.plot(plots); err != nil {
					return err
				}
			}
			if csvOut != "" {
				if err := w.writeCSV(csvOut); err != nil {
					return err
				}
				if csvOut == "-" {
					return nil
				}
			}
			return write(os.Stdout, report.Workload(w.Workload, paper), &reported{notes: w.notes}, paper)
		},
	}
	f := c.Flags()
	f.StringArrayVar(&sessions, "session", nil, "recorded session of models over these queries (repeatable)")
	f.StringVar(&csvOut, "csv", "", "`file` for one row a query, - for standard output instead of the tables")
	f.StringVar(&format, "format", "text", "`format` of the tables: text, md, csv or json")
	f.BoolVar(&paper, "paper", false, "the study's published numbers beside ours, with what explains the differences")
	f.StringVar(&plots, "plots", "", "`folder` for pictures (SVG and PNG)")
	f.IntVar(&o.queries, "queries", 0, "queries of each dataset, 0 for all there are")
	f.BoolVar(&o.lenient, "lenient", false, "skip malformed dataset rows instead of failing")
	return c
}

// workload is queries characterized.
type workload struct {
	*answers.Workload
	queries  []workloads.Query
	features []features.Features
	notes    []string
}

// openWorkload reads the queries that o names and what models made of them in
// recorded sessions.
func openWorkload(o *options, dirs []string) (*workload, error) {
	var recorded []*session.Session
	for _, dir := range dirs {
		s, err := session.OpenForeign(dir)
		if err != nil {
			return nil, err
		}
		recorded = append(recorded, s)
	}
	w := &workload{}
	if len(o.datasets) == 0 && len(recorded) > 0 {
		var err error
		if w.queries, err = answers.Queries(recorded); err != nil {
			return nil, fmt.Errorf("%w; name the files to look at", err)
		}
		if o.queries > 0 {
			w.queries = firstOfEach(w.queries, o.queries)
		}
	} else {
		data, err := loadDatasets(o)
		if err != nil {
			return nil, err
		}
		for _, d := range data {
			w.queries = append(w.queries, d.queries...)
			w.notes = append(w.notes, d.notes()...)
		}
	}
	return w, w.characterize(recorded)
}

// firstOfEach keeps the first n queries of each dataset.
func firstOfEach(queries []workloads.Query, n int) []workloads.Query {
	seen := map[string]int{}
	return slices.DeleteFunc(queries, func(q workloads.Query) bool {
		seen[q.Dataset]++
		return seen[q.Dataset] > n
	})
}

// characterize measures the queries and joins what sessions recorded of them.
func (w *workload) characterize(recorded []*session.Session) error {
	x, err := features.New()
	if err != nil {
		return err
	}
	w.features = x.ExtractAll(w.queries)
	var recordedAnswers *answers.Answers
	if len(recorded) > 0 {
		if recordedAnswers, err = answers.New(recorded); err != nil {
			return err
		}
	}
	if w.Workload, err = answers.NewWorkload(w.queries, w.features, recordedAnswers); err != nil {
		return err
	}
	if w.Simulated {
		w.notes = append(w.notes, "SIMULATED: what the models made of the queries is computed, not measured")
	}
	w.notes = append(w.notes, fmt.Sprintf("%d queries of %s", len(w.queries), plural(len(w.Data.Datasets()), "dataset")))
	w.notes = append(w.notes, w.Notes...)
	return nil
}

// plot draws the pictures into dir and names them on stderr.
func (w *workload) plot(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("plots: %w", err)
	}
	files, err := plot.Workload(w.Workload, dir)
	for _, f := range files {
		fmt.Fprintln(os.Stderr, "wrote", f)
	}
	return err
}

// writeCSV writes one row a query to path, whole or not at all, or to standard
// output.
func (w *workload) writeCSV(path string) error {
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
func (w *workload) queryCSV(out io.Writer) error {
	rows := make([]features.Row, len(w.queries))
	for i, q := range w.queries {
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
	for i := range w.queries {
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

// addWorkload puts the study's workload tables and pictures into a report of
// sessions that ran several models, and what routing came to; where their queries cannot be had again a
// note says so.
func (r *reported) addWorkload() error {
	if slices.ContainsFunc(r.sessions, func(s *session.Session) bool { return s.Manifest.Plan.Route != "" }) {
		a, err := answers.New(r.sessions)
		if err != nil {
			return err
		}
		r.routed = report.Routed(a)
	}
	models := map[string]bool{}
	for _, p := range r.points {
		models[p.Model] = true
	}
	if len(models) < 2 {
		return nil
	}
	queries, err := answers.Queries(r.sessions)
	if errors.Is(err, answers.ErrQueries) {
		r.notes = append(r.notes, "no tables of the workload: "+err.Error())
		return nil
	}
	if err != nil {
		return err
	}
	w := &workload{queries: queries}
	if err := w.characterize(r.sessions); err != nil {
		return err
	}
	r.notes = append(r.notes, w.Notes...)
	r.workload = w
	return nil
}
