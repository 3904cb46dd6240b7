package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"jouletop/engine/synth"
)

func newSynth() *cobra.Command {
	var (
		out   string
		typ   string
		seed  uint64
		force bool
	)
	c := &cobra.Command{
		Use:   "synth SHAPE",
		Short: "Write a GGUF of a published shape with random weights",
		Long: "Write a GGUF of a published shape with random weights and a real vocabulary, to\n" +
			"measure with where the real weights are not at hand. Shapes: " + strings.Join(shapeNames(), ", ") + ".",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			shape, err := synth.Lookup(args[0])
			if err != nil {
				return usageError{err}
			}
			t, ok := map[string]synth.Type{"f16": synth.F16, "f32": synth.F32}[strings.ToLower(typ)]
			if !ok {
				return usagef("--type %q: want f16 or f32", typ)
			}
			if out == "" {
				out = shape.Name + ".gguf"
			}
			if _, err := os.Stat(out); err == nil && !force {
				return fmt.Errorf("%s is there already; --force replaces it", out)
			}
			bar := newBar(os.Stderr, "writing "+out)
			if err := synth.Write(cmd.Context(), shape, t, seed, out, bar.count); err != nil {
				bar.done()
				return err
			}
			bar.done()
			st, err := os.Stat(out)
			if err != nil {
				return err
			}
			fmt.Printf("%s: %s, random weights, %s\n", out, shape.Name, humanize.IBytes(uint64(st.Size())))
			return nil
		},
	}
	c.Flags().StringVarP(&out, "output", "o", "", "`file` to write (default SHAPE.gguf)")
	c.Flags().StringVar(&typ, "type", "f16", "type of the weights: f16 or f32")
	c.Flags().Uint64Var(&seed, "seed", 1, "seed of the weights")
	c.Flags().BoolVar(&force, "force", false, "replace the file if it is there")
	return c
}

func shapeNames() []string {
	var out []string
	for _, s := range synth.Shapes() {
		out = append(out, s.Name)
	}
	return out
}
