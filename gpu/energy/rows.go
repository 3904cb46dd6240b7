package energy

import "slices"

// share is a kind's part of a bin.
type share struct {
	key  int
	s    float64
	inst int64 // the phase, if it is one alone
	n    int   // phases of this kind in the bin
}

// row is a bin as the fit sees it.
type row struct {
	t       int64 // the reading's own time
	a, b    int64
	y, w    float64
	terms   []share // of the kinds in it, then of their slopes
	kinds   int
	cluster int
}

// shares are the kinds in the bin.
func (r *row) shares() []share { return r.terms[:r.kinds] }

// rowsOf lays the bins of tr that lie within known phases onto tl, for a lag.
// traits has what the kinds' powers may depend on; nil: nothing.
func rowsOf(tr *track, tl *timeline, from int, lag float64, traits map[Key]trait, keys map[Key]int, cache []row) []row {
	p := predictor{tr: tr, tl: tl, m: &tr.model, lag: lag, vague: tr.vague()}
	if len(tl.phases) == 0 {
		return cache[:0]
	}
	rows := slices.Grow(cache[:0], len(tr.reads)-from)
	const usual = 4 // terms of a row
	var slab []share
	lo, hi := tl.phases[0].Start, tl.end()
	stalled := tl.stalled()
	pi, cluster := 0, 0
	seen := map[int]int64{}
	var more []share
	cols := columns{keys, traits, make([]column, len(tl.ids)+1)}
	for i := from; i < len(tr.reads); i++ {
		b := tr.bin(i, lag)
		if !b.ok || b.a < lo || b.b <= b.a {
			continue
		}
		if b.b > hi {
			break
		}
		rows = rows[:len(rows)+1]
		r := &rows[len(rows)-1]
		if r.terms == nil {
			if len(slab) < usual {
				slab = make([]share, usual*256)
			}
			r.terms, slab = slab[:0:usual], slab[usual:]
		}
		*r = row{t: tr.reads[i].t, a: b.a, b: b.b, y: b.p, w: min(b.seconds()/tr.period, 2), terms: r.terms[:0]}
		if p.vague {
			// A bin is worth less the more its energy depends on when it began.
			v := p.timing(b) / sq(b.seconds())
			r.w /= 1 + v/sq(0.05*p.m.mean+1)
		}
		known, total := true, float64(b.b-b.a)
		more = more[:0]
		pi = tl.walk(pi, b.a, b.b, func(s segment) {
			if s.key.Kind == kindOther || stalled[s.inst] {
				known = false
				return
			}
			c := cols.of(s)
			k, ok := cols.number(&c.power, s.key, power)
			if !ok {
				known = false
				return
			}
			part := float64(s.b-s.a) / total
			r.terms = addShare(r.terms, share{k, part, s.inst, 1})
			if c.slope && s.context > 0 {
				if g, ok := cols.number(&c.slopeAt, s.key, slope); ok {
					more = addShare(more, share{g, part * logContext(s.context, c.x0), s.inst, 1})
				}
			}
			for j, usual := range c.rates {
				if usual == 0 {
					continue
				}
				// Also where no reading had it: then it is known to be unknown.
				g, ok := cols.number(&c.loadAt[j], s.key, load0+effect(j))
				if r := s.rate(j); r > 0 && ok {
					more = addShare(more, share{g, part * r / usual, s.inst, 1})
				}
			}
			if c.start {
				if d := s.startOverlap(s.a, s.b); d > 0 {
					if g, ok := cols.number(&c.startAt, s.key, start); ok {
						more = addShare(more, share{g, d * 1e9 / total, s.inst, 1})
					}
				}
			}
		})
		if !known {
			rows = rows[:len(rows)-1]
			continue
		}
		r.kinds = len(r.terms)
		// A request is one cluster: it ends where a kind of phase comes again.
		top := slices.MaxFunc(r.terms, func(x, y share) int { return cmpFloat(x.s, y.s) })
		if inst, ok := seen[top.key]; ok && inst != top.inst {
			cluster++
			clear(seen)
		}
		seen[top.key] = top.inst
		r.cluster = cluster
		r.terms = append(r.terms, more...)
	}
	return rows
}

// columns number the parameters of a fit as they are met, by the kinds' own numbers.
type columns struct {
	keys   map[Key]int
	traits map[Key]trait
	by     []column
}

// column is what the fit has of a kind: one more than the number of its power, slope
// and start, 0 where it has none yet.
type column struct {
	power, slopeAt, startAt int
	loadAt                  [sorts]int
	met                     bool
	trait
}

func (c *columns) of(s segment) *column {
	x := &c.by[s.id]
	if !x.met {
		x.met, x.trait = true, c.traits[s.key]
	}
	return x
}

// number returns the number of a parameter, a new one if it had none; ok is false where
// there are as many as a fit takes.
func (c *columns) number(at *int, k Key, e effect) (n int, ok bool) {
	if *at == 0 {
		if len(c.keys) >= maxKeys {
			return 0, false
		}
		c.keys[k.with(e)] = len(c.keys)
		*at = len(c.keys)
	}
	return *at - 1, true
}

// addShare adds x to the share of its kind.
func addShare(to []share, x share) []share {
	for j := range to {
		if to[j].key == x.key {
			to[j].s += x.s
			to[j].n++
			return to
		}
	}
	return append(to, x)
}

func cmpFloat(a, b float64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}
