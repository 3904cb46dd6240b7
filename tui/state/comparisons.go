package state

import (
	"cmp"
	"math"
	"slices"

	"jouletop/engine/analysis/verdict"
	"jouletop/engine/event"
)

// WorkKey is work that can be compared: the same model, dataset and batch size.
type WorkKey struct {
	Model, Dataset string
	Batch          int
}

// queryMean sums up what one query came to under one setting.
type queryMean struct {
	n                     int
	joules, latency, ttft float64
	prefill, decode       float64
	tokens, ttftN, priced int
	quality               float64
	qualityN              int
	repeats               []repeatMean // as they came, the first keepRepeats
}

// repeatMean sums up what one repeat of a query came to.
type repeatMean struct {
	repeat, n, priced int
	joules, latency   float64
}

// inRepeat is the query's repeat of that number; nil where there are too many.
func (q *queryMean) inRepeat(repeat int) *repeatMean {
	for i := range q.repeats {
		if q.repeats[i].repeat == repeat {
			return &q.repeats[i]
		}
	}
	if len(q.repeats) == keepRepeats {
		return nil
	}
	q.repeats = append(q.repeats, repeatMean{repeat: repeat})
	return &q.repeats[len(q.repeats)-1]
}

// Bounds of what comparisons keep.
const (
	keepSettings = 64
	keepQueries  = 4096 // a setting and work
	keepEntries  = 50_000
	keepRepeats  = 32 // of a query
)

// Comparisons folds requests by setting, work and query, so that two settings
// can be compared on the queries that both have answered.
type Comparisons struct {
	Settings []Setting // in order of appearance
	by       map[Setting]map[WorkKey]map[string]*queryMean
	last     map[Setting]uint64 // the version at which it was last added to
	entries  int
	Version  uint64
}

func (c *Comparisons) reset() {
	*c = Comparisons{by: map[Setting]map[WorkKey]map[string]*queryMean{}, last: map[Setting]uint64{}, Version: c.Version + 1}
}

func (c *Comparisons) add(e event.RequestEnergy) {
	s := SettingOf(e.Policy, e.RequestedSMMHz)
	if _, fixed := s.Fixed(); e.Err != "" || e.MixedClock && fixed {
		return // its clock was changed under it: it belongs to neither side
	}
	work := c.by[s]
	if work == nil {
		if len(c.Settings) == keepSettings {
			return
		}
		work = map[WorkKey]map[string]*queryMean{}
		c.by[s] = work
		c.Settings = append(c.Settings, s)
	}
	k := WorkKey{e.Model, e.Dataset, e.BatchSize}
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
	c.Version++
	c.last[s] = c.Version
	q.n++
	if !math.IsNaN(e.EnergyJ) {
		q.joules += e.EnergyJ
		q.priced++
	}
	q.latency += e.LatencyS()
	if r := q.inRepeat(e.Repeat); r != nil {
		r.n, r.latency = r.n+1, r.latency+e.LatencyS()
		if !math.IsNaN(e.EnergyJ) {
			r.priced, r.joules = r.priced+1, r.joules+e.EnergyJ
		}
	}
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

// Side is one side of a comparison: means per query over the common queries.
type Side struct {
	Setting
	EnergyJ, LatencyS, TTFTS, PrefillS, DecodeS float64
	JoulesPerToken, EDPJS, Quality              float64
}

// Compared is two settings on the same work.
type Compared struct {
	A, B    Side
	Queries int // answered by both
	Works   []ComparedWork
	// What B differs by, with its interval.
	Energy, Latency, EDP verdict.Difference
}

// ComparedWork is a part of a comparison.
type ComparedWork struct {
	WorkKey
	A, B    Side
	Queries int
}

// Compare returns the means of a and b over the queries that both have answered
// with a known energy.
func (c *Comparisons) Compare(a, b Setting) Compared {
	var sa, sb sideSum
	var out Compared
	energy, latency := verdict.Sides{}, verdict.Sides{}
	runsA, runsB := repeatSums{}, repeatSums{}
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
			energy.Pairs = append(energy.Pairs, verdict.Pair{A: x.joules / float64(x.priced), B: y.joules / float64(y.priced)})
			latency.Pairs = append(latency.Pairs, verdict.Pair{A: x.latency / float64(x.n), B: y.latency / float64(y.n)})
			runsA.add(x)
			runsB.add(y)
		}
		if n > 0 {
			out.Works = append(out.Works, ComparedWork{k, wa.side(a, n), wb.side(b, n), n})
			out.Queries += n
		}
	}
	slices.SortFunc(out.Works, func(x, y ComparedWork) int {
		return cmp.Or(cmp.Compare(x.Model, y.Model), cmp.Compare(x.Dataset, y.Dataset), cmp.Compare(x.Batch, y.Batch))
	})
	out.A, out.B = sa.side(a, out.Queries), sb.side(b, out.Queries)
	energy.RunsA, latency.RunsA = runsA.whole(out.Queries)
	energy.RunsB, latency.RunsB = runsB.whole(out.Queries)
	out.Energy, out.Latency, out.EDP = verdict.Compare(energy), verdict.Compare(latency), verdict.Compare(verdict.Product(energy, latency))
	return out
}

