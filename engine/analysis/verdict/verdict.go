// Package verdict says by how much the same work came out differently on two sides,
// how well that is known, and in one word whether it differs at all.
//
// The sides are paired by query. What makes a difference uncertain is
//
//   - that queries differ by more or less than their mean ([Pair]s scatter);
//   - that a run as a whole comes out a little higher or lower than the same run
//     again: the card is warmer, the host busier. All queries of a repeat share it, so
//     that no number of queries makes it smaller; repeats do.
//
// How much runs differ is learned from the repeats of both sides; before there are
// some it is what runs of the same work differed by on H100s ([RunSD]).
package verdict

import (
	"fmt"
	"math"
	"sort"
	"strings"

	"gonum.org/v1/gonum/stat"
	"gonum.org/v1/gonum/stat/distuv"

	"jouletop/engine/analysis/curve"
)

// RunSD is by how much a run as a whole differs from the same run again, as a
// relative standard deviation, before repeats tell, and runsSeen what it is worth in
// degrees of freedom. The halves, one after the other, of 11 recordings of equal
// requests on H100s (llama.cpp, 1B and 8B, 4 s to 40 s) differed in the root mean
// square by 1.2 % in energy, beyond what their requests scatter, and by 1.6 % in
// latency: √2 times 0.8 and 1.1 %.
const (
	RunSD    = 0.01
	runsSeen = 8
)

// Words of a verdict.
const (
	Lower      = "lower"
	Higher     = "higher"
	Unresolved = "no difference resolved"
	Unknown    = "unknown"
)

// Pair is what one query came to on both sides, each the mean of its repeats.
type Pair struct{ A, B float64 }

// Sides are what a figure came to on two sides.
type Sides struct {
	Pairs []Pair // by query
	// Runs are the sums of each repeat over the same queries, of either side, in the order
	// of the repeats; NaN where a repeat's is not known. One repeat tells nothing of how
	// much repeats differ.
	RunsA, RunsB []float64
}

// Difference is by how much B differs from A.
type Difference struct {
	A, B float64 // means a query
	Mean float64 // relative: B over A, less 1; NaN unknown
	Half float64 // half-width of its 95 % interval
	// Absolute: Mean and Half are in the figure's own unit: B less A.
	Absolute bool
	Queries  int
	RunsA    int
	RunsB    int

	within float64 // variance of Mean that queries make, if it were of one repeat a side
	run    float64 // variance of one repeat of one side as a whole
	dof    float64 // of what is known of run

	queryDOF float64 // of within
}

// Compare compares two sides by the ratio of their sums. Pairs of which one is not
// known are left out.
func Compare(s Sides) Difference {
	d := Difference{A: math.NaN(), B: math.NaN(), Mean: math.NaN(), Half: math.NaN(), RunsA: repeats(s.RunsA), RunsB: repeats(s.RunsB)}
	var a, b float64
	var known []Pair
	for _, p := range s.Pairs {
		if x := p.A + p.B; !math.IsNaN(x) && !math.IsInf(x, 0) {
			known = append(known, p)
			a, b = a+p.A, b+p.B
		}
	}
	n := float64(len(known))
	d.Queries = len(known)
	if n == 0 || a <= 0 || b <= 0 {
		return d
	}
	ratio := b / a
	d.A, d.B, d.Mean = a/n, b/n, ratio-1
	if n < 2 {
		d.alone(s)
		return d
	}
	// The variance of a ratio of sums by its linearisation (Cochran, Sampling
	// Techniques, 3rd ed., 1977, section 6.4).
	var squares, a2, a4 float64
	for _, p := range known {
		squares += sq(p.B - ratio*p.A)
		a2 += sq(p.A)
		a4 += sq(sq(p.A))
	}
	within := squares * n / (n - 1) / sq(a)
	d.queryDOF = max(sq(a2)/a4-1, 1) // few large queries are most of the sums
	d.within = within * float64(min(d.RunsA, d.RunsB))
	d.run, d.dof = runVariance(s, d.within/2)
	d.Half = d.half(within, d.RunsA, d.RunsB)
	return d
}

