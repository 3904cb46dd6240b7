package report

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"jouletop/engine/analysis/curve"
	"jouletop/engine/analysis/table"
	"jouletop/engine/event"
	"jouletop/gpu"
)

// knobRow is one setting of knobs and what it came to.
type knobRow struct {
	curve.Clock
	setting gpu.Setting
	ref     *knobRow // the same but for the power limit, which is the highest there is; nil none
}

// Knobs tables settings of other knobs than the SM clock, each beside the same with the
// highest power limit there is (its matched reference), and says of each limit in which
// phase it held the clock. Without such settings the table has no rows; its notes then say
// what the card's own limit held, where it did.
func Knobs(points []event.PointDone) table.Table {
	t := table.Table{
		Title:   "knobs, and what held the SM clock",
		Columns: []string{"model", "dataset", "batch", "setting", "J/query", "latency s", "EΔ %", "PreΔ %", "afterΔ %", "prefill held by", "after held by"},
	}
	doubted := false
	for _, c := range curve.Of(points) {
		rows := knobRows(c)
		knobs := slices.ContainsFunc(rows, func(r *knobRow) bool { return r.setting.Others() != (gpu.Setting{}) })
		for _, r := range rows {
			if !knobs {
				break
			}
			prefill, p := r.heldBy(event.Prefill)
			after, a := r.heldBy(r.after())
			doubted = doubted || p || a
			cells := []table.Cell{
				table.Word(c.Title()), table.Word(c.Dataset), table.Num(float64(c.BatchSize), 0), table.Word(settingText(r.setting)),
				table.WithError(r.Energy, 3), table.WithError(r.Latency, 4), table.Num(nan, 1), table.Num(nan, 1), table.Num(nan, 1),
				table.Word(heldText(prefill, p)), table.Word(heldText(after, a)),
			}
			if r.ref != nil && r.ref != r {
				k := r.Against(r.ref.Clock)
				k.EnergyDown.Mean = -k.EnergyDown.Mean
				cells[6], cells[7], cells[8] = table.Change(k.EnergyDown), table.Change(k.Prefill), table.Change(k.Decode)
			}
			t.Rows = append(t.Rows, cells)
		}
		t.Notes = append(t.Notes, verdicts(c, rows)...)
	}
	if len(t.Rows) > 0 {
		t.Notes = append(t.Notes, "Δ: against the same setting with the highest power limit there is. after: decode, scoring, or serving.")
	}
	if doubted {
		t.Notes = append(t.Notes, "*: the samples do not tell; concluded from the phase's time against the reference's.")
	}
	return t
}

func settingText(s gpu.Setting) string {
	if s == (gpu.Setting{}) {
		return "driver's"
	}
	return s.String()
}

func heldText(h event.Held, concluded bool) string {
	text := h.String()
	if h.Limited() && concluded {
		text = string(h.By)
	}
	if concluded {
		text += "*"
	}
	return text
}

// knobRows are the fixed settings of a curve, the highest clocks and limits first, each
// with its reference.
func knobRows(c curve.Curve) []*knobRow {
	var rows []*knobRow
	for _, k := range slices.Concat(c.Clocks, c.Policies) {
		p := event.PolicyOf(k.Policy)
		s := gpu.Setting{SMMHz: k.RequestedMHz}
		switch {
		case k.RequestedMHz > 0:
		case p.Kind == event.FixedKnobs || p.Kind == event.FixedClock || p.Kind == event.NoPolicy:
			s = p.Setting()
		default:
			continue
		}
		rows = append(rows, &knobRow{Clock: k, setting: s})
	}
	// A limit that was not set is the highest: it is the card's own.
	limit := func(s gpu.Setting) int {
		if s.PowerW == 0 {
			return math.MaxInt
		}
		return s.PowerW
	}
	slices.SortStableFunc(rows, func(a, b *knobRow) int {
		x, y := a.setting, b.setting
		return cmp.Or(cmp.Compare(y.SMMHz, x.SMMHz), cmp.Compare(y.MemMHz, x.MemMHz), cmp.Compare(y.Profiles, x.Profiles), cmp.Compare(limit(y), limit(x)))
	})
	for i, r := range rows {
		r.ref = r
		if i > 0 && rows[i-1].setting.With(gpu.KnobPower, 0) == r.setting.With(gpu.KnobPower, 0) {
			r.ref = rows[i-1].ref
		}
	}
	return rows
}

// after is the kind of phase that followed prefill.
func (r *knobRow) after() event.Phase {
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

// heldBy says what held the clock in a phase; concluded: where the samples do not tell,
// from its time against that of the reference.
func (r *knobRow) heldBy(p event.Phase) (h event.Held, concluded bool) {
	h = *r.Held.Of(p)
	if h.Known() || r.ref == r || r.setting.PowerW == 0 {
		return h, false
	}
	change := r.Against(r.ref.Clock)
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
		return event.Held{By: event.HeldByPower, Pct: nan}, true
	case math.Abs(c.Mean)+half < sameTime:
		return event.Held{By: event.HeldByNothing, Pct: nan}, true
	}
	return h, false
}

// verdicts are sentences on which power limit held the clock in which phase.
func verdicts(c curve.Curve, rows []*knobRow) (out []string) {
	for _, p := range []event.Phase{event.Prefill, event.Decode, event.Score, event.Mixed} {
		if p != event.Prefill && !slices.ContainsFunc(rows, func(r *knobRow) bool { return r.after() == p }) {
			continue
		}
		var free, bound []int // W; 0 is the card's own limit
		most, unknown := 0.0, false
		for _, r := range rows {
			h, _ := r.heldBy(p)
			switch w := r.setting.PowerW; {
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
