package energy

import (
	"math"
	"sort"

	"jouletop/gpu"
)

// reading is one fresh reading: mean power up to t, or the counter at t.
type reading struct {
	t   int64
	v   float64 // W, or J for the counter
	jit float64 // s: standard deviation of t, where it is known to be vague
	// void: the bin that ends here is no evidence (see intake).
	void bool
}

// track keeps one source's readings in the order of their times.
type track struct {
	name     string
	cum      bool    // a counter: bins reach from reading to reading
	period   float64 // s between renewals
	width    float64 // s each value averages over (not the counter)
	reads    []reading
	lastPoll int64 // last time the source was looked at, fresh or not
	added    int   // readings ever added

	lag        float64 // s by which values come late
	lagSD      float64 // s
	lagFound   float64 // s, of it as the search found it
	byFalls    bool    // it was found by falls
	jitter     float64 // s, standard deviation of a time stamp
	model      model
	scratch    []row    // of the last fit, for the next
	fitAt      int      // value of added at the last fit
	fitGap     int      // readings until the next, at most
	lagAt      int      // and when the lag was last found
	calibrated int      // and the noise calibrated
	turned     *turning // by what was asked for last; nil: nothing was
	lateAt     int      // and what it does to each kind of phase
}

// Assumptions about a source of which nothing else is known, as found on
// H100s (driver 580): period and averaging window of the sources, the lag of the
// sample buffer (by 13 ends of work before a pause on three cards: 0 to 7 ms, in the
// mean 3); the instant window is that of Yang et al., SC'24.
var known = map[string]struct{ period, width, lag, lagSD float64 }{
	gpu.SourceBuffer:  {0.020, 0.020, 0.005, 0.003},
	gpu.SourceInstant: {0.100, 0.025, 0.020, 0.030},
	gpu.SourceCounter: {0.100, 0, 0.010, 0.015},
	gpu.SourceAverage: {0.100, 1.0, 0.010, 0.050},
}

func newTrack(s gpu.PowerSource) *track {
	k, ok := known[s.Name]
	if !ok {
		return nil
	}
	tr := &track{name: s.Name, cum: s.Name == gpu.SourceCounter,
		period: k.period, width: k.width, lag: k.lag, lagSD: k.lagSD, lastPoll: math.MinInt64}
	if s.PeriodMS > 0 {
		tr.period = s.PeriodMS / 1e3
	}
	if s.WindowMS > 0 && !tr.cum {
		tr.width = s.WindowMS / 1e3
	}
	return tr
}

// add takes a reading; repetitions only tell when the source was looked at.
func (tr *track) add(r gpu.PowerReading) {
	v := r.PowerW
	if tr.cum {
		v = r.CounterJ
	}
	if math.IsNaN(v) || math.IsInf(v, 0) || v < 0 {
		return
	}
	// jit: a polled value was renewed at an unknown time since the last poll.
	since := tr.period
	if tr.lastPoll != math.MinInt64 && r.TimeNS > tr.lastPoll {
		since = min(since, float64(r.TimeNS-tr.lastPoll)/1e9)
	}
	tr.lastPoll = max(tr.lastPoll, r.TimeNS)
	n := len(tr.reads)
	if tr.cum && n > 0 && v < tr.reads[n-1].v {
		since = tr.period // a change, but not by a tick
	}
	if n > 0 {
		last := tr.reads[n-1]
		repeated := last.v == v && (tr.cum || tr.name != gpu.SourceBuffer && float64(r.TimeNS-last.t) < 0.8e9*tr.period)
		if repeated || !r.Fresh && (tr.name == gpu.SourceBuffer || last.v == v) {
			return
		}
	}
	nr := reading{t: r.TimeNS, v: v}
	if tr.name != gpu.SourceBuffer { // the buffer stamps its own times
		nr.jit = since / math.Sqrt(12)
		nr.t -= int64(since / 2 * 1e9)
	}
	if n > 0 && tr.cum && nr.jit < tr.reads[n-1].jit/3 && float64(nr.t-tr.reads[n-1].t)/1e9 < 1.2*tr.period {
		// A pair of reads around a tick: the first says little, and a counter
		// loses nothing by leaving it out.
		n--
		tr.reads = tr.reads[:n]
	}
	i := n
	for i > 0 && tr.reads[i-1].t >= nr.t {
		i--
	}
	if i < n && tr.reads[i].t == nr.t {
		return
	}
	tr.reads = append(tr.reads, reading{})
	copy(tr.reads[i+1:], tr.reads[i:])
	tr.reads[i] = nr
	tr.added++
}

