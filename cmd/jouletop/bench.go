package main

import (
	"cmp"
	"context"
	"errors"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"jouletop/engine"
	"jouletop/engine/bench"
	"jouletop/engine/operator"
	"jouletop/engine/plan"
	"jouletop/engine/rig"
	"jouletop/engine/usage"
)

// mostReps is how often a test is run at most.
const mostReps = 10_000

func newBench() *cobra.Command {
	var (
		o               options
		prompts, tokens []int
		like            string
		least           time.Duration
	)
	c := &cobra.Command{
		Use:   "bench",
		Short: "What llama-bench prints, with joules per token and watts beside",
		Long: `Read prompts of random tokens (pp512: 512 of them) and generate (tg128), as
llama-bench and, for batches, llama-batched-bench do, and print a Markdown table of
tokens per second (mean and standard deviation over the repeats), joules per token
and watts (with the half-widths of 95 % intervals). A test is repeated until it has
lasted --min-time, for the joules' sake. For a batch b8, pp512 b8 and tg128 b8 are
the two phases of one test.

--like llama-bench runs what llama-bench runs by default: pp512 and tg128 of one
sequence, five times.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			changed := cmd.Flags().Changed
			switch like {
			case "":
			case "llama-bench":
				if !changed("batch") {
					o.Work.Batches = []int{1}
				}
				if !changed("min-time") {
					least = 0
				}
			default:
				return usage.Errorf("--like %q: want llama-bench", like)
			}
			return runBench(cmd.Context(), &o, prompts, tokens, least)
		},
	}
	f := c.Flags()
	o.addGPU(f)
	o.addModel(f)
	_ = f.MarkHidden("max-tokens")
	_ = f.MarkHidden("chat")
	_ = f.MarkHidden("url")
	f.IntSliceVarP(&prompts, "prompt", "p", []int{512}, "prompt lengths in tokens, 0 for none")
	f.IntSliceVarP(&tokens, "generate", "n", []int{128}, "tokens to generate, 0 for none")
	f.IntSliceVarP(&o.Work.Batches, "batch", "b", []int{1, 8}, "batch sizes")
	f.IntVarP(&o.Work.Repeats, "reps", "r", 5, "how often each test is run at least")
	f.DurationVar(&least, "min-time", 2*time.Second, "how long each test is repeated at least")
	f.StringVar(&like, "like", "", "run what this `program` runs by default: llama-bench")
	f.BoolVar(&o.json, "json", false, "rows as JSON")
	o.addSession(f)
	return c
}

func runBench(ctx context.Context, o *options, prompts, tokens []int, least time.Duration) error {
	o.Work.Policy, o.Work.MaxSlowdown, o.Rig.ClockLoss = "none", "3%", rig.ClockLossStop // it sets no clock
	if err := o.check(); err != nil {
		return err
	}
	if o.Rig.URL != "" || o.Rig.Backend == "remote" {
		return usage.Errorf("bench: a server reads text, not tokens; `run --url` measures it")
	}
	if n := o.Work.Repeats; n < 1 || n > mostReps {
		return usage.Errorf("--reps %d: want 1 to %d", n, mostReps)
	}
	if least < 0 {
		return usage.Errorf("--min-time %v: want 0 (not at all) or more", least)
	}
	tests, err := bench.Tests(prompts, tokens, o.Work.Batches)
	if err != nil {
		return err
	}
	r, err := rig.Open(ctx, &o.Rig, 0, 0)
	if err != nil {
		return err
	}
	defer r.Close()
	specs, err := r.OpenBackend(ctx, &o.Rig)
	if err != nil {
		return err
	}
	plan := engine.Plan{Name: "bench", Idle: plan.IdleTime, MinPoint: least}
	for _, s := range specs {
		plan.Points = append(plan.Points, bench.Points(r.Info.ID(), s, tests, o.Work.Repeats)...)
	}
	m := operator.Manifest(r, &o.Config, "bench")
	operator.DescribePlan(&m, specs, nil, plan)
	rec, err := o.CreateSession(m, "bench")
	if err != nil {
		return err
	}
	c := bench.NewCollector(plan.Points, tests)
	_, runErr := recorded(ctx, r, rec, plan, nil, nil, c.Observe)
	if len(c.Rows()) == 0 {
		return cmp.Or(runErr, errors.New("bench: nothing was measured"))
	}
	rep := bench.Report{
		Session: rec.Dir(), GPU: r.Info.ID(), Simulated: r.Simulated(), Note: r.Note,
		On: strings.Join(append([]string{r.Info.Name}, versions()...), ", "),
	}
	return errors.Join(runErr, rep.Write(os.Stdout, c.Rows(), o.json))
}
