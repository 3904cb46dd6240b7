// Command jouletop is a terminal dashboard for the energy of LLM inference on
// NVIDIA GPUs. One file a subcommand; everything it does is in the packages.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"os/user"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/adrg/xdg"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"jouletop/engine/operator"
	"jouletop/engine/rig"
	"jouletop/engine/session"
	"jouletop/engine/usage"
	"jouletop/gpu/clockguard"
	"jouletop/gpu/plaintext"
	"jouletop/tui/preferences"
)

// Exit statuses.
const (
	exitFailure     = 1
	exitUsage       = 2
	exitInterrupted = 130
)

func main() {
	// A file that may not grow is told of by the write's error.
	signal.Ignore(syscall.SIGXFSZ)
	// The clock guard is a process that must start fast and hold nothing else.
	if len(os.Args) > 1 && os.Args[1] == clockguard.Subcommand {
		os.Exit(clockguard.Main(os.Args[2:], rig.OpenNVML))
	}
	findHome()
	os.Exit(mainStatus(os.Args[1:]))
}

// findHome sets HOME where nobody did, as in a service's environment: to the user's home,
// not to the root of all files, which is where the library looks then.
func findHome() {
	if os.Getenv("HOME") != "" {
		return
	}
	if u, err := user.Current(); err == nil && u.HomeDir != "" && os.Setenv("HOME", u.HomeDir) == nil {
		xdg.Reload()
	}
}

func mainStatus(args []string) int {
	ctx, stop := onSignals()
	defer stop()

	root, prefs := newRoot()
	args = slices.Clone(args)
	for i, a := range args {
		args[i] = session.ExpandHome(a)
	}
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return 0
	}
	if passed, ok := errors.AsType[operator.Passed](err); ok {
		if passed.Err != nil {
			fmt.Fprintln(os.Stderr, "jouletop:", plaintext.OneLine(passed.Error()))
		}
		return passed.Status
	}
	if besides := beside(err, operator.ErrInterrupted, context.Canceled, errUnsaved); besides == nil || besides.Error() != err.Error() {
		saved := "what ran is saved"
		if errors.Is(err, errUnsaved) {
			saved = errUnsaved.Error()
		}
		fmt.Fprintln(os.Stderr, "jouletop: interrupted;", saved)
		if besides == nil {
			return exitInterrupted
		}
		err = besides
	}
	if faults, ok := errors.AsType[preferences.Faults](err); ok {
		for _, f := range faults {
			fmt.Fprintln(os.Stderr, "jouletop:", plaintext.OneLine(f.Error()))
		}
		fmt.Fprintln(os.Stderr, "jouletop: --config none does without the file")
		return exitUsage
	}
	fmt.Fprintln(os.Stderr, "jouletop:", plaintext.OneLine(once(prefs.blame(err).Error())))
	if _, ok := errors.AsType[usage.Error](err); ok {
		return exitUsage
	}
	return exitFailure
}

