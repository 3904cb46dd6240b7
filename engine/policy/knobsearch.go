package policy

import (
	"fmt"
	"math"

	"gonum.org/v1/gonum/mat"

	"jouletop/engine/event"
	"jouletop/gpu"
)

// KnobSearch finds the setting of several knobs of least energy (or energy × delay) that
// keeps latency within a bound of the baseline's, from few noisy trials on a grid. Like
// Optimizer it is a pure state machine.
//
// Energy and latency are Gaussian processes over the logarithms of the knobs. Latency has
// a hint beside: no knob makes it longer by being higher. So whatever is below a setting
// that broke the bound in every knob breaks it too, and whatever is above one that kept it
// keeps it. The first trial is the baseline, every knob at its highest; then each is where
// most is to be expected of a setting that probably keeps the bound. The one kept in the
// end has been tried.
type KnobSearch struct {
	goal Goal
	grid []gpu.Setting // the baseline last
	x    [][3]float64  // of each: ln of the knobs as shares of the baseline's
	// What is known of ln energy and ln latency over the grid.
	energy, latency process
	bound           float64
	budget          int
	trials          []Trial
	at              []int // place of each trial in the grid
	next            int
	best            int
	done            bool
	took            int
	why             string
	points          []point
}

// NewKnobSearch returns a search over all combinations of the values of axes, each
// ascending, in their units for people. It makes a trial of a tenth of them at most, but
// for small grids.
func NewKnobSearch(goal Goal, knobs []gpu.KnobID, values [][]int, maxSlowdown float64) *KnobSearch {
	grid := []gpu.Setting{{}}
	for i, k := range knobs {
		var more []gpu.Setting
		for _, s := range grid {
			for _, v := range values[i] {
				more = append(more, s.With(k, v))
			}
		}
		grid = more
	}
	last := len(grid) - 1
	o := &KnobSearch{goal: goal, grid: grid, bound: maxSlowdown, budget: max(8, len(grid)/10), next: last, best: last, why: "baseline"}
	for _, s := range grid {
		o.x = append(o.x, [3]float64{
			logShare(s.SMMHz, grid[last].SMMHz), logShare(s.MemMHz, grid[last].MemMHz), logShare(s.PowerW, grid[last].PowerW),
		})
	}
	o.energy, o.latency = process{prior: &energyField, grid: o.x}, process{prior: &latencyField, grid: o.x}
	return o
}

func logShare(v, top int) float64 {
	if v == 0 || top == 0 {
		return 0
	}
	return math.Log(float64(v) / float64(top))
}

// Setting returns what to run at now: the next trial's, or once Done the one to keep.
func (o *KnobSearch) Setting() gpu.Setting { return o.grid[o.next] }

// Done tells whether the search is over.
func (o *KnobSearch) Done() bool { return o.done }

// Why says what the setting is for, in a few words.
func (o *KnobSearch) Why() string { return o.why }

// Took returns how many trials the search took; 0 while it goes on.
func (o *KnobSearch) Took() int { return o.took }

// Trials returns what was reported so far; not to be changed.
func (o *KnobSearch) Trials() []Trial { return o.trials }

// Baseline tells whether the setting is the baseline's.
func (o *KnobSearch) Baseline() bool { return o.next == len(o.grid)-1 }

// Settings returns how many settings there are.
func (o *KnobSearch) Settings() int { return len(o.grid) }

// Report takes the result of a trial at Setting.
func (o *KnobSearch) Report(t Trial) {
	if !(t.Latency > 0) || math.IsInf(t.Latency, 0) || !(t.Energy > 0 || math.IsNaN(t.Energy)) || math.IsInf(t.Energy, 0) || t.setting() != o.Setting() {
		return // not a measurement
	}
	o.trials, o.at = append(o.trials, t), append(o.at, o.next)
	fitted := o.fit()
	if fitted {
		o.choose()
	}
	if o.done { // a later look at the setting that was kept
		o.next = o.best
		return
	}
	if len(o.trials) >= o.budget {
		o.settle()
		return
	}
	if !fitted {
		o.next, o.why = len(o.grid)-1, "no energy could be resolved"
		return
	}
	o.explore()
}

