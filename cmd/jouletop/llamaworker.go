package main

import (
	"context"
	"os"

	"github.com/spf13/cobra"

	"jouletop/engine"
	"jouletop/engine/llama"
	"jouletop/engine/rig"
	"jouletop/engine/worker"
)

// newLlamaWorker is the child.
func newLlamaWorker() *cobra.Command {
	var (
		dir           string
		noGraphSearch bool
	)
	c := &cobra.Command{
		Use: rig.WorkerCommand, Hidden: true, Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return worker.Main(context.WithoutCancel(cmd.Context()), func() (engine.Backend, any, error) {
				b, err := llama.New(llama.Options{BackendDir: dir, Log: os.Stderr, NoGraphSearch: noGraphSearch})
				if err != nil {
					return nil, nil, err
				}
				return b, rig.EngineReport{Devices: llama.Devices(), BuildFlags: llama.BuildFlags(), Warning: llama.BuildWarning()}, nil
			})
		},
	}
	c.Flags().StringVar(&dir, "backend-dir", "", "")
	c.Flags().BoolVar(&noGraphSearch, "no-graph-search", false, "")
	return c
}
