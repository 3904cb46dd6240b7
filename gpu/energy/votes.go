package energy

import (
	"fmt"
	"math"
	"sort"
	"strings"
	"time"

	"jouletop/gpu"
)

// Sources of one board are compared with each other while they run: the mean power
// that each tells over some seconds. Where one contradicts others that agree, it is
// dropped; where nothing says who is right, energies are widened to hold both.

// votes is the state of the comparison.
type votes struct {
	next     int64 // when to compare again
	last     int64 // end of the span compared last
	since    int64 // spans begin no earlier: something was wrong before
	disputes []dispute
	judged   bool  // sources have been compared
	first    int64 // when the first reading came
}

// heardWithin is how long the first comparison is waited for.
const heardWithin = int64(6 * time.Second)

// unheard tells whether the sources are still to be compared for the first time: a
// source that is wrong from the start would be believed until then.
func (in *intake) unheard() bool {
	alive, now := 0, int64(math.MinInt64)
	for _, w := range in.order {
		now = max(now, w.seen)
	}
	for _, w := range in.order {
		if w.alive(now) {
			alive++
		}
	}
	return alive > 1 && !in.votes.judged && now-in.votes.first < heardWithin
}

// dispute is a contradiction without a majority: one says ratio times what another
// says.
type dispute struct {
	from, to int64 // to is open while it goes on
	ratio    float64
	long     bool // found over a long span only
}

const open = int64(math.MaxInt64)

// Two sources contradict each other if their mean powers differ by more than such
// a share, besides what either may be off over that span: much over a short span,
// a little over a long one. A gain error that they share is not seen here; sensors
// of one H100 agree to within 2 %.
const (
	shortSpan, shortShare = int64(2 * time.Second), 0.25
	longSpan, longShare   = int64(8 * time.Second), 0.06
	longest               = int64(20 * time.Second)
	offsetW               = 3.0
	compareEvery          = int64(time.Second)
	// told is how long after a span its readings have come.
	toldBy = int64(800 * time.Millisecond)
	// aliveFor is how long a source that is read seldom counts as alive.
	aliveFor = int64(6 * time.Second)
	// stillFor is how long a polled value may stand still unconfirmed.
	stillFor = int64(3 * time.Second)
)

// restart leaves what was before t out of the comparisons to come.
func (v *votes) restart(t int64) { v.since = max(v.since, t) }

// keep remembers a reading for the comparison.
func (in *intake) keep(w *watched, p point) {
	if n := len(w.recent); n > 0 {
		last := w.recent[n-1]
		if p.t <= last.t {
			return
		}
		if polled := !w.tr.cum && w.tr.name != gpu.SourceBuffer; polled && p.v == last.v && p.t-last.t < int64(w.tr.period*0.5e9) {
			return
		}
	}
	if w.still == 0 || p.v != w.value {
		w.still, w.value = p.t, p.v
	}
	w.recent = append(w.recent, p)
	if n := len(w.recent); n > 64 && w.recent[n/2].t < p.t-longest-2*aliveFor {
		w.recent = append(w.recent[:0], w.recent[n/2:]...)
	}
}

// alive tells whether the source has told something lately.
func (w *watched) alive(now int64) bool { return len(w.recent) > 0 && now-w.seen <= aliveFor }

// compare compares the sources, when it is time to.
func (in *intake) compare() {
	now := int64(math.MinInt64)
	for _, w := range in.order {
		now = max(now, w.seen)
	}
	v := &in.votes
	if v.first == 0 {
		v.first = now
	}
	if now < v.next {
		return
	}
	v.next = now + compareEvery
	in.missing(now)
	in.faults.tellGaps(now)
	in.standingStill(now)
	// A span begins and ends where the counter was read, if there is one.
	at := func(t int64) int64 { return t }
	if c := in.sources[gpu.SourceCounter]; c != nil && c.alive(now) && now-c.recent[len(c.recent)-1].t <= aliveFor {
		at = func(t int64) int64 {
			i := sort.Search(len(c.recent), func(i int) bool { return c.recent[i].t > t }) - 1
			if i < 0 {
				return math.MinInt64
			}
			return c.recent[i].t
		}
	}
	to := at(now - toldBy)
	if to <= v.last {
		return
	}
	v.last = to
	if from := at(to - shortSpan); from >= v.since && to-from <= longest {
		in.judge(from, to, shortShare)
		v.judged = true
	}
	from := at(max(to-longest, v.since+int64(tickSlack*1e9)))
	for step := int64(0); from < v.since && step < aliveFor; step += int64(100 * time.Millisecond) {
		from = at(v.since + step)
	}
	if from >= v.since && to-from >= longSpan {
		in.judge(from, to, longShare)
	}
}

