package main

import (
	"errors"

	"github.com/spf13/cobra"

	"jouletop/engine/analysis/compare"
	"jouletop/engine/analysis/report"
	"jouletop/engine/usage"
)

func newCompare() *cobra.Command {
	var (
		o      compare.Options
		format string
	)
	c := &cobra.Command{
		Use:   "compare DIR [SETTING...] [DIR...]",
		Short: "What differs between recorded runs of the same work, by how much and how surely",
		Long: `Each figure of the others against the first, paired by query, as a difference with
its 95 % interval and a word: lower, higher, or no difference resolved.

A session's folder is a side as a whole, and so are several that ran the same, with
commas between them (A1,A2 B1,B2); what follows is a setting of it (none, 1005,
phase:1980/1005) or a point. A session alone: each of its settings against the
driver's clock, or the highest.

What is not the same but for the clock is not compared: another model, dataset, batch
size, card, sensor, other tokens, throttling, flags. --anyway compares it all the same.`,
		Example: "  jouletop compare SESSION\n  jouletop compare SESSION none phase:1980/1005\n  jouletop compare BEFORE AFTER --resolve 2%\n  jouletop compare BEFORE1,BEFORE2 AFTER1,AFTER2",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			write, ok := report.Formats[format]
			if !ok {
				return usage.Errorf("--format %q: want text, md, csv or json", format)
			}
			tables, err := compare.Tables(args, o)
			if len(tables) == 0 {
				return err
			}
			return errors.Join(write(stdout(), tables, nil, false), err)
		},
	}
	f := c.Flags()
	f.StringVar(&format, "format", "text", "`format`: text, md, csv or json")
	f.StringVar(&o.Baseline, "baseline", "", "`setting` or session that the others are compared with (default: the first, of one session the driver's clock)")
	f.StringVar(&o.Resolve, "resolve", "", "also say how many repeats would find a difference of this `share`, such as 2%")
	f.BoolVar(&o.Anyway, "anyway", false, "compare what is not the same but for the clock, and mark it")
	return c
}
