// Package binding says what held a GPU's SM clock in each kind of phase: a limit of
// power or heat, the clock that was asked for, or nothing; and for how much of the time.
//
// A sample is held where the driver names a limit as the reason (throttle reasons) and
// the clock is below the one asked for, or the highest: a limit that is named while the
// clock is where it should be costs nothing. Where a driver names no reasons at all, a
// clock that is too low is held by power if the power drawn came near the limit.
//
// Which phase a sample tells of depends on the card. A simulated one tells at once. Others
// renew what they say each 20 to 200 ms: from the changes it is found when they looked, and
// each look tells of the phase it fell into (renewal.go, ticks.go). An H100 also takes up
// to 400 ms to let the clock rise again (recorded with 8B prefills at batch 4), so that
// what a prefill of 120 ms did to it is read in the decode that follows: which kind of card
// it is, is found out too. On one of these a long phase is judged by what comes after its
// first half second, and a short one by whether anything was held in it or in the 120 ms
// after it, unless its neighbours were held too. What is then open is told by what the
// phases drew, where it is known what those draw that the limit holds (drawn.go); else
// nobody can tell.
package binding

import (
	"math"
	"slices"
	"sync"
	"time"

	"jouletop/engine/event"
	"jouletop/gpu"
)

// GPU is what must be known of a GPU.
type GPU struct {
	ID         string
	HighestMHz int     // SM clock; 0 unknown
	LimitW     float64 // power limit at the start; NaN or 0 unknown
	AtOnce     bool    // it is known that the card tells at once, as a simulated one does
}

// Times of the rule, ns.
const (
	settled   = int64(500 * time.Millisecond) // of a long phase, from its start
	long      = int64(600 * time.Millisecond)
	tail      = int64(120 * time.Millisecond) // after a short phase
	followIn  = int64(300 * time.Millisecond) // a clock that follows a boundary does so within
	promptly  = int64(25 * time.Millisecond)
	fastIn    = int64(35 * time.Millisecond)  // a clock that is renewed sooner than every 30 ms is seen within
	telling   = int64(100 * time.Millisecond) // a phase in which a clock that follows late is seen to
	afterLock = int64(60 * time.Millisecond)  // a clock that was set has not settled before
	powerKept = int64(400 * time.Millisecond) // a clock comes back so much later than the power that held it
)

const (
	fewDelays  = 4                       // boundaries that must be seen to tell how soon a clock follows
	fewSamples = 3                       // in a kind of phase
	nearLimit  = 0.8                     // share of the limit, of power drawn where a limit may hold the clock: it is on peaks
	offMHz     = 7                       // half a step of 15 MHz: further off the clock is another
	mostFacts  = 1e5                     // phases remembered
	firstNS    = int64(10 * time.Second) // of work, or of another limit: it is told of so soon
	everyNS    = int64(time.Minute)
)

// Watch follows a run; Observe is an observer of its stream.
type Watch struct {
	mu     sync.Mutex
	units  []*unit
	point  tally
	minute tally
	from   int64 // when the minute began, ns
	told   bool  // of the limit in force
	since  int64 // when that was set, ns
	// trusted: the driver's counters have said what the reasons did, of a limit that held;
	// distrusted: they have said otherwise, or what cannot be.
	trusted, distrusted bool
	// odds are what the points before told of whether the clock follows at once.
	odds float64
}

// unit is one GPU.
type unit struct {
	GPU
	samples  []sample
	pending  []event.PhaseSpan // whose samples may not all be there
	reasons  bool              // the driver names throttle reasons
	changed  int64             // when another clock was asked for last
	wanted   int
	renewals []renewal
	powers   []drawing
	levels   levels
	lastMHz  int
	lastBits uint64
	latest   int64   // when it was read last
	watts    float64 // the most that was read within powerKept
	wattsAt  int64
	limitW   float64
	point    counting
	minute   counting
}

type sample struct {
	t           int64
	mhz, wanted int
	power, heat bool
}

// New returns a watch of GPUs that work on one job.
func New(gpus ...GPU) *Watch {
	w := &Watch{}
	for _, g := range gpus {
		w.units = append(w.units, &unit{GPU: g, watts: math.NaN(), limitW: g.LimitW})
	}
	return w
}

