package curve

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"jouletop/engine/event"
)

// Setting is one setting of knobs and what it came to.
type Setting struct {
	Clock
	Asked event.Policy
	// Reference is the same but for the power limit, which is the highest there is; it may
	// be the setting itself.
	Reference *Setting
}

// Settings are the fixed settings of a curve, the highest clocks and limits first, each
// with its reference.
func (c Curve) Settings() []*Setting {
	var rows []*Setting
	for _, k := range slices.Concat(c.Clocks, c.Policies) {
		p := event.PolicyOf(k.Policy)
		switch {
		case k.RequestedMHz > 0:
			p = event.Policy{Kind: event.FixedClock, MHz: k.RequestedMHz}
		case p.Kind != event.FixedKnobs && p.Kind != event.FixedClock && p.Kind != event.NoPolicy:
			continue
		}
		rows = append(rows, &Setting{Clock: k, Asked: p})
	}
	// A limit that was not set is the highest: it is the card's own.
	limit := func(watts int) int {
		if watts == 0 {
			return math.MaxInt
		}
		return watts
	}
	slices.SortStableFunc(rows, func(a, b *Setting) int {
		x, y := a.Asked.Setting(), b.Asked.Setting()
		return cmp.Or(cmp.Compare(y.SMMHz, x.SMMHz), cmp.Compare(y.MemMHz, x.MemMHz), cmp.Compare(y.Profiles, x.Profiles), cmp.Compare(limit(y.PowerW), limit(x.PowerW)))
	})
	for i, r := range rows {
		r.Reference = r
		if i == 0 {
			continue
		}
		before, s := rows[i-1].Asked.Setting(), r.Asked.Setting()
		if before.PowerW = s.PowerW; before == s {
			r.Reference = rows[i-1].Reference
		}
	}
	return rows
}

// After is the kind of phase that followed prefill.
func (r *Setting) After() event.Phase {
	for _, p := range []event.Phase{event.Score, event.Mixed} {
		if r.Held.Of(p).Known() {
			return p
		}
	}
	return event.Decode
}

// Times that differ by less than sameTime are one; by more than slowed, and more than
// their intervals, a limit slowed the phase.
const (
	sameTime = 0.5 // %
	slowed   = 2.0 // %
)

// HeldBy says what held the clock in a phase; concluded: where the samples do not tell,
// from its time against that of the reference.
func (r *Setting) HeldBy(p event.Phase) (h event.Held, concluded bool) {
	h = *r.Held.Of(p)
	if h.Known() || r.Reference == r || r.Asked.Setting().PowerW == 0 {
		return h, false
	}
	change := r.Against(r.Reference.Clock)
	c := change.Decode
	if p == event.Prefill {
		c = change.Prefill
	}
	half := c.Half
	if math.IsNaN(half) {
		half = 0
	}
	switch {
	case c.Mean > slowed+half:
		return event.Held{By: event.HeldByPower, Pct: math.NaN()}, true
	case math.Abs(c.Mean)+half < sameTime:
		return event.Held{By: event.HeldByNothing, Pct: math.NaN()}, true
	}
	return h, false
}

// CapVerdicts are sentences on which power limit held the clock in which phase; none where
// no limit was set and none held.
func (c Curve) CapVerdicts() (out []string) {
	rows := c.Settings()
	for _, p := range []event.Phase{event.Prefill, event.Decode, event.Score, event.Mixed} {
		if p != event.Prefill && !slices.ContainsFunc(rows, func(r *Setting) bool { return r.After() == p }) {
			continue
		}
		var free, bound []int // W; 0 is the card's own limit
		most, unknown := 0.0, false
		for _, r := range rows {
			h, _ := r.HeldBy(p)
			switch w := r.Asked.Setting().PowerW; {
			case h.By == event.HeldByPower:
				bound = append(bound, w)
				if !math.IsNaN(h.Pct) {
					most = math.Max(most, h.Pct)
				}
			case h.Known():
				free = append(free, w)
			default:
				unknown = true
			}
		}
		limits := slices.Concat(free, bound)
		word := string(p)
		if p == event.Mixed {
			word = "serving"
		}
		what := fmt.Sprintf("%s of %s (%s) at batch %d", word, c.Model, c.Dataset, c.BatchSize)
		switch {
		case len(limits) == 0 || len(bound) == 0 && !slices.ContainsFunc(limits, func(w int) bool { return w > 0 }):
			continue // nothing known, or nothing to say: no limit was set and none held
		case len(bound) == 0 && unknown:
			out = append(out, fmt.Sprintf("No power limit is known to bind in %s: %s.", what, limitsText(free)))
		case len(bound) == 0:
			out = append(out, fmt.Sprintf("This cap never binds in %s: %s.", what, limitsText(free)))
		default:
			text := fmt.Sprintf("The power limit binds in %s: %s", what, limitsText(bound))
			if most > 0 {
				text += fmt.Sprintf(", for up to %.0f %% of its time", most)
			}
			if free = slices.DeleteFunc(free, func(w int) bool { return slices.Contains(bound, w) }); len(free) > 0 {
				text += "; not: " + limitsText(free)
			}
			out = append(out, text+".")
		}
	}
	return out
}

// limitsText lists power limits, the highest first.
func limitsText(limits []int) string {
	limits = slices.Clone(limits)
	slices.SortFunc(limits, func(a, b int) int {
		if (a == 0) != (b == 0) {
			return cmp.Compare(a, b)
		}
		return cmp.Compare(b, a)
	})
	var out []string
	for _, w := range slices.Compact(limits) {
		if w == 0 {
			out = append(out, "the limit as it was")
		} else {
			out = append(out, fmt.Sprintf("%d W", w))
		}
	}
	return strings.Join(out, ", ")
}
