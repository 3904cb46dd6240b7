package policy

import (
	"fmt"
	"math"
	"slices"

	"jouletop/engine/event"
	"jouletop/gpu"
)

// Goal is what an optimizer makes small.
type Goal int

// The goals: energy, and energy × delay.
const (
	MinEnergy Goal = iota
	MinEDP
)

func (g Goal) String() string { return g.policy().String() }

func (g Goal) policy() event.Policy {
	if g == MinEDP {
		return event.Policy{Kind: event.MinEDP}
	}
	return event.Policy{Kind: event.MinEnergy}
}

// MaxTrials is how many trials an optimizer makes at most before it settles.
const MaxTrials = 12

// Trial is what was measured of a stretch of work (at least 3 s) at one clock.
// The unit of work is free but must be the same in all trials.
type Trial struct {
	MHz     int
	Others  gpu.Setting // of the other knobs
	Batches int         // how many batches it is the mean of
	Energy  float64     // J per unit of work; NaN where the sensors resolved nothing
	Latency float64     // s per unit of work
	// EnergySD and LatencySD are the standard deviations between batches, as a
	// share of the mean; NaN where one batch is all there is.
	EnergySD, LatencySD float64
}

func (t Trial) setting() gpu.Setting { return t.Others.With(gpu.KnobSM, t.MHz) }

// Optimizer finds the SM clock of least energy (or energy × delay) that keeps
// latency within a bound of the baseline's, from few noisy trials. It is a pure
// state machine: run a trial at Suggest's clock, Report it, repeat.
//
// Latency against clock is taken as a mix of rooflines, which is rising and
// convex in 1/f; energy as a smooth curve over ln f (a Gaussian process whose
// prior has one flat valley, as V²f and the time make it). Both say how sure
// they are. The first trial is the baseline, the highest clock. Then each is
// where the least energy may be, among the clocks whose latency probably keeps
// the bound; a bold one is tried only after one that surely did, and one that
// broke the bound is followed by the baseline, so that the bound is not broken
// for longer than one trial. The clock kept in the end has been tried, and
// keeps the bound with a probability of 98 %.
type Optimizer struct {
	goal   Goal
	clocks []int // ascending
	bound  float64
	trials []Trial
	next   int
	done   bool
	took   int    // trials until it was done
	why    string // why next was chosen

	energy *gaussian
	points []point // what is known of each clock
	best   int     // index of the clock to keep, as far as is known
}

// point is what is known of one clock, against the baseline.
type point struct {
	cost, costSD         float64 // logarithm of the goal
	saving, savingSD     float64 // of energy
	slowdown, slowdownSD float64
	safe                 float64 // probability that latency keeps the bound
}

// How probable it must be that latency keeps its bound: to try a clock, to try
// one right after a clock that surely kept it, to keep one, and for a clock
// just tried not to count as one that broke it.
const (
	tryAt   = 0.98
	dareAt  = 0.5
	keepAt  = 0.98
	brokeAt = 0.75
)

// aim is the share of the bound that is aimed for: noise that batches share is
// in no interval.
const aim = 0.985

// Noise below this is not believed in, as a share: clocks, heat and the mix of
// requests vary more from trial to trial than batches within one tell.
const (
	energyFloor  = 0.005
	latencyFloor = 0.0007
)

// energyPrior: energy falls with V²f, most at the top, and rises again where
// time does. Over u = ln(f/top), from 0 down to about −1.8.
var energyPrior = curvePrior{slope: 0.5, slopeSD: 0.5, bend: 0.4, bendSD: 0.5, wiggle: 0.08, length: 0.4}

// NewOptimizer returns an optimizer over the supported clocks (MHz, ascending,
// at least one) with a latency bound of maxSlowdown above the highest clock's.
func NewOptimizer(goal Goal, clocks []int, maxSlowdown float64) *Optimizer {
	return &Optimizer{
		goal: goal, clocks: clocks, bound: maxSlowdown,
		next: clocks[len(clocks)-1], best: len(clocks) - 1, why: "baseline",
	}
}

// Suggest returns the clock to run at now, in MHz: the next trial's, or once
// Done the one to keep.
func (o *Optimizer) Suggest() int { return o.next }

// Setting is Suggest as a setting.
func (o *Optimizer) Setting() gpu.Setting { return gpu.Setting{SMMHz: o.next} }

// Baseline tells whether the suggestion is the baseline, the highest clock.
func (o *Optimizer) Baseline() bool { return o.next == o.top() }

