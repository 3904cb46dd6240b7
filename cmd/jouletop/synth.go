package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"jouletop/engine/synth"
	"jouletop/engine/usage"
	"jouletop/tui/progress"
)

func newSynth() *cobra.Command {
	var (
		out   string
		quant string
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
				return usage.Wrap(err)
			}
			q, err := synth.ParseQuant(quant)
			if err != nil {
				return usage.Errorf("--quant: %w", err)
			}
			if out == "" {
				out = shape.Name + ".gguf"
			}
			if _, err := os.Stat(out); err == nil && !force {
				return fmt.Errorf("%s is there already; --force replaces it", out)
			}
			bar := progress.NewBar(os.Stderr, "writing "+out)
			if err := synth.Write(cmd.Context(), shape, q, seed, out, bar.Count); err != nil {
				bar.Done()
				return err
			}
			bar.Done()
			st, err := os.Stat(out)
			if err != nil {
				return err
			}
			_, err = fmt.Printf("%s: %s %s, random weights, %s\n", out, shape.Name, q, humanize.IBytes(uint64(st.Size())))
			return err
		},
	}
	c.Flags().StringVarP(&out, "output", "o", "", "`file` to write (default SHAPE.gguf)")
	c.Flags().StringVar(&quant, "quant", string(synth.F16), "how weights are stored: f16, f32, q8_0, q4_k_m, or mxfp4 (experts; the rest q8_0)")
	c.Flags().StringVar(&quant, "type", string(synth.F16), "the same")
	_ = c.Flags().MarkHidden("type") // the flag's former name
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
