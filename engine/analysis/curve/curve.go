// Package curve turns the points of a sweep into curves over the clock and finds
// what is worth finding on them: change against the baseline (the highest clock), the
// EDP-optimal clock, the frequency cliff, the least energy under a latency bound, the
// Pareto front.
//
// Every mean is over repeats and carries the half-width of its 95 % interval
// (Student's t). Points whose clock was not the requested one, or that
// throttled, are counted and shown but never averaged with the others.
package curve

import (
	"cmp"
	"maps"
	"math"
	"slices"
	"strconv"

	"gonum.org/v1/gonum/stat"
	"gonum.org/v1/gonum/stat/distuv"

	"jouletop/engine/event"
)

// Stat is a mean over repeats.
type Stat struct {
	Mean float64 // NaN: unknown
	Half float64 // half-width of the 95 % interval; NaN with fewer than two repeats
	N    int
}

// Finite tells whether x is known and a number.
func Finite(x float64) bool { return !math.IsNaN(x) && !math.IsInf(x, 0) }

// StatOf is the mean of the known values.
func StatOf(xs []float64) Stat {
	xs = slices.DeleteFunc(slices.Clone(xs), func(x float64) bool { return !Finite(x) })
	s := Stat{Mean: math.NaN(), Half: math.NaN(), N: len(xs)}
	switch {
	case s.N == 1:
		s.Mean = xs[0]
	case s.N > 1:
		mean, std := stat.MeanStdDev(xs, nil)
		s.Mean, s.Half = mean, StudentT(float64(s.N-1))*std/math.Sqrt(float64(s.N))
	}
	return s
}

// StudentT is the two-sided 95 % quantile of Student's t with so many degrees of freedom.
func StudentT(degrees float64) float64 {
	return distuv.StudentsT{Mu: 0, Sigma: 1, Nu: degrees}.Quantile(0.975)
}

// Key is what the points of one curve have in common.
type Key struct {
	GPU       string
	Model     string
	Dataset   string // "" for all datasets together
	BatchSize int
	event.Drafting
}

// Title names the model, with what drafted for it.
func (k Key) Title() string {
	if k.Draft == "" {
		return k.Model
	}
	return k.Model + " (draft " + k.DraftText() + ")"
}

// Clock is what one SM clock (or one policy) came to.
type Clock struct {
	RequestedMHz int     // 0 for a policy
	MHz          float64 // mean achieved SM clock
	Policy       string

	Energy         Stat    // J a query
	Stated         float64 // J a query, half-width by the sensors alone: the mean of the repeats'
	JoulesPerToken Stat
	JoulesPerTotal Stat // J a token, of those read and those generated
	Latency        Stat // s
	Prefill        Stat // s
	Decode         Stat // s, decode or score
	EDP            Stat // J·s
	Power          Stat // W
	Quality        Stat
	TokensPerS     Stat

	Held event.HeldPhases // what held the clock, over the repeats, those too that throttled
	// ThrottledPct and LimitW are these repeats' means: for how much of the time a limit
	// held the clock, %, and the power limit in force where one was requested, W; NaN.
	ThrottledPct, LimitW float64

	Flagged int         // repeats left out: throttled or off the requested clock
	Flags   event.Flags // why
	repeats []event.PointDone
}

// Curve is all that is known of one configuration over clocks.
type Curve struct {
	Key
	Clocks   []Clock // fixed clocks, ascending
	Policies []Clock // clocks chosen by phase or by an optimizer
}