// Observe takes an event in. Once a minute of work, soon after it began, and when the power
// limit is changed, it tells what held the clock.
func (w *Watch) Observe(ev event.Event) []event.Event {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch ev := ev.(type) {
	case event.Sample:
		for _, u := range w.units {
			if u.ID == ev.GPU {
				u.sample(ev)
				w.settle(u, ev.TimeNS)
			}
		}
		return w.tell(ev.TimeNS)
	case event.Power:
		for _, u := range w.units {
			if u.ID == ev.GPU && !math.IsNaN(ev.PowerW) && ev.Source != gpu.SourceAverage {
				u.power(ev.TimeNS, ev.PowerW)
				if ev.Source == gpu.SourceBuffer {
					u.draw(ev.TimeNS, ev.PowerW)
				}
			}
		}
	case event.LimitTimes:
		for _, u := range w.units {
			if u.ID == ev.GPU {
				u.counted(ev)
			}
		}
	case event.KnobChange:
		return w.limit(ev)
	case event.PointStart:
		w.learn()
		w.point = tally{}
		for _, u := range w.units {
			u.point = counting{}
		}
	case event.PhaseEnd:
		if ev.Phase != event.Idle {
			for _, u := range w.units {
				u.pending = append(u.pending, ev.PhaseSpan)
			}
		}
	}
	return nil
}

// Point returns what held the clock in the point that began last, as far as samples have
// come.
func (w *Watch) Point() event.HeldPhases {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, u := range w.units {
		w.settle(u, math.MaxInt64)
	}
	return w.verdict(&w.point, func(u *unit) *counting { return &u.point })
}

// verdict is the tally's, with what the driver counted beside it.
func (w *Watch) verdict(a *tally, of func(*unit) *counting) event.HeldPhases {
	held := a.verdict(w.odds)
	held.Counted = w.together(of)
	a.byCounts(&held, of, w.trusted && !w.distrusted)
	return held
}

// learn takes from a point that is over what it tells of the card.
func (w *Watch) learn() {
	of, odds := w.point.look()
	w.odds += odds
	w.trust()
	for _, u := range w.point.units() {
		for p := range of {
			u.levels.add(w.point.surely(u, of, p, w.odds > certain))
		}
	}
}

// limit takes in another power limit: what was under the one before is told of by itself.
func (w *Watch) limit(ev event.KnobChange) (out []event.Event) {
	for _, u := range w.units {
		if u.ID != ev.GPU || ev.Knob != gpu.KnobPower || ev.Err != "" && ev.Achieved <= 0 {
			continue
		}
		limit := u.LimitW
		if ev.Achieved > 0 {
			limit = float64(ev.Achieved) / 1000
		}
		if limit == u.limitW {
			continue
		}
		w.settle(u, math.MaxInt64)
		out = append(out, w.close(ev.TimeNS)...)
		w.told, w.since = false, ev.TimeNS
		u.limitW = limit
	}
	return out
}

// tell says what the last minute came to, where it is over.
func (w *Watch) tell(t int64) []event.Event {
	if len(w.minute.facts) == 0 {
		w.told = w.told && t-w.from < firstNS
		if !w.told {
			w.from = t // nothing runs
		}
		return nil
	}
	if t-w.from < firstNS || w.told && t-w.from < everyNS {
		return nil
	}
	w.told = true
	return w.close(t)
}

// close ends a minute at t and says what it came to, where there was work in it.
func (w *Watch) close(t int64) []event.Event {
	m, from := w.minute, w.from
	w.minute, w.from = tally{}, t
	held := w.verdict(&m, func(u *unit) *counting { return &u.minute })
	for _, u := range w.units {
		u.minute = counting{}
	}
	if !held.Told() {
		return nil
	}
	b := event.Bound{At: event.At{TimeNS: t}, FromNS: from, LimitW: math.NaN(), Held: held}
	for i, u := range w.units {
		if i == 0 || u.limitW < b.LimitW {
			b.LimitW = u.limitW
		}
		if i > 0 {
			b.GPU += "+"
		}
		b.GPU += u.ID
	}
	return []event.Event{b}
}

// power takes in a reading of power.
func (u *unit) power(t int64, watts float64) {
	if !(watts < u.watts) || t-u.wattsAt > powerKept {
		u.watts, u.wattsAt = watts, t
	}
}

