package main

import (
	"github.com/spf13/cobra"

	"jouletop/engine/analysis/report"
	"jouletop/engine/analysis/served"
	"jouletop/engine/analysis/table"
	"jouletop/engine/event"
	"jouletop/engine/usage"
)

func newReport() *cobra.Command {
	var (
		o         options
		format    string
		paper     bool
		plots     string
		page      string
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
			write, ok := report.Formats[format]
			if !ok {
				return usage.Errorf("--format %q: want text, md, csv or json", format)
			}
			slow, err := o.Work.Slowdown()
			if err != nil {
				return err
			}
			if _, err := served.ParseSLO(o.slo); err != nil {
				return usage.Errorf("--slo %v", err)
			}
			if split := o.Serve.EnergySplit; split != "" {
				if _, err := event.ParseSplit(split); err != nil {
					return usage.Errorf("--energy-split %v", err)
				}
				if !recompute {
					return usage.Errorf("--energy-split divides anew what was recorded: give --recompute")
				}
			}
			var powers []table.Table
			if recompute {
				for _, dir := range dirs {
					t, err := report.Recompute(dir, event.Split(o.Serve.EnergySplit))
					if err != nil {
						return err
					}
					powers = append(powers, t)
				}
			}
			r, err := report.Load(dirs)
			if err != nil {
				return err
			}
			if err := r.AddWorkload(); err != nil {
				return err
			}
			if err := r.AddServed(o.slo); err != nil {
				return err
			}
			if plots != "" {
				if err := r.Plot(plots, slow); err != nil {
					return err
				}
			}
			if page != "" {
				return r.HTML(page, slow)
			}
			return write(stdout(), append(powers, r.Tables(slow, paper)...), r.Notes, paper)
		},
	}
	f := c.Flags()
	f.StringVar(&format, "format", "text", "`format`: text, md, csv or json")
	f.BoolVar(&paper, "paper", false, "the study's published numbers beside ours")
	f.StringVar(&plots, "plots", "", "`folder` for pictures (SVG and PNG)")
	f.StringVar(&page, "html", "", "write all of it to one HTML `file` that needs no other, instead of text")
	f.BoolVar(&recompute, "recompute", false, "estimate energies again from the recorded readings")
	o.addSplit(f, "")
	o.addSLO(f)
	f.StringVar(&o.Work.MaxSlowdown, "max-slowdown", "3%", "latency bound for the clock to run at")
	return c
}
