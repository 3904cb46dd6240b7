package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"jouletop/engine/export"
	"jouletop/engine/session"
	"jouletop/engine/telemetry"
	"jouletop/engine/usage"
	"jouletop/gpu/plaintext"
)

func newExport() *cobra.Command {
	var to exportTo
	c := &cobra.Command{
		Use:   "export DIR",
		Short: "A recorded session for Perfetto, as Parquet, or to OpenTelemetry",
		Long: `A recorded session in formats that other programs read:

--perfetto FILE   a trace for ui.perfetto.dev and trace_processor: requests, phases,
                  passes and clock changes over what was read of power and clocks
--parquet FOLDER  each CSV file as Parquet, typed, for DuckDB, pandas, Spark
--otlp WHERE      a trace of each request, and metrics: pushed to an OpenTelemetry
                  receiver (http://127.0.0.1:4318, or grpc://127.0.0.1:4317), or lines
                  of OTLP's JSON in a file

Files and folders are new ones: nothing is written over, nor through a link.`,
		Example: "  jouletop export SESSION --perfetto trace.pftrace\n  jouletop export SESSION --parquet tables",
		Args:    cobra.ExactArgs(1),
		RunE:    func(cmd *cobra.Command, args []string) error { return runExport(cmd.Context(), args[0], to) },
	}
	f := c.Flags()
	f.StringVar(&to.perfetto, "perfetto", "", "trace `file` to write")
	f.StringVar(&to.parquet, "parquet", "", "`folder` for Parquet files")
	f.StringVar(&to.otlp, "otlp", "", "address of an OpenTelemetry receiver, or a `file`")
	return c
}

// errUnsaved: what was interrupted leaves nothing behind that is not whole.
var errUnsaved = errors.New("what was not written whole is removed")

// exportTo is where a session is exported to; "" is nowhere.
type exportTo struct{ perfetto, parquet, otlp string }

func runExport(ctx context.Context, dir string, to exportTo) error {
	if to == (exportTo{}) {
		return usage.Errorf("export: to where? give --perfetto FILE, --parquet FOLDER or --otlp WHERE")
	}
	if telemetry.IsEndpoint(to.otlp) {
		if err := telemetry.CheckEndpoint("--otlp", to.otlp); err != nil {
			return err
		}
	}
	s, err := session.OpenForeign(dir)
	if err != nil {
		return err
	}
	sum, err := export.Sum(s)
	if err != nil {
		return err
	}
	if s.Manifest.Ended == "" && s.Manifest.Name != "foreign" {
		fmt.Fprintf(os.Stderr, "jouletop: %s has not ended, or was cut short: this is what it holds\n", plaintext.Line(dir))
	}
	err = writeExports(ctx, s, sum, to)
	if errors.Is(err, context.Canceled) {
		return fmt.Errorf("%w: %w", errUnsaved, err)
	}
	return err
}

func writeExports(ctx context.Context, s *session.Session, sum export.Totals, to exportTo) error {
	mark := ""
	if s.Manifest.Simulated {
		mark = "SIMULATED "
	}
	done := func(where string) error {
		_, err := fmt.Printf("%s%s: %s\n", mark, where, sum)
		return err
	}
	if to.perfetto != "" {
		if err := export.Perfetto(ctx, s, to.perfetto); err != nil {
			return err
		}
		if err := done(to.perfetto); err != nil {
			return err
		}
	}
	if to.parquet != "" {
		files, err := export.Parquet(ctx, s, to.parquet)
		if err != nil {
			return err
		}
		if _, err := fmt.Println(strings.Join(files, "\n")); err != nil {
			return err
		}
		if err := done(to.parquet); err != nil {
			return err
		}
	}
	if to.otlp != "" {
		if err := export.OTLP(ctx, s, to.otlp); err != nil {
			return err
		}
		return done(to.otlp)
	}
	return nil
}
