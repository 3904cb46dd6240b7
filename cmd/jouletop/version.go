package main

import (
	"cmp"
	"fmt"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"

	"jouletop/engine/llama"
)

// version is what the build was stamped with: the tag, or the commit with its time
// ("+dirty" behind it where files had changed); "devel" without a stamp.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	v := cmp.Or(info.Main.Version, "(devel)")
	if v == "(devel)" {
		return "devel"
	}
	return v
}

// versions are the program's and the installed llama.cpp's.
func versions() []string {
	out := []string{"jouletop " + version()}
	if v := llama.Version(); v != "" {
		out = append(out, "llama.cpp "+v)
	}
	return out
}

func newVersion() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			_, err := fmt.Println(strings.Join(versions(), "\n"))
			return err
		},
	}
}
