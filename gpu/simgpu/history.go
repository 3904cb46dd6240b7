package simgpu

import (
	"math"
	"sort"
	"time"

	"jouletop/gpu"
)

// keepNS is how much history the sensors need: the sample buffer's 2.4 s and
// its lag, with room to spare.
const keepNS = int64(4 * time.Second)

// segment is a stretch of constant power and clock, up to the next one's
// start. The sums are integrals from the first segment's start to its own.
type segment struct {
	atNS int64
	rate sums // per s
	sum  sums
	mhz  float64
}

// sums are integrals over time: energy in J, and seconds of each share.
type sums struct{ joules, busy, dram, tensor, capped, hot float64 }

func (a sums) plus(b sums, s float64) sums {
	return sums{a.joules + b.joules*s, a.busy + b.busy*s, a.dram + b.dram*s, a.tensor + b.tensor*s, a.capped + b.capped*s, a.hot + b.hot*s}
}

// history is what truly happened, oldest first.
type history struct {
	seg     []segment
	keepAll bool
}

// push begins a segment at t. One that brings nothing new only lengthens the
// last; one at the last one's start replaces it.
func (h *history) push(t int64, watts, mhz float64, why gpu.Throttle, a activity) {
	rate := sums{joules: watts, busy: a.share, dram: a.dram, tensor: a.tensor}
	if why&gpu.ThrottleSWPowerCap != 0 {
		rate.capped = 1
	}
	if why&gpu.ThrottleSWThermal != 0 {
		rate.hot = 1
	}
	n := len(h.seg)
	if n == 0 {
		h.seg = append(h.seg, segment{atNS: t, rate: rate, mhz: mhz})
		return
	}
	last := &h.seg[n-1]
	if last.atNS == t {
		last.rate, last.mhz = rate, mhz
		return
	}
	if last.rate == rate && last.mhz == mhz {
		return
	}
	h.seg = append(h.seg, segment{atNS: t, rate: rate, mhz: mhz, sum: last.at(t)})
}

func (s *segment) at(t int64) sums { return s.sum.plus(s.rate, float64(t-s.atNS)/1e9) }

// find returns the segment that t lies in; the first for earlier times.
func (h *history) find(t int64) *segment {
	i := len(h.seg) - 1
	if t < h.seg[i].atNS {
		i = max(0, sort.Search(len(h.seg), func(i int) bool { return h.seg[i].atNS > t })-1)
	}
	return &h.seg[i]
}

// upTo returns the integrals up to t. Before the history's beginning the first
// segment is taken to have gone on for ever.
func (h *history) upTo(t int64) sums { return h.find(t).at(t) }

// joules returns the energy between two times.
func (h *history) joules(t0, t1 int64) float64 { return h.upTo(t1).joules - h.upTo(t0).joules }

// prune forgets what no sensor needs any more, now and then, so that it costs
// little a segment.
func (h *history) prune(now int64) {
	const slack = 256
	if h.keepAll || len(h.seg) < slack {
		return
	}
	old := sort.Search(len(h.seg), func(i int) bool { return h.seg[i].atNS > now-keepNS }) - 1
	if old > len(h.seg)/2 {
		n := copy(h.seg, h.seg[old:])
		h.seg = h.seg[:n]
	}
}

// covers tells whether t is within what is kept.
func (h *history) covers(t int64) bool { return t >= h.seg[0].atNS }

// TrueEnergyJ returns the energy really used between two times (ns), in J; NaN
// where that is not known: before New, after now, or forgotten (see WithTruth).
func (g *GPU) TrueEnergyJ(t0, t1 int64) float64 {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := g.advance()
	if !g.hist.covers(t0) || t1 > now || t1 < t0 {
		return math.NaN()
	}
	return g.hist.joules(t0, t1)
}

// TruePowerW returns the power really drawn at t (ns), in W; NaN as for
// TrueEnergyJ.
func (g *GPU) TruePowerW(t int64) float64 {
	if s, ok := g.trueAt(t); ok {
		return s.rate.joules
	}
	return math.NaN()
}

// TrueSMMHz returns the SM clock achieved at t (ns), in MHz; NaN as for
// TrueEnergyJ.
func (g *GPU) TrueSMMHz(t int64) float64 {
	if s, ok := g.trueAt(t); ok {
		return s.mhz
	}
	return math.NaN()
}

// TrueCappedS returns for how long between two times (ns) the power limit really held
// the SM clock down, in s; NaN as for TrueEnergyJ.
func (g *GPU) TrueCappedS(t0, t1 int64) float64 {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := g.advance()
	if !g.hist.covers(t0) || t1 > now || t1 < t0 {
		return math.NaN()
	}
	return g.hist.upTo(t1).capped - g.hist.upTo(t0).capped
}

// LimitTimes implements gpu.LimitCounter: power and heat since New.
func (g *GPU) LimitTimes() (gpu.LimitTimes, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := g.advance()
	if err := g.read(now); err != nil {
		return gpu.NoLimitTimes(), err
	}
	s := g.hist.upTo(now)
	return gpu.LimitTimes{Power: int64(1e9 * s.capped), Heat: int64(1e9 * s.hot), Board: -1, Reliability: -1}, nil
}

func (g *GPU) trueAt(t int64) (segment, bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := g.advance()
	if !g.hist.covers(t) || t > now {
		return segment{}, false
	}
	return *g.hist.find(t), true
}