// opinion is the mean power that a source tells of a span, and what that may be
// off.
type opinion struct {
	*watched
	w, err float64
}

// judge compares the sources over a span.
func (in *intake) judge(from, to int64, share float64) {
	long := share == longShare
	ops := in.opinions(from, to)
	var voters, outs []opinion
	for _, o := range ops {
		if o.out {
			outs = append(outs, o)
		} else {
			voters = append(voters, o)
		}
	}
	contradict := func(a, b opinion) bool {
		return math.Abs(a.w-b.w) > share*max(a.w, b.w)+a.err+b.err+offsetW
	}
	losers, rest, lo, hi := outvoted(voters, contradict)
	switch {
	case hi > 0 && len(losers) > 0:
		for _, o := range losers {
			in.dismiss(o, rest, from, to, long)
		}
	case hi > 0:
		in.dispute(voters, from, to, hi/max(lo, 1), long)
	case len(voters) >= 2:
		in.settled(from, long)
		for _, o := range voters {
			o.judged = true
		}
	}
	for _, o := range outs {
		wrong := false
		for _, b := range rest {
			wrong = wrong || contradict(o, b)
		}
		in.reconsider(o, rest, wrong, from, to, long)
	}
}

// outvoted finds those that more sources contradict than contradict any of the
// others, until the others agree. lo and hi are the least and the greatest power of
// any contradiction, hi 0 where there is none. Nobody is outvoted where fewer than
// two would be left.
func outvoted(voters []opinion, contradict func(a, b opinion) bool) (losers, rest []opinion, lo, hi float64) {
	rest, lo = voters, math.Inf(1)
	for {
		most := 0
		against := make([]int, len(rest))
		for i, a := range rest {
			for j, b := range rest {
				if i != j && contradict(a, b) {
					against[i]++
					lo, hi = min(lo, a.w, b.w), max(hi, a.w, b.w)
				}
			}
			most = max(most, against[i])
		}
		if most == 0 {
			return losers, rest, lo, hi
		}
		var left []opinion
		for i, a := range rest {
			if against[i] == most {
				losers = append(losers, a)
			} else {
				left = append(left, a)
			}
		}
		if rest = left; most < 2 || len(rest) < 2 {
			return nil, voters, lo, hi
		}
	}
}

// opinions are those of the sources that told of nearly the whole span.
func (in *intake) opinions(from, to int64) []opinion {
	seconds := float64(to-from) / 1e9
	var ops []opinion
	top := 0.0
	for _, w := range in.order {
		if w.tr.cum {
			continue
		}
		if o, most, ok := w.meanPower(from, to); ok {
			ops = append(ops, o)
			top = max(top, most)
		}
	}
	if c := in.sources[gpu.SourceCounter]; c != nil {
		if p, ok := c.meanCount(from, to); ok {
			ops = append(ops, opinion{c, p, tickSlack * max(top, p) / seconds})
		}
	}
	return ops
}

// meanCount is the mean power by the counter.
func (w *watched) meanCount(from, to int64) (float64, bool) {
	at := func(t int64) int { return sort.Search(len(w.recent), func(i int) bool { return w.recent[i].t >= t }) }
	i, j := at(from), at(to)
	if i >= j || j >= len(w.recent) || w.recent[i].t != from || w.recent[j].t != to {
		return 0, false
	}
	d := counterDiff(w.recent[i].v, w.recent[j].v, float64(to-from)/1e9)
	return d / (float64(to-from) / 1e9), !math.IsNaN(d)
}

// meanPower is the mean power by a source of power, and the most it told.
func (w *watched) meanPower(from, to int64) (o opinion, most float64, ok bool) {
	seconds := float64(to-from) / 1e9
	if w.tr.name == gpu.SourceAverage {
		shift := int64(w.tr.width / 2 * 1e9)
		from, to = from+shift, to+shift
	}
	hold := int64(max(2*w.tr.period, 0.06) * 1e9)
	first := sort.Search(len(w.recent), func(i int) bool { return w.recent[i].t > from })
	var sum, squares, covered, odd float64
	lo := math.Inf(1)
	each := func(f func(p point, d float64)) {
		for i := first; i < len(w.recent); i++ {
			a := w.recent[i].t - hold
			if i > 0 {
				a = max(a, w.recent[i-1].t)
			}
			if a >= to {
				break
			}
			f(w.recent[i], float64(min(w.recent[i].t, to)-max(a, from))/1e9)
		}
	}
	each(func(p point, d float64) {
		if p.odd {
			odd += d
		}
	})
	// A few readings beyond what the board draws are left out here too; many show
	// that the source is wrong in all it says.
	many := odd > 0.1*seconds
	each(func(p point, d float64) {
		if p.odd && !many {
			return
		}
		sum += p.v * d
		squares += p.v * p.v * d
		covered += d
		lo, most = min(lo, p.v), max(most, p.v)
	})
	if covered < 0.8*seconds {
		return o, 0, false
	}
	mean := sum / covered
	deviation := math.Sqrt(max(squares/covered-mean*mean, 0))
	// What lies at the span's ends may be booked on the wrong side, what was not
	// covered may be as far off as what was.
	err := (max(w.tr.width, 0.06)*0.6/seconds + (1 - covered/seconds)) * (most - lo)
	if w.tr.width < 0.5*w.tr.period {
		// It sees only part of the time, maybe in step with the work.
		err += deviation * (0.25 + 2/math.Sqrt(max(seconds/w.tr.period, 1)))
	}
	return opinion{w, mean, err}, most, true
}