// sample takes in a sample of the GPU.
func (u *unit) sample(ev event.Sample) {
	if ev.SMMHz < 0 {
		return
	}
	u.reasons = u.reasons || ev.Throttle != 0
	if ev.RequestedSMMHz != u.wanted {
		u.wanted, u.changed = ev.RequestedSMMHz, ev.TimeNS
	}
	s := sample{t: ev.TimeNS, mhz: ev.SMMHz, wanted: ev.RequestedSMMHz}
	target := s.wanted
	if target == 0 {
		target = u.HighestMHz
	}
	low := target == 0 || s.mhz < target
	switch {
	case u.reasons:
		s.power, s.heat = low && ev.Throttle.ByPower(), low && ev.Throttle.ByHeat()
	case target > 0 && s.mhz < target-offMHz && ev.TimeNS-u.changed > afterLock:
		s.power = u.watts >= nearLimit*u.limitW
	}
	for _, c := range []*counting{&u.point, &u.minute} {
		c.sample(s, ev.Throttle)
	}
	u.renew(s, uint64(ev.Throttle), u.latest)
	u.latest = ev.TimeNS
	u.samples = append(u.samples, s)
}

// settle turns the phases that all samples have come of by t into facts.
func (w *Watch) settle(u *unit, t int64) {
	done := 0
	for _, p := range u.pending {
		if t != math.MaxInt64 && p.EndNS+tail > t {
			break
		}
		done++
		f := u.fact(p)
		if len(w.minute.facts) == 0 && !w.told {
			w.from = min(w.from, p.StartNS)
		}
		w.point.add(f)
		if p.StartNS >= w.since { // one across a change tells of neither limit
			w.minute.add(f)
		}
	}
	u.pending = u.pending[done:]
	// What was before the first phase that is left is not asked for any more, but for the
	// latest: a phase under way is told of at its end.
	const keep = int64(20 * time.Second)
	if oldest := len(u.samples) - 4096; oldest > 4096 && t != math.MaxInt64 {
		from := t - keep
		if len(u.pending) > 0 {
			from = min(from, u.pending[0].StartNS-followIn)
		}
		n, _ := slices.BinarySearchFunc(u.samples, from, func(s sample, t int64) int { return int(max(-1, min(1, s.t-t))) })
		u.samples = append([]sample(nil), u.samples[n:]...)
	}
}

// fact is what the samples tell of one phase on one GPU.
type fact struct {
	u        *unit
	from, to int64
	limitW   float64
	phase    event.Phase
	ns       int64
	n        int
	power    int // of n
	heat     int
	sure     looks // those surely of this phase where the card is fast
	steadyN  int   // of those after the first half second
	steady   [2]int
	after    [2]bool // whether any was held in what came after: power, heat
	delay    int64   // after which the clock followed the beginning; -1 it did not
	locked   bool
}

func (u *unit) fact(p event.PhaseSpan) fact {
	f := fact{u: u, limitW: u.limitW, from: p.StartNS, to: p.EndNS, phase: p.Phase.Decoding(), ns: p.EndNS - p.StartNS, delay: -1}
	from, _ := slices.BinarySearchFunc(u.samples, p.StartNS, func(s sample, t int64) int { return int(max(-1, min(1, s.t-t))) })
	before := sample{mhz: -1}
	if from > 0 {
		before = u.samples[from-1]
	}
	for _, s := range u.samples[from:] {
		if s.t > p.EndNS+tail {
			break
		}
		if in := s.t - p.StartNS; before.mhz >= 0 && f.delay < 0 && in < followIn && s.t < p.EndNS && s.unlike(before) {
			f.delay = in
		}
		switch {
		case s.t >= p.EndNS:
			f.after[0], f.after[1] = f.after[0] || s.power, f.after[1] || s.heat
			continue
		case s.t-p.StartNS > settled:
			f.steadyN++
			f.steady[0] += number(s.power)
			f.steady[1] += number(s.heat)
		}
		if s.t-p.StartNS > fastIn {
			f.sure.n++
			f.sure.power += float64(number(s.power))
			f.sure.heat += float64(number(s.heat))
		}
		f.n++
		f.power += number(s.power)
		f.heat += number(s.heat)
		f.locked = f.locked || s.wanted > 0 && s.wanted < u.HighestMHz
	}
	return f
}

// unlike tells whether the clock, or what holds it, is another.
func (s sample) unlike(o sample) bool {
	return max(s.mhz-o.mhz, o.mhz-s.mhz) > offMHz || s.power != o.power || s.heat != o.heat
}

func number(b bool) int {
	if b {
		return 1
	}
	return 0
}
