package main

import (
	"errors"
	"github.com/spf13/cobra"
	"jouletop/engine"
	"jouletop/gpu/timebase"
)

func pend(n string) *cobra.Command { return &cobra.Command{Use: n} }

func newModels() *cobra.Command                                      { return pend("models") }
func newRemote(o *options, c timebase.Clock) (engine.Backend, error) { return nil, errors.New("no") }
