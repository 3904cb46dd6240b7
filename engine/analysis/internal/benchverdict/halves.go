package main

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"

	"jouletop/engine/analysis/compare"
	"jouletop/engine/analysis/paired"
	"jouletop/engine/event"
	"jouletop/engine/internal/figures"
	"jouletop/engine/session"
)

// recordings are of equal requests on H100s, beside the repository where there are some.
const recordings = "../shared/data/h100/sessions"

// leastBatches is how many batches of a point are worth halving.
const leastBatches = 8

// halves splits recordings into two sides of equal work and compares those: in turns of
// one to half of the batches, at random.
func halves(s *figures.Sheet, dir string, seed uint64) error {
	dirs, err := filepath.Glob(filepath.Join(recordings, "*"))
	if err != nil {
		return err
	}
	type recorded struct {
		manifest session.Manifest
		batches  [][]event.RequestEnergy
	}
	var all []recorded
	for _, d := range dirs {
		if strings.HasSuffix(d, "mix") { // whose requests are not equal
			continue
		}
		ses, err := session.OpenForeign(d)
		if err != nil {
			return err
		}
		at := map[string]map[string]int{}
		points := map[string]*recorded{}
		if err := ses.Requests(func(r *event.RequestEnergy) error {
			p := points[r.PointID]
			if p == nil {
				p = &recorded{manifest: *ses.Manifest}
				points[r.PointID], at[r.PointID] = p, map[string]int{}
			}
			i, seen := at[r.PointID][r.BatchID]
			if !seen {
				i = len(p.batches)
				at[r.PointID][r.BatchID] = i
				p.batches = append(p.batches, nil)
			}
			p.batches[i] = append(p.batches[i], *r)
			return nil
		}); err != nil {
			return err
		}
		for _, p := range points {
			if len(p.batches) >= leastBatches {
				all = append(all, *p)
			}
		}
	}
	if len(all) == 0 {
		_, err := os.Stat(recordings)
		fmt.Printf("  no recordings to split in half: %v\n", err)
		return nil
	}
	energy, latency := make([]bool, pairs), make([]bool, pairs)
	if err := trials(pairs, seed, 3, func(i int, rnd *rand.Rand) error {
		x := all[i%len(all)]
		turn := 1 + rnd.IntN(len(x.batches)/2)
		var sides [2][]event.RequestEnergy
		var n [2]int
		first := rnd.IntN(2)
		for k, b := range x.batches {
			side := (k/turn + first) % 2
			for q, r := range b {
				// Equal work: the i-th of one side is the i-th of the other.
				r.PointID, r.QueryID, r.PointBatchSize, r.Repeat = "p", fmt.Sprintf("%d.%d", n[side], q), len(b), 1
				sides[side] = append(sides[side], r)
			}
			n[side]++
		}
		folders := []string{filepath.Join(dir, fmt.Sprint("half", i), "a"), filepath.Join(dir, fmt.Sprint("half", i), "b")}
		for k, folder := range folders {
			m := x.manifest
			m.Ended = event.HowDone
			if err := record(folder, m, sides[k], math.NaN()); err != nil {
				return err
			}
		}
		read, err := compare.Sides(folders, "")
		if err != nil {
			return err
		}
		for _, f := range paired.Against(read[0], read[1]).Figures {
			switch f.Name {
			case "energy a query":
				energy[i] = f.Resolved()
			case "latency":
				latency[i] = f.Resolved()
			}
		}
		return nil
	}); err != nil {
		return err
	}
	fmt.Printf("  %d points of H100 recordings\n", len(all))
	atMost(s, "halves of H100 recordings called different, energy", count(energy), pairs, 0.05)
	atMost(s, "halves of H100 recordings called different, latency", count(latency), pairs, 0.05)
	return nil
}
