package main

import (
	"fmt"
	"math"
	"path/filepath"
	"strings"

	"jouletop/engine/event"
	"jouletop/engine/internal/figures"
	"jouletop/engine/session"
)

// mismatches compares sides that differ in one thing beside the clock, through the
// program: each is to be refused for that reason, and no other.
func mismatches(s *figures.Sheet, bin, dir string) error {
	const queries = 12
	refused := 0
	all := []struct {
		what, want string
		manifest   func(*session.Manifest)
		row        func(i int, r *event.RequestEnergy)
		throttled  float64
	}{
		{what: "model", want: "model: ", row: func(_ int, r *event.RequestEnergy) { r.Model = "n" }},
		{what: "model file", want: "model: ", manifest: func(m *session.Manifest) { m.Models[0].SHA256 = "cc" }},
		{what: "layers", want: "model: ", manifest: func(m *session.Manifest) { m.Models[0].Devices = []string{"CPU"} }},
		{what: "dataset", want: "dataset: ", manifest: func(m *session.Manifest) { m.Datasets[0].SHA256 = "cc" }},
		{what: "workload", want: "workload: ", row: func(i int, r *event.RequestEnergy) { r.QueryID = fmt.Sprint(i + 5) }},
		{what: "batch size", want: "batch size: ", row: func(_ int, r *event.RequestEnergy) { r.BatchSize, r.PointBatchSize = 4, 4 }},
		{what: "tokens read", want: "tokens: ", row: func(_ int, r *event.RequestEnergy) { r.InputTokens = 120 }},
		{what: "tokens generated", want: "tokens: ", row: func(_ int, r *event.RequestEnergy) { r.OutputTokens = 49 }},
		{what: "device", want: "device: ", manifest: func(m *session.Manifest) { m.GPUs[0].Name = "H200" }},
		{what: "power limit", want: "device: ", manifest: func(m *session.Manifest) { m.GPUs[0].PowerLimitW = 500 }},
		{what: "simulated", want: "measured or not: ", manifest: func(m *session.Manifest) { m.Simulated = true }},
		{what: "backend", want: "backend: ", manifest: func(m *session.Manifest) { m.Backend = "remote" }},
		{what: "throttling", want: "throttling: ", throttled: 12},
		{what: "sensor", want: "sensor: ", row: func(_ int, r *event.RequestEnergy) { r.Method = "counter" }},
		{what: "flags", want: "flags: ", row: func(_ int, r *event.RequestEnergy) { r.Flags = event.FlagsOf(event.FlagCachedTokens) }},
		{what: "clock lost", want: "flags: ", row: func(_ int, r *event.RequestEnergy) { r.Flags = event.FlagsOf(event.FlagClockLost) }},
		{what: "failures", want: "failures: ", row: func(i int, r *event.RequestEnergy) {
			if i == 0 {
				r.Err = "refused"
			}
		}},
	}
	write := func(folder string, m session.Manifest, change func(i int, r *event.RequestEnergy), throttled float64) error {
		var rows []event.RequestEnergy
		for i := range queries {
			r := row(i)
			if change != nil {
				change(i, &r)
			}
			rows = append(rows, r)
		}
		return record(folder, m, rows, throttled)
	}
	base := filepath.Join(dir, "base")
	if err := write(base, manifest(), nil, math.NaN()); err != nil {
		return err
	}
	same := filepath.Join(dir, "same")
	if err := write(same, manifest(), nil, 0); err != nil {
		return err
	}
	if _, _, err := figures.Run(bin, "compare", base, same); err != nil {
		return fmt.Errorf("the same: %w", err)
	}
	for i, c := range all {
		m, folder := manifest(), filepath.Join(dir, fmt.Sprint("refused", i))
		if c.manifest != nil {
			c.manifest(&m)
		}
		if err := write(folder, m, c.row, c.throttled); err != nil {
			return err
		}
		_, _, err := figures.Run(bin, "compare", base, folder)
		_, reasons, some := strings.Cut(fmt.Sprint(err), "not comparable: ")
		if err != nil && some && strings.Contains(reasons, c.want) {
			refused++
			continue
		}
		fmt.Printf("  %s: not refused for it: %v\n", c.what, err)
	}
	s.Check("mismatches refused for their reason", float64(refused), "", float64(len(all)), float64(len(all)))
	return nil
}
