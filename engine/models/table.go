package models

import (
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/dustin/go-humanize"

	"jouletop/gpu"
)

// WriteTable lists models with whether the GPU has room for them and for one request
// of so many tokens.
func WriteTable(w io.Writer, found []Found, info gpu.Info, tokens int) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "model\tsource\tarchitecture\tparameters\tweights\tsize\tcontext\tfits %s\n", info.ID())
	for _, f := range found {
		if f.Problem != "" {
			fmt.Fprintf(t, "%s\t%s\t%s\n", f.Name, f.Source, f.Problem)
			continue
		}
		need, ok := Fits(f, float64(info.MemoryMiB), 1, tokens)
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
	return t.Flush()
}
