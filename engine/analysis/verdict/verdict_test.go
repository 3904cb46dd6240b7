package verdict_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"jouletop/engine/analysis/verdict"
)

// experiment is two sides of the same queries: b is what B's figures are times A's.
type experiment struct {
	queries, runs int
	noise, run, b float64 // relative standard deviations of a request, and of a run
}

func (e experiment) sides(rnd *rand.Rand) verdict.Sides {
	sizes := make([]float64, e.queries)
	for i := range sizes {
		sizes[i] = 50 * math.Exp(0.6*rnd.NormFloat64())
	}
	s := verdict.Sides{Pairs: make([]verdict.Pair, e.queries)}
	for range e.runs {
		for side, factor := range []float64{1, e.b} {
			factor *= 1 + e.run*rnd.NormFloat64()
			sum := 0.0
			for i, size := range sizes {
				x := size * factor * (1 + e.noise*rnd.NormFloat64())
				sum += x
				if side == 0 {
					s.Pairs[i].A += x / float64(e.runs)
				} else {
					s.Pairs[i].B += x / float64(e.runs)
				}
			}
			if side == 0 {
				s.RunsA = append(s.RunsA, sum)
			} else {
				s.RunsB = append(s.RunsB, sum)
			}
		}
	}
	return s
}

// resolved is the share of n experiments in which a difference is found.
func (e experiment) resolved(n int) float64 {
	rnd := rand.New(rand.NewPCG(1, uint64(e.queries*100+e.runs)))
	found := 0.0
	for range n {
		if verdict.Compare(e.sides(rnd)).Resolved() {
			found++
		}
	}
	return found / float64(n)
}

// Equal sides are called different in one of twenty cases at most, whether runs
// differ as they do or less.
func TestEqualSidesAreCalledEqual(t *testing.T) {
	for _, e := range []experiment{
		{20, 1, 0.03, 0.01, 1}, {20, 3, 0.03, 0.01, 1}, {200, 1, 0.05, 0.01, 1}, {200, 5, 0.05, 0.01, 1},
		{6, 1, 0.03, 0.01, 1}, {6, 2, 0.1, 0.004, 1}, {50, 3, 0.02, 0, 1}, {50, 10, 0.02, 0.02, 1},
	} {
		// Two standard errors of 2,000 trials.
		if share := e.resolved(2000); share > 0.06 {
			t.Errorf("%+v: %.1f %% called different", e, 100*share)
		}
	}
}

// A single query, such as a command, is judged by its own repeats alone, however much it
// differs from itself.
func TestASingleQueryIsJudgedByItsRepeats(t *testing.T) {
	for _, e := range []experiment{{1, 3, 0, 0.1, 1}, {1, 5, 0, 0.01, 1}, {1, 2, 0, 0.001, 1}, {1, 8, 0.02, 0.05, 1}} {
		if share := e.resolved(2000); share > 0.06 {
			t.Errorf("%+v: %.1f %% called different", e, 100*share)
		}
	}
	if share := (experiment{1, 5, 0, 0.01, 0.97}).resolved(2000); share < 0.9 {
		t.Errorf("3 %% found in %.1f %%", 100*share)
	}
	rnd := rand.New(rand.NewPCG(9, 9))
	if n, ok := verdict.Compare((experiment{1, 3, 0, 0.02, 1}).sides(rnd)).Repeats(0.02); !ok || n < 4 || n > 200 {
		t.Errorf("%d repeats, %v", n, ok)
	}
}

// The repeats that each pilot says find a difference of 3 % do so in nine of ten cases,
// over pilots of which most know little of the scatter; and they are not many more than
// it takes.
func TestTheRepeatsStatedFindTheDifference(t *testing.T) {
	const pilots = 1000
	for _, c := range []struct {
		experiment
		most int // repeats, as the median
	}{
		{experiment{20, 1, 0.03, 0.01, 1}, 6}, {experiment{100, 2, 0.05, 0.01, 1}, 5}, {experiment{12, 2, 0.05, 0.008, 1}, 20}, {experiment{12, 1, 0.06, 0.006, 1}, 22},
		{experiment{60, 2, 0.02, 0.011, 1}, 5}, {experiment{1, 3, 0, 0.01, 1}, 8}, {experiment{1, 5, 0, 0.02, 1}, 15},
	} {
		rnd := rand.New(rand.NewPCG(7, 8))
		var stated []int
		found := 0.0
		for i := range pilots {
			n, ok := verdict.Compare(c.sides(rnd)).Repeats(0.03)
			if !ok { // a pilot that knows nothing proposes nothing
				continue
			}
			stated = append(stated, n)
			again := c.experiment
			again.runs, again.b = n, 1.03-0.06*float64(i%2)
			if verdict.Compare(again.sides(rnd)).Resolved() {
				found++
			}
		}
		share := found / float64(len(stated))
		if len(stated) < pilots*98/100 || share < 0.86 {
			t.Errorf("%+v: %d of %d pilots state repeats, which find it in %.1f %%", c.experiment, len(stated), pilots, 100*share)
		}
		slices.Sort(stated)
		if middle := stated[len(stated)/2]; middle > c.most {
			t.Errorf("%+v: %d repeats, where %d do", c.experiment, middle, c.most)
		}
	}
}

func TestNothingIsSaidOfNothing(t *testing.T) {
	nan := math.NaN()
	for name, s := range map[string]verdict.Sides{
		"nothing":      {},
		"unresolved":   {Pairs: []verdict.Pair{{nan, 2}, {3, nan}}},
		"zero":         {Pairs: []verdict.Pair{{0, 0}, {0, 0}}},
		"one query":    {Pairs: []verdict.Pair{{2, 3}}, RunsA: []float64{2}, RunsB: []float64{3}},
		"endless":      {Pairs: []verdict.Pair{{math.Inf(1), 3}}},
		"negative sum": {Pairs: []verdict.Pair{{-2, 3}, {-2, 3}}},
	} {
		d := verdict.Compare(s)
		if w := d.Word(); w != verdict.Unknown || d.Resolved() {
			t.Errorf("%s: %s", name, w)
		}
		if _, ok := d.Repeats(0.02); ok {
			t.Errorf("%s: repeats", name)
		}
	}
}

func TestWords(t *testing.T) {
	side := func(a, b float64) verdict.Sides {
		return verdict.Sides{Pairs: []verdict.Pair{{a, b}, {2 * a, 2 * b}, {3 * a, 3 * b}}, RunsA: []float64{6 * a}, RunsB: []float64{6 * b}}
	}
	for _, c := range []struct {
		b    float64
		want string
	}{{70, verdict.Lower}, {130, verdict.Higher}, {100.5, verdict.Unresolved}, {100, verdict.Unresolved}} {
		d := verdict.Compare(side(100, c.b))
		if d.Word() != c.want {
			t.Errorf("100 against %g: %s (%s)", c.b, d.Word(), d)
		}
		if math.Abs(d.Mean-(c.b/100-1)) > 1e-12 {
			t.Errorf("100 against %g: %s", c.b, d)
		}
	}
}

func TestZeroHasNoSign(t *testing.T) {
	for want, d := range map[string]verdict.Difference{
		"0.0 ± 1.0 %": {Mean: -0.0001, Half: 0.01}, "+0.1 ± 1.0 %": {Mean: 0.001, Half: 0.01}, "-2.0 %": {Mean: -0.02, Half: math.NaN()}, "0.000 ± 0.000": {Absolute: true}, "+0.500": {Mean: 0.5, Half: math.NaN(), Absolute: true},
	} {
		if got := d.String(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
