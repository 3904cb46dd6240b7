// Package history keeps the clock and power profile of a whole session in
// bounded memory, so that any window of it can be drawn at a cost that does not
// grow with the session.
//
// A [Track] is one GPU's. The last 11 minutes are kept in buckets of 20 ms, in
// which late readings and phases are still placed by their own time; after 3 s
// a bucket is folded into coarser ones: 160 ms for 43 minutes, 1.28 s for 3 hours
// and 10.24 s for 46 hours, where least, greatest and the mean of each phase are
// kept: about 7 MB in all.
package history

import "math"

// Phase letters by index; idle first.
const (
	Idle = iota
	Prefill
	Decode
	Score
	Mixed
	Phases
)

// Letters are the phases' letters by index; a blank for idle.
const Letters = " PDSM"

// Names are the phases' names.
var Names = [Phases]string{"idle", "prefill", "decode", "score", "mixed"}

const (
	baseNS  = 20_000_000 // a bucket of the finest level
	baseLen = 1 << 15    // buckets of it: 655 s
	lag     = 150        // buckets that wait for late readings: 3 s
	fold    = 8          // buckets folded into one of the next level
	levels  = 3          // coarser levels
)

// foldLen is how many buckets each coarser level keeps.
var foldLen = [levels]int64{1 << 14, 1 << 13, 1 << 14}

// base is a bucket of the finest level.
type base struct {
	id           int64
	clkSum       float32
	clkMin       uint16
	clkMax       uint16
	req          uint16
	clkN         uint16
	powN         uint16
	powSum       float32
	powMin       float32
	powMax       float32
	phaseNS      [Phases]uint32 // idle's is unused
	requestKnown bool
	begins       begins
}

// begins are the phases that began in some time, a bit each.
type begins uint8

func (b *begins) add(phase int)     { *b |= 1 << phase }
func (b begins) has(phase int) bool { return b&(1<<phase) != 0 }

// phase returns the phase that fills most of the bucket, Idle for none.
func (b *base) phase() int {
	best, most := Idle, uint32(0)
	for p := Prefill; p < Phases; p++ {
		if b.phaseNS[p] > most {
			best, most = p, b.phaseNS[p]
		}
	}
	return best
}

// mean sums up values of one phase.
type mean struct {
	sum float32
	n   float32
}

func (m *mean) add(sum float32, n int) { m.sum += sum; m.n += float32(n) }

func (m mean) value() float64 {
	if m.n == 0 {
		return math.NaN()
	}
	return float64(m.sum) / float64(m.n)
}

// coarse is a bucket of a coarser level.
type coarse struct {
	id             int64
	clkMin, clkMax float32
	powMin, powMax float32
	req            float32
	clk, pow       [Phases]mean
	phaseMS        [Phases]float32
	begins         begins
}

// Track is the history of one GPU. The zero value is empty.
type Track struct {
	base     []base
	folded   [levels][]coarse
	head     int64 // newest base bucket; -1 none
	first    int64 // oldest base bucket ever
	done     int64 // base buckets before this one are folded
	started  bool
	headNS   int64
	openFrom int64
	open     int // phase running now; Idle for none
	version  uint64
}

// Version changes whenever anything is added.
func (t *Track) Version() uint64 { return t.version }

// Span returns the times of the oldest and newest readings, ns; ok is false
// where there are none.
func (t *Track) Span() (from, to int64, ok bool) {
	return t.first * baseNS, t.headNS, t.started
}

// AddClock adds a poll of the SM clock: achieved and requested MHz, negative
// for unknown.
func (t *Track) AddClock(at int64, mhz, requested int) {
	b := t.at(at)
	if b == nil {
		return
	}
	if requested >= 0 {
		b.req, b.requestKnown = clamp16(requested), true
	}
	if mhz < 0 {
		return
	}
	v := clamp16(mhz)
	if b.clkN == 0 || v < b.clkMin {
		b.clkMin = v
	}
	if b.clkN == 0 || v > b.clkMax {
		b.clkMax = v
	}
	b.clkSum += float32(v)
	b.clkN++
}

// AddPower adds a power reading in W at its own time.
func (t *Track) AddPower(at int64, w float64) {
	if math.IsNaN(w) || math.IsInf(w, 0) {
		return
	}
	b := t.at(at)
	if b == nil {
		return
	}
	v := float32(w)
	if b.powN == 0 || v < b.powMin {
		b.powMin = v
	}
	if b.powN == 0 || v > b.powMax {
		b.powMax = v
	}
	b.powSum += v
	b.powN++
}

