package rig

import (
	"context"
	"io"
	"time"

	"jouletop/engine/nulljson"
	"jouletop/gpu/simgpu"
	"jouletop/gpu/switching"
	"jouletop/gpu/timebase"
)

// keepBusy loads a simulated GPU, so that its clock is under load.
func keepBusy(ctx context.Context, clk timebase.Clock, sims simgpu.Joined) {
	if len(sims) == 0 {
		return
	}
	clk.Go(func() {
		for ctx.Err() == nil {
			if _, _, err := sims.Execute(ctx, simgpu.Work{Overhead: 100 * time.Millisecond, Tensor: 0.02, DRAM: 0.5}); err != nil {
				return
			}
		}
	})
}

// MeasureSwitching measures how long changes between clocks take on the first GPU,
// which is kept busy where it is simulated. What was measured before an error is
// returned with it.
func (r *Rig) MeasureSwitching(ctx context.Context, clocks []int, o switching.Options) (rows []switching.Switch, err error) {
	err = r.Do(func() error {
		work, stop := context.WithCancel(ctx)
		defer stop()
		keepBusy(work, r.Clock, r.Sims)
		var err error
		rows, err = switching.Measure(ctx, r.GPUs[0].Device, r.Clock, func(mhz int) (call, done int64, err error) {
			t, err := r.GPUs[0].Control.SetTimed(mhz)
			return t.CallNS, t.ReturnNS, err
		}, clocks, o)
		return err
	})
	return rows, err
}

// WriteSwitchesJSON writes what was measured; null is unknown.
func WriteSwitchesJSON(w io.Writer, simulated bool, rows []switching.Switch) error {
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
			p.CallMS, p.SettleMS, p.SettleMaxMS, p.ResolutionMS = nulljson.Known(s.CallMS), nulljson.Known(s.SettleMS), nulljson.Known(s.SettleMaxMS), nulljson.Known(s.ResolutionMS)
		}
		out.Switches = append(out.Switches, p)
	}
	return nulljson.Write(w, out)
}