// Of groups points by GPU, model, dataset, batch size and drafting, and each group by
// clock. Points with an error are left out.
func Of(points []event.PointDone) []Curve {
	type slot struct {
		Key
		policy string
		mhz    int
	}
	groups := map[slot][]event.PointDone{}
	for _, p := range points {
		if p.PointResult.Err != "" {
			continue
		}
		s := slot{Key: KeyOf(p), mhz: p.ClockAlone()}
		if s.mhz == 0 {
			s.policy = p.Policy
		}
		groups[s] = append(groups[s], p)
	}
	curves := map[Key]*Curve{}
	for s, ps := range groups {
		c := curves[s.Key]
		if c == nil {
			c = &Curve{Key: s.Key}
			curves[s.Key] = c
		}
		clock := clockOf(ps)
		clock.RequestedMHz, clock.Policy = s.mhz, s.policy
		if s.mhz > 0 {
			c.Clocks = append(c.Clocks, clock)
		} else {
			c.Policies = append(c.Policies, clock)
		}
	}
	var out []Curve
	for _, c := range curves {
		slices.SortFunc(c.Clocks, func(a, b Clock) int { return a.RequestedMHz - b.RequestedMHz })
		slices.SortFunc(c.Policies, func(a, b Clock) int { return cmp.Compare(a.Policy, b.Policy) })
		out = append(out, *c)
	}
	slices.SortFunc(out, func(a, b Curve) int {
		return cmp.Or(cmp.Compare(a.GPU, b.GPU), cmp.Compare(sizeRank(a.Model), sizeRank(b.Model)), cmp.Compare(a.Model, b.Model),
			cmp.Compare(a.Dataset, b.Dataset), a.BatchSize-b.BatchSize, cmp.Compare(a.Draft, b.Draft), a.DraftDepth-b.DraftDepth)
	})
	return out
}

// KeyOf is what a point has in common with others of its curve.
func KeyOf(p event.PointDone) Key { return Key{p.GPU, p.Model, p.Dataset, p.BatchSize, p.Drafting} }

// clockOf averages the repeats of one clock. Where all are spoilt they are shown
// for what they are.
func clockOf(ps []event.PointDone) Clock {
	slices.SortFunc(ps, func(a, b event.PointDone) int { return cmp.Or(a.Repeat-b.Repeat, cmp.Compare(a.PointID, b.PointID)) })
	var c Clock
	for _, p := range ps {
		if p.Flags.Spoils() {
			c.Flagged++
			c.Flags = c.Flags.Union(p.Flags)
			continue
		}
		c.repeats = append(c.repeats, p)
	}
	if len(c.repeats) == 0 {
		c.repeats = ps
	}
	c.hold(ps)
	over := func(f func(event.PointDone) float64) Stat {
		xs := make([]float64, len(c.repeats))
		for i, p := range c.repeats {
			xs[i] = f(p)
		}
		return StatOf(xs)
	}
	c.MHz = over(func(p event.PointDone) float64 { return p.AchievedSMMHz }).Mean
	c.Energy = over(func(p event.PointDone) float64 { return p.EnergyJ })
	c.Stated = over(func(p event.PointDone) float64 { return p.EnergyErrJ }).Mean
	c.JoulesPerTotal = over(func(p event.PointDone) float64 { return p.JoulesPerTotal() })
	c.JoulesPerToken = over(func(p event.PointDone) float64 { return p.JoulesPerToken })
	c.Latency = over(func(p event.PointDone) float64 { return p.LatencyS })
	c.Prefill = over(func(p event.PointDone) float64 { return p.PrefillS })
	c.Decode = over(func(p event.PointDone) float64 { return p.DecodeS })
	c.EDP = over(func(p event.PointDone) float64 { return p.EnergyJ * p.LatencyS })
	c.Power = over(func(p event.PointDone) float64 { return p.MeanPowerW })
	c.Quality = over(func(p event.PointDone) float64 { return p.Quality })
	c.TokensPerS = over(func(p event.PointDone) float64 { return p.TokensPerS })
	return c
}

// Clean tells whether the clock has repeats that ran as asked.
func (c Clock) Clean() bool { return c.Flagged == 0 || !c.repeats[0].Flags.Spoils() }

// Repeats is how many there are, those too that are left out.
func (c Clock) Repeats() int {
	if c.Clean() {
		return len(c.repeats) + c.Flagged
	}
	return c.Flagged
}

// Label names the clock or the policy.
func (c Clock) Label() string {
	if c.RequestedMHz > 0 {
		return strconv.Itoa(c.RequestedMHz) + " MHz"
	}
	return c.Policy
}

