package binding

import (
	"fmt"
	"math"
	"slices"
	"time"

	"jouletop/engine/event"
	"jouletop/gpu"
)

// Where the driver counts for how long limits held the clocks, that is its direct word: of
// whatever ran between two readings, phases not told apart. It stands beside the verdict.
// By it alone a verdict is made only where that needs no phases: of one that the reasons
// leave open, when the limit held all the time; or never, once the counters were seen to
// count what the reasons tell, as a driver may count only what holds a clock below another
// than the one asked for.

const (
	leastCounted = int64(5 * time.Second) // a shorter time says too little: counters are renewed now and then
	countSlack   = int64(2 * time.Second) // by which counters may run ahead of the clock, for that
	apartPct     = 10.0                   // points by which count and reasons may differ, besides a second
	allPct       = 98.0                   // of the time is all of it
	nonePct      = 1.0
	mostlyIn     = 0.8 // of a kind of phase's time must be within what was counted
)

// counting is what was counted over a stretch of work, and what samples said meanwhile.
type counting struct {
	first, last event.LimitTimes // At is 0 where there is none
	doubt       string
	to          shares // what samples said from first to last
	since       shares // after last
}

// shares are numbers of samples: named is by a reason, held with the clock below too.
type shares struct{ n, powerNamed, powerHeld, heatNamed, heatHeld float64 }

func (s *shares) add(o shares) {
	s.n += o.n
	s.powerNamed += o.powerNamed
	s.powerHeld += o.powerHeld
	s.heatNamed += o.heatNamed
	s.heatHeld += o.heatHeld
}

func (c *counting) sample(s sample, why gpu.Throttle) {
	if c.first.TimeNS == 0 {
		return
	}
	c.since.add(shares{
		1, float64(number(why.ByPower())), float64(number(s.power)), float64(number(why.ByHeat())), float64(number(s.heat)),
	})
}

// counted takes in a reading of the counters.
func (u *unit) counted(ev event.LimitTimes) {
	if !ev.Known() {
		return
	}
	for _, c := range []*counting{&u.point, &u.minute} {
		c.read(ev)
	}
}

func (c *counting) read(ev event.LimitTimes) {
	if c.first.TimeNS == 0 {
		c.first, c.last = ev, ev
		return
	}
	wall := ev.TimeNS - c.first.TimeNS
	for _, x := range [][3]int64{
		{c.first.Power, c.last.Power, ev.Power}, {c.first.Heat, c.last.Heat, ev.Heat},
		{c.first.Board, c.last.Board, ev.Board}, {c.first.Reliability, c.last.Reliability, ev.Reliability},
	} {
		switch {
		case x[0] < 0 || x[1] < 0 || x[2] < 0: // one that fails now and then says nothing
		case x[2] < x[1]:
			c.doubt = "its counters went back meanwhile, and are not believed"
		case x[2]-x[0] > wall+countSlack:
			c.doubt = "its counters ran ahead of the clock, and are not believed"
		}
	}
	c.last = ev
	c.to.add(c.since)
	c.since = shares{}
}

// of is for how much of the time a limit held the clocks, %; NaN where it is not counted.
func (c *counting) of(at func(gpu.LimitTimes) int64) float64 {
	from, to := at(c.first.LimitTimes), at(c.last.LimitTimes)
	if from < 0 || to < 0 {
		return math.NaN()
	}
	return min(100, max(0, 100*float64(to-from)/float64(c.last.TimeNS-c.first.TimeNS)))
}

func (c *counting) known() bool { return c.last.TimeNS-c.first.TimeNS >= leastCounted }

// said is what was counted, and what speaks against it.
func (c *counting) said(reasons bool) event.Counted {
	out := event.Counted{
		ForS:     float64(c.last.TimeNS-c.first.TimeNS) / 1e9,
		PowerPct: c.of(func(l gpu.LimitTimes) int64 { return l.Power }),
		HeatPct:  math.NaN(), Doubt: c.doubt,
	}
	for _, pct := range []float64{
		c.of(func(l gpu.LimitTimes) int64 { return l.Heat }), c.of(func(l gpu.LimitTimes) int64 { return l.Board }),
		c.of(func(l gpu.LimitTimes) int64 { return l.Reliability }),
	} {
		if math.IsNaN(out.HeatPct) || pct > out.HeatPct {
			out.HeatPct = pct
		}
	}
	if out.Doubt != "" || !reasons || c.to.n == 0 {
		return out
	}
	apart := apartPct + 100/out.ForS
	for _, x := range []struct {
		pct, held, named float64
		what             string
	}{{out.PowerPct, c.to.powerHeld, c.to.powerNamed, "power"}, {out.HeatPct, c.to.heatHeld, c.to.heatNamed, "heat"}} {
		held, named := 100*x.held/c.to.n, 100*x.named/c.to.n
		if x.pct < held-apart || x.pct > max(held, named)+apart {
			out.Doubt = fmt.Sprintf("by the reasons that it named meanwhile, %s held the clock %.0f %% of the time", x.what, held)
			break
		}
	}
	return out
}

// together is what the drivers of all GPUs counted: of the one that a limit held most, where
// nothing speaks against any.
func (w *Watch) together(of func(*unit) *counting) (out event.Counted) {
	for _, u := range w.units {
		c := of(u)
		if !c.known() {
			return event.Counted{}
		}
		said := c.said(u.reasons)
		if !out.Known() || out.Doubt == "" && (said.Doubt != "" || most(said) > most(out)) {
			out = said
		}
	}
	return out
}

// most is for how much of the time any limit held the clocks, %.
func most(c event.Counted) float64 {
	if math.IsNaN(c.HeatPct) || c.PowerPct > c.HeatPct {
		return c.PowerPct
	}
	return c.HeatPct
}

// trust learns from a point that is over whether the counters tell what the reasons do.
func (w *Watch) trust() {
	c := w.together(func(u *unit) *counting { return &u.point })
	if !c.Known() {
		return
	}
	w.distrusted = w.distrusted || c.Doubt != ""
	w.trusted = w.trusted || c.Doubt == "" && c.PowerPct >= event.HeldAtTimes && !slices.ContainsFunc(w.units, func(u *unit) bool { return !u.reasons })
}

// byCounts tells of kinds of phases that are not known yet what the counters say, where
// they need not know phases for it.
func (a *tally) byCounts(held *event.HeldPhases, of func(*unit) *counting, trusted bool) {
	c := held.Counted
	always := c.PowerPct >= allPct
	if !c.Known() || c.Doubt != "" || !always && !(trusted && c.PowerPct <= nonePct && c.HeatPct <= nonePct) {
		return
	}
	for _, p := range []event.Phase{event.Prefill, event.Decode, event.Score, event.Mixed} {
		if !held.Of(p).Known() && a.within(p, of) {
			*held.Of(p) = share{true, c.PowerPct / 100, 0, a.locked(p)}.held()
		}
	}
}

// within tells whether most of a kind of phase was while the counters were read.
func (a *tally) within(p event.Phase, of func(*unit) *counting) bool {
	all, in := int64(0), int64(0)
	for _, f := range a.of(p) {
		c := of(f.u)
		all += f.ns
		in += max(0, min(f.to, c.last.TimeNS)-max(f.from, c.first.TimeNS))
	}
	return all > 0 && float64(in) >= mostlyIn*float64(all)
}
