package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"jouletop/engine/analysis/report"
	"jouletop/engine/analysis/table"
	"jouletop/engine/child"
	"jouletop/engine/operator"
	"jouletop/engine/plan"
	"jouletop/engine/rig"
	"jouletop/engine/usage"
	"jouletop/gpu/plaintext"
)

// exitOwn is watch's status where this program failed and the command may not have.
const exitOwn = 125

// mostRuns is how often a command is run at most.
const mostRuns = 1000

func newWatch() *cobra.Command {
	var (
		o       options
		w       operator.Watched
		repeats int
	)
	c := &cobra.Command{
		Use:   "watch [flags] -- COMMAND [ARGUMENT...]",
		Short: "Run any command and measure what the GPU, and the host, draw meanwhile",
		Long: `Run a command (llama-bench, vllm bench serve, a script) and measure the energy of
the GPU while it runs, its idle part apart, and the host's beside it. The command has
this program's input, output and terminal; signals reach it; what it leaves running in
its process group is ended. The summary goes to standard error.

Joules per token are stated where the output names tokens: llama-bench's table (JSON,
JSON lines, CSV, Markdown), each test by itself, and the result of vllm bench serve.

The exit status is the command's; 128 and the signal's number where a signal ended it;
127 where it was not found, 126 where it cannot be run, 125 where jouletop itself failed.
It never sets a clock.

A command that ran once tells nothing of how much it differs from itself: with --repeats N
it is run N times, and "jouletop compare" takes the sessions together as one side. Its
input goes to whichever run reads it.`,
		Example: "  jouletop watch -- llama-bench -m model.gguf -p 512 -n 128\n  jouletop watch --result r.json -- vllm bench serve --model M --save-result --result-filename r.json",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			w.Command = child.Command{Args: args, Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr}
			return runWatch(cmd.Context(), &o, w, repeats)
		},
	}
	f := c.Flags()
	f.SetInterspersed(false)
	o.addGPU(f)
	o.addSession(f)
	for _, name := range []string{"sim-speed", "seed", "price", "currency"} {
		_ = f.MarkHidden(name)
	}
	f.BoolVar(&o.json, "json", false, "summary as JSON")
	f.DurationVar(&w.Idle, "idle", plan.IdleTime, "how long idle power is measured before the command and after it, 0 not at all")
	f.IntVar(&repeats, "repeats", 1, "how often the command is run, each time into a session of its own (DIR-1, DIR-2, …), until it fails")
	f.StringVar(&w.Result, "result", "", "also read tokens from this `file`, which the command writes its result into")
	return c
}

func runWatch(ctx context.Context, o *options, w operator.Watched, repeats int) error {
	o.Program, o.Work.Policy, o.Rig.Backend = "jouletop "+version(), "none", "auto"
	if w.Idle < 0 {
		return usage.Errorf("--idle %v: want 0 or more", w.Idle)
	}
	if repeats < 1 || repeats > mostRuns {
		return usage.Errorf("--repeats %d: want 1 to %d", repeats, mostRuns)
	}
	if o.Rig.SimSpeed != "" {
		return usage.Errorf("--sim-speed %s: a command takes the time it takes", o.Rig.SimSpeed)
	}
	o.Rig.Monitor, o.Rig.Watch = true, true
	if repeats == 1 {
		_, err := watchOnce(ctx, o, w)
		return err
	}
	runs := make([]options, repeats)
	for i := range runs {
		runs[i] = *o
		if o.Session == "" {
			continue
		}
		runs[i].Session = fmt.Sprintf("%s-%d", filepath.Clean(o.Session), i+1)
		if _, err := os.Lstat(runs[i].Session); err == nil { // before anything ran
			return operator.Passed{Status: exitOwn, Err: fmt.Errorf("session folder %s is there already", runs[i].Session)}
		}
	}
	var dirs []string
	for i := range runs {
		dir, err := watchOnce(ctx, &runs[i], w)
		if err == nil && ctx.Err() != nil {
			err = operator.ErrInterrupted
		}
		if err != nil {
			if i+1 < repeats {
				fmt.Fprintf(os.Stderr, "jouletop: ended with repeat %d of %d\n", i+1, repeats)
			}
			return err
		}
		dirs = append(dirs, plaintext.Line(dir))
	}
	return table.WriteLines(stderr(), fmt.Sprintf("%d repeats of one side: `jouletop compare %s OTHERS`\n", repeats, strings.Join(dirs, ",")))
}

// watchOnce runs the command into a session of its own, and returns its folder.
func watchOnce(ctx context.Context, o *options, w operator.Watched) (dir string, err error) {
	r, err := rig.Open(ctx, &o.Rig, 0, 0)
	if err != nil {
		return "", operator.Passed{Status: exitOwn, Err: err}
	}
	dir, end, err := watchWith(ctx, o, r, w)
	if err = errors.Join(err, r.Close()); errors.Is(err, operator.ErrInterrupted) && end == nil {
		return dir, err
	}
	switch {
	case end != nil && end.Err != nil:
		return dir, operator.Passed{Status: end.Status, Err: errors.Join(end.Err, err)}
	case err != nil:
		return dir, operator.Passed{Status: exitOwn, Err: err}
	case end.Status != 0:
		return dir, operator.Passed{Status: end.Status}
	}
	return dir, nil
}

// watchWith runs the command; end is nil where it never began.
func watchWith(ctx context.Context, o *options, r *rig.Rig, w operator.Watched) (dir string, end *child.End, err error) {
	m := operator.WatchManifest(r, &o.Config, w.Args)
	rec, err := o.CreateSession(m, "watch")
	if err != nil {
		return "", nil, err
	}
	ended, warnings, err := operator.Watch(ctx, atOnce(ctx), r, rec, w)
	for _, text := range warnings {
		fmt.Fprintln(os.Stderr, "jouletop: warning:", plaintext.OneLine(text))
	}
	if errors.Is(err, operator.ErrInterrupted) {
		return rec.Dir(), nil, err
	}
	return rec.Dir(), &ended, errors.Join(err, report.WriteCommand(stderr(), rec.Dir(), o.json))
}