// dismiss drops an outvoted source.
func (in *intake) dismiss(o opinion, rest []opinion, from, to int64, long bool) {
	if !o.judged {
		from = o.recent[0].t - int64(o.tr.width*1e9) // it never was right
	}
	o.out, o.outLong, o.agreed = true, long, 0
	o.outBy = to
	o.tr.strike(from, open)
	in.faults.note(o.tr.name, FaultOutvoted, from, to, func() string {
		return fmt.Sprintf("says %.0f W where %s: left out", o.w, say(rest))
	})
	in.votes.restart(to)
}

// reconsider takes an outvoted source back after it has agreed with the others
// twice.
func (in *intake) reconsider(o opinion, rest []opinion, wrong bool, from, to int64, long bool) {
	switch {
	case len(rest) == 0:
	case wrong:
		o.agreed = 0
		o.outBy = max(o.outBy, to)
		in.faults.note(o.tr.name, FaultOutvoted, from, to, func() string {
			return fmt.Sprintf("still says %.0f W where %s: left out", o.w, say(rest))
		})
	case o.outLong && !long:
	default:
		if o.agreed++; o.agreed >= 2 {
			o.out, o.judged, o.cut = false, true, o.tr.cum
		}
	}
}

// dispute notes a contradiction that nobody decides.
func (in *intake) dispute(ops []opinion, from, to int64, ratio float64, long bool) {
	v := &in.votes
	for _, o := range ops {
		if !o.judged {
			from = min(from, o.recent[0].t-int64(o.tr.width*1e9))
		}
	}
	n := len(v.disputes)
	if n > 0 && v.disputes[n-1].to == open {
		d := &v.disputes[n-1]
		d.ratio, d.long = max(d.ratio, ratio), d.long && long
	} else {
		v.disputes = append(v.disputes, dispute{from, open, ratio, long})
	}
	for _, o := range ops[:1] {
		in.faults.note(o.tr.name, FaultContradiction, from, to, func() string {
			return fmt.Sprintf("says %.0f W while %s, and nothing tells which is right: energies hold both or are not stated", o.w, say(ops[1:]))
		})
	}
}

// settled ends a dispute, as the sources agree from a time on.
func (in *intake) settled(from int64, long bool) {
	v := &in.votes
	if n := len(v.disputes); n > 0 && v.disputes[n-1].to == open && (long || !v.disputes[n-1].long) {
		v.disputes[n-1].to = max(from, v.disputes[n-1].from)
	}
}

// say words what sources tell.
func say(ops []opinion) string {
	var parts []string
	for _, o := range ops {
		parts = append(parts, fmt.Sprintf("%s says %.0f W", wordOf(o.tr.name), o.w))
	}
	return strings.Join(parts, " and ")
}

// standingStill looks for a polled value that has stood still with nothing to
// confirm it: a sensor that is stuck looks the same.
func (in *intake) standingStill(now int64) {
	var one *watched
	for _, w := range in.order {
		if !w.alive(now) {
			continue
		}
		if one != nil {
			return
		}
		one = w
	}
	if one == nil || one.tr.cum || one.tr.name == gpu.SourceBuffer || one.still == 0 || now-one.still < stillFor {
		return
	}
	from := one.still
	one.stuck = true
	one.tr.strike(from, open)
	in.faults.note(one.tr.name, FaultStill, from, now, func() string {
		return fmt.Sprintf("has read %.4g W for %d s without a change, and no other source says that it is not stuck: left out", one.value, (now-from)/1e9)
	})
}

// widened is by how much in J sources contradict each other over a window whose
// energy is j.
func (in *intake) widened(start, end int64, j float64) float64 {
	ratio := 1.0
	for _, d := range in.votes.disputes {
		if d.from < end && d.to > start {
			ratio = max(ratio, d.ratio)
		}
	}
	return (ratio - 1) * math.Abs(j)
}