func (o *KnobSearch) settle() {
	o.done, o.took, o.next, o.why = true, len(o.trials), o.best, "settled"
}

// slower returns a trial's slowdown against the mean of the baseline's trials.
func (o *KnobSearch) slower(t Trial) float64 {
	base, n := 0.0, 0.0
	for i, b := range o.trials {
		if o.at[i] == len(o.grid)-1 {
			base += b.Latency
			n++
		}
	}
	return t.Latency*n/base - 1
}

// The priors of ln energy and ln latency: slopes and bends of what is known of clocks and
// caps, and wiggles of a length in each knob, for which a cap that begins to bind is one.
var (
	energyField  = field{slope: [3]float64{0.5, 0, 0}, slopeSD: [3]float64{0.5, 0.4, 0.5}, bend: 0.4, bendSD: 0.5, wiggle: 0.15, length: [3]float64{0.35, 0.6, 0.35}}
	latencyField = field{slope: [3]float64{-0.2, -0.3, -0.1}, slopeSD: [3]float64{0.3, 0.4, 0.3}, bend: 0.1, bendSD: 0.3, wiggle: 0.1, length: [3]float64{0.5, 0.6, 0.25}}
)

// fit judges every setting anew; false when no trial had an energy.
func (o *KnobSearch) fit() bool {
	var ex, lx []int // places in the grid
	var ey, ev, ly, lv []float64
	for i, t := range o.trials {
		x := o.at[i]
		sd := func(of, floor, guess float64) float64 {
			if math.IsNaN(of) {
				of = guess
			}
			return math.Hypot(floor, of/math.Sqrt(float64(max(t.Batches, 1))))
		}
		l := latencyNoise(t)
		lx, ly, lv = append(lx, x), append(ly, math.Log(t.Latency)), append(lv, l*l)
		if !math.IsNaN(t.Energy) {
			e := sd(t.EnergySD, energyFloor, 0.02)
			ex, ey, ev = append(ex, x), append(ey, math.Log(t.Energy)), append(ev, e*e)
		}
	}
	top := len(o.grid) - 1
	if len(ey) == 0 || !o.energy.fit(ex, ey, ev) || !o.latency.fit(lx, ly, lv) {
		return false
	}
	slower := make([]float64, len(o.trials))
	for i, t := range o.trials {
		slower[i] = o.slower(t)
	}
	o.points = make([]point, len(o.grid))
	for i, x := range o.x {
		e, esd := o.energy.difference(i, top)
		l, lsd := o.latency.difference(i, top)
		p := point{cost: e, costSD: esd, saving: 1 - math.Exp(e), savingSD: esd * math.Exp(e), slowdown: math.Expm1(l), slowdownSD: lsd}
		if o.goal == MinEDP {
			p.cost, p.costSD = e+l, math.Hypot(esd, lsd)
		}
		limit := math.Log1p(o.bound * aim)
		p.safe = math.Erfc((l-limit)/math.Max(lsd, 1e-9)/math.Sqrt2) / 2
		o.points[i] = o.hinted(x, p, slower)
	}
	return true
}

// hinted takes in what other settings' trials say of a setting's latency; slower has by how
// much each trial was slower than the baseline.
func (o *KnobSearch) hinted(x [3]float64, p point, slower []float64) point {
	for i := range o.trials {
		y := o.x[o.at[i]]
		above, below := true, true
		for d := range x {
			above, below = above && x[d] >= y[d], below && x[d] <= y[d]
		}
		switch s := slower[i]; {
		case above && s <= o.bound*aim:
			p.safe = 1
		case below && s > o.bound:
			p.safe = 0
		}
	}
	return p
}

// measured returns the slowdown of a setting by its own trials and the baseline's, and
// its standard deviation; n is how many there were.
func (o *KnobSearch) measured(at int) (slowdown, sd float64, n int) {
	base, bases, sum := 0.0, 0, 0.0
	noise := 0.0
	for i, t := range o.trials {
		if o.at[i] == len(o.grid)-1 {
			base, bases = base+t.Latency, bases+1
		}
		if o.at[i] == at {
			sum, n = sum+t.Latency, n+1
			noise = math.Max(noise, latencyNoise(t))
		}
	}
	if n == 0 || bases == 0 {
		return math.NaN(), math.NaN(), n
	}
	return sum/float64(n)*float64(bases)/base - 1, noise * math.Sqrt(1/float64(n)+1/float64(bases)), n
}