// settled words what is known of the clock that is kept.
func (o *Optimizer) settled() string {
	text := fmt.Sprintf("settled at %d MHz", o.next)
	if e, ok := o.Estimate(o.next); ok && !o.Baseline() {
		text += fmt.Sprintf(": %.1f ± %.1f %% less energy, %.1f ± %.1f %% slower",
			100*e.Saving, 196*e.SavingSD, 100*e.Slowdown, 196*e.SlowdownSD)
	}
	return text
}

// Done tells whether the search is over. Trials reported later still count: a
// kept clock that turns out to break the bound is given up for a better one.
func (o *Optimizer) Done() bool { return o.done }

// Why says what the suggestion is for, in a few words.
func (o *Optimizer) Why() string { return o.why }

// Took returns how many trials the search took; 0 while it goes on.
func (o *Optimizer) Took() int { return o.took }

// Trials returns what was reported so far, also after the search; not to be
// changed.
func (o *Optimizer) Trials() []Trial { return o.trials }

func (o *Optimizer) top() int { return o.clocks[len(o.clocks)-1] }

func (o *Optimizer) u(mhz int) float64 { return math.Log(float64(mhz) / float64(o.top())) }

// Estimate is what an optimizer makes of a clock against the baseline, as
// shares with their standard deviations.
type Estimate struct {
	Saving, SavingSD     float64 // of energy
	Slowdown, SlowdownSD float64
}

// Estimate returns what is known of a supported clock; ok is false before the
// first trial.
func (o *Optimizer) Estimate(mhz int) (e Estimate, ok bool) {
	i, found := slices.BinarySearch(o.clocks, mhz)
	if !found || o.points == nil {
		return Estimate{}, false
	}
	p := o.points[i]
	return Estimate{p.saving, p.savingSD, p.slowdown, p.slowdownSD}, true
}

// Report takes the result of a trial at the suggested clock.
func (o *Optimizer) Report(t Trial) {
	if !(t.Latency > 0) || math.IsInf(t.Latency, 0) || !(t.Energy > 0 || math.IsNaN(t.Energy)) || math.IsInf(t.Energy, 0) ||
		!slices.Contains(o.clocks, t.MHz) {
		return // not a measurement
	}
	searching := !o.done
	o.trials = append(o.trials, t)
	if !o.fit() {
		if len(o.trials) >= MaxTrials {
			o.settle()
		}
		o.next, o.why = o.top(), "no energy could be resolved"
		return
	}
	o.choose()
	at, _ := slices.BinarySearch(o.clocks, t.MHz)
	broke := t.MHz != o.top() && (o.slower(t) > o.bound || o.points[at].safe < brokeAt)
	switch {
	case !searching, len(o.trials) >= MaxTrials:
		o.settle()
	case broke:
		o.next, o.why = o.top(), fmt.Sprintf("baseline, since %d MHz broke the latency bound", t.MHz)
	default:
		o.explore()
	}
}

// slower returns a trial's slowdown against the mean of the baseline's trials.
func (o *Optimizer) slower(t Trial) float64 {
	base, n := 0.0, 0.0
	for _, b := range o.trials {
		if b.MHz == o.top() {
			base += b.Latency
			n++
		}
	}
	return t.Latency*n/base - 1
}

// settle ends the search with the best clock.
func (o *Optimizer) settle() {
	if !o.done {
		o.took = len(o.trials)
	}
	o.done, o.next, o.why = true, o.clocks[o.best], "settled"
}

// fit makes the curves anew; false when no trial had an energy.
func (o *Optimizer) fit() bool {
	eNoise := o.noise(func(t Trial) float64 { return t.EnergySD }, energyFloor, 0.02)
	lNoise := o.noise(func(t Trial) float64 { return t.LatencySD }, latencyFloor, 0.005)
	var eu, ey, ev, lx, ly, ls []float64
	for i, t := range o.trials {
		u := o.u(t.MHz)
		lx, ly, ls = append(lx, math.Exp(-u)), append(ly, t.Latency), append(ls, lNoise[i]*t.Latency)
		if !math.IsNaN(t.Energy) {
			eu, ey, ev = append(eu, u), append(ey, math.Log(t.Energy)), append(ev, eNoise[i]*eNoise[i])
		}
	}
	energy := energyPrior.process()
	if len(eu) == 0 || !energy.fit(eu, ey, ev) {
		return false
	}
	o.energy = energy
	latency := fitRoofline(lx, ly, ls, math.Exp(-o.u(o.clocks[0])))
	o.points = make([]point, len(o.clocks))
	for i, mhz := range o.clocks {
		o.points[i] = o.judge(mhz, latency)
	}
	return true
}

