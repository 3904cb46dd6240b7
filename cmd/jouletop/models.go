package main

import (
	"fmt"
	"os"
	"text/tabwriter"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"jouletop/engine"
	"jouletop/engine/llama"
	"jouletop/engine/models"
	"jouletop/engine/nulljson"
	"jouletop/engine/simllm"
)

func newModels() *cobra.Command {
	var o options
	c := &cobra.Command{
		Use:   "models [FILE|FOLDER...]",
		Short: "Models found: paths, Ollama store, Hugging Face cache, published shapes",
		RunE: func(cmd *cobra.Command, paths []string) error {
			r, err := openRig(cmd.Context(), &o, 0, 0)
			if err != nil {
				return err
			}
			defer r.Close()
			return showModels(models.Find(models.Options{Paths: append(paths, ".")}), r, o.json)
		},
	}
	o.addGPU(c.Flags())
	c.Flags().BoolVar(&o.json, "json", false, "as JSON")
	return c
}

// Whether a model fits is asked for one request of this many tokens.
const fitTokens = 1024

func showModels(found []models.Found, r *rig, asJSON bool) error {
	if asJSON {
		if found == nil {
			found = []models.Found{}
		}
		return nulljson.Write(os.Stdout, found)
	}
	info := r.info
	if len(found) == 0 {
		fmt.Println("No model found: no GGUF file here, no Ollama store, no Hugging Face cache.")
	} else {
		t := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
		fmt.Fprintf(t, "model\tsource\tarchitecture\tparameters\tweights\tsize\tcontext\tfits %s\n", info.ID())
		for _, f := range found {
			if f.Problem != "" {
				fmt.Fprintf(t, "%s\t%s\t%s\n", f.Name, f.Source, f.Problem)
				continue
			}
			need, ok := models.Fits(f, float64(info.MemoryMiB), 1, fitTokens)
			fits := "yes"
			switch {
			case f.Unknown != "":
				fits = f.Unknown
			case info.MemoryMiB < 0:
				fits = fmt.Sprintf("unknown: needs about %.0f MiB", need)
			case !ok:
				fits = fmt.Sprintf("no: needs about %.0f MiB", need)
			}
			fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%d\t%s\n", f.Name, f.Source, f.Architecture, humanize.SIWithDigits(float64(f.Parameters), 2, ""),
				f.Quantisation, humanize.IBytes(uint64(f.SizeBytes)), f.ContextMax, fits)
		}
		if err := t.Flush(); err != nil {
			return err
		}
	}
	fmt.Printf("Simulated shapes (--gpu sim): %v\n", simNames())
	fmt.Println("`jouletop synth SHAPE` writes one with random weights.")
	return nil
}

// resolveModel finds a model's file and reads its header, so that a file that is
// no model is refused, with the reason that `jouletop models` gives, before
// anything has begun.
func resolveModel(name string) (models.Found, error) {
	f, err := models.Resolve(models.Options{}, name)
	if err != nil {
		return f, err
	}
	if f = models.Inspect(f.Path); f.Problem != "" {
		return f, fmt.Errorf("model %s: %w: %s", name, engine.ErrModel, f.Problem)
	}
	if f.Unknown != "" && !llama.Installed() {
		return f, fmt.Errorf("model %s: %w: %s, which the llama.cpp in this program does not have: make LLAMA_SRC=FOLDER builds it with a newer one", name, engine.ErrModel, f.Unknown)
	}
	return f, nil
}

// simKnows tells whether the simulated model has a shape of that name.
func simKnows(name string) bool {
	_, err := simllm.ShapeByName(name)
	return err == nil
}

// simNames lists the shapes of the simulated model.
func simNames() []string {
	var out []string
	for _, s := range simllm.Shapes() {
		out = append(out, s.Name)
	}
	return out
}
