package engine_test

import (
	"context"
	"strings"
	"testing"

	"jouletop/engine"
	"jouletop/engine/event"
)

// elsewhere is a backend that says what it computes on.
type elsewhere struct {
	engine.Backend
	devices []string
}

func (b elsewhere) Load(ctx context.Context, spec engine.ModelSpec, progress func(float64)) (engine.ModelInfo, error) {
	info, err := b.Backend.Load(ctx, spec, progress)
	info.Devices = b.devices
	return info, err
}

// What a GPU draws while a model runs on the CPU is not the model's: it is said once,
// and every row is flagged.
func TestModelOnTheCPUIsFlagged(t *testing.T) {
	for _, tt := range []struct {
		name    string
		devices []string
		real    bool
		flagged bool
	}{
		{"on the CPU", []string{"CPU"}, true, true},
		{"on a GPU", []string{"CUDA0"}, true, false},
		{"on both", []string{"CUDA0", "CPU"}, true, false},
		{"on a server", []string{"remote:host"}, true, false},
		{"on the CPU, all simulated", []string{"CPU"}, false, false}, // that is said of the whole session
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := &bench{real: tt.real, wrap: func(in engine.Backend) engine.Backend { return elsewhere{in, tt.devices} }}
			simulateIn(t, b, []string{"h100"}, func(b *bench) {
				plan := engine.Plan{Name: "run", Points: []engine.PointPlan{point("llama-3.2-1b", 3, 1, nil), point("llama-3.2-1b", 2, 2, nil)}}
				if err := b.engine.Run(t.Context(), plan); err != nil {
					t.Error(err)
				}
			})
			said := 0
			for _, w := range of[event.Warning](b) {
				if strings.Contains(w.Text, "runs on the CPU") {
					said++
				}
			}
			if tt.flagged != (said == 1) {
				t.Errorf("said %d times", said)
			}
			rows := 0
			for _, r := range of[event.RequestEnergy](b) {
				rows++
				if r.Flags.Has(event.FlagGPUUnused) != tt.flagged {
					t.Errorf("%s has flags %q", r.RequestID, r.Flags)
				}
			}
			for _, p := range of[event.PointDone](b) {
				rows++
				if p.Flags.Has(event.FlagGPUUnused) != tt.flagged {
					t.Errorf("%s has flags %q", p.PointID, p.Flags)
				}
			}
			if rows != 7 {
				t.Errorf("%d rows", rows)
			}
		})
	}
}
