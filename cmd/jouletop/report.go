package main

import (
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"jouletop/engine/analysis/answers"
	"jouletop/engine/analysis/report"
	"jouletop/engine/analysis/table"
	"jouletop/engine/event"
	"jouletop/engine/session"
)

func newReport() *cobra.Command {
	var (
		o         options
		format    string
		paper     bool
		plots     string
		recompute bool
	)
	c := &cobra.Command{
		Use:   "report DIR...",
		Short: "Tables and plots of recorded sessions",
		Long: `Tables of one or several sessions: the study's (I and XI to
XIV and XVI; of several models II to X and XV too, at two clocks XVII and XVIII
too) and what to run at. --paper lays the published numbers beside them.
--recompute estimates all energies again from the recorded readings and writes
them into the session.`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(_ *cobra.Command, dirs []string) error {
			write, ok := reportFormats[format]
			if !ok {
				return usagef("--format %q: want text, md, csv or json", format)
			}
			slow, err := o.slowdown()
			if err != nil {
				return err
			}
			var powers []table.Table
			if recompute {
				for _, dir := range dirs {
					t, err := recomputeSession(dir)
					if err != nil {
						return err
					}
					powers = append(powers, t)
				}
			}
			r, err := loadReport(dirs)
			if err != nil {
				return err
			}
			if err := r.addWorkload(); err != nil {
				return err
			}
			if plots != "" {
				if err := r.plot(plots); err != nil {
					return err
				}
			}
			return write(os.Stdout, append(powers, r.tables(slow, paper)...), r, paper)
		},
	}
	f := c.Flags()
	f.StringVar(&format, "format", "text", "`format`: text, md, csv or json")
	f.BoolVar(&paper, "paper", false, "the study's published numbers beside ours")
	f.StringVar(&plots, "plots", "", "`folder` for pictures (SVG and PNG)")
	f.BoolVar(&recompute, "recompute", false, "estimate energies again from the recorded readings")
	f.StringVar(&o.maxSlowdown, "max-slowdown", "3%", "latency bound for the clock to run at")
	return c
}

// report is one or several sessions read.
type reported struct {
	sessions  []*session.Session
	points    []event.PointDone
	simulated bool
	notes     []string
	workload  *workload // nil where the sessions do not have one
	routed    table.Table
}

func loadReport(dirs []string) (*reported, error) {
	r := &reported{}
	for _, dir := range dirs {
		s, err := session.OpenForeign(dir)
		if err != nil {
			return nil, err
		}
		points, err := answers.Points(s)
		if err != nil {
			return nil, err
		}
		if len(points) == 0 {
			return nil, fmt.Errorf("%s: the session has no finished point or request", dir)
		}
		r.sessions = append(r.sessions, s)
		r.points = append(r.points, answers.Unrouted(points)...)
		r.simulated = r.simulated || s.Manifest.Simulated
		if s.Manifest.Note != "" {
			r.notes = append(r.notes, dir+": "+s.Manifest.Note)
		}
	}
	return r, nil
}

// tables are the tables that have rows.
func (r *reported) tables(slowdown float64, paper bool) []table.Table {
	var out []table.Table
	for _, t := range report.Study(r.points, slowdown) {
		if len(t.Rows) > 0 {
			out = append(out, t)
		}
	}
	for i := range out {
		out[i].Simulated = r.simulated
	}
	if r.workload != nil {
		out = append(out, report.Workload(r.workload.Workload, paper)...)
	}
	if len(r.routed.Rows) > 0 {
		out = append(out, r.routed)
	}
	return out
}

var reportFormats = map[string]func(w io.Writer, tables []table.Table, r *reported, paper bool) error{
	"text": func(w io.Writer, tables []table.Table, r *reported, paper bool) error {
		for _, n := range r.notes {
			fmt.Fprintln(w, n)
		}
		fmt.Fprintln(w)
		for _, t := range tables {
			if err := t.WriteText(w, paper); err != nil {
				return err
			}
		}
		return nil
	},
	"md": func(w io.Writer, tables []table.Table, r *reported, paper bool) error {
		for _, n := range r.notes {
			fmt.Fprintf(w, "> %s\n\n", n)
		}
		for _, t := range tables {
			if err := t.WriteMarkdown(w, paper); err != nil {
				return err
			}
		}
		return nil
	},
	"csv": func(w io.Writer, tables []table.Table, _ *reported, _ bool) error {
		return table.WriteCSV(w, tables)
	},
	"json": func(w io.Writer, tables []table.Table, _ *reported, _ bool) error {
		return table.WriteJSON(w, tables)
	},
}