// once leaves out what an error says again: a disk that is full is told by all who write.
func once(text string) string {
	var lines []string
	for line := range strings.SplitSeq(text, "\n") {
		if !slices.Contains(lines, line) {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "\n")
}

// beside returns what err holds beside these errors, nil for nothing.
func beside(err error, these ...error) error {
	if !slices.ContainsFunc(these, func(e error) bool { return errors.Is(err, e) }) {
		return err
	}
	var rest []error
	if all, ok := err.(interface{ Unwrap() []error }); ok {
		for _, e := range all.Unwrap() {
			rest = append(rest, beside(e, these...))
		}
	}
	return errors.Join(rest...)
}

// onSignals returns a context that the first SIGINT, SIGTERM or SIGHUP ends: then
// a run ends after the batch in hand. The second ends the batch too (see
// atOnce), and what ran is saved; a third is left to the system. A SIGHUP that was
// ignored at the start stays ignored: nohup asks for that.
func onSignals() (context.Context, func()) {
	hard, abandon := context.WithCancel(context.Background())
	soft, end := context.WithCancel(context.WithValue(context.Background(), atOnceKey{}, hard))
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	if !signal.Ignored(syscall.SIGHUP) {
		signal.Notify(signals, syscall.SIGHUP)
	}
	go func() {
		for _, cancel := range []func(){end, abandon} {
			if _, ok := <-signals; !ok {
				return
			}
			cancel()
		}
		signal.Stop(signals)
	}()
	return soft, func() {
		signal.Stop(signals)
		end()
		abandon()
	}
}

type atOnceKey struct{}

// atOnce returns the context of what is ended by a second signal only.
func atOnce(ctx context.Context) context.Context {
	if hard, ok := ctx.Value(atOnceKey{}).(context.Context); ok {
		return hard
	}
	return context.WithoutCancel(ctx)
}

func newRoot() (*cobra.Command, *preferred) {
	var (
		o      options
		screen screenFlags
		prefs  = new(preferred)
	)
	root := &cobra.Command{
		Use:   "jouletop",
		Short: "Clock, power and energy per token of LLM inference, live",
		Long: `jouletop runs LLM inference jobs, measures what they cost in time and energy
phase by phase, and lets you change the GPU's SM clock while they run.

Without a subcommand it opens the dashboard. On a machine without an NVIDIA driver
everything runs on a simulated GPU and model, marked SIMULATED.

A flag comes before the environment (NO_COLOR, JOULETOP_CONFIG), that before
config.toml, that before what the dashboard remembers of the last time, and that
before the default. "jouletop config" says what holds and from where.`,
		Args:          cobra.NoArgs,
		SilenceErrors: true,
		SilenceUsage:  true,
		RunE:          func(cmd *cobra.Command, _ []string) error { return runDashboard(cmd.Context(), &o, prefs, screen) },
	}
	o.addGPU(root.Flags())
	o.addModel(root.Flags())
	o.addWork(root.Flags())
	o.addDrafts(root.Flags())
	o.addSession(root.Flags())
	o.addServing(root.Flags())
	o.addRoute(root.Flags())
	o.addTelemetry(root.Flags())
	root.Flags().StringVar(&o.profile, "cpu-profile", "", "write where the dashboard's CPU time goes to a `file`, for go tool pprof")
	_ = root.Flags().MarkHidden("cpu-profile")
	root.Flags().BoolVar(&o.Rig.Monitor, "monitor", false, "watch a GPU that others use, run nothing")
	screen.add(root.Flags())
	root.PersistentFlags().StringVar(&prefs.named, "config", "", "settings in this `file`, or none (default "+session.ShortenHome(configPath())+")")
	root.PersistentPreRunE = func(cmd *cobra.Command, _ []string) error { return prefs.apply(cmd) }
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usage.Wrap(flagError(err)) })
	root.AddCommand(
		newRun(), newSweep(), newBench(), newWatch(), newReport(), newCompare(), newExport(), newReplay(prefs), newWorkload(), newModels(), newSynth(), newGPU(), newConfig(prefs), newVersion(), newMan(), newLlamaWorker(),
	)
	usageArgs(root)
	root.Version = version()
	root.SetVersionTemplate("jouletop {{.Version}}\n")
	root.CompletionOptions.HiddenDefaultCmd = true
	return root, prefs
}

// flagError says of a flag's value what it is to be, where the library hands on the words
// of what read it.
func flagError(err error) error {
	bad, isBad := errors.AsType[*pflag.InvalidValueError](err)
	num, isNum := errors.AsType[*strconv.NumError](err)
	if !isBad || !isNum {
		return err
	}
	f := bad.GetFlag()
	what := "want a number"
	switch {
	case errors.Is(num.Err, strconv.ErrRange):
		what = "that is out of range"
	case strings.HasSuffix(f.Value.Type(), "Slice"):
		what = "want whole numbers, such as 1 or 1,4"
	}
	return fmt.Errorf("--%s %q: %s", f.Name, bad.GetValue(), what)
}

// usageArgs makes a wrong number of arguments bad usage, like a wrong flag; where
// the argument could have been a subcommand, the likely one is named.
func usageArgs(c *cobra.Command) {
	if check := c.Args; check != nil {
		c.Args = func(cmd *cobra.Command, args []string) error {
			err := check(cmd, args)
			if err == nil {
				return nil
			}
			if cmd.HasAvailableSubCommands() {
				cmd.SuggestionsMinimumDistance = 2
				likely := fmt.Sprintf("`%s --help` lists them", cmd.CommandPath())
				if names := cmd.SuggestionsFor(args[0]); len(names) > 0 && args[0] != "" { // every name begins with nothing
					likely = "did you mean " + strings.Join(names, " or ") + "?"
				}
				return usage.Errorf("unknown command %q for `%s`: %s", args[0], cmd.CommandPath(), likely)
			}
			return usage.Errorf("%w: jouletop %s", err, strings.TrimPrefix(cmd.UseLine(), "jouletop "))
		}
	}
	for _, sub := range c.Commands() {
		usageArgs(sub)
	}
}
