package curve

import (
	"cmp"
	"math"
	"slices"

	"gonum.org/v1/gonum/mat"
	"gonum.org/v1/gonum/stat/distuv"
)

// smoothSpan is how many clocks either side of one are looked at when a curve is
// smoothed.
const smoothSpan = 3

// unrepeated is how far apart, as a share, two clocks must lie to count as
// different where there are no repeats to tell.
const unrepeated = 0.005

// scatter is the half-width of a figure's 95 % interval as a share of it: the energy
// times the latency to the power of an exponent.
func (k Clock) scatter(exponent float64) float64 {
	h := math.Hypot(k.Energy.Half/k.Energy.Mean, exponent*k.Latency.Half/k.Latency.Mean)
	if exponent == 0 {
		h = k.Energy.Half / k.Energy.Mean
	}
	if math.IsNaN(h) {
		return unrepeated
	}
	return h
}

// Optimum is the clock that is best by some figure, with those that the repeats cannot
// tell from it.
type Optimum struct {
	Clock
	Alike []int // requested clocks, itself among them, ascending, MHz
}

// Low and High are the ends of what may be the best, MHz.
func (o Optimum) Low() int { return o.Alike[0] }

// High is the upper one.
func (o Optimum) High() int { return o.Alike[len(o.Alike)-1] }

// alike lists those of the clocks whose energy times latency to the power of exponent
// cannot be told from that of best: by no more than both scatter (two 95 % intervals,
// added in quadrature), or, without repeats, than 0.5 % each.
func (c Curve) alike(best Clock, exponent float64, may func(Clock) bool) Optimum {
	of := func(k Clock) float64 { return math.Log(k.Energy.Mean) + exponent*math.Log(k.Latency.Mean) }
	o := Optimum{Clock: best}
	for _, k := range c.Clocks {
		near := k.Clean() && may(k) && math.Abs(of(k)-of(best)) <= math.Hypot(k.scatter(exponent), best.scatter(exponent))
		if near || k.RequestedMHz == best.RequestedMHz {
			o.Alike = append(o.Alike, k.RequestedMHz)
		}
	}
	return o
}

// RunAt is LeastEnergy with the clocks, no slower than that either, that cannot be told
// from it.
func (c Curve) RunAt(slowdown float64) (o Optimum, ok bool) {
	best, ok := c.LeastEnergy(slowdown)
	if !ok {
		return o, false
	}
	base, _ := c.Baseline()
	return c.alike(best, 0, func(k Clock) bool { return k.Latency.Mean <= base.Latency.Mean*(1+slowdown) }), true
}

// EDPOptimum is EDPOptimal with the clocks that cannot be told from it.
func (c Curve) EDPOptimum() (o Optimum, ok bool) {
	best, ok := c.EDPOptimal(1)
	if !ok {
		return o, false
	}
	return c.alike(best, 1, func(Clock) bool { return true }), true
}

// EDPOptimal returns the clock of least energy-delay product, and ED²P for the
// exponent 2 in its place: Energy × Latency^exponent. Clocks whose product the
// repeats cannot tell from the least are tried against each other by a local fit
// (a parabola through the logarithms of up to three clocks either side, weighted
// down with distance): the least mean alone would chase the scatter.
func (c Curve) EDPOptimal(exponent float64) (best Clock, ok bool) {
	xs, ys, clocks := c.logs(func(k Clock) float64 { return k.Energy.Mean * math.Pow(k.Latency.Mean, exponent) })
	if len(clocks) == 0 {
		return Clock{}, false
	}
	least := 0
	for i := range ys {
		if ys[i] < ys[least] {
			least = i
		}
	}
	at, lowest := least, math.Inf(1)
	for i := range clocks {
		if ys[i]-ys[least] > math.Hypot(clocks[i].scatter(exponent), clocks[least].scatter(exponent)) {
			continue
		}
		if y := localFit(xs, ys, i); y < lowest {
			at, lowest = i, y
		}
	}
	return clocks[at], true
}

