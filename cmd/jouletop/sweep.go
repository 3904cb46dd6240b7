package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"jouletop/engine"
	"jouletop/engine/analysis/report"
	"jouletop/engine/event"
	"jouletop/engine/session"
)

func newSweep() *cobra.Command {
	var (
		o        options
		minPoint time.Duration
		cool     time.Duration
	)
	c := &cobra.Command{
		Use:   "sweep",
		Short: "Clocks × batch sizes × models × datasets × repeats, resumable",
		Long: `Run every combination of models, datasets, batch sizes, SM clocks and repeats,
in an order shuffled by the seed so that heat does not pose as frequency. The
highest clock is the baseline. Ctrl-C ends after the batch in hand;
--session DIR --resume goes on where a sweep stopped, however it stopped.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return runSweep(cmd.Context(), &o, minPoint, cool) },
	}
	f := c.Flags()
	o.addGPU(f)
	o.addModel(f)
	o.addWork(f)
	o.addSession(f)
	f.Lookup("batch").DefValue = "[1,4,8]"
	o.batches = []int{1, 4, 8}
	f.StringVar(&o.clocks, "clocks", "", "SM `clocks`: 180,960,2842, MIN:MAX:COUNT, all, or paper (default: seven over the range)")
	f.IntVar(&o.repeats, "repeats", 3, "how often each combination is run")
	f.BoolVar(&o.resume, "resume", false, "go on with the sweep in --session")
	f.BoolVar(&o.blocks, "phase-blocks", false, "also repeat each phase back to back, for a precise figure of its power")
	f.DurationVar(&minPoint, "min-point", 0, "repeat a point's queries until it has lasted so long")
	f.DurationVar(&cool, "cool-down", 30*time.Second, "wait before a point until the GPU is as cool as at the start, or so long")
	f.BoolVar(&o.json, "json", false, "summary as JSON")
	return c
}

// coolMargin is how much warmer than at the start, in °C, a point may begin.
const coolMargin = 3

func runSweep(ctx context.Context, o *options, minPoint, cool time.Duration) (err error) {
	if err := o.check(); err != nil {
		return err
	}
	if o.repeats < 1 {
		return usagef("--repeats %d: want 1 or more", o.repeats)
	}
	if o.resume && o.session == "" {
		return usagef("--resume: which sweep? give --session DIR")
	}
	data, err := loadDatasets(o)
	if err != nil {
		return err
	}
	startNS := int64(0)
	if o.resume {
		if startNS, err = session.LastTime(o.session); err != nil {
			return err
		}
	}
	r, err := openRig(ctx, o, 0, startNS)
	if err != nil {
		return err
	}
	defer r.closeInto(&err)
	if !r.controlled() {
		return usagef("a sweep sets clocks; leave --read-only out")
	}
	specs, err := r.openBackend(ctx, o)
	if err != nil {
		return err
	}
	if r.note != "" {
		return usagef("sweep: %s", r.note)
	}
	if err := r.armForRun(); err != nil {
		return err
	}
	clocks, err := parseClocks(o.clocks, r.info)
	if err != nil {
		return err
	}
	var settings []setting
	for _, mhz := range clocks {
		settings = append(settings, fixed(mhz))
	}
	if o.policy != "none" {
		settings = append(settings, setting{0, o.policy})
	}
	pts, err := points(o, r.info, specs, data, settings, o.repeats)
	if err != nil {
		return err
	}
	plan := sweepPlan(pts, o.seed)
	plan.MinPoint, plan.Cooldown, plan.CoolMargin = minPoint, cool, coolMargin
	if o.blocks {
		plan.Blocks = blockTime
	}

	m := newManifest(r, o, "sweep")
	m.Plan.Clocks = clocks
	describePlan(&m, specs, data, plan)
	rec, before, err := openSweep(o, m)
	if err != nil {
		return err
	}
	plan.Points = unfinished(plan.Points, before)
	if len(plan.Points) == 0 {
		fmt.Fprintln(os.Stderr, "jouletop: the sweep is complete; nothing to resume")
	}
	done, err := recordRun(ctx, r, rec, plan, data, before)
	s, e := newSummary(r, rec.Dir(), o.price, done.points)
	if e != nil {
		return errors.Join(err, e)
	}
	if slow, e := o.slowdown(); e == nil {
		s.table = report.RunAt(done.points, slow)
		s.table.Simulated = r.simulated()
	}
	return errors.Join(err, s.write(os.Stdout, o.json))
}

// openSweep creates the session, or takes up the one to resume, whose plan must
// be this one.
func openSweep(o *options, m session.Manifest) (*session.Recorder, []event.PointDone, error) {
	if !o.resume {
		rec, err := o.createSession(m, "sweep")
		return rec, nil, err
	}
	old, err := session.ReadManifest(o.session)
	if err != nil {
		return nil, nil, err
	}
	switch {
	case old.Name != "sweep":
		return nil, nil, usagef("--resume: %s is no sweep", o.session)
	case !slices.EqualFunc(old.GPUs, m.GPUs, func(a, b session.GPU) bool { return a.ID == b.ID }):
		return nil, nil, usagef("--resume: the sweep in %s ran on another GPU", o.session)
	case old.Plan.Chat != m.Plan.Chat:
		return nil, nil, usagef("--resume: the sweep in %s ran %s --chat; give the same flags as at its start", o.session, withOrWithout(old.Plan.Chat))
	case old.Seed != m.Seed || old.Plan.MaxTokens != m.Plan.MaxTokens || old.Plan.Queries != m.Plan.Queries ||
		!slices.Equal(old.Plan.Points, m.Plan.Points):
		return nil, nil, usagef("--resume: the sweep in %s had another plan; give the same flags as at its start", o.session)
	}
	return session.Resume(o.session)
}

func withOrWithout(on bool) string {
	if on {
		return "with"
	}
	return "without"
}

// unfinished leaves out the points that have a row.
func unfinished(points []engine.PointPlan, done []event.PointDone) []engine.PointPlan {
	have := map[string]bool{}
	for _, d := range done {
		have[d.PointID] = true
	}
	var left []engine.PointPlan
	for _, p := range points {
		if !have[p.PointID] {
			left = append(left, p)
		}
	}
	return left
}

// sweepPlan shuffles the points within each model, so that neither heat nor time
// goes along with a clock, and a model is loaded once.
func sweepPlan(points []engine.PointPlan, seed uint64) engine.Plan {
	r := rand.New(rand.NewPCG(seed, 0x5357454550))
	for from := 0; from < len(points); {
		to := from
		for to < len(points) && points[to].Spec.Name == points[from].Spec.Name {
			to++
		}
		turn := points[from:to]
		r.Shuffle(len(turn), func(i, j int) { turn[i], turn[j] = turn[j], turn[i] })
		from = to
	}
	return engine.Plan{Name: "sweep", Points: points, Idle: idleTime, NeedsClocks: true}
}
