package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"jouletop/engine/models"
	"jouletop/engine/nulljson"
	"jouletop/engine/rig"
)

func newModels() *cobra.Command {
	var o options
	c := &cobra.Command{
		Use:   "models [FILE|FOLDER...]",
		Short: "Models found: paths, Ollama store, Hugging Face cache, published shapes",
		RunE: func(cmd *cobra.Command, paths []string) error {
			r, err := rig.Open(cmd.Context(), &o.Rig, 0, 0)
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

func showModels(found []models.Found, r *rig.Rig, asJSON bool) error {
	if asJSON {
		if found == nil {
			found = []models.Found{}
		}
		return nulljson.Write(os.Stdout, found)
	}
	if len(found) == 0 {
		fmt.Println("No model found: no GGUF file here, no Ollama store, no Hugging Face cache.")
	} else {
		if err := models.WriteTable(os.Stdout, found, r.Info, rig.FitTokens); err != nil {
			return err
		}
	}
	_, err := fmt.Printf("Simulated shapes (--gpu sim): %v\n`jouletop synth SHAPE` writes one with random weights.\n", rig.SimNames())
	return err
}