// repeats is how many repeats are known; one there is in any case.
func repeats(runs []float64) int {
	n := 0
	for _, r := range runs {
		if !math.IsNaN(r) {
			n++
		}
	}
	return max(n, 1)
}

// alone is what is known of a single query, such as a command of somebody else's: it
// says nothing of others, and how much it differs from itself its own repeats alone do.
func (d *Difference) alone(s Sides) {
	ss, seen := scatter(s.RunsA)
	ssB, seenB := scatter(s.RunsB)
	if seen+seenB == 0 {
		return
	}
	d.queryDOF, d.run, d.dof = 1, (ss+ssB)/(seen+seenB), seen+seenB
	d.Half = d.half(0, d.RunsA, d.RunsB)
}

// Product is a figure that is the product of two means: energy-delay, of energies and
// latencies of the same queries. Each pair is what it adds to the product's mean, by
// its linearisation.
func Product(x, y Sides) Sides {
	var mx, my Pair
	n := 0.0
	known := func(i int) bool { return !math.IsNaN(x.Pairs[i].A + x.Pairs[i].B + y.Pairs[i].A + y.Pairs[i].B) }
	for i := range x.Pairs {
		if known(i) {
			mx.A, mx.B, my.A, my.B = mx.A+x.Pairs[i].A, mx.B+x.Pairs[i].B, my.A+y.Pairs[i].A, my.B+y.Pairs[i].B
			n++
		}
	}
	mx.A, mx.B, my.A, my.B = mx.A/n, mx.B/n, my.A/n, my.B/n
	var out Sides
	for i := range x.Pairs {
		if known(i) {
			out.Pairs = append(out.Pairs, Pair{
				x.Pairs[i].A*my.A + mx.A*(y.Pairs[i].A-my.A), x.Pairs[i].B*my.B + mx.B*(y.Pairs[i].B-my.B),
			})
		}
	}
	times := func(x, y []float64) (out []float64) {
		for i := range min(len(x), len(y)) {
			out = append(out, x[i]*y[i])
		}
		return out
	}
	out.RunsA, out.RunsB = times(x.RunsA, y.RunsA), times(x.RunsB, y.RunsB)
	return out
}

// Shift compares two sides by their pairs' differences, in the figure's own unit, as
// for a quality, which is no amount: what it is does not depend on the run.
func Shift(s Sides) Difference {
	d := Difference{A: math.NaN(), B: math.NaN(), Mean: math.NaN(), Half: math.NaN(), Absolute: true, RunsA: repeats(s.RunsA), RunsB: repeats(s.RunsB)}
	var a, b float64
	var by []float64
	for _, p := range s.Pairs {
		if x := p.B - p.A; !math.IsNaN(x) && !math.IsInf(x, 0) {
			by = append(by, x)
			a, b = a+p.A, b+p.B
		}
	}
	n := float64(len(by))
	if d.Queries = len(by); n == 0 {
		return d
	}
	d.A, d.B, d.Mean = a/n, b/n, (b-a)/n
	if n > 1 {
		d.Half = curve.StudentT(n-1) * math.Sqrt(stat.Variance(by, nil)/n)
	}
	return d
}

// runVariance returns how much one repeat of one side as a whole varies, beyond what
// its queries do, and how many degrees of freedom know it. Where repeats scatter by
// more than chance beyond [RunSD], they alone are believed.
func runVariance(s Sides, queries float64) (v, dof float64) {
	ss, seen := scatter(s.RunsA)
	ssB, seenB := scatter(s.RunsB)
	ss, seen = ss+ssB, seen+seenB
	ss = max(ss-seen*queries, 0)
	if seen > 0 && ss/seen > sq(RunSD)*(distuv.F{D1: seen, D2: runsSeen}).Quantile(0.9) {
		return ss / seen, seen
	}
	return (runsSeen*sq(RunSD) + ss) / (runsSeen + seen), runsSeen + seen
}

// scatter returns the sum of squares of the logarithms of runs about their mean, and
// its degrees of freedom.
func scatter(runs []float64) (ss, dof float64) {
	logs := make([]float64, 0, len(runs))
	for _, r := range runs {
		if r > 0 && !math.IsInf(r, 0) {
			logs = append(logs, math.Log(r))
		}
	}
	if len(logs) < 2 {
		return 0, 0
	}
	dof = float64(len(logs) - 1)
	return stat.Variance(logs, nil) * dof, dof
}