// latencyNoise is the standard deviation of a trial's latency, as a share.
func latencyNoise(t Trial) float64 {
	of := t.LatencySD
	if math.IsNaN(of) {
		of = 0.005
	}
	return math.Hypot(latencyFloor, of/math.Sqrt(float64(max(t.Batches, 1))))
}

// sure is how many standard deviations a measured slowdown must be within the bound.
const sure = 2

// choose sets best: the least cost among the settings tried that surely kept the bound.
func (o *KnobSearch) choose() {
	o.best = len(o.grid) - 1
	for _, at := range o.at {
		if s, sd, _ := o.measured(at); s+sure*sd <= o.bound && o.points[at].cost < o.points[o.best].cost {
			o.best = at
		}
	}
}

// doubtful returns the setting that would be best of those tried, if more trials told
// that it keeps the bound; -1 none.
func (o *KnobSearch) doubtful() int {
	const often = 5
	to := -1
	for _, at := range o.at {
		s, sd, n := o.measured(at)
		if n < often && s+sure*sd > o.bound && s-sure*sd/2 <= o.bound && o.points[at].cost < o.points[o.best].cost-0.01 &&
			(to < 0 || o.points[at].cost < o.points[to].cost) {
			to = at
		}
	}
	return to
}

// times is how many trials a setting had.
func (o *KnobSearch) times(at int) (n int) {
	for _, a := range o.at {
		if a == at {
			n++
		}
	}
	return n
}

// enough is the least gain to be expected, as a share, that another trial is spent on:
// among many settings far less than what one clock is judged by.
const enough = worthwhile / 20

// explore suggests where most is to be expected; where that is not worth a trial, it
// settles.
func (o *KnobSearch) explore() {
	tried := map[int]bool{}
	for _, at := range o.at {
		tried[at] = true
	}
	most, to := 0.0, -1
	for i, p := range o.points {
		if tried[i] {
			continue
		}
		if g := p.safe * expectedGain(o.points[o.best].cost-p.cost, p.costSD); g > most {
			most, to = g, i
		}
	}
	doubt := o.doubtful()
	switch {
	case doubt >= 0 && (most < worthwhile || o.budget-len(o.trials) <= 4):
		// What is known of it rests on the baseline too.
		o.next, o.why = doubt, "sharpen"
		if _, _, n := o.measured(doubt); n > o.times(len(o.grid)-1) {
			o.next, o.why = len(o.grid)-1, "baseline again"
		}
	case to < 0 || most < enough:
		o.settle()
	default:
		o.next, o.why = to, "explore"
	}
}

// settled words what is known of the setting that is kept.
func (o *KnobSearch) settled() string {
	text := "settled at " + o.Setting().String()
	if p := o.points; p != nil && !o.Baseline() {
		text += fmt.Sprintf(": %.1f ± %.1f %% less energy, %.1f ± %.1f %% slower", 100*p[o.next].saving, 196*p[o.next].savingSD, 100*p[o.next].slowdown, 196*p[o.next].slowdownSD)
	}
	return text
}

// field is the prior of a function of the logarithms of three knobs; see gaussian.
type field struct {
	slope, slopeSD [3]float64
	bend, bendSD   float64 // of the SM clock
	wiggle         float64
	length         [3]float64
}

func (f *field) mean(x [3]float64) float64 {
	sum := f.bend * x[0] * x[0]
	for d := range x {
		sum += f.slope[d] * x[d]
	}
	return sum
}

func (f *field) kernel(a, b [3]float64) float64 {
	const level = 9 // variance: the unit of work may be anything
	sum, far := level+f.bendSD*f.bendSD*a[0]*a[0]*b[0]*b[0], 0.0
	for d := range a {
		sum += f.slopeSD[d] * f.slopeSD[d] * a[d] * b[d]
		far += (a[d] - b[d]) * (a[d] - b[d]) / f.length[d] / f.length[d]
	}
	return sum + f.wiggle*f.wiggle*math.Exp(-far/2)
}