// repeatSums sums up queries by repeat.
type repeatSums map[int]*repeatMean

func (s repeatSums) add(q *queryMean) {
	for _, r := range q.repeats {
		if r.priced == 0 {
			continue
		}
		sum := s[r.repeat]
		if sum == nil {
			sum = &repeatMean{}
			s[r.repeat] = sum
		}
		sum.n++
		sum.joules += r.joules / float64(r.priced)
		sum.latency += r.latency / float64(r.n)
	}
}

// whole returns the sums of the repeats that have all of so many queries.
func (s repeatSums) whole(queries int) (joules, latency []float64) {
	for _, r := range s {
		if r.n == queries {
			joules, latency = append(joules, r.joules), append(latency, r.latency)
		}
	}
	return joules, latency
}

// lookBack is how many settings are looked at for a pair: those that ran last.
const lookBack = 8

// MostShared returns the two of the newest settings that have answered most
// queries in common, the newest where equal; the higher clock, the baseline, first.
func (c *Comparisons) MostShared() (a, b Setting) {
	newest := slices.SortedFunc(slices.Values(c.Settings), func(x, y Setting) int { return cmp.Compare(c.last[x], c.last[y]) })
	newest = newest[max(len(newest)-lookBack, 0):]
	most := -1
	for i, x := range newest {
		for _, y := range newest[i+1:] {
			n := c.shared(x, y)
			_, fixedX := x.Fixed()
			_, fixedY := y.Fixed()
			if n > 0 && fixedX != fixedY {
				n += keepQueries // a clock for each phase against one for all: what is asked most
			}
			if n >= most {
				a, b, most = x, y, n
			}
		}
	}
	if b.baseline() > a.baseline() {
		a, b = b, a
	}
	return a, b
}

// baseline ranks a setting as the one to compare with: a clock for all phases
// before others, of clocks the higher, the driver's first.
func (s Setting) baseline() int {
	switch mhz, ok := s.Fixed(); {
	case !ok:
		return 0
	case mhz == 0:
		return math.MaxInt
	default:
		return mhz
	}
}

// shared counts the queries that two settings have in common.
func (c *Comparisons) shared(a, b Setting) int {
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

func (s *sideSum) side(k Setting, queries int) Side {
	n := float64(queries)
	return Side{
		Setting: k, EnergyJ: s.joules / n, LatencyS: s.latency / n, TTFTS: s.ttft / float64(s.ttftN),
		PrefillS: s.prefill / n, DecodeS: s.decode / n, JoulesPerToken: s.joules / s.tokens,
		EDPJS: s.joules / n * s.latency / n, Quality: s.quality / float64(s.qualityN),
	}
}