// half is the half-width for so much variance by queries and so many repeats.
func (d Difference) half(within float64, runsA, runsB int) float64 {
	r := sq(1 + d.Mean)
	run := r * d.run * (1/float64(runsA) + 1/float64(runsB))
	v := within + run
	if v == 0 {
		return 0
	}
	return curve.StudentT(satterthwaite(within, d.queryDOF, run, d.dof)) * math.Sqrt(v)
}

// Word is the verdict in a word.
func (d Difference) Word() string {
	switch {
	case math.IsNaN(d.Mean) || math.IsNaN(d.Half):
		return Unknown
	case math.Abs(d.Mean) <= d.Half:
		return Unresolved
	case d.Mean < 0:
		return Lower
	}
	return Higher
}

// Resolved tells whether the sides differ by more than chance.
func (d Difference) Resolved() bool { w := d.Word(); return w == Lower || w == Higher }

// String writes the difference in percent with its interval.
func (d Difference) String() string {
	if math.IsNaN(d.Mean) {
		return "unknown"
	}
	switch {
	case d.Absolute && math.IsNaN(d.Half):
		return signed(d.Mean, 3)
	case d.Absolute:
		return fmt.Sprintf("%s ± %.3f", signed(d.Mean, 3), d.Half)
	case math.IsNaN(d.Half):
		return signed(100*d.Mean, 1) + " %"
	}
	return fmt.Sprintf("%s ± %.1f %%", signed(100*d.Mean, 1), 100*d.Half)
}

// signed writes v with its sign, which what rounds to zero has none of.
func signed(v float64, decimals int) string {
	text := fmt.Sprintf("%+.*f", decimals, v)
	if strings.Trim(text, "+-0.") == "" {
		return text[1:]
	}
	return text
}

// mostRepeats is the most repeats that are worth proposing.
const mostRepeats = 1000

// found is in what share of cases the repeats that are proposed find the difference.
const found = 0.9

// Repeats returns how many repeats a side of the same queries would find a true
// difference of share (0.02: 2 %) in nine of ten cases; ok is false where nothing is
// known yet, or it would take more than anybody runs. How little is known of the scatter
// is in it: the less, the more repeats.
func (d Difference) Repeats(share float64) (n int, ok bool) {
	if math.IsNaN(d.Half) || d.Absolute || !(share > 0) {
		return 0, false
	}
	run := 2 * sq(1+d.Mean) * d.run // of one repeat a side, as d.within is
	one := d.within + run
	if one == 0 {
		return 1, true
	}
	// The true variance is what was found times dof over a chi-squared of as many (its
	// posterior); each of these is as likely.
	var times [64]float64
	known := satterthwaite(d.within, d.queryDOF, run, d.dof)
	for i := range times {
		q := (float64(i) + 0.5) / float64(len(times))
		times[i] = known / distuv.ChiSquared{K: known}.Quantile(q)
	}
	n = 1 + sort.Search(mostRepeats, func(i int) bool {
		n := float64(i + 1)
		// What repeats to come will tell of their scatter sharpens the interval too.
		dof := satterthwaite(d.within, d.queryDOF, run, d.dof+2*max(n-float64(min(d.RunsA, d.RunsB)), 0))
		t := curve.StudentT(dof)
		power := 0.0
		for _, x := range times {
			// That of the noncentral t (Abramowitz and Stegun, Handbook of Mathematical
			// Functions, 1964, 26.7.10).
			power += distuv.UnitNormal.CDF((share/math.Sqrt(x*one/n) - t*(1-1/(4*dof))) / math.Sqrt(1+sq(t)/(2*dof)))
		}
		return power >= found*float64(len(times))
	})
	return n, n <= mostRepeats
}

// satterthwaite are the degrees of freedom of the sum of two variances (Biometrics
// Bulletin 2, 1946).
func satterthwaite(x, dofX, y, dofY float64) float64 {
	return sq(x+y) / (sq(x)/dofX + sq(y)/dofY)
}

func sq(x float64) float64 { return x * x }
