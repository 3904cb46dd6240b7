package operator

import (
	"context"
	"errors"
	"fmt"
	"io"

	"jouletop/engine/plan"
	"jouletop/engine/rig"
	"jouletop/engine/usage"
	"jouletop/gpu/switching"
)

// Switching says how clock changes are to be measured and told.
type Switching struct {
	Clocks    string // to switch between, as --clocks takes them; "": three over the range
	Repeats   int    // of each pair
	JSON, CSV bool   // in place of a table
	Progress  func(share float64)
	Done      func() // it is measured, and will be printed
}

// Show measures how long clock changes take on the GPU that o asks for, and prints it.
// What was measured before an error is printed with it.
func (s Switching) Show(ctx context.Context, o *rig.Config, out io.Writer) (err error) {
	if s.Repeats < 1 {
		return usage.Errorf("--repeats %d: want 1 or more", s.Repeats)
	}
	r, err := rig.Open(ctx, o, 0, 0)
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
	if s.Clocks == "" {
		s.Clocks = fmt.Sprintf("%d:%d:3", r.Info.MinSM(), r.Info.MaxSM())
	}
	clocks, err := plan.ParseClocks(s.Clocks, r.Info)
	if err != nil {
		return err
	}
	if len(clocks) < 2 {
		return usage.Errorf("switching needs two clocks at least, not %v", clocks)
	}
	rows, err := r.MeasureSwitching(ctx, clocks, switching.Options{
		Repeats: s.Repeats, Seed: o.Seed, Progress: func(done, all int) { s.Progress(float64(done) / float64(all)) },
	})
	s.Done()
	switch {
	case err != nil && len(rows) == 0:
		return fmt.Errorf("switching: %w", err)
	case s.JSON:
		return errors.Join(err, rig.WriteSwitchesJSON(out, r.Simulated(), rows))
	case s.CSV:
		return errors.Join(switching.WriteCSV(out, rows), err)
	}
	note := "An idle GPU may lower its clock by itself: run this beside a job for figures under load."
	if r.Simulated() {
		note = "SIMULATED"
	}
	_, e := fmt.Fprintln(out, note)
	return errors.Join(e, switching.WriteText(out, rows), err)
}
