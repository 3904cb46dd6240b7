package tui

import (
	"cmp"
	"math"
	"slices"
	"strings"

	"jouletop/engine/event"
)

// sweep folds points.
type sweep struct {
	done    []event.PointDone
	current event.PointStart
	running bool
	seconds float64 // that finished points took
	count   int     // finished, also those no longer kept
	base    int     // finished before this run's plan began
}

func (s *sweep) reset() { *s = sweep{} }

func (s *sweep) start(e event.PointStart) { s.current, s.running = e, true }

func (s *sweep) finish(e event.PointDone) {
	if s.running && s.current.PointID == e.PointID {
		s.seconds += float64(e.TimeNS-s.current.TimeNS) / 1e9
		s.running = false
	}
	s.count++
	if len(s.done) == keepPoints {
		s.done = append(s.done[:0], s.done[keepPoints/2:]...)
	}
	s.done = append(s.done, e)
}

// curveKey names a curve: a model, with a batch size where there are several.
type curveKey struct {
	model string
	batch int
}

// clockMean is what the repeats (and datasets) at one requested clock came to.
type clockMean struct {
	requested int
	n         int
	achieved  float64
	jpt       float64
	latency   float64
	edp       float64
	rate      float64
	power     float64
	quality   float64
	throttled bool
}

// curve is one model's means over the clocks, ascending.
type curve struct {
	curveKey
	points []clockMean
}

// curvesOf returns the curves of the points of a batch size and dataset (0 and
// "" for all), ordered by model. Points whose clock was not one for all phases
// have no place on a clock axis.
func curvesOf(done []event.PointDone, batch int, dataset string) []curve {
	type slot struct {
		curveKey
		mhz int
	}
	sums := map[slot]*clockMean{}
	for _, p := range done {
		if p.RequestedSMMHz <= 0 || p.PointResult.Err != "" || math.IsNaN(p.JoulesPerToken) {
			continue
		}
		if batch > 0 && p.BatchSize != batch || dataset != "" && p.Dataset != dataset {
			continue
		}
		k := slot{curveKey{p.Model, p.BatchSize}, p.RequestedSMMHz}
		m := sums[k]
		if m == nil {
			m = &clockMean{requested: p.RequestedSMMHz}
			sums[k] = m
		}
		m.n++
		achieved := p.AchievedSMMHz
		if math.IsNaN(achieved) {
			achieved = float64(p.RequestedSMMHz)
		}
		m.achieved += achieved
		m.jpt += p.JoulesPerToken
		m.latency += p.LatencyS
		m.edp += p.EDPJS
		m.rate += p.TokensPerS
		m.power += p.MeanPowerW
		m.quality += p.Quality
		m.throttled = m.throttled || p.Flags.Has(event.FlagThrottled)
	}
	by := map[curveKey]*curve{}
	for k, m := range sums {
		n := float64(m.n)
		for _, v := range []*float64{&m.achieved, &m.jpt, &m.latency, &m.edp, &m.rate, &m.power, &m.quality} {
			*v /= n
		}
		c := by[k.curveKey]
		if c == nil {
			c = &curve{curveKey: k.curveKey}
			by[k.curveKey] = c
		}
		c.points = append(c.points, *m)
	}
	out := make([]curve, 0, len(by))
	for _, c := range by {
		slices.SortFunc(c.points, func(a, b clockMean) int { return cmp.Compare(a.requested, b.requested) })
		out = append(out, *c)
	}
	slices.SortFunc(out, func(a, b curve) int {
		return cmp.Or(cmp.Compare(a.model, b.model), cmp.Compare(a.batch, b.batch))
	})
	return out
}

// curvePoints are the points of a curve as the analysis reads them.
func (c curve) curvePoints() []CurvePoint {
	out := make([]CurvePoint, len(c.points))
	for i, p := range c.points {
		out[i] = CurvePoint{SMMHz: p.achieved, JoulesPerToken: p.jpt, LatencyS: p.latency, EDPJS: p.edp}
	}
	return out
}

// batchesOf and datasetsOf list what the points were run with.
func batchesOf(done []event.PointDone) []int {
	var out []int
	for _, p := range done {
		if !slices.Contains(out, p.BatchSize) {
			out = append(out, p.BatchSize)
		}
	}
	slices.Sort(out)
	return out
}

func datasetsOf(done []event.PointDone) []string {
	var out []string
	for _, p := range done {
		if !slices.Contains(out, p.Dataset) {
			out = append(out, p.Dataset)
		}
	}
	slices.Sort(out)
	return out
}

// setting is one side of a comparison: a policy, or a clock set by hand.
type setting struct {
	policy string
	mhz    int // requested for all phases; 0 the driver's or by phase
}

func (s setting) String() string {
	switch {
	case s.mhz > 0 && !strings.Contains(s.policy, fmtInt(s.mhz)):
		if s.policy == "" || s.policy == "none" {
			return fmtInt(s.mhz) + " MHz"
		}
		return s.policy + " @ " + fmtInt(s.mhz) + " MHz"
	case s.policy == "" || s.policy == "none":
		return "driver's clock"
	}
	return s.policy
}

// workKey is work that can be compared: the same model, dataset and batch size.
type workKey struct {
	model, dataset string
	batch          int
}

// queryMean sums up what one query came to under one setting.
type queryMean struct {
	n                     int
	joules, latency, ttft float64
	prefill, decode       float64
	tokens, ttftN, priced int
	quality               float64
	qualityN              int
}

// Bounds of what comparisons keep.
const (
	keepSettings = 64
	keepQueries  = 4096 // a setting and work
	keepEntries  = 50_000
)