// process is a Gaussian process over a grid. What the kernel says of a point of it and all
// others is kept from fit to fit, for it is the dearest part.
type process struct {
	prior *field
	grid  [][3]float64
	rows  map[int][]float64 // of the points asked for: the kernel with each of the grid

	at     []int // of the points that it was fitted to
	factor mat.TriDense
	weight *mat.VecDense
	from   [][]float64 // rows of these
	room   []float64
}

// row returns the kernel of the i-th point with each of the grid.
func (g *process) row(i int) []float64 {
	if r := g.rows[i]; r != nil {
		return r
	}
	r := make([]float64, len(g.grid))
	for j, x := range g.grid {
		r[j] = g.prior.kernel(g.grid[i], x)
	}
	if g.rows == nil {
		g.rows = map[int][]float64{}
	}
	g.rows[i] = r
	return r
}

// fit takes values at points of the grid with the variance of each one's noise; false when
// the numbers cannot be worked with.
func (g *process) fit(at []int, y, variance []float64) bool {
	n := len(at)
	g.at, g.from = at, make([][]float64, n)
	k, r := mat.NewSymDense(n, nil), mat.NewVecDense(n, nil)
	for i, a := range at {
		g.from[i] = g.row(a)
		for j := i; j < n; j++ {
			k.SetSym(i, j, g.from[i][at[j]])
		}
		k.SetSym(i, i, k.At(i, i)+variance[i]+1e-9)
		r.SetVec(i, y[i]-g.prior.mean(g.grid[a]))
	}
	var chol mat.Cholesky
	g.weight, g.room = mat.NewVecDense(n, nil), make([]float64, n)
	if !chol.Factorize(k) || chol.SolveVecTo(g.weight, r) != nil {
		return false
	}
	g.factor.Reset()
	chol.LTo(&g.factor)
	return true
}

// difference returns the mean and standard deviation of the function at a less that at b,
// both places in the grid.
func (g *process) difference(a, b int) (mean, sd float64) {
	p, l, k := g.prior, g.factor.RawTriangular(), g.room
	mean = p.mean(g.grid[a]) - p.mean(g.grid[b])
	v := p.kernel(g.grid[a], g.grid[a]) - 2*g.row(b)[a] + p.kernel(g.grid[b], g.grid[b])
	for i, r := range g.from { // forward substitution
		d := r[a] - r[b]
		mean += d * g.weight.AtVec(i)
		for j, have := range k[:i] {
			d -= l.Data[i*l.Stride+j] * have
		}
		k[i] = d / l.Data[i*l.Stride+i]
		v -= k[i] * k[i]
	}
	return mean, math.Sqrt(math.Max(v, 0))
}

// knobAxes are the values that a search goes through on a GPU: some SM clocks and power
// limits over their ranges, every memory clock. Errors wrap gpu.ErrNotSupported.
func knobAxes(p event.Policy, knobs []gpu.Knob) (searched []gpu.KnobID, values [][]int, err error) {
	const clocks, limits = 14, 8
	for _, id := range p.SearchedKnobs() {
		k := gpu.NewKnob(id, "not found on this GPU")
		for _, have := range knobs {
			if have.ID == id {
				k = have
			}
		}
		if k.Unavailable != "" {
			return nil, nil, fmt.Errorf("%w: %s: %s", gpu.ErrNotSupported, id.Title(), k.Unavailable)
		}
		var list []int
		switch {
		case id == gpu.KnobPower:
			lo, hi := (k.Min+999)/1000, k.Max/1000
			for i := range limits {
				list = append(list, lo+(hi-lo)*i/(limits-1))
			}
		case len(k.Values) <= clocks:
			list = k.Values
		default:
			for i := range clocks {
				list = append(list, k.Values[(len(k.Values)-1)*i/(clocks-1)])
			}
		}
		searched, values = append(searched, id), append(values, list)
	}
	return searched, values, nil
}
