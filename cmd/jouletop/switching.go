package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"text/tabwriter"
	"time"

	"jouletop/engine/nulljson"
	"jouletop/gpu/simgpu"
	"jouletop/gpu/switching"
)

// measureSwitching measures how long clock changes take and prints the table.
func measureSwitching(ctx context.Context, o *options, clocks string, repeats int, csv bool) (err error) {
	if repeats < 1 {
		return usagef("--repeats %d: want 1 or more", repeats)
	}
	r, err := openRig(ctx, o, 0, 0)
	if err != nil {
		return err
	}
	defer r.closeInto(&err)
	if len(r.gpus) > 1 {
		return usagef("switching is measured on one GPU; name it with --device")
	}
	if err := r.armForRun(); err != nil {
		return fmt.Errorf("switching: %w", err)
	}
	info := r.info
	if clocks == "" {
		clocks = fmt.Sprintf("%d:%d:3", info.MinSM(), info.MaxSM())
	}
	list, err := parseClocks(clocks, info)
	if err != nil {
		return err
	}
	if len(list) < 2 {
		return usagef("switching needs two clocks at least, not %v", list)
	}
	bar := newBar(os.Stderr, "switching clocks")
	var rows []switching.Switch
	err = r.do(func() error {
		work, stop := context.WithCancel(ctx)
		defer stop()
		r.keepBusy(work)
		var err error
		rows, err = switching.Measure(ctx, r.gpus[0].dev, r.clk, func(mhz int) (call, done int64, err error) {
			t, err := r.gpus[0].control.SetTimed(mhz)
			return t.CallNS, t.ReturnNS, err
		}, list, switching.Options{Repeats: repeats, Seed: o.seed, Progress: func(done, all int) { bar.set(float64(done) / float64(all)) }})
		return err
	})
	bar.done()
	if err != nil && len(rows) == 0 {
		return fmt.Errorf("switching: %w", err)
	}
	if o.json {
		return errors.Join(err, writeSwitchesJSON(os.Stdout, r.simulated(), rows))
	}
	if csv {
		if werr := switching.Write(os.Stdout, rows); werr != nil {
			return werr
		}
		return err
	}
	if r.simulated() {
		fmt.Println("SIMULATED")
	} else {
		fmt.Println("An idle GPU may lower its clock by itself: run this beside a job for figures under load.")
	}
	t := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "from MHz\tto MHz\tcall ms\tsettle ms\tslowest ms\ttold to ms\trepeats\t")
	for _, s := range rows {
		if s.Err != "" {
			fmt.Fprintf(t, "%d\t%d\t\t\t\t\t\t  %s\n", s.FromMHz, s.ToMHz, s.Err)
			continue
		}
		fmt.Fprintf(t, "%d\t%d\t%s\t%s\t%s\t%s\t%d\t\n", s.FromMHz, s.ToMHz, msText(s.CallMS), msText(s.SettleMS), msText(s.SettleMaxMS), msText(s.ResolutionMS), s.Repeats)
	}
	if werr := t.Flush(); werr != nil {
		return werr
	}
	return err
}

// writeSwitchesJSON writes what was measured; null is unknown.
func writeSwitchesJSON(w io.Writer, simulated bool, rows []switching.Switch) error {
	type pair struct {
		From         int      `json:"from_mhz"`
		To           int      `json:"to_mhz"`
		CallMS       *float64 `json:"call_ms"`
		SettleMS     *float64 `json:"settle_ms"`
		SettleMaxMS  *float64 `json:"settle_max_ms"`
		ResolutionMS *float64 `json:"resolution_ms"`
		Repeats      int      `json:"repeats"`
		Error        string   `json:"error,omitempty"`
	}
	out := struct {
		Simulated bool   `json:"simulated"`
		Switches  []pair `json:"switches"`
	}{simulated, []pair{}}
	for _, s := range rows {
		p := pair{From: s.FromMHz, To: s.ToMHz, Repeats: s.Repeats, Error: s.Err}
		if s.Err == "" {
			p.CallMS, p.SettleMS, p.SettleMaxMS, p.ResolutionMS = known(s.CallMS), known(s.SettleMS), known(s.SettleMaxMS), known(s.ResolutionMS)
		}
		out.Switches = append(out.Switches, p)
	}
	return nulljson.Write(w, out)
}

// keepBusy loads a simulated GPU, so that its clock is under load.
func (r *rig) keepBusy(ctx context.Context) {
	if r.simGPU == nil {
		return
	}
	r.clk.Go(func() {
		for ctx.Err() == nil {
			if _, _, err := r.simGPU.Execute(ctx, simgpu.Work{Overhead: 100 * time.Millisecond, Tensor: 0.02, DRAM: 0.5}); err != nil {
				return
			}
		}
	})
}