// comparisons folds requests by setting, work and query, so that two settings
// can be compared on the queries that both have answered.
type comparisons struct {
	settings []setting // in order of appearance
	by       map[setting]map[workKey]map[string]*queryMean
	entries  int
	version  uint64
}

func (c *comparisons) reset() {
	*c = comparisons{by: map[setting]map[workKey]map[string]*queryMean{}, version: c.version + 1}
}

func (c *comparisons) add(e event.RequestEnergy) {
	if e.Err != "" || e.MixedClock && e.RequestedSMMHz > 0 {
		return // its clock was changed under it: it belongs to neither side
	}
	s := setting{e.Policy, e.RequestedSMMHz}
	work := c.by[s]
	if work == nil {
		if len(c.settings) == keepSettings {
			return
		}
		work = map[workKey]map[string]*queryMean{}
		c.by[s] = work
		c.settings = append(c.settings, s)
	}
	k := workKey{e.Model, e.Dataset, e.BatchSize}
	queries := work[k]
	if queries == nil {
		queries = map[string]*queryMean{}
		work[k] = queries
	}
	q := queries[e.QueryID]
	if q == nil {
		if len(queries) == keepQueries || c.entries == keepEntries {
			return
		}
		c.entries++
		q = &queryMean{}
		queries[e.QueryID] = q
	}
	c.version++
	q.n++
	if !math.IsNaN(e.EnergyJ) {
		q.joules += e.EnergyJ
		q.priced++
	}
	q.latency += e.LatencyS()
	q.prefill += e.PrefillS
	q.decode += e.DecodeS
	if !math.IsNaN(e.TTFTS) {
		q.ttft += e.TTFTS
		q.ttftN++
	}
	if !math.IsNaN(e.Quality) {
		q.quality += e.Quality
		q.qualityN++
	}
	q.tokens += billedTokens(e.Request)
}

// side is one side of a comparison: means per query over the common queries.
type side struct {
	setting
	joules, latency, ttft, prefill, decode float64
	jpt, edp, quality                      float64
}

// compared is two settings on the same work.
type compared struct {
	a, b    side
	queries int // answered by both
	works   []comparedWork
}

// comparedWork is a part of a comparison.
type comparedWork struct {
	workKey
	a, b    side
	queries int
}

// compare returns the means of a and b over the queries that both have answered
// with a known energy.
func (c *comparisons) compare(a, b setting) compared {
	var sa, sb sideSum
	var out compared
	for k, qa := range c.by[a] {
		qb := c.by[b][k]
		var wa, wb sideSum
		n := 0
		for id, x := range qa {
			y := qb[id]
			if y == nil || x.priced == 0 || y.priced == 0 {
				continue
			}
			n++
			wa.add(x)
			wb.add(y)
			sa.add(x)
			sb.add(y)
		}
		if n > 0 {
			out.works = append(out.works, comparedWork{k, wa.side(a, n), wb.side(b, n), n})
			out.queries += n
		}
	}
	slices.SortFunc(out.works, func(x, y comparedWork) int {
		return cmp.Or(cmp.Compare(x.model, y.model), cmp.Compare(x.dataset, y.dataset), cmp.Compare(x.batch, y.batch))
	})
	out.a, out.b = sa.side(a, out.queries), sb.side(b, out.queries)
	return out
}

// lookBack is how many of the newest settings are looked at for a pair.
const lookBack = 8

// mostShared returns the two of the newest settings that have answered most
// queries in common, the newest where equal; the higher clock, the baseline,
// first.
func (c *comparisons) mostShared() (a, b setting) {
	from := max(len(c.settings)-lookBack, 0)
	most := -1
	for i := from; i < len(c.settings); i++ {
		for j := i + 1; j < len(c.settings); j++ {
			n := c.shared(c.settings[i], c.settings[j])
			if n > 0 && (c.settings[i].mhz > 0) != (c.settings[j].mhz > 0) {
				n += keepQueries // a clock for each phase against one for all: what is asked most
			}
			if n >= most {
				a, b, most = c.settings[i], c.settings[j], n
			}
		}
	}
	if b.mhz > a.mhz {
		a, b = b, a
	}
	return a, b
}

// shared counts the queries that two settings have in common.
func (c *comparisons) shared(a, b setting) int {
	n := 0
	for k, qa := range c.by[a] {
		qb := c.by[b][k]
		for id := range qa {
			if qb[id] != nil {
				n++
			}
		}
	}
	return n
}

type sideSum struct {
	joules, latency, prefill, decode, tokens float64
	ttft, quality                            float64
	ttftN, qualityN                          int
}

func (s *sideSum) add(q *queryMean) {
	n := float64(q.n)
	s.joules += q.joules / float64(q.priced)
	s.latency += q.latency / n
	s.prefill += q.prefill / n
	s.decode += q.decode / n
	s.tokens += float64(q.tokens) / n
	if q.ttftN > 0 {
		s.ttft += q.ttft / float64(q.ttftN)
		s.ttftN++
	}
	if q.qualityN > 0 {
		s.quality += q.quality / float64(q.qualityN)
		s.qualityN++
	}
}

func (s *sideSum) side(k setting, queries int) side {
	n := float64(queries)
	return side{
		setting: k, joules: s.joules / n, latency: s.latency / n, ttft: s.ttft / float64(s.ttftN),
		prefill: s.prefill / n, decode: s.decode / n, jpt: s.joules / s.tokens,
		edp: s.joules / n * s.latency / n, quality: s.quality / float64(s.qualityN),
	}
}
