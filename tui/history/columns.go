package history

import "math"

// Stat sums up one signal over a column; NaN where nothing was read.
type Stat struct {
	Min, Max, Mean float64
	ByPhase        [Phases]float64 // mean while in each phase
}

// Column is a slice of time as wide as one character column.
type Column struct {
	Clock, Power Stat
	Requested    float64         // requested SM clock, MHz; 0 the driver's; NaN unknown
	PhaseNS      [Phases]float64 // time in each phase; idle's is the rest where anything was read
	Phase        int             // the busy one that fills most of it; Idle where less than a quarter was busy
	Began        [Phases]bool    // which began in it, as near as the buckets tell
}

// Empty tells that nothing is known of the column.
func (c *Column) Empty() bool {
	return math.IsNaN(c.Clock.Mean) && math.IsNaN(c.Power.Mean) && c.Phase == Idle
}

type acc struct {
	clkMin, clkMax, powMin, powMax, req float32
	clk, pow                            [Phases]mean
	phaseNS                             [Phases]float64
	begins                              begins
}

// Columns fills dst with the window that begins at from (ns), each column width
// ns long. The finest level that still holds the window is used.
func (t *Track) Columns(dst []Column, from, width int64) {
	accs := make([]acc, len(dst))
	nan := float32(math.NaN())
	for i := range accs {
		accs[i] = acc{clkMin: nan, clkMax: nan, powMin: nan, powMax: nan, req: nan}
	}
	if t.started && width > 0 && len(dst) > 0 {
		t.collect(accs, from, width)
	}
	for i := range dst {
		dst[i] = accs[i].column(float64(width))
	}
}

func (t *Track) collect(accs []acc, from, width int64) {
	to := from + width*int64(len(accs))
	baseFrom := max(t.head-baseLen+1, t.first) * baseNS
	if level := t.level(from, width); level >= 0 {
		// Coarse buckets for what is folded, fine ones for the newest seconds.
		size := levelNS(level)
		foldedTo := t.done * baseNS / size * size
		for id := max(from, 0) / size; id*size < min(to, foldedTo); id++ {
			if c := t.folded[level]; int(id%foldLen[level]) < len(c) && c[id%foldLen[level]].id == id {
				c[id%foldLen[level]].addTo(accs, from, width, size)
			}
		}
		baseFrom = max(baseFrom, foldedTo)
	}
	for id := max(from, baseFrom, 0) / baseNS; id <= min((to-1)/baseNS, t.head); id++ {
		b := &t.base[id%baseLen]
		if b.id != id {
			b = &base{id: id}
		}
		t.addBase(b, accs, from, width)
	}
}

// level returns the coarser level to read a window from, -1 for the finest.
func (t *Track) level(from, width int64) int {
	if baseFrom := max(t.head-baseLen+1, t.first) * baseNS; from >= baseFrom || baseFrom <= t.first*baseNS {
		if width < 64*baseNS { // else a window of minutes would visit every bucket
			return -1
		}
	}
	for l := range t.folded {
		size := levelNS(l)
		kept := t.done*baseNS/size - foldLen[l] + 1
		last := l == len(t.folded)-1
		if from >= kept*size && (width < 8*fold*size || last) || last {
			return l
		}
	}
	return levels - 1
}

func levelNS(l int) int64 {
	size := int64(baseNS)
	for range l + 1 {
		size *= fold
	}
	return size
}

