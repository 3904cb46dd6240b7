package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"jouletop/engine/plan"
	"jouletop/engine/rig"
	"jouletop/engine/usage"
	"jouletop/gpu/switching"
	"jouletop/tui/progress"
)

// measureSwitching measures how long clock changes take and prints the table.
func measureSwitching(ctx context.Context, o *options, clocks string, repeats int, csv bool) (err error) {
	if repeats < 1 {
		return usage.Errorf("--repeats %d: want 1 or more", repeats)
	}
	r, err := rig.Open(ctx, &o.Rig, 0, 0)
	if err != nil {
		return err
	}
	defer r.CloseInto(&err)
	if len(r.GPUs) > 1 {
		return usage.Errorf("switching is measured on one GPU; name it with --device")
	}
	if err := r.ArmForRun(); err != nil {
		return fmt.Errorf("switching: %w", err)
	}
	info := r.Info
	if clocks == "" {
		clocks = fmt.Sprintf("%d:%d:3", info.MinSM(), info.MaxSM())
	}
	list, err := plan.ParseClocks(clocks, info)
	if err != nil {
		return err
	}
	if len(list) < 2 {
		return usage.Errorf("switching needs two clocks at least, not %v", list)
	}
	bar := progress.NewBar(os.Stderr, "switching clocks")
	rows, err := r.MeasureSwitching(ctx, list, switching.Options{Repeats: repeats, Seed: o.Rig.Seed, Progress: func(done, all int) { bar.Set(float64(done) / float64(all)) }})
	bar.Done()
	if err != nil && len(rows) == 0 {
		return fmt.Errorf("switching: %w", err)
	}
	if o.json {
		return errors.Join(err, rig.WriteSwitchesJSON(os.Stdout, r.Simulated(), rows))
	}
	if csv {
		return errors.Join(switching.WriteCSV(os.Stdout, rows), err)
	}
	if r.Simulated() {
		fmt.Println("SIMULATED")
	} else {
		fmt.Println("An idle GPU may lower its clock by itself: run this beside a job for figures under load.")
	}
	return errors.Join(switching.WriteText(os.Stdout, rows), err)
}