// Baseline is the highest clock; ok is false without one.
func (c Curve) Baseline() (b Clock, ok bool) {
	if len(c.Clocks) == 0 {
		return Clock{}, false
	}
	return c.Clocks[len(c.Clocks)-1], true
}

// Lowest is the lowest clock; ok is false without one below the baseline.
func (c Curve) Lowest() (b Clock, ok bool) {
	if len(c.Clocks) < 2 {
		return Clock{}, false
	}
	return c.Clocks[0], true
}

// Change is a clock against the baseline, in percent; its shares are of the
// clock's own time.
type Change struct {
	EnergyDown   Stat // energy saved
	Latency      Stat
	Prefill      Stat
	Decode       Stat
	PrefillShare float64
	DecodeShare  float64
}

// Against compares c with a baseline.
func (c Clock) Against(base Clock) Change {
	total := base.Prefill.Mean + base.Decode.Mean
	change := relative
	if c.same(base) { // from itself it differs by nothing, for certain
		change = func(a, _ Stat) Stat { return Stat{Mean: 0 * a.Mean, Half: math.NaN(), N: a.N} }
	}
	down := change(c.Energy, base.Energy)
	down.Mean = 0 - down.Mean
	return Change{
		EnergyDown: down, Latency: change(c.Latency, base.Latency),
		Prefill: change(c.Prefill, base.Prefill), Decode: change(c.Decode, base.Decode),
		PrefillShare: 100 * base.Prefill.Mean / total, DecodeShare: 100 * base.Decode.Mean / total,
	}
}

// same tells whether both are the same clock, or policy, of one curve.
func (c Clock) same(other Clock) bool {
	return c.RequestedMHz == other.RequestedMHz && c.Policy == other.Policy && c.Energy.Mean == other.Energy.Mean && c.Latency.Mean == other.Latency.Mean
}

// Share is a in % of b, with its interval; of itself it is 100 exactly.
func Share(a, b Stat) Stat {
	if a == b {
		return Stat{Mean: 100, Half: math.NaN(), N: a.N}
	}
	r := relative(a, b)
	r.Mean += 100
	return r
}

// relative is 100·(a/b − 1); its interval by the delta method.
func relative(a, b Stat) Stat {
	r := a.Mean / b.Mean
	return Stat{
		Mean: 100 * (r - 1), N: min(a.N, b.N),
		Half: 100 * math.Abs(r) * math.Hypot(a.Half/a.Mean, b.Half/b.Mean),
	}
}

// group is what is pooled: all that one model did at one batch size.
type group struct {
	gpu, model string
	batch      int
	event.Drafting
}

// setting is a clock or a policy, in one repeat.
type setting struct {
	policy      string
	mhz, repeat int
}

// Pool adds up the points of several datasets, as if their queries were one
// dataset: means weigh by queries. For each model and batch size it takes the
// datasets that together ran at the most clocks (see common), and of each clock,
// policy and repeat that has them all exactly these, so that no curve mixes
// different work. What ran at no fixed clock has no say in which.
func Pool(points []event.PointDone) []event.PointDone {
	groups := map[group]map[setting]map[string][]event.PointDone{}
	for _, p := range points {
		if p.PointResult.Err != "" {
			continue
		}
		g, s := group{p.GPU, p.Model, p.BatchSize, p.Drafting}, setting{p.Policy, p.ClockAlone(), p.Repeat}
		if groups[g] == nil {
			groups[g] = map[setting]map[string][]event.PointDone{}
		}
		if groups[g][s] == nil {
			groups[g][s] = map[string][]event.PointDone{}
		}
		groups[g][s][p.Dataset] = append(groups[g][s][p.Dataset], p)
	}
	var out []event.PointDone
	for _, g := range groups {
		chosen := common(g)
		for _, byData := range g {
			out = append(out, together(byData, chosen)...)
		}
	}
	slices.SortFunc(out, func(a, b event.PointDone) int { return cmp.Compare(a.PointID, b.PointID) })
	return out
}

