// Command benchverdict finds out how often the comparisons of the program whose path it
// is given are right: equal sides called different, a true difference found with the
// repeats that were stated, what cannot be compared refused, and what --until comes to.
// It prints figures beside their targets, with binomial intervals, and exits with 1 when
// one is missed by more than chance.
package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"

	"gonum.org/v1/gonum/stat/distuv"

	"jouletop/engine/analysis/paired"
	"jouletop/engine/internal/figures"
)

// pairs is how many pairs of sides are compared for each figure.
const pairs = 400

func main() {
	figures.Of("benchverdict", func(s *figures.Sheet, bin, dir string) error {
		seed, _ := strconv.ParseUint(os.Getenv("SEED"), 10, 64) // 0 without
		fmt.Printf("seed %d (SEED= for another)\n", seed)
		return errors.Join(mismatches(s, bin, dir), equal(s, dir, seed), halves(s, dir, seed), different(s, dir, seed), until(s, bin, dir))
	})
}

// interval is the 95 % interval of a share, of which n in so many was seen (Clopper and
// Pearson, Biometrika 26, 1934).
func interval(n, of int) (low, high float64) {
	if n > 0 {
		low = distuv.Beta{Alpha: float64(n), Beta: float64(of - n + 1)}.Quantile(0.025)
	}
	if high = 1; n < of {
		high = distuv.Beta{Alpha: float64(n + 1), Beta: float64(of - n)}.Quantile(0.975)
	}
	return low, high
}

// atMost checks that a share is no more than it may be: missed where all of its interval
// is above.
func atMost(s *figures.Sheet, what string, n, of int, most float64) {
	low, high := interval(n, of)
	fmt.Printf("%s: %d of %d, %.1f %%, interval %.1f to %.1f %%\n", what, n, of, 100*float64(n)/float64(of), 100*low, 100*high)
	s.Check("  its low end", 100*low, "%", 0, 100*most)
}

// atLeast checks that a share is no less than it is to be.
func atLeast(s *figures.Sheet, what string, n, of int, least float64) {
	low, high := interval(n, of)
	fmt.Printf("%s: %d of %d, %.1f %%, interval %.1f to %.1f %%\n", what, n, of, 100*float64(n)/float64(of), 100*low, 100*high)
	s.Check("  its high end", 100*high, "%", 100*least, 100)
}

// trials runs a trial so often, on all processors, each with randomness of its own.
func trials(n int, seed, stream uint64, trial func(i int, rnd *rand.Rand) error) error {
	var wait sync.WaitGroup
	errs := make([]error, n)
	next := make(chan int)
	for range runtime.GOMAXPROCS(0) {
		wait.Go(func() {
			for i := range next {
				errs[i] = trial(i, rand.New(rand.NewPCG(seed, stream<<32|uint64(i))))
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	wait.Wait()
	return errors.Join(errs...)
}

// kinds of work and of noise that sides are made of: relative standard deviations of a
// request and of a run. On H100s runs of the same work differ by 0.8 to 1.1 %
// (verdict.RunSD), and requests by 0.5 to 5 %.
var kinds = []work{
	{queries: 20, repeats: 1, noise: 0.03, run: 0.01}, {queries: 40, repeats: 3, noise: 0.03, run: 0.01},
	{queries: 12, repeats: 2, noise: 0.05, run: 0.008}, {queries: 60, repeats: 2, noise: 0.02, run: 0.011},
}

// equal compares sides of the same work.
func equal(s *figures.Sheet, dir string, seed uint64) error {
	found := make([]bool, pairs)
	if err := trials(pairs, seed, 1, func(i int, rnd *rand.Rand) error {
		w := kinds[i%len(kinds)]
		c, err := w.compare(filepath.Join(dir, fmt.Sprint("aa", i)), rnd)
		if err == nil {
			found[i] = resolved(c)
		}
		return err
	}); err != nil {
		return err
	}
	atMost(s, "equal sides called different, simulated noise", count(found), pairs, 0.05)
	return nil
}

// different compares sides that differ by 3 %, with the repeats that --resolve 3% states
// after a pilot of the same work.
func different(s *figures.Sheet, dir string, seed uint64) error {
	found := make([]bool, pairs)
	repeats := make([]int, pairs)
	if err := trials(pairs, seed, 2, func(i int, rnd *rand.Rand) error {
		w := kinds[i%len(kinds)]
		pilot, err := w.compare(filepath.Join(dir, fmt.Sprint("pilot", i)), rnd)
		if err != nil {
			return err
		}
		n, ok := pilot.Figures[0].Repeats(0.03)
		if !ok {
			return fmt.Errorf("no number of repeats is stated for %+v", w)
		}
		repeats[i] = n
		w.repeats, w.factor = n, 1.03
		if i/len(kinds)%2 == 1 {
			w.factor = 0.97
		}
		c, err := w.compare(filepath.Join(dir, fmt.Sprint("truth", i)), rnd)
		if err == nil {
			found[i] = resolved(c)
		}
		return err
	}); err != nil {
		return err
	}
	sum := 0
	for _, n := range repeats {
		sum += n
	}
	fmt.Printf("  --resolve 3%% stated %.1f repeats a side on the average\n", float64(sum)/pairs)
	atLeast(s, "a difference of 3 % found with the repeats that --resolve states", count(found), pairs, 0.90)
	return nil
}

// resolved tells whether the energies are called different.
func resolved(c paired.Comparison) bool { return c.Figures[0].Resolved() }

func count(of []bool) (n int) {
	for _, x := range of {
		if x {
			n++
		}
	}
	return n
}
