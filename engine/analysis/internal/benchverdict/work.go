package main

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"path/filepath"

	"jouletop/engine"
	"jouletop/engine/analysis/compare"
	"jouletop/engine/analysis/paired"
	"jouletop/engine/event"
	"jouletop/engine/session"
	"jouletop/gpu"
)

// work is so many queries, each run so often, whose energies scatter.
type work struct {
	queries, repeats int
	noise, run       float64 // relative standard deviations, of a request and of a run
	factor           float64 // of the second side's energies; 0 is 1
}

// compare records two sides of the work and compares their sessions.
func (w work) compare(dir string, rnd *rand.Rand) (c paired.Comparison, err error) {
	sizes := make([]float64, w.queries)
	for i := range sizes {
		sizes[i] = 50 * math.Exp(0.6*rnd.NormFloat64())
	}
	folders := []string{filepath.Join(dir, "a"), filepath.Join(dir, "b")}
	for side, folder := range folders {
		factor := 1.0
		if side == 1 {
			factor = cmp.Or(w.factor, 1)
		}
		if err := record(folder, manifest(), w.rows(sizes, factor, rnd), math.NaN()); err != nil {
			return c, err
		}
	}
	sides, err := compare.Sides(folders, "")
	if err != nil {
		return c, err
	}
	c = paired.Against(sides[0], sides[1])
	return c, compare.Err(c)
}

// rows are the requests of a side.
func (w work) rows(sizes []float64, factor float64, rnd *rand.Rand) (out []event.RequestEnergy) {
	for repeat := 1; repeat <= w.repeats; repeat++ {
		run := factor * (1 + w.run*rnd.NormFloat64())
		for i, size := range sizes {
			r := row(i)
			r.Repeat = repeat
			r.RequestID = fmt.Sprintf("r%d.%d", repeat, i)
			r.EnergyJ = size * run * (1 + w.noise*rnd.NormFloat64())
			r.EnergyErrJ = r.EnergyJ * w.noise
			out = append(out, r)
		}
	}
	return out
}

// row is a request that all sides have.
func row(i int) event.RequestEnergy {
	nan := math.NaN()
	return event.RequestEnergy{
		Request: event.Request{
			RequestID: fmt.Sprint("r.", i), BatchID: fmt.Sprint("b", i), PointID: "p", Repeat: 1, GPU: gpuID, Model: "m", Dataset: "d", QueryID: fmt.Sprint(i),
			BatchSize: 1, PointBatchSize: 1, Policy: "none", StartNS: int64(i) * 1e9, EndNS: int64(i)*1e9 + 9e8, InputTokens: 100, OutputTokens: 50,
			CachedTokens: -1, PrefillS: 0.1, DecodeS: 0.8, TTFTS: 0.1, QueueS: nan, GapMaxS: nan, ServerPrefillS: nan, ServerDecodeS: nan, Quality: 0.5,
			Output: event.Output{Choice: -1},
		},
		Energy: event.Energy{EnergyJ: 50 + float64(i), EnergyErrJ: 1, Method: "buffer"}, NetEnergyJ: nan, ServedEnergy: event.NotServed,
	}
}

const gpuID = "0:GPU-1a2b3c4d"

func manifest() session.Manifest {
	return session.Manifest{
		Program: "benchverdict", Name: "run", Backend: "llama", Ended: event.HowDone,
		GPUs:     []session.GPU{{ID: gpuID, Info: gpu.Info{Name: "H100", PowerLimitW: 700}}},
		Models:   []engine.ModelInfo{{Name: "m", SHA256: "aa", Quantisation: "F16", Devices: []string{"CUDA0"}}},
		Datasets: []session.Dataset{{Name: "d", SHA256: "bb"}},
	}
}

// record writes a session of these requests; throttled is for how much of the time a
// limit held the clock down, in %, NaN unknown.
func record(dir string, m session.Manifest, rows []event.RequestEnergy, throttled float64) error {
	m.Name = "sweep" // which has points
	rec, err := session.Create(dir, m, session.Full)
	if err != nil {
		return err
	}
	flags := event.Flags("")
	for _, r := range rows {
		rec.Record(r)
		flags = flags.Union(r.Flags)
	}
	nan := math.NaN()
	rec.Record(event.PointDone{
		Point: event.Point{PointID: "p", GPU: rows[0].GPU, Model: rows[0].Model, Dataset: rows[0].Dataset, BatchSize: rows[0].PointBatchSize, Policy: rows[0].Policy, Repeat: 1, Queries: len(rows)},
		PointResult: event.PointResult{
			Energy: event.Energy{EnergyJ: nan, EnergyErrJ: nan}, ThrottledPct: throttled, Flags: flags,
		},
	})
	return errors.Join(rec.Close())
}
