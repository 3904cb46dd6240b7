package verdict_test

import (
	"math"
	"math/rand/v2"
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

// Of the repeats that are said to find a difference of 3 %, nine of ten find it, and
// not many fewer would.
func TestTheRepeatsStatedFindTheDifference(t *testing.T) {
	for _, e := range []experiment{{20, 1, 0.03, 0.01, 1}, {100, 2, 0.05, 0.01, 1}, {12, 1, 0.06, 0.006, 1}} {
		rnd := rand.New(rand.NewPCG(7, 8))
		var stated float64
		for range 50 { // the pilots' scatter is chance too
			n, ok := verdict.Compare(e.sides(rnd)).Repeats(0.03)
			if !ok || n < 1 {
				t.Fatalf("%+v: %d repeats", e, n)
			}
			stated += float64(n) / 50
		}
		again := e
		again.b, again.runs = 1.03, int(math.Ceil(stated))
		if share := again.resolved(2000); share < 0.88 {
			t.Errorf("%+v: %d repeats find it in %.1f %%", e, again.runs, 100*share)
		}
		again.b = 0.97
		if share := again.resolved(2000); share < 0.88 {
			t.Errorf("%+v: %d repeats find less in %.1f %%", e, again.runs, 100*share)
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
		"0.0 ± 1.0 %": {Mean: -0.0001, Half: 0.01}, "+0.1 ± 1.0 %": {Mean: 0.001, Half: 0.01}, "-2.0 %": {Mean: -0.02, Half: math.NaN()}, "0.000 ± 0.000": {Absolute: true},
	} {
		if got := d.String(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