func (t *Track) addBase(b *base, accs []acc, from, width int64) {
	at := b.id * baseNS
	p := b.phase()
	open := t.open != Idle && at+baseNS > t.openFrom && at < t.headNS
	if open && p == Idle {
		p = t.open
	}
	// The bucket's readings count in the column of its middle; its phases are
	// shared out, as columns may be narrower than a bucket.
	i := (at + baseNS/2 - from) / width
	if i >= 0 && i < int64(len(accs)) {
		a := &accs[i]
		if b.clkN > 0 {
			a.clkMin, a.clkMax = least(a.clkMin, float32(b.clkMin)), most(a.clkMax, float32(b.clkMax))
			a.clk[p].add(b.clkSum, int(b.clkN))
		}
		if b.powN > 0 {
			a.powMin, a.powMax = least(a.powMin, b.powMin), most(a.powMax, b.powMax)
			a.pow[p].add(b.powSum, int(b.powN))
		}
		if b.requestKnown {
			a.req = float32(b.req)
		}
		a.begins |= b.begins
		if open && t.openFrom >= at {
			a.begins.add(t.open)
		}
	}
	for q := Prefill; q < Phases; q++ {
		ns := float64(b.phaseNS[q])
		if ns == 0 && open && q == t.open {
			ns = float64(at + baseNS - max(t.openFrom, at))
		}
		if ns > 0 {
			share(accs, q, ns, at, baseNS, from, width)
		}
	}
}

func (c *coarse) addTo(accs []acc, from, width, size int64) {
	at := c.id * size
	first, last := (at-from)/width, (at+size-1-from)/width
	if at < from {
		first = 0
	}
	for i := max(first, 0); i <= min(last, int64(len(accs))-1); i++ {
		a := &accs[i]
		a.clkMin, a.clkMax = leastNaN(a.clkMin, c.clkMin), mostNaN(a.clkMax, c.clkMax)
		a.powMin, a.powMax = leastNaN(a.powMin, c.powMin), mostNaN(a.powMax, c.powMax)
		for p := range c.clk {
			a.clk[p].sum += c.clk[p].sum
			a.clk[p].n += c.clk[p].n
			a.pow[p].sum += c.pow[p].sum
			a.pow[p].n += c.pow[p].n
		}
		if c.req == c.req {
			a.req = c.req
		}
		if i == max(first, 0) { // a bucket over several columns says no more than which it was in
			a.begins |= c.begins
		}
	}
	for q := Prefill; q < Phases; q++ {
		if ms := c.phaseMS[q]; ms > 0 {
			share(accs, q, float64(ms)*1e6, at, size, from, width)
		}
	}
}

// share spreads ns of phase q over the columns that the bucket at, size long,
// covers.
func share(accs []acc, q int, ns float64, at, size, from, width int64) {
	for i := max((at-from)/width, 0); i < int64(len(accs)) && from+i*width < at+size; i++ {
		lo, hi := max(at, from+i*width), min(at+size, from+(i+1)*width)
		if hi > lo {
			accs[i].phaseNS[q] += ns * float64(hi-lo) / float64(size)
		}
	}
}

func leastNaN(a, b float32) float32 {
	if b != b {
		return a
	}
	return least(a, b)
}

func mostNaN(a, b float32) float32 {
	if b != b {
		return a
	}
	return most(a, b)
}

func (a *acc) column(width float64) Column {
	c := Column{
		Clock:     stat(a.clkMin, a.clkMax, a.clk),
		Power:     stat(a.powMin, a.powMax, a.pow),
		Requested: float64(a.req),
		PhaseNS:   a.phaseNS,
	}
	var busy, most float64
	for p := Prefill; p < Phases; p++ {
		busy += a.phaseNS[p]
		if a.phaseNS[p] > most {
			c.Phase, most = p, a.phaseNS[p]
		}
		c.Began[p] = a.begins.has(p)
	}
	c.PhaseNS[Idle] = max(width-busy, 0)
	// A short phase shows in its column even where most of that was idle.
	if busy < width/4 {
		c.Phase = Idle
	}
	return c
}

func stat(lo, hi float32, by [Phases]mean) Stat {
	s := Stat{Min: float64(lo), Max: float64(hi), Mean: math.NaN()}
	var all mean
	for p, m := range by {
		s.ByPhase[p] = m.value()
		all.sum += m.sum
		all.n += m.n
	}
	s.Mean = all.value()
	return s
}