// logs lists ln MHz and ln of f for the clocks where both are known.
func (c Curve) logs(f func(Clock) float64) (xs, ys []float64, clocks []Clock) {
	for _, k := range c.Clocks {
		x, y := math.Log(float64(k.RequestedMHz)), math.Log(f(k))
		if k.Clean() && !math.IsNaN(y) && !math.IsInf(y, 0) {
			xs, ys, clocks = append(xs, x), append(ys, y), append(clocks, k)
		}
	}
	return xs, ys, clocks
}

// localFit is the value at xs[i] of a parabola through its neighbours.
func localFit(xs, ys []float64, i int) float64 {
	lo, hi := max(i-smoothSpan, 0), min(i+smoothSpan, len(xs)-1)
	if hi-lo < 3 {
		return ys[i] // a parabola would go through every point
	}
	reach := max(xs[i]-xs[lo], xs[hi]-xs[i]) * 1.1
	n := hi - lo + 1
	a, b := mat.NewDense(n, 3, nil), mat.NewVecDense(n, nil)
	for r := range n {
		d := xs[lo+r] - xs[i]
		// Tricube weights (Cleveland, JASA 74, 1979).
		w := math.Sqrt(math.Pow(1-math.Pow(math.Abs(d)/reach, 3), 3))
		a.SetRow(r, []float64{w, w * d, w * d * d})
		b.SetVec(r, w*ys[lo+r])
	}
	var fit mat.VecDense
	if err := fit.SolveVec(a, b); err != nil {
		return ys[i]
	}
	return fit.AtVec(0)
}

// Cliff is where savings stop growing as the clock goes down.
type Cliff struct {
	MHz float64
	// LowMHz and HighMHz bound the break's 95 % interval.
	LowMHz, HighMHz float64
	// PlateauSaving is the mean saving below the cliff, % of the baseline's
	// energy, and PlateauHalf half of its 95 % interval, over the repeats.
	PlateauSaving, PlateauHalf float64
}

// FrequencyCliff fits energy a query against clock by two straight lines that
// meet at a break, y = a + b·min(x−x0, 0) + c·max(x−x0, 0), the break searched
// over the measured range, and calls the break the cliff if the upper line
// rises and the lower one is at most a quarter as steep. The interval holds the
// breaks whose residual sum is within the F test's 95 % of the least (Seber and
// Wild, Nonlinear Regression, 1989, ch. 9). ok is false where there is none, or
// fewer than five clocks.
func (c Curve) FrequencyCliff() (cliff Cliff, ok bool) {
	var xs, ys, halves []float64
	for _, k := range c.Clocks {
		if k.Clean() && !math.IsNaN(k.Energy.Mean) {
			xs, ys, halves = append(xs, float64(k.RequestedMHz)), append(ys, k.Energy.Mean), append(halves, k.Energy.Half)
		}
	}
	n := len(xs)
	if n < 5 {
		return Cliff{}, false
	}
	const steps = 400
	type try struct{ x0, sse, below, above float64 }
	var tries []try
	for i := range steps + 1 {
		x0 := xs[1] + (xs[n-2]-xs[1])*float64(i)/steps
		if sse, below, above, ok := brokenLine(xs, ys, x0); ok {
			tries = append(tries, try{x0, sse, below, above})
		}
	}
	if len(tries) == 0 {
		return Cliff{}, false
	}
	best := slices.MinFunc(tries, func(a, b try) int { return cmp.Compare(a.sse, b.sse) })
	if best.above <= 0 || best.below > best.above/4 {
		return Cliff{}, false
	}
	cliff = Cliff{MHz: best.x0, LowMHz: best.x0, HighMHz: best.x0}
	limit := math.Inf(1)
	if n > 4 {
		f := distuv.F{D1: 1, D2: float64(n - 4)}.Quantile(0.95)
		limit = best.sse*(1+f/float64(n-4)) + 1e-12*ys[n-1]*ys[n-1]
	}
	for _, t := range tries {
		if t.sse <= limit {
			cliff.LowMHz, cliff.HighMHz = min(cliff.LowMHz, t.x0), max(cliff.HighMHz, t.x0)
		}
	}
	sum, squares, m := 0.0, 0.0, 0.0
	for i := range n {
		if xs[i] <= cliff.MHz {
			sum, squares, m = sum+ys[i], squares+halves[i]*halves[i], m+1
		}
	}
	plateau := Stat{Mean: sum / m, Half: math.Sqrt(squares) / m}
	saving := relative(plateau, Stat{Mean: ys[n-1], Half: halves[n-1]})
	cliff.PlateauSaving, cliff.PlateauHalf = -saving.Mean, saving.Half
	return cliff, true
}