// together pools the points of the datasets chosen, once for each time that all of
// them ran.
func together(byData map[string][]event.PointDone, chosen []string) []event.PointDone {
	times := math.MaxInt
	for _, d := range chosen {
		times = min(times, len(byData[d]))
	}
	var out []event.PointDone
	for i := range times {
		var ps []event.PointDone
		for _, d := range chosen {
			ps = append(ps, byData[d][i])
		}
		out = append(out, pooled(ps))
	}
	return out
}

// common chooses the datasets of a group: the most that ran together at two clocks
// or more, else at one, else under whatever there is.
func common(g map[setting]map[string][]event.PointDone) []string {
	fixed := false
	for s := range g {
		fixed = fixed || s.mhz > 0
	}
	var best []string
	most := 0
	for s, byData := range g {
		if fixed && s.mhz <= 0 {
			continue
		}
		names := slices.Sorted(maps.Keys(byData))
		clocks := map[int]bool{}
		for s, byData := range g {
			has := func(d string) bool { return len(byData[d]) > 0 }
			if !slices.ContainsFunc(names, func(d string) bool { return !has(d) }) {
				clocks[s.mhz] = true
			}
		}
		if fixed {
			delete(clocks, 0)
		}
		n := len(clocks)
		if c := cmp.Or(min(n, 2)-min(most, 2), len(names)-len(best), n-most, slices.Compare(best, names)); c > 0 {
			best, most = names, n
		}
	}
	return best
}

func pooled(ps []event.PointDone) event.PointDone {
	slices.SortFunc(ps, func(a, b event.PointDone) int { return cmp.Compare(a.Dataset, b.Dataset) })
	sum := ps[0]
	n := 0.0
	for _, p := range ps {
		n += float64(p.Queries)
	}
	mean := func(f func(event.PointDone) float64) float64 {
		x := 0.0
		for _, p := range ps {
			x += f(p) * float64(p.Queries) / n
		}
		return x
	}
	sum.Dataset, sum.Queries = "", int(n)
	sum.AchievedSMMHz = mean(func(p event.PointDone) float64 { return p.AchievedSMMHz })
	sum.InputTokens = mean(func(p event.PointDone) float64 { return p.InputTokens })
	sum.OutputTokens = mean(func(p event.PointDone) float64 { return p.OutputTokens })
	sum.PrefillS = mean(func(p event.PointDone) float64 { return p.PrefillS })
	sum.DecodeS = mean(func(p event.PointDone) float64 { return p.DecodeS })
	sum.LatencyS = mean(func(p event.PointDone) float64 { return p.LatencyS })
	sum.EnergyJ = mean(func(p event.PointDone) float64 { return p.EnergyJ })
	sum.NetEnergyJ = mean(func(p event.PointDone) float64 { return p.NetEnergyJ })
	sum.PrefillEnergyJ = mean(func(p event.PointDone) float64 { return p.PrefillEnergyJ })
	sum.DecodeEnergyJ = mean(func(p event.PointDone) float64 { return p.DecodeEnergyJ })
	sum.Quality = mean(func(p event.PointDone) float64 { return p.Quality })
	// Tokens of the generating datasets alone: scored ones generate none.
	joules, tokens, seconds := 0.0, 0.0, 0.0
	for _, p := range ps {
		q := float64(p.Queries)
		if p.OutputTokens > 0 {
			joules, tokens = joules+p.EnergyJ*q, tokens+p.OutputTokens*q
		}
		seconds += p.EnergyJ * q / p.MeanPowerW
	}
	sum.JoulesPerToken = joules / tokens
	sum.MeanPowerW = sum.EnergyJ * n / seconds
	sum.TokensPerS = tokens / seconds
	sum.EDPJS = sum.EnergyJ * sum.LatencyS
	sum.Flags = ""
	for _, p := range ps {
		sum.Flags = sum.Flags.Union(p.Flags)
	}
	return sum
}
