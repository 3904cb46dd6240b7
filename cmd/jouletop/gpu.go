package main

import (
	"os"

	"github.com/spf13/cobra"

	"jouletop/engine/operator"
	"jouletop/engine/rig"
	"jouletop/tui/progress"
)

func newGPU() *cobra.Command {
	var o options
	c := &cobra.Command{
		Use:   "gpu",
		Short: "What each GPU can tell and do: clocks, sensors and their periods, permission, other processes",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return rig.Show(cmd.Context(), &o.Rig, cmd.Flags().Changed("device"), o.json, os.Stdout)
		},
	}
	f := c.PersistentFlags()
	o.addGPU(f)
	f.StringVar(&o.Rig.BackendDir, "backend-dir", "", "`folder` of llama.cpp's GPU backends (libggml-cuda.so)")
	f.BoolVar(&o.json, "json", false, "as JSON")
	f.Uint64Var(&o.Rig.Seed, "seed", 1, "seed of a simulated GPU")
	c.AddCommand(newGPUReset(&o), newGPUSwitching(&o))
	return c
}

func newGPUReset(o *options) *cobra.Command {
	var force bool
	c := &cobra.Command{
		Use:   "reset",
		Short: "Give back locked clocks and other knobs",
		Long: `Give back what jouletop set and could not give back (after every process was killed
at once, say): clocks to the driver, a power limit to what it was before. --force
gives every knob to the driver, whoever set it: clocks unlocked, the default limit.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return rig.ResetClocks(cmd.Context(), &o.Rig, force, os.Stdout)
		},
	}
	c.Flags().BoolVar(&force, "force", false, "reset every knob, whoever set it")
	return c
}

func newGPUSwitching(o *options) *cobra.Command {
	var s operator.Switching
	c := &cobra.Command{
		Use:   "switching",
		Short: "Measure call and settle time between clocks",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			bar := progress.NewBar(os.Stderr, "switching clocks")
			s.JSON, s.Progress, s.Done = o.json, bar.Set, bar.Done
			return s.Show(cmd.Context(), &o.Rig, os.Stdout)
		},
	}
	c.Flags().StringVar(&s.Clocks, "clocks", "", "SM `clocks` to switch between, as for sweep (default: three over the range)")
	c.Flags().IntVar(&s.Repeats, "repeats", 5, "switches of each pair")
	c.Flags().BoolVar(&s.CSV, "csv", false, "as CSV")
	return c
}
