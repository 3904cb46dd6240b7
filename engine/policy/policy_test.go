package policy

import (
	"errors"
	"testing"

	"jouletop/engine/event"
	"jouletop/gpu"
)

func h100() gpu.Info {
	info := gpu.Info{Name: "H100", UUID: "GPU-00000000"}
	for mhz := 345; mhz <= 1980; mhz += 15 {
		info.SMClocks = append(info.SMClocks, mhz)
	}
	return info
}

func TestParse(t *testing.T) {
	tests := []struct {
		spec, name string
		start      int
		err        error
	}{
		{spec: "none", name: "none"},
		{spec: "fixed:1005", name: "fixed:1005", start: 1005},
		{spec: "phase:1980/1005", name: "phase:1980/1005", start: 1980},
		{spec: "phase: 1980 / 1005 / 1500", name: "phase:1980/1005/1500", start: 1980},
		{spec: "phase:1980/1005/1980", name: "phase:1980/1005", start: 1980},
		{spec: "min-energy", name: "min-energy", start: 1980},
		{spec: "min-edp", name: "min-edp", start: 1980},
		{spec: "phase:min-energy", name: "phase:min-energy", start: 1980},
		{spec: "phase:min-edp", name: "phase:min-edp", start: 1980},
		{spec: "min-energy:5", err: event.ErrPolicy},
		{spec: "phase:fast", err: event.ErrPolicy},
		{spec: "", err: event.ErrPolicy},
		{spec: "fast", err: event.ErrPolicy},
		{spec: "none:1", err: event.ErrPolicy},
		{spec: "fixed", err: event.ErrPolicy},
		{spec: "fixed:", err: event.ErrPolicy},
		{spec: "fixed:1005/1980", err: event.ErrPolicy},
		{spec: "fixed:1e3", err: event.ErrPolicy},
		{spec: "fixed:1006", err: gpu.ErrBadClock},
		{spec: "fixed:-5", err: gpu.ErrBadClock},
		{spec: "phase:1980", err: event.ErrPolicy},
		{spec: "phase:1980/1005/1/2", err: event.ErrPolicy},
		{spec: "phase:1980/99", err: gpu.ErrBadClock},
	}
	for _, tt := range tests {
		p, err := Parse(tt.spec, h100(), Options{})
		if tt.err != nil {
			if !errors.Is(err, tt.err) {
				t.Errorf("Parse(%q): %v, want %v", tt.spec, err, tt.err)
			}
			continue
		}
		if err != nil {
			t.Errorf("Parse(%q): %v", tt.spec, err)
			continue
		}
		if _, searches := p.(*Online); searches != event.PolicyOf(tt.spec).Searches() {
			t.Errorf("%q searches: %v", tt.spec, !searches)
		}
		if p.Name() != tt.name || p.Start() != tt.start {
			t.Errorf("Parse(%q) is %q starting at %d, want %q at %d", tt.spec, p.Name(), p.Start(), tt.name, tt.start)
		}
	}
	if _, err := Parse("min-energy", gpu.Info{}, Options{}); !errors.Is(err, gpu.ErrBadClock) {
		t.Errorf("a GPU without clocks: %v, want %v", err, gpu.ErrBadClock)
	}
	if _, err := Parse("none", h100(), Options{MaxSlowdown: -1}); !errors.Is(err, event.ErrPolicy) {
		t.Errorf("a negative slowdown: %v, want %v", err, event.ErrPolicy)
	}
}

// None and Fixed leave the clock alone once the run has started.
func TestFixedNeverSwitches(t *testing.T) {
	for _, spec := range []string{"none", "fixed:1005"} {
		p, err := Parse(spec, h100(), Options{})
		if err != nil {
			t.Fatal(err)
		}
		for _, phase := range []event.Phase{event.Prefill, event.Decode, event.Score, event.Mixed} {
			if _, set := p.Phase(event.PhaseStart{Phase: phase}); set {
				t.Errorf("%s sets a clock for %s", spec, phase)
			}
		}
	}
}
