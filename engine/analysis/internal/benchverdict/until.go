package main

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"jouletop/engine/analysis/curve"
	"jouletop/engine/event"
	"jouletop/engine/internal/figures"
	"jouletop/engine/session"
)

// until runs --until as a user would: each combination ends with an interval as narrow as
// was asked for, or a warning says why not.
func until(s *figures.Sheet, bin, dir string) error {
	small := []string{"--gpu", "sim", "--model", "llama-3.2-1b", "--dataset", "truthfulqa", "--max-tokens", "24", "--sim-speed", "max", "--samples", "none"}
	for i, c := range []struct {
		what  string
		args  []string
		share float64
		short bool // it cannot be reached
	}{
		{"run --until 2%", append([]string{"run", "--queries", "6", "--until", "2%"}, small...), 0.02, false},
		{"run --until 0.2%", append([]string{"run", "--queries", "4", "--until", "0.2%"}, small...), 0.002, false},
		{"run --until 2%, two batch sizes", append([]string{"run", "--queries", "8", "--batch", "1,4", "--until", "2%"}, small...), 0.02, false},
		{"sweep --until 2%, three clocks", append([]string{"sweep", "--queries", "4", "--batch", "1", "--clocks", "345,1005,1980", "--repeats", "1", "--until", "2%"}, small...), 0.02, false},
		{"run --until 0.00001%, out of reach", append([]string{"run", "--queries", "1", "--until", "0.00001%"}, small...), 1e-7, true},
	} {
		folder := filepath.Join(dir, fmt.Sprint("until", i))
		if _, _, err := figures.Run(bin, append(c.args, "--session", folder)...); err != nil {
			return err
		}
		ses, err := session.Open(folder)
		if err != nil {
			return err
		}
		var points []event.PointDone
		if err := ses.Events(func(e event.Event) error {
			if p, ok := e.(event.PointDone); ok {
				points = append(points, p)
			}
			return nil
		}); err != nil {
			return err
		}
		reached, told, all, widest := 0, 0, 0, 0.0
		for _, x := range curve.Of(points) {
			for _, k := range slices.Concat(x.Clocks, x.Policies) {
				all++
				half := k.Energy.Half / k.Energy.Mean
				widest = max(widest, 100*half)
				switch {
				case half <= c.share:
					reached++
				case slices.ContainsFunc(ses.Manifest.Warnings, func(w string) bool {
					return strings.HasPrefix(w, "--until ") && strings.Contains(w, "known to ±") && strings.Contains(w, "repeats are the most")
				}):
					told++
				default:
					fmt.Printf("  %s: ± %.3g %% after %d repeats, and nothing is said of it\n", c.what, 100*half, k.Energy.N)
				}
			}
		}
		fmt.Printf("  %s: %d points, intervals up to ± %.2g %%\n", c.what, len(points), widest)
		if c.short {
			s.Check(c.what+": combinations of which it is said why", float64(told), "", float64(all), float64(all))
		} else {
			s.Check(c.what+": combinations that came so far", float64(reached), "", float64(all), float64(all))
		}
	}
	return nil
}