// brokenLine fits two lines that meet at x0; below and above are their slopes.
func brokenLine(xs, ys []float64, x0 float64) (sse, below, above float64, ok bool) {
	a, b := mat.NewDense(len(xs), 3, nil), mat.NewVecDense(len(xs), ys)
	for i, x := range xs {
		a.SetRow(i, []float64{1, min(x-x0, 0), max(x-x0, 0)})
	}
	var fit mat.VecDense
	if err := fit.SolveVec(a, b); err != nil {
		return 0, 0, 0, false
	}
	var r mat.VecDense
	r.MulVec(a, &fit)
	r.SubVec(b, &r)
	return mat.Dot(&r, &r), fit.AtVec(1), fit.AtVec(2), true
}

// LeastEnergy returns the clock of least energy among those no slower than the
// baseline by more than slowdown (0.03 for 3 %); an infinite one is no bound.
func (c Curve) LeastEnergy(slowdown float64) (best Clock, ok bool) {
	base, ok := c.Baseline()
	if !ok {
		return Clock{}, false
	}
	best = base
	for _, k := range c.Clocks {
		if k.Clean() && k.Latency.Mean <= base.Latency.Mean*(1+slowdown) && k.Energy.Mean < best.Energy.Mean {
			best = k
		}
	}
	return best, true
}

// Pareto returns those of the clocks and policies that none other beats in both
// energy and latency, by latency.
func (c Curve) Pareto() []Clock {
	all := slices.Concat(c.Clocks, c.Policies)
	all = slices.DeleteFunc(all, func(k Clock) bool {
		return !k.Clean() || math.IsNaN(k.Energy.Mean) || math.IsNaN(k.Latency.Mean)
	})
	slices.SortFunc(all, func(a, b Clock) int {
		return cmp.Or(cmp.Compare(a.Latency.Mean, b.Latency.Mean), cmp.Compare(a.Energy.Mean, b.Energy.Mean))
	})
	var front []Clock
	for _, k := range all {
		if len(front) == 0 || k.Energy.Mean < front[len(front)-1].Energy.Mean {
			front = append(front, k)
		}
	}
	return front
}

// Ends are a curve's baseline and lowest clock.
func (c Curve) Ends() (base, low Clock, ok bool) {
	base, ok1 := c.Baseline()
	low, ok2 := c.Lowest()
	return base, low, ok1 && ok2
}

// MeanChange averages over models; the intervals are over the models' spread.
func MeanChange(ks []Change) Change {
	over := func(f func(Change) float64) Stat {
		var xs []float64
		for _, k := range ks {
			xs = append(xs, f(k))
		}
		return StatOf(xs)
	}
	return Change{
		EnergyDown: over(func(k Change) float64 { return k.EnergyDown.Mean }),
		Latency:    over(func(k Change) float64 { return k.Latency.Mean }),
		Prefill:    over(func(k Change) float64 { return k.Prefill.Mean }),
		Decode:     over(func(k Change) float64 { return k.Decode.Mean }),

		PrefillShare: over(func(k Change) float64 { return k.PrefillShare }).Mean,
		DecodeShare:  over(func(k Change) float64 { return k.DecodeShare }).Mean,
	}
}

// SmallestBatch is the smallest batch size of the curves.
func SmallestBatch(curves []Curve) int {
	b := 0
	for _, c := range curves {
		if b == 0 || c.BatchSize < b {
			b = c.BatchSize
		}
	}
	return b
}