// bin is the mean power p in W over a to b (ns, the lag removed).
type bin struct {
	a, b int64
	p    float64
	ja   float64 // s: standard deviation of a
	jb   float64 // and of b
	ok   bool
}

func (b bin) seconds() float64 { return float64(b.b-b.a) / 1e9 }

// bin returns the i-th reading's bin for a lag in s. It is not ok for the
// first counter reading and where the counter was reset.
func (tr *track) bin(i int, lag float64) bin {
	r := tr.reads[i]
	if r.void {
		return bin{}
	}
	shift := int64(lag * 1e9)
	b := bin{b: r.t - shift, p: r.v, ok: true}
	if !tr.cum {
		b.a = b.b - int64(tr.width*1e9)
		if i > 0 {
			gap := float64(r.t-tr.reads[i-1].t) / 1e9
			contiguous := tr.width > 0.9*tr.period
			if gap < tr.width || contiguous && gap < 1.9*tr.period {
				b.a = tr.reads[i-1].t - shift
			}
		}
		b.jb = hypot(r.jit, tr.jitter)
		b.ja = b.jb
		return b
	}
	if i == 0 {
		return bin{}
	}
	q := tr.reads[i-1]
	b.a = q.t - shift
	b.ja, b.jb = hypot(q.jit, tr.jitter), hypot(r.jit, tr.jitter)
	d := counterDiff(q.v, r.v, b.seconds())
	if math.IsNaN(d) {
		return bin{}
	}
	b.p = d / b.seconds()
	return b
}

// hypot is math.Hypot for what is mostly zero and never huge.
func hypot(x, y float64) float64 {
	if x == 0 || y == 0 {
		return x + y
	}
	return math.Sqrt(x*x + y*y)
}

// counterDiff returns the joules from one counter value to the next, seconds
// later: NaN after a reset. A counter of millijoules in 32 or 64 bits may wrap, after
// which it has gone on by no more than a board draws.
func counterDiff(from, to, seconds float64) float64 {
	if to >= from {
		if to-from > gpu.MostBoardW*seconds+1 {
			return math.NaN()
		}
		return to - from
	}
	for _, span := range []float64{1 << 32 / 1e3, 1 << 64 / 1e3} {
		if d := to + span - from; d >= 0 && d <= gpu.MostBoardW*seconds+1 {
			return d
		}
	}
	return math.NaN()
}

// vague tells whether the times of the latest readings are uncertain.
func (tr *track) vague() bool {
	n := len(tr.reads)
	return tr.jitter > 0.002 || n > 0 && tr.reads[n-1].jit > 0.002
}

// first returns the index of the first reading whose time is after t ns.
func (tr *track) first(t int64) int {
	return sort.Search(len(tr.reads), func(i int) bool { return tr.reads[i].t > t })
}

// strike takes the bins of from to to for no evidence, and what was learned from
// them.
func (tr *track) strike(from, to int64) {
	reach := int64(tr.width * 1e9)
	if tr.cum {
		reach = 0
	}
	for i := tr.first(from); i < len(tr.reads); i++ {
		r := &tr.reads[i]
		begin := r.t - reach
		if tr.cum && i > 0 {
			begin = tr.reads[i-1].t
		}
		if begin >= to {
			break
		}
		r.void = true
	}
	tr.model, tr.fitAt, tr.fitGap, tr.lagAt = model{}, tr.added, firstFitGap, 0
}

// prune forgets readings before t.
func (tr *track) prune(t int64) {
	if i := tr.first(t); i > len(tr.reads)/4 && i > 64 {
		tr.reads = append(tr.reads[:0], tr.reads[i:]...)
	}
}

// measureJitter sets the standard deviation of the buffer's time stamps from
// the scatter of their distances.
func (tr *track) measureJitter(from int) {
	if tr.name != gpu.SourceBuffer {
		return
	}
	var s2 float64
	var n int
	for i := max(from, 1); i < len(tr.reads); i++ {
		d := float64(tr.reads[i].t-tr.reads[i-1].t)/1e9 - tr.period
		if math.Abs(d) < 0.9*tr.period {
			s2 += d * d
			n++
		}
	}
	if n >= 10 {
		tr.jitter = min(math.Sqrt(s2/float64(n)/2), tr.period/2)
	}
}
