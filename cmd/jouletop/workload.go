package main

import (
	"github.com/spf13/cobra"

	"jouletop/engine/analysis/report"
	"jouletop/engine/plan"
	"jouletop/engine/usage"
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
			write, ok := report.Formats[format]
			if !ok {
				return usage.Errorf("--format %q: want text, md, csv or json", format)
			}
			if o.Work.Queries < 0 {
				return usage.Errorf("--queries %d: want 0 (all) or more", o.Work.Queries)
			}
			o.Work.Datasets = files
			w, err := plan.OpenWorkload(&o.Work, sessions)
			if err != nil {
				return err
			}
			if plots != "" {
				if err := report.PlotWorkload(w, plots); err != nil {
					return err
				}
			}
			if csvOut != "" {
				if err := w.WriteCSV(csvOut); err != nil {
					return err
				}
				if csvOut == "-" {
					return nil
				}
			}
			return write(stdout(), report.Workload(w.Workload, paper), w.Remarks, paper)
		},
	}
	f := c.Flags()
	f.StringArrayVar(&sessions, "session", nil, "recorded session of models over these queries (repeatable)")
	f.StringVar(&csvOut, "csv", "", "`file` for one row a query, - for standard output instead of the tables")
	f.StringVar(&format, "format", "text", "`format` of the tables: text, md, csv or json")
	f.BoolVar(&paper, "paper", false, "the study's published numbers beside ours, with what explains the differences")
	f.StringVar(&plots, "plots", "", "`folder` for pictures (SVG and PNG)")
	f.IntVar(&o.Work.Queries, "queries", 0, "queries of each dataset, 0 for all there are")
	f.BoolVar(&o.Work.Lenient, "lenient", false, "skip malformed dataset rows instead of failing")
	return c
}