func (o *Optimizer) judge(mhz int, latency *roofline) point {
	u := o.u(mhz)
	e, esd := o.energy.difference(u, 0)
	draws := latency.slowdowns(math.Exp(-u))
	p := point{saving: 1 - math.Exp(e), savingSD: esd * math.Exp(e), cost: e, costSD: esd}
	for _, s := range draws {
		p.slowdown += s / float64(len(draws))
		if s <= o.bound*aim {
			p.safe += 1 / float64(len(draws))
		}
	}
	for _, s := range draws {
		p.slowdownSD += (s - p.slowdown) * (s - p.slowdown) / float64(len(draws))
	}
	p.slowdownSD = math.Sqrt(p.slowdownSD)
	if o.goal == MinEDP {
		p.cost += math.Log1p(p.slowdown)
		p.costSD = math.Hypot(esd, p.slowdownSD)
	}
	return p
}

// noise returns the standard deviation of each trial's mean, from the scatter
// between batches pooled over all trials, or guess where there is none.
func (o *Optimizer) noise(sd func(Trial) float64, floor, guess float64) []float64 {
	sum, dof := guess*guess, 1.0 // the guess counts as one more pair of batches
	for _, t := range o.trials {
		if s := sd(t); t.Batches > 1 && !math.IsNaN(s) {
			sum += s * s * float64(t.Batches-1)
			dof += float64(t.Batches - 1)
		}
	}
	pooled := math.Sqrt(sum / dof)
	out := make([]float64, len(o.trials))
	for i, t := range o.trials {
		out[i] = math.Hypot(floor, pooled/math.Sqrt(float64(max(t.Batches, 1))))
	}
	return out
}

// choose sets best: the least cost among the clocks that surely keep the bound.
func (o *Optimizer) choose() {
	o.best = len(o.clocks) - 1
	for i, p := range o.points {
		if p.safe >= keepAt && p.cost < o.points[o.best].cost {
			o.best = i
		}
	}
}

// explore suggests where the least cost may be; where nothing better is to be
// expected, it confirms the best or settles.
func (o *Optimizer) explore() {
	left := MaxTrials - len(o.trials)
	last, _ := slices.BinarySearch(o.clocks, o.trials[len(o.trials)-1].MHz)
	need := tryAt
	if o.points[last].safe >= keepAt {
		need = dareAt
	}
	gain, at := 0.0, 0
	for i, p := range o.points {
		if p.safe >= need {
			if g := expectedGain(o.points[o.best].cost-p.cost, p.costSD); g > gain {
				gain, at = g, i
			}
		}
	}
	best := o.clocks[o.best]
	tried := o.triedNear(best)
	switch {
	case gain >= worthwhile && (left > 2 || tried >= 2):
		o.next, o.why = o.clocks[at], "explore"
	case tried < 2:
		o.next, o.why = best, "confirm"
	case o.hopeful(): // more care may let a lower clock in
		o.next, o.why = best, "sharpen"
	default:
		o.settle()
		return
	}
	// What is known of a clock tried often rests on the baseline.
	if o.triedNear(o.next) >= 2*o.triedNear(o.top()) {
		o.next, o.why = o.top(), "baseline again"
	}
}

// worthwhile is the least gain in the goal, as a share, that a trial is spent on.
const worthwhile = 0.002

// hopeful tells whether there is a clock, better by 1 % than the best that
// surely keeps the bound, that may well keep it too.
func (o *Optimizer) hopeful() bool {
	for _, p := range o.points {
		if p.safe >= brokeAt && p.cost < o.points[o.best].cost-0.01 {
			return true
		}
	}
	return false
}

// triedNear counts the trials within 2 % of a clock.
func (o *Optimizer) triedNear(mhz int) int {
	n := 0
	for _, t := range o.trials {
		if math.Abs(o.u(t.MHz)-o.u(mhz)) < 0.02 {
			n++
		}
	}
	return n
}

// expectedGain is the expected improvement of a normal variable with mean gain
// d and standard deviation sd (Jones, Schonlau, Welch 1998, eq. 15).
func expectedGain(d, sd float64) float64 {
	if sd <= 0 {
		return math.Max(d, 0)
	}
	z := d / sd
	pdf := math.Exp(-z*z/2) / math.Sqrt(2*math.Pi)
	cdf := math.Erfc(-z/math.Sqrt2) / 2
	return d*cdf + sd*pdf
}