// Begin says that a phase runs from at on, until End or the next Begin.
func (t *Track) Begin(phase int, at int64) {
	if t.open != Idle {
		t.AddPhase(t.open, t.openFrom, at)
	}
	t.open, t.openFrom = phase, at
	t.version++
}

// End says that the phase running since from ended at to.
func (t *Track) End(phase int, from, to int64) {
	if t.open == phase && t.openFrom <= to {
		t.open = Idle
	}
	t.AddPhase(phase, from, to)
}

// AddPhase adds a phase that ran from from to to, ns.
func (t *Track) AddPhase(phase int, from, to int64) {
	if phase <= Idle || phase >= Phases || to <= from || !t.started {
		return
	}
	t.version++
	oldest := max(t.head-baseLen+1, t.first)
	for id := max(from/baseNS, oldest); id <= min((to-1)/baseNS, t.head); id++ {
		b := &t.base[id%baseLen]
		if b.id != id {
			*b = base{id: id}
		}
		lo, hi := max(from, id*baseNS), min(to, (id+1)*baseNS)
		b.phaseNS[phase] = uint32(hi - lo)
		if id == from/baseNS {
			b.begins.add(phase)
		}
	}
}

// at returns the bucket for a time, nil where it is too old to be kept.
func (t *Track) at(ns int64) *base {
	if ns < 0 {
		return nil
	}
	id := ns / baseNS
	if !t.started {
		t.started = true
		t.base = make([]base, baseLen)
		for i := range t.base {
			t.base[i].id = -1
		}
		t.head, t.first, t.done = id, id, id
	}
	if id <= t.head-baseLen || id < t.first {
		return nil
	}
	t.version++
	t.headNS = max(t.headNS, ns)
	if id > t.head {
		t.advance(id)
	}
	b := &t.base[id%baseLen]
	if b.id != id {
		*b = base{id: id}
	}
	return b
}

// advance moves the head to id, folding what is old enough.
func (t *Track) advance(id int64) {
	// A gap longer than the ring leaves nothing between to fold.
	for ; t.done < id-lag; t.done++ {
		if t.done > t.head {
			t.done = max(t.done, id-lag)
			break
		}
		if b := &t.base[t.done%baseLen]; b.id == t.done {
			t.markOpen(b)
			t.fold(b)
		}
	}
	t.head = id
}

// markOpen counts the running phase in a bucket it already covers.
func (t *Track) markOpen(b *base) {
	if t.open == Idle {
		return
	}
	if lo, hi := max(t.openFrom, b.id*baseNS), (b.id+1)*baseNS; lo < hi && b.phaseNS[t.open] == 0 {
		b.phaseNS[t.open] = uint32(hi - lo)
		if t.openFrom/baseNS == b.id {
			b.begins.add(t.open)
		}
	}
}

func (t *Track) fold(b *base) {
	p := b.phase()
	id := b.id
	for l := range t.folded {
		id /= fold
		c := t.coarse(l, id)
		if b.clkN > 0 {
			c.clkMin = least(c.clkMin, float32(b.clkMin))
			c.clkMax = most(c.clkMax, float32(b.clkMax))
			c.clk[p].add(b.clkSum, int(b.clkN))
		}
		if b.powN > 0 {
			c.powMin = least(c.powMin, b.powMin)
			c.powMax = most(c.powMax, b.powMax)
			c.pow[p].add(b.powSum, int(b.powN))
		}
		if b.requestKnown {
			c.req = float32(b.req)
		}
		for q, ns := range b.phaseNS {
			c.phaseMS[q] += float32(ns) / 1e6
		}
		c.begins |= b.begins
	}
}

func (t *Track) coarse(l int, id int64) *coarse {
	ring := t.folded[l]
	slot := int(id % foldLen[l])
	if slot >= len(ring) {
		// Grow to what a session has used, up to the ring's full length. A
		// session may begin at any slot: then the ring is made whole at once.
		n := min(max(2*len(ring), slot+256), int(foldLen[l]))
		grown := make([]coarse, n)
		copy(grown, ring)
		for i := len(ring); i < n; i++ {
			grown[i].id = -1
		}
		ring, t.folded[l] = grown, grown
	}
	c := &ring[slot]
	if c.id != id {
		nan := float32(math.NaN())
		*c = coarse{id: id, clkMin: nan, clkMax: nan, powMin: nan, powMax: nan, req: nan}
	}
	return c
}

func least(a, b float32) float32 {
	if a < b {
		return a
	}
	return b // also where a is NaN
}

func most(a, b float32) float32 {
	if a > b {
		return a
	}
	return b
}

func clamp16(v int) uint16 { return uint16(min(max(v, 0), math.MaxUint16)) }
